// What the page can see of a network's settings; the box checks the rest.

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;
const HOST = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?$/i;

export const TIME_SERVERS_MAX = 8;

/** Values with commas or spaces between them. */
export const listOf = (text: string) => text.split(/[\s,]+/).filter((one) => one !== "");

export const isAddress = (text: string) => ADDRESS.test(text);

/** Whether a text is an address or a name. */
export const isHost = (text: string) => isAddress(text) || HOST.test(text);

/** Whether a text is an address with the length of its network's prefix. */
export function isPrefixed(text: string): boolean {
  const [address = "", length = "", ...rest] = text.split("/");
  return rest.length === 0 && isAddress(address) && /^\d{1,3}$/.test(length) && Number(length) <= 128;
}
