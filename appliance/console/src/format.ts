// Numbers, sizes, spans of time and hashes for people. What depends on the language takes its locale.

const LOCALES: Record<string, string> = { en: "en-GB", zh: "zh-CN" };
const NOTHING = "–";

export const localeOf = (language: string) => LOCALES[language] ?? "en-GB";

/** A whole number with separators; a dash where there is none. */
export function whole(value: number | bigint | null | undefined, language: string): string {
  if (value === null || value === undefined || (typeof value === "number" && !Number.isFinite(value))) return NOTHING;
  return new Intl.NumberFormat(localeOf(language), { maximumFractionDigits: 0 }).format(value);
}

/** A rate or a time: three significant digits, or whole from 100 on. */
export function decimal(value: number | null | undefined, language: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const digits = Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return new Intl.NumberFormat(localeOf(language), digits).format(value);
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Bytes in the largest unit that keeps the number above one. */
export function bytes(value: number | null | undefined, language: string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < BYTE_UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${decimal(size, language)} ${BYTE_UNITS[unit] ?? "B"}`;
}

/** A fraction in percent. */
export function percent(part: number, all: number, language: string): string {
  if (!(all > 0)) return NOTHING;
  return new Intl.NumberFormat(localeOf(language), { style: "percent", maximumFractionDigits: 1 }).format(part / all);
}

const UNITS: [string, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** A span of time in its two largest units; below a second in milliseconds. */
export function span(ms: number | null | undefined, language: string): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING;
  const write = (value: number, unit: string) =>
    new Intl.NumberFormat(localeOf(language), { style: "unit", unit, unitDisplay: "short" }).format(value);
  if (Math.abs(ms) < 1000) return write(Math.round(ms), "millisecond");
  let left = Math.round(Math.abs(ms) / 1000);
  const first = UNITS.findIndex(([, size]) => left >= size);
  const parts: string[] = [];
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(left / size);
    left %= size;
    if (count > 0 || parts.length === 0) parts.push(write(count, unit));
  }
  return parts.join(" ");
}

/** A time in this computer's zone; a dash where there is none or it is no time. */
export function time(value: string | number | null | undefined, language: string): string {
  if (value === null || value === undefined) return NOTHING;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return NOTHING;
  return new Intl.DateTimeFormat(localeOf(language), { dateStyle: "medium", timeStyle: "medium" }).format(date);
}

/** A time of today, to the second. */
export function clock(value: number, language: string): string {
  return new Intl.DateTimeFormat(localeOf(language), { timeStyle: "medium" }).format(value);
}

/** The ends of a hash, key or address, enough to tell it from others at a glance. */
export function ends(value: string, head = 10, tail = 6): string {
  return value.length <= head + tail + 1 ? value : `${value.slice(0, head)}…${value.slice(-tail)}`;
}

/** Wei in ether, exactly, without needless zeros. */
export function ether(wei: bigint): string {
  const sign = wei < 0n ? "-" : "";
  const digits = (wei < 0n ? -wei : wei).toString().padStart(19, "0");
  const fraction = digits.slice(-18).replace(/0+$/, "");
  return `${sign}${digits.slice(0, -18)}${fraction === "" ? "" : `.${fraction}`}`;
}
