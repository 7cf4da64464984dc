// The benchmark of signatures, run from the page on the machine that the box runs on.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertClean, facts, field, launch, look, open, picture, rows } from "./lib.mjs";
import { press } from "./keyboard.mjs";
import { call, enter } from "./users.mjs";

/** Some ten seconds of one core, and more where others use it. */
const RUN_MS = 120_000;
const BASELINE = "off";
/** As the page writes numbers: three digits, and all of those before the point. */
const decimal = (value) =>
  value.toLocaleString("en-GB", value >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });

let browser;
before(async () => { browser = await launch(); });
after(async () => browser?.close());

test("the benchmark runs from the page, and its figures stand in a plot and a table beside the baseline", async (t) => {
  const opened = await open(t, browser, 0);
  const { page, context, goto } = opened;
  await enter(context, 0);
  await goto("/acceleration");
  const before = await facts(page);
  assert.match(before["Self-test"], /^Self-test passed/);
  const backends = await rows(page, "Backends");
  const { selected } = await look(0, "/acceleration");
  assert.equal(before["In use"], selected);
  assert.equal(backends.find((row) => row.State === "Runs")?.Name, selected);

  const started = Date.now();
  const begun = page.waitForResponse((answer) => answer.url().endsWith("/acceleration/benchmark"));
  await press(page.getByRole("button", { name: "Run the benchmark", exact: true }));
  const { job } = await (await begun).json();
  await page.getByRole("progressbar").waitFor();
  const bars = page.locator(".dolmen-chart svg path[role=presentation]");
  await bars.first().waitFor({ timeout: RUN_MS });
  t.diagnostic(`the benchmark took ${((Date.now() - started) / 1000).toFixed(1)} s`);
  assert.equal(await page.getByRole("progressbar").count(), 0);

  const { state, result } = (await call(context, 0, "GET", `/jobs/${job}`)).body;
  assert.equal(state, "done");
  const of = (batch) => result.points.filter((point) => point.batch === batch).map((point) => {
    const same = ({ algorithm, backend }) => algorithm === point.algorithm && backend === BASELINE;
    const { verifications_per_s: baseline } = result.points.find((one) => one.batch === batch && same(one));
    return { ...point, baseline, gain: point.verifications_per_s / baseline };
  });
  const inTable = (points) => points.map((point) => ({
    Operation: point.algorithm, Backend: point.backend, "Batch size": point.batch.toLocaleString("en-GB"),
    "Per second": decimal(point.verifications_per_s), "Baseline per second": decimal(point.baseline),
    Gain: `${decimal(point.gain)}×`, "p99 of a call (µs)": decimal(point.p99_us),
  }));
  const batches = [...new Set(result.points.map(({ batch }) => batch))].toSorted((a, b) => a - b);
  const largest = of(batches.at(-1));
  assert.ok(batches.length > 1 && largest.some(({ backend }) => backend === selected));
  assert.deepEqual(await rows(page, "Benchmark"), inTable(largest));
  // The highest bars stand to each other as the gains do; the squares of the legend are lower.
  const heights = await bars.evaluateAll((all) => all.map((one) => one.getBBox().height));
  const [highest, next] = heights.toSorted((a, b) => b - a);
  const [most, second] = largest.map(({ gain }) => gain).toSorted((a, b) => b - a);
  assert.ok(Math.abs(highest / next / (most / second) - 1) < 0.02, `${highest} : ${next} and ${most} : ${second}`);
  await page.locator(".dolmen-chart").evaluate((chart) => chart.scrollIntoView());
  await picture(page, "benchmark");
  await press(field(page, "Batch size"), "Home");
  assert.deepEqual(await rows(page, "Benchmark"), inTable(of(batches[0])));
  await assertClean(opened);
});
