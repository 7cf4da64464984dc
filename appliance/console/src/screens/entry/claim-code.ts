/** A claim code as the box's screen shows it, however it was typed. */
export function normalClaimCode(typed: string): string {
  const characters = typed.toUpperCase().replaceAll(/[^A-Z0-9]/g, "");
  return characters.match(/.{1,4}/g)?.join("-") ?? "";
}
