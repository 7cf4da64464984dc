// A contract's interface as a person pastes or uploads it, and values for its functions as a person types them.

import { isAddress, type Abi, type AbiParameter } from "viem";

export const ABI_CHARACTERS_MAX = 512 * 1024;
const ENTRIES_MAX = 2_000;
const DEPTH_MAX = 8;

export type AbiFault = "too-big" | "not-json" | "not-abi" | "empty" | "bad-entry";

/** Why a text is no ABI; `entry` counts from one. */
export class AbiError extends Error {
  override readonly name = "AbiError";
  readonly fault: AbiFault;
  readonly entry: number | undefined;
  constructor(fault: AbiFault, entry?: number) {
    super(fault);
    this.fault = fault;
    this.entry = entry;
  }
}

const NAMED = new Set(["function", "event", "error"]);
const UNNAMED = new Set(["constructor", "fallback", "receive"]);
const MUTABILITY = new Set(["pure", "view", "nonpayable", "payable"]);
const NAME = /^[A-Za-z_$][\w$]*$/;
const TYPE = /^(u?int(\d{1,3})?|address|bool|string|bytes(\d{1,2})?|function|tuple)((\[\d{0,6}\])*)$/;

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function isType(type: unknown): type is string {
  const parts = typeof type === "string" ? TYPE.exec(type) : null;
  if (!parts) return false;
  const [, , bits, size] = parts;
  if (bits !== undefined && (Number(bits) % 8 !== 0 || Number(bits) < 8 || Number(bits) > 256)) return false;
  return size === undefined || (Number(size) >= 1 && Number(size) <= 32);
}

function areParameters(value: unknown, depth = 0): boolean {
  if (!Array.isArray(value) || depth > DEPTH_MAX) return false;
  return value.every((parameter: unknown) => {
    if (!isFields(parameter) || !isType(parameter.type)) return false;
    if (parameter.name !== undefined && parameter.name !== "" && !isName(parameter.name)) return false;
    return !parameter.type.startsWith("tuple") || areParameters(parameter.components, depth + 1);
  });
}

const isName = (value: unknown) => typeof value === "string" && NAME.test(value);

function isEntry(entry: unknown): boolean {
  if (!isFields(entry) || typeof entry.type !== "string") return false;
  if (UNNAMED.has(entry.type)) return entry.inputs === undefined || areParameters(entry.inputs);
  if (!NAMED.has(entry.type) || !isName(entry.name) || !areParameters(entry.inputs)) return false;
  if (entry.type !== "function") return true;
  return areParameters(entry.outputs) && MUTABILITY.has(String(entry.stateMutability));
}

/** An ABI from JSON: a list of entries, or what a compiler writes with such a list as `abi`. */
export function parseAbi(text: string): Abi {
  if (text.length > ABI_CHARACTERS_MAX) throw new AbiError("too-big");
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new AbiError("not-json");
  }
  const entries = isFields(parsed) ? parsed.abi : parsed;
  if (!Array.isArray(entries)) throw new AbiError("not-abi");
  if (entries.length === 0) throw new AbiError("empty");
  if (entries.length > ENTRIES_MAX) throw new AbiError("too-big");
  const bad = entries.findIndex((entry) => !isEntry(entry));
  if (bad >= 0) throw new AbiError("bad-entry", bad + 1);
  return entries as Abi;
}

/** A value that does not fit its parameter. */
export class ArgumentError extends Error {
  override readonly name = "ArgumentError";
  readonly type: string;
  constructor(type: string) {
    super(`not a value of ${type}`);
    this.type = type;
  }
}

/** The value of a parameter from what was typed: as it stands, or as JSON for lists and tuples. */
export function parseArgument(parameter: AbiParameter, typed: string): unknown {
  const text = typed.trim();
  if (!parameter.type.endsWith("]") && !parameter.type.startsWith("tuple")) {
    return scalar(parameter.type, parameter.type === "string" ? typed : text);
  }
  let parsed: unknown;
  try {
    // Numbers beyond 2^53 would lose digits as JSON numbers, so that they are read as text.
    parsed = JSON.parse(text.replaceAll(/(?<=[[,:\s])(-?\d{16,})(?=[\],}\s])/g, '"$1"'));
  } catch {
    throw new ArgumentError(parameter.type);
  }
  return composed(parameter, parsed);
}

function composed(parameter: AbiParameter, value: unknown): unknown {
  const list = /^(.*)\[(\d*)\]$/.exec(parameter.type);
  if (list) {
    const [, type = "", length = ""] = list;
    if (!Array.isArray(value) || (length !== "" && value.length !== Number(length))) {
      throw new ArgumentError(parameter.type);
    }
    return value.map((item) => composed({ ...parameter, type }, item));
  }
  if (parameter.type === "tuple" && "components" in parameter) {
    if (!isFields(value)) throw new ArgumentError("tuple");
    return Object.fromEntries(
      parameter.components.map((field) => [field.name ?? "", composed(field, value[field.name ?? ""])]),
    );
  }
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    throw new ArgumentError(parameter.type);
  }
  return scalar(parameter.type, String(value));
}

function scalar(type: string, text: string): unknown {
  const integer = /^(u?)int(\d*)$/.exec(type);
  if (integer) return wholeNumber(type, text, integer[1] === "u", integer[2] === "" ? 256 : Number(integer[2]));
  if (type === "bool" && (text === "true" || text === "false")) return text === "true";
  if (type === "string") return text;
  if (type === "address" && isAddress(text, { strict: false })) return text;
  const bytes = /^bytes(\d*)$/.exec(type);
  if (bytes && /^0x([0-9a-fA-F]{2})*$/.test(text)) {
    const size = bytes[1] === "" ? null : Number(bytes[1]);
    if (size === null || text.length === 2 + 2 * size) return text;
  }
  throw new ArgumentError(type);
}

function wholeNumber(type: string, text: string, unsigned: boolean, bits: number): bigint {
  if (!/^-?\d+$|^0x[0-9a-fA-F]+$/.test(text)) throw new ArgumentError(type);
  const value = BigInt(text);
  const span = 1n << BigInt(bits);
  const [least, most] = unsigned ? [0n, span - 1n] : [-span / 2n, span / 2n - 1n];
  if (value < least || value > most) throw new ArgumentError(type);
  return value;
}

/** A value of a contract as text. */
export function formatValue(value: unknown): string {
  if (value === undefined || value === null) return "–";
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || typeof value === "boolean" || typeof value === "number") return value.toString();
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "bigint" ? inner.toString() : inner), 2);
}
