// Waiting for a box that restarts.

import { request } from "./client";
import { problemIn } from "./problem";

const ASK_INTERVAL_MS = 500;
/** A box that was away between two questions has restarted by then. */
const END_WAIT_MS = 5_000;
const START_WAIT_MS = 120_000;
const ANSWER_WAIT_MS = 2_000;

export type RestartPhase = "ends" | "starts";

/** Whether anything answers; a refusal is an answer, too. */
async function answers(): Promise<boolean> {
  try {
    await request("GET", "/box", { waitMs: ANSWER_WAIT_MS });
    return true;
  } catch (error) {
    return problemIn(error).status > 0;
  }
}

/** Waits until the box has gone and is back. Returns whether it is, two minutes later at the latest. */
export async function waitForRestart(
  signal: AbortSignal,
  told: (phase: RestartPhase) => void,
  ask: () => Promise<boolean> = answers,
): Promise<boolean> {
  const begun = Date.now();
  let phase: RestartPhase = "ends";
  told(phase);
  while (!signal.aborted) {
    const answered = await ask();
    const passed = Date.now() - begun;
    if (phase === "ends" && (!answered || passed >= END_WAIT_MS)) {
      phase = "starts";
      told(phase);
    }
    if (phase === "starts" && answered) return true;
    if (passed >= START_WAIT_MS) return false;
    await new Promise((resolve) => setTimeout(resolve, ASK_INTERVAL_MS));
  }
  return false;
}
