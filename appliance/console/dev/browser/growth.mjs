// Whether a tab grows that shows a chain live: the dashboard of the built console before the mock box, whose chain has 20
// blocks of about 250 transactions a second. Each minute it prints what the tab holds after a collection of garbage;
// MINUTES says how long, 15 if not given. Fails where the heap of the last third is more than a tenth above that of the
// first after the warm-up, or the document has more nodes or listeners.

import { launch, logIn, openPage, ORIGIN, reset, serve } from "./lib.mjs";

const MINUTES = Number(process.env.MINUTES ?? 15);
const GROWTH_MAX = 1.1;

const stop = await serve();
const browser = await launch();
const samples = [];
try {
  await reset();
  const { context, page } = await openPage(browser);
  await logIn(context);
  await page.goto(`${ORIGIN}/`);
  await page.locator(".dolmen-figures").waitFor();
  const tab = await context.newCDPSession(page);
  await tab.send("Performance.enable");
  const height = async () => {
    const answer = await page.request.get(`${ORIGIN}/api/v1/status`);
    const { height, recent_blocks } = await answer.json();
    const [newest, oldest] = [recent_blocks[0], recent_blocks.at(-1)];
    const seconds = (newest.timestamp_ms - oldest.timestamp_ms) / 1_000;
    const transactions = recent_blocks.slice(0, -1).reduce((sum, block) => sum + block.transactions, 0);
    return { height, tps: Math.round(transactions / seconds) };
  };
  for (let minute = 0; minute <= MINUTES; minute += 1) {
    await tab.send("HeapProfiler.collectGarbage");
    const { metrics } = await tab.send("Performance.getMetrics");
    const of = (name) => metrics.find((metric) => metric.name === name)?.value ?? 0;
    const sample = {
      minute,
      ...(await height()),
      heap_kb: Math.round(of("JSHeapUsedSize") / 1_000),
      nodes: of("Nodes"),
      listeners: of("JSEventListeners"),
      cpu_s: Math.round(of("TaskDuration") * 10) / 10,
    };
    samples.push(sample);
    console.log(JSON.stringify(sample));
    if (minute < MINUTES) await page.waitForTimeout(60_000);
  }
} finally {
  await browser.close();
  stop();
}

const mean = (part, of) => part.reduce((sum, sample) => sum + sample[of], 0) / part.length;
// The first sample is before the charts have all their points.
const settled = samples.slice(Math.min(2, samples.length - 2));
const third = Math.max(1, Math.floor(settled.length / 3));
const [early, late] = [settled.slice(0, third), settled.slice(-third)];
const ratios = Object.fromEntries(
  ["heap_kb", "nodes", "listeners"].map((of) => [of, mean(late, of) / mean(early, of)]),
);
console.log(JSON.stringify(ratios));
process.exitCode = Object.values(ratios).every((ratio) => ratio <= GROWTH_MAX) ? 0 : 1;
