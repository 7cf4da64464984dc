// How far the first run has come beyond the claim: a page that is loaded again goes on there.

import type { Step } from "./steps";

const STORAGE_KEY = "dolmen.first-run";
const KEPT: readonly string[] = ["factor", "recovery", "box", "network", "organisation", "summary"] satisfies Step[];

export interface Progress {
  step: Step;
  /** The name of the first security officer. */
  user: string;
  /** Whether there are recovery codes: only an authenticator app comes with them. */
  hasCodes: boolean;
}

export const hasBegun = () => sessionStorage.getItem(STORAGE_KEY) !== null;

export function begun(): Progress | null {
  const text = sessionStorage.getItem(STORAGE_KEY);
  const kept = text === null ? null : (JSON.parse(text) as Progress);
  // What the codes were is nowhere now; new ones can be made in the account.
  return kept?.step === "recovery" ? { ...kept, step: "box" } : kept;
}

export function keepProgress(progress: Progress): void {
  if (KEPT.includes(progress.step)) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(progress));
}

export function forgetProgress(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}
