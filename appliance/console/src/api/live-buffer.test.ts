import { describe, expect, test } from "vitest";
import { BLOCKS_KEPT, CHART_SECONDS, LiveBuffer, type Block, type Status } from "./live-buffer";

const START_MS = 1_800_000_000_000;

function block(number: number, timestamp_ms: number, transactions = 250): Block {
  const hash = `0x${number.toString(16).padStart(64, "0")}` as const;
  return {
    number,
    hash,
    timestamp_ms,
    transactions,
    gas_used: 21_000 * transactions,
    gas_limit: 100_000_000,
    size: 30_000,
    proposer: "box-0",
    finality_ms: 40,
  };
}

function status(
  height: number,
  head_age_ms: number,
  recent_blocks: Block[],
  genesis_hash: `0x${string}` = "0x01",
): Status {
  return {
    name: "box-0",
    version: "1",
    chain_id: 1,
    genesis_hash,
    role: "validator",
    height,
    head_hash: "0x02",
    head_age_ms,
    syncing: false,
    peers: [],
    epoch: 0,
    validators: 4,
    quorum: 3,
    finality_ms: { p50: 40, p99: 60, samples: 100 },
    pool: { pending: 0, queued: 0, bytes: 0 },
    uptime_s: 1,
    rpc_url: "https://box.example/",
    alarms: [],
    keys: [],
    recent_blocks,
  };
}

describe("the buffer of the event stream", () => {
  test("an hour of 20 blocks a second keeps a bounded number of blocks and seconds", () => {
    const buffer = new LiveBuffer();
    for (let n = 0; n < 72_000; n += 1) buffer.takeBlock(block(n, START_MS + n * 50));
    expect(buffer.size).toBe(BLOCKS_KEPT);
    expect(buffer.secondsKept).toBeLessThanOrEqual(CHART_SECONDS + 11);
    expect(buffer.latest(3).map(({ number }) => number)).toEqual([71_999, 71_998, 71_997]);
  });

  test("5,000 transactions a second are shown as such, and a block sent twice counts once", () => {
    const buffer = new LiveBuffer();
    for (let n = 0; n < 400; n += 1) {
      buffer.takeBlock(block(n, START_MS + n * 50));
      buffer.takeBlock(block(n, START_MS + n * 50));
    }
    const now = START_MS + 400 * 50;
    expect(buffer.rates(now)).toMatchObject({ transactions: 5000, blocks: 20 });
    const series = buffer.transactionSeries(now);
    expect(series).toHaveLength(CHART_SECONDS);
    expect(series.at(-1)).toBe(5000);
    // Nothing is claimed of seconds before the page was open.
    expect(series[0]).toBeNull();
  });

  test("a gap starts the count anew", () => {
    const buffer = new LiveBuffer();
    for (let n = 0; n < 100; n += 1) buffer.takeBlock(block(n, START_MS + n * 50));
    buffer.takeBlock(block(200, START_MS + 10_000));
    expect(buffer.rates(START_MS + 10_900)).toBeNull();
    expect(buffer.latest(2).map(({ number }) => number)).toEqual([200, 99]);
  });

  test("blocks of another chain are forgotten", () => {
    const buffer = new LiveBuffer();
    buffer.takeStatus(status(1, 10, [block(1, START_MS), block(0, START_MS - 50)]), START_MS + 10);
    expect(buffer.size).toBe(2);
    buffer.takeStatus(status(0, 10, [block(0, START_MS)], "0x99"), START_MS + 10);
    expect(buffer.size).toBe(1);
  });

  test("a box whose clock is an hour off still shows the head's age", () => {
    const buffer = new LiveBuffer();
    const here = START_MS + 3_600_000;
    buffer.takeStatus(status(5, 20, [block(5, START_MS)]), here);
    buffer.takeBlock(block(6, START_MS + 50));
    expect(buffer.headAge(here + 100)).toBe(70);
  });

  test("what is no status is refused", () => {
    expect(() => {
      new LiveBuffer().takeStatus({} as Status, 0);
    }).toThrow(TypeError);
  });
});
