// What the page keeps of the event stream: a bounded number of blocks and sums of a bounded number of seconds, however
// long it is open. No network and no clock of its own.

import type { Api } from "./types";

export type Block = Api<"BlockView">;
export type Status = Api<"Status">;

export const BLOCKS_KEPT = 256;
export const CHART_SECONDS = 60;
const RATE_SECONDS = 10;

interface Sum {
  blocks: number;
  transactions: number;
  gas: number;
}

export interface Rates {
  blocks: number;
  transactions: number;
  gas: number;
}

export class LiveBuffer {
  status: Status | null = null;
  /** When it came, by this computer's clock. */
  statusAt = 0;
  private blocks = new Map<number, Block>();
  private newest = -1;
  private seconds = new Map<number, Sum>();
  /** The first second that was seen in full. */
  private ratesFrom = Infinity;
  /** The box's clock minus this computer's, ms. */
  private clockOffset: number | null = null;

  /** Takes in a finalized block, in any order and any number of times. */
  takeBlock(block: Block): void {
    if (!Number.isSafeInteger(block.number) || this.blocks.has(block.number)) return;
    if (block.number <= this.newest - BLOCKS_KEPT) return;
    const second = Math.floor(block.timestamp_ms / 1000);
    if (this.newest < 0 || block.number > this.newest + 1) {
      // Blocks are missing in between (or this is the first): earlier seconds cannot be counted in full.
      this.seconds.clear();
      this.ratesFrom = second + 1;
    }
    this.newest = Math.max(this.newest, block.number);
    this.blocks.set(block.number, block);
    if (this.blocks.size > BLOCKS_KEPT) {
      for (const number of this.blocks.keys()) if (number <= this.newest - BLOCKS_KEPT) this.blocks.delete(number);
    }
    const sum = this.seconds.get(second) ?? { blocks: 0, transactions: 0, gas: 0 };
    sum.blocks += 1;
    sum.transactions += block.transactions;
    sum.gas += block.gas_used;
    this.seconds.set(second, sum);
    for (const s of this.seconds.keys()) if (s < second - CHART_SECONDS - RATE_SECONDS) this.seconds.delete(s);
  }

  /** Takes in the box's status, with its recent blocks where it has them. */
  takeStatus(status: Status, now: number): void {
    if (!Array.isArray(status.peers) || !Number.isSafeInteger(status.height)) throw new TypeError("not a status");
    if (this.status && this.status.genesis_hash !== status.genesis_hash) this.forgetChain();
    // Oldest first, so that a run of blocks counts as unbroken.
    for (const block of (status.recent_blocks ?? []).toSorted((a, b) => a.number - b.number)) this.takeBlock(block);
    const rest = { ...status };
    delete rest.recent_blocks;
    this.status = rest;
    this.statusAt = now;
    const head = this.blocks.get(status.height);
    if (!head) return;
    const offset = head.timestamp_ms + status.head_age_ms - now;
    // Smoothed: a block's time and its age come from different boxes and differ by some milliseconds.
    this.clockOffset = this.clockOffset === null ? offset : this.clockOffset + 0.2 * (offset - this.clockOffset);
  }

  private forgetChain(): void {
    this.blocks.clear();
    this.seconds.clear();
    this.newest = -1;
    this.ratesFrom = Infinity;
    this.clockOffset = null;
  }

  /** Blocks that are kept. */
  get size(): number {
    return this.blocks.size;
  }

  /** Seconds whose sums are kept. */
  get secondsKept(): number {
    return this.seconds.size;
  }

  /** The newest blocks, newest first. */
  latest(count: number): Block[] {
    const found: Block[] = [];
    for (let n = this.newest; n >= 0 && n > this.newest - BLOCKS_KEPT && found.length < count; n -= 1) {
      const block = this.blocks.get(n);
      if (block) found.push(block);
    }
    return found;
  }

  /** The box's clock at this computer's time `now`. */
  boxTime(now: number): number {
    return now + (this.clockOffset ?? 0);
  }

  /** Milliseconds since the newest finalized block; null before the first status. */
  headAge(now: number): number | null {
    if (!this.status) return null;
    const head = this.blocks.get(this.newest);
    if (!head || this.newest <= this.status.height || this.clockOffset === null) {
      return this.status.head_age_ms + now - this.statusAt;
    }
    return Math.max(0, this.boxTime(now) - head.timestamp_ms);
  }

  /** Means over the last full seconds; null while no second was seen in full. */
  rates(now: number): Rates | null {
    const end = Math.floor(this.boxTime(now) / 1000);
    const begin = Math.max(end - RATE_SECONDS, this.ratesFrom);
    if (!(end > begin)) return null;
    const total = { blocks: 0, transactions: 0, gas: 0 };
    for (let s = begin; s < end; s += 1) {
      const sum = this.seconds.get(s);
      total.blocks += sum?.blocks ?? 0;
      total.transactions += sum?.transactions ?? 0;
      total.gas += sum?.gas ?? 0;
    }
    const span = end - begin;
    return { blocks: total.blocks / span, transactions: total.transactions / span, gas: total.gas / span };
  }

  /** Transactions in each of the last full seconds, oldest first; null for a second not seen in full. */
  transactionSeries(now: number): (number | null)[] {
    const end = Math.floor(this.boxTime(now) / 1000);
    return Array.from({ length: CHART_SECONDS }, (_, index) => {
      const second = end - CHART_SECONDS + index;
      return second < this.ratesFrom ? null : (this.seconds.get(second)?.transactions ?? 0);
    });
  }
}
