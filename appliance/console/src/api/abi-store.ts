// The ABIs that somebody gave this browser, by address. They stay in this browser.

import type { Abi } from "viem";
import { parseAbi } from "./abi";

const PREFIX = "dolmen.abi.";
const KEPT_MAX = 20;

const keyOf = (address: string) => PREFIX + address.toLowerCase();

/** A contract's ABI, checked again: anybody may have written to the store. */
export function abiOf(address: string): Abi | null {
  const text = localStorage.getItem(keyOf(address));
  if (text === null) return null;
  try {
    return parseAbi(text);
  } catch {
    localStorage.removeItem(keyOf(address));
    return null;
  }
}

/** Keeps an ABI; beyond what fits, others make room. */
export function keepAbi(address: string, abi: Abi): void {
  const others = Object.keys(localStorage).filter((key) => key.startsWith(PREFIX) && key !== keyOf(address));
  for (const key of others.slice(0, Math.max(0, others.length - KEPT_MAX + 1))) localStorage.removeItem(key);
  try {
    localStorage.setItem(keyOf(address), JSON.stringify(abi));
  } catch {
    // A full store: the ABI holds until the page is left.
  }
}

export function forgetAbi(address: string): void {
  localStorage.removeItem(keyOf(address));
}
