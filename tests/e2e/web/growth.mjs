// Whether a tab grows that shows a chain live: the dashboard of a box of a chain that `dolmen bench chain` loads. Each half
// minute it prints what the tab holds after a collection of garbage, and in the end what the bench measured. RATE says how
// many transactions a second (5,000), BOXES how many boxes (2), MINUTES for how long (5; the bench signs two million
// transactions at most); DOLMEN_BIN names the program. Fails where the heap of the last third is more than a tenth above
// that of the first after a minute, or the page has more nodes or listeners.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { DOLMEN_BIN: program, RATE: rate = "5000", BOXES: boxes = "2", MINUTES: minutes = "5" } = process.env;
const GROWTH_MAX = 1.1;
const START_MAX_MS = 180_000;
const SAMPLE_MS = 30_000;
/** Until the bench has signed what it sends. */
const LOAD_MAX_MS = 300_000;

assert.ok(program, "DOLMEN_BIN is not set: the path of a dolmen of the release profile");
const folder = await mkdtemp(join(tmpdir(), "dolmen-growth-"));
const dir = join(folder, "chain");
const count = Math.round((Number(minutes) * 60_000) / SAMPLE_MS);
// Somewhat longer than the page is looked at, so that the load does not end first.
const seconds = String(Number(minutes) * 60 + 30);
const load = ["--boxes", boxes, "--rate", rate, "--seconds", seconds, "--workload", "transfer"];
const bench = spawn(program, ["bench", "chain", "--dir", dir, ...load], { stdio: ["ignore", "inherit", "inherit"] });
const ended = new Promise((resolve) => bench.once("exit", resolve));
const samples = [];
let browser;
try {
  process.env.DOLMEN_DEVNET = join(dir, "devnet.json");
  const deadline = Date.now() + START_MAX_MS;
  while (!existsSync(process.env.DOLMEN_DEVNET)) {
    assert.ok(Date.now() < deadline && bench.exitCode === null, "the chain does not start");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  // They read the description of the chain.
  const { launch, live, look, open } = await import("./lib.mjs");
  const { enter } = await import("./users.mjs");
  browser = await launch();
  const { context, page, goto } = await open({ after: () => {} }, browser, 0);
  await enter(context, 0);
  await goto("/");
  await live(page);
  const tab = await context.newCDPSession(page);
  await tab.send("Performance.enable");
  /** Transactions and blocks a second, by the box's latest blocks. */
  const pace = async () => {
    const { height, recent_blocks: blocks } = await look(0, "/status");
    if (blocks.length < 2) return { height, tps: 0, blocks_per_s: 0 };
    const spent = (blocks[0].timestamp_ms - blocks.at(-1).timestamp_ms) / 1_000;
    const sent = blocks.slice(0, -1).reduce((sum, block) => sum + block.transactions, 0);
    return { height, tps: Math.round(sent / spent), blocks_per_s: Math.round(((blocks.length - 1) / spent) * 10) / 10 };
  };
  const until = Date.now() + LOAD_MAX_MS;
  while (!((await pace()).tps > Number(rate) / 2)) {
    assert.ok(Date.now() < until && bench.exitCode === null, "the load does not begin");
    await page.waitForTimeout(1_000);
  }
  for (let sample = 0; sample <= count; sample += 1) {
    await tab.send("HeapProfiler.collectGarbage");
    const { metrics } = await tab.send("Performance.getMetrics");
    const of = (name) => metrics.find((metric) => metric.name === name)?.value ?? 0;
    samples.push({
      second: (sample * SAMPLE_MS) / 1_000, ...(await pace()), heap_kb: Math.round(of("JSHeapUsedSize") / 1_000),
      nodes: of("Nodes"), listeners: of("JSEventListeners"), cpu_s: Math.round(of("TaskDuration") * 10) / 10,
    });
    console.log(JSON.stringify(samples.at(-1)));
    if (sample < count) await page.waitForTimeout(SAMPLE_MS);
  }
  await browser.close();
  await ended;
} finally {
  await browser?.close();
  bench.kill("SIGINT");
  await ended;
  await rm(folder, { recursive: true });
}

const mean = (part, of) => part.reduce((sum, sample) => sum + sample[of], 0) / part.length;
// The first samples are before the charts have all their points.
const settled = samples.slice(Math.min(2, samples.length - 2));
const third = Math.max(1, Math.floor(settled.length / 3));
const [early, late] = [settled.slice(0, third), settled.slice(-third)];
const ratios = Object.fromEntries(["heap_kb", "nodes", "listeners"].map((of) => [of, mean(late, of) / mean(early, of)]));
console.log(JSON.stringify(ratios));
assert.ok(Object.values(ratios).every((ratio) => ratio <= GROWTH_MAX), "the tab grows");
