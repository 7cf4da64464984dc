// A chain that needs no storage: every block, transaction and receipt follows from its number and the time.

import { encodeAbiParameters, encodeEventTopics, erc20Abi, keccak256, toHex, type Address, type Hex } from "viem";
import type { Api } from "../../src/api/types.ts";

export const BLOCK_MS = 50;
const TRANSACTIONS = 250;
const SECONDS_BEFORE = 86_400;
export const CHAIN_ID = 20_260;
export const TOKEN: Address = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const PROPOSERS = ["alpha-1", "alpha-2", "beta-1", "gamma-1"];

export const hashOf = (...parts: (string | number)[]): Hex => keccak256(toHex(parts.join("/")));
export const addressOf = (...parts: (string | number)[]): Address => `0x${hashOf(...parts).slice(-40)}`;

export class Chain {
  private readonly start = Date.now() - SECONDS_BEFORE * 1000;

  get height(): number {
    return Math.floor((Date.now() - this.start) / BLOCK_MS) - 1;
  }

  private count(number: number): number {
    const wave = Math.sin(number / 170) * 40 + Math.sin(number / 23) * 12;
    return number === 0 ? 0 : Math.round(TRANSACTIONS + wave);
  }

  timestampMs(number: number): number {
    return this.start + number * BLOCK_MS;
  }

  summary(number: number): Api<"BlockView"> {
    const transactions = this.count(number);
    return {
      number,
      hash: hashOf("block", number),
      timestamp_ms: this.timestampMs(number),
      transactions,
      gas_used: transactions * 52_000,
      gas_limit: 30_000_000,
      size: 600 + transactions * 180,
      proposer: PROPOSERS[number % PROPOSERS.length] ?? "",
      finality_ms: 34 + (number % 17) + (number % 101 === 0 ? 60 : 0),
    };
  }

  /** Numbers are looked for near the head: a hash says nothing of its block here. */
  find(matches: (number: number) => boolean): number | null {
    for (let n = this.height; n >= 0 && n > this.height - 5_000; n -= 1) if (matches(n)) return n;
    return null;
  }

  block(number: number, full: boolean) {
    const summary = this.summary(number);
    const indexes = Array.from({ length: summary.transactions }, (_, index) => index);
    return {
      number: toHex(number),
      hash: summary.hash,
      parentHash: number === 0 ? hashOf("none") : hashOf("block", number - 1),
      nonce: "0x0000000000000000",
      sha3Uncles: hashOf("uncles"),
      logsBloom: `0x${"0".repeat(512)}`,
      transactionsRoot: hashOf("transactions", number),
      stateRoot: hashOf("state", number),
      receiptsRoot: hashOf("receipts", number),
      miner: addressOf("proposer", number % PROPOSERS.length),
      difficulty: "0x0",
      totalDifficulty: "0x0",
      extraData: "0x",
      size: toHex(summary.size),
      gasLimit: toHex(summary.gas_limit),
      gasUsed: toHex(summary.gas_used),
      baseFeePerGas: "0x0",
      timestamp: toHex(Math.floor(summary.timestamp_ms / 1000)),
      mixHash: hashOf("mix", number),
      uncles: [],
      transactions: full
        ? indexes.map((i) => this.transaction(number, i))
        : indexes.map((i) => hashOf("tx", number, i)),
    };
  }

  transaction(number: number, index: number) {
    const isToken = index % 2 === 0;
    const to = addressOf("account", (number + index * 7) % 40);
    const input = `0xa9059cbb${encodeAbiParameters([{ type: "address" }, { type: "uint256" }], [to, 5_000n * 10n ** 18n]).slice(2)}`;
    return {
      blockHash: hashOf("block", number),
      blockNumber: toHex(number),
      transactionIndex: toHex(index),
      hash: hashOf("tx", number, index),
      from: addressOf("account", (number + index) % 40),
      to: isToken ? TOKEN : to,
      value: isToken ? "0x0" : toHex(1_250_000_000_000_000_000n * BigInt(index)),
      input: isToken ? input : "0x",
      gas: toHex(90_000),
      gasPrice: "0x0",
      maxFeePerGas: "0x0",
      maxPriorityFeePerGas: "0x0",
      nonce: toHex(Math.floor(number / 40)),
      chainId: toHex(CHAIN_ID),
      type: "0x2",
      accessList: [],
      v: "0x0",
      yParity: "0x0",
      r: hashOf("r", number, index),
      s: hashOf("s", number, index),
    };
  }

  /** A transaction's place, where it is of one of the latest blocks. */
  place(hash: string): [number, number] | null {
    for (let n = this.height; n >= 0 && n > this.height - 400; n -= 1) {
      for (let i = 0; i < this.count(n); i += 1) if (hashOf("tx", n, i) === hash) return [n, i];
    }
    return null;
  }

  receipt(number: number, index: number) {
    const transaction = this.transaction(number, index);
    const fails = index % 25 === 24;
    const logs = transaction.to === TOKEN && !fails ? [this.transferLog(number, index)] : [];
    return {
      blockHash: transaction.blockHash,
      blockNumber: transaction.blockNumber,
      transactionHash: transaction.hash,
      transactionIndex: transaction.transactionIndex,
      from: transaction.from,
      to: transaction.to,
      contractAddress: null,
      cumulativeGasUsed: toHex(52_000 * (index + 1)),
      gasUsed: toHex(52_000),
      effectiveGasPrice: "0x0",
      logs,
      logsBloom: `0x${"0".repeat(512)}`,
      status: fails ? "0x0" : "0x1",
      type: "0x2",
    };
  }

  transferLog(number: number, index: number) {
    const args = {
      from: addressOf("account", (number + index) % 40),
      to: addressOf("account", (number + index * 7) % 40),
    };
    return {
      address: TOKEN,
      topics: encodeEventTopics({ abi: erc20Abi, eventName: "Transfer", args }),
      data: encodeAbiParameters([{ type: "uint256" }], [5_000n * 10n ** 18n]),
      blockNumber: toHex(number),
      blockHash: hashOf("block", number),
      transactionHash: hashOf("tx", number, index),
      transactionIndex: toHex(index),
      logIndex: toHex(index),
      removed: false,
    };
  }
}
