import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { waitForRestart } from "./restart";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Waits for a box that answers as `answersAt` says of the milliseconds since the start. */
async function wait(answersAt: (ms: number) => boolean) {
  const begun = Date.now();
  const phases: string[] = [];
  const waited = waitForRestart(
    new AbortController().signal,
    (phase) => phases.push(phase),
    () => Promise.resolve(answersAt(Date.now() - begun)),
  );
  const ended: { back?: boolean } = {};
  void waited.then((back) => (ended.back = back));
  while (ended.back === undefined) await vi.advanceTimersByTimeAsync(100);
  return { back: ended.back, phases, took: Date.now() - begun };
}

test("a box is back when it answers after it did not", async () => {
  const { back, phases, took } = await wait((ms) => ms < 1_000 || ms >= 4_000);
  expect(back).toBe(true);
  expect(phases).toEqual(["ends", "starts"]);
  expect(took).toBeGreaterThanOrEqual(4_000);
  expect(took).toBeLessThan(5_000);
});

test("a box that nobody saw away is back after a while", async () => {
  const { back, took } = await wait(() => true);
  expect(back).toBe(true);
  expect(took).toBeGreaterThanOrEqual(5_000);
  expect(took).toBeLessThan(6_000);
});

test("a box that stays away is given up after two minutes", async () => {
  const { back, took } = await wait((ms) => ms < 1_000);
  expect(back).toBe(false);
  expect(took).toBeGreaterThanOrEqual(120_000);
  expect(took).toBeLessThan(125_000);
});

test("nobody is asked once the page has gone elsewhere", async () => {
  const gone = new AbortController();
  const ask = vi.fn(() => Promise.resolve(false));
  const waited = waitForRestart(gone.signal, () => undefined, ask);
  await vi.advanceTimersByTimeAsync(1_100);
  const asked = ask.mock.calls.length;
  gone.abort();
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await waited).toBe(false);
  expect(ask.mock.calls.length).toBe(asked);
});
