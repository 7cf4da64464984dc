/** Bech32 has no 1, b, i and o after its separator. */
const IDENTITY = /AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}(?![0-9A-Z])/gi;

/** The identity in what was pasted, which may be the whole file of `age-keygen`; none where it holds none or several. */
export function identityIn(text: string): string | null {
  const [found, ...others] = text.match(IDENTITY) ?? [];
  return found === undefined || others.length > 0 ? null : found.toUpperCase();
}
