// How far the first run has come beyond the claim: a page that is loaded again goes on there.

import type { Step } from "./steps";

const STORAGE_KEY = "dolmen.first-run";
const KEPT: readonly unknown[] = ["factor", "recovery", "box", "network", "organisation", "summary"] satisfies Step[];

export interface Progress {
  step: Step;
  /** The name of the first security officer. */
  user: string;
  /** Whether there are recovery codes: only an authenticator app comes with them. */
  hasCodes: boolean;
}

export const hasBegun = () => begun() !== null;

export function begun(): Progress | null {
  const kept = read(sessionStorage.getItem(STORAGE_KEY));
  // What the codes were is nowhere now; new ones can be made in the account.
  return kept?.step === "recovery" ? { ...kept, step: "box" } : kept;
}

/** What a page of another version kept is none, where it says something else. */
function read(text: string | null): Progress | null {
  try {
    const { step, user, hasCodes } = JSON.parse(text ?? "{}") as Record<keyof Progress, unknown>;
    if (!KEPT.includes(step) || typeof user !== "string" || typeof hasCodes !== "boolean") return null;
    return { step: step as Step, user, hasCodes };
  } catch {
    return null;
  }
}

export function keepProgress(progress: Progress): void {
  if (KEPT.includes(progress.step)) sessionStorage.setItem(STORAGE_KEY, JSON.stringify(progress));
}

export function forgetProgress(): void {
  sessionStorage.removeItem(STORAGE_KEY);
}
