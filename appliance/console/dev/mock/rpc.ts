// Ethereum JSON-RPC of the box, as far as the console asks.

import { decodeFunctionData, encodeFunctionResult, erc20Abi, toHex, type Hex } from "viem";
import { CHAIN_ID, hashOf, TOKEN, type Chain } from "./chain.ts";
import type { Route } from "./http.ts";

interface Call {
  id: unknown;
  method: string;
  params?: unknown[];
}

const SUPPLY = 1_000_000_000n * 10n ** 18n;

class RpcError extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function numberOf(chain: Chain, tag: unknown): number {
  if (typeof tag === "string" && tag.startsWith("0x")) return Number(tag);
  return tag === "earliest" ? 0 : chain.height;
}

function call(data: Hex): Hex {
  const { functionName, args } = decodeFunctionData({ abi: erc20Abi, data });
  const encode = (result: string | number | bigint | boolean) =>
    encodeFunctionResult({ abi: erc20Abi, functionName, result });
  if (functionName === "name") return encode("Consortium Settlement");
  if (functionName === "symbol") return encode("CST");
  if (functionName === "decimals") return encode(18);
  if (functionName === "totalSupply") return encode(SUPPLY);
  if (functionName === "balanceOf") return encode(BigInt(args[0].slice(0, 10)) * 10n ** 12n);
  if (functionName === "transfer" && args[1] < SUPPLY) return encode(true);
  throw new RpcError(3, "execution reverted");
}

const METHODS: Record<string, (chain: Chain, params: unknown[]) => unknown> = {
  eth_chainId: () => toHex(CHAIN_ID),
  eth_blockNumber: (chain) => toHex(chain.height),
  eth_getBlockByNumber: (chain, [tag, full]) => {
    const number = numberOf(chain, tag);
    return number > chain.height ? null : chain.block(number, full === true);
  },
  eth_getBlockByHash: (chain, [hash, full]) => {
    const number = chain.find((n) => hashOf("block", n) === hash);
    return number === null ? null : chain.block(number, full === true);
  },
  eth_getTransactionByHash: (chain, [hash]) => {
    const place = chain.place(String(hash));
    return place ? chain.transaction(...place) : null;
  },
  eth_getTransactionReceipt: (chain, [hash]) => {
    const place = chain.place(String(hash));
    return place ? chain.receipt(...place) : null;
  },
  eth_getBalance: (_, [address]) => toHex(BigInt(String(address).slice(0, 12)) * 10n ** 9n),
  eth_getTransactionCount: (_, [address]) => toHex(Number(String(address).slice(0, 5))),
  eth_getCode: (_, [address]) =>
    String(address).toLowerCase() === TOKEN.toLowerCase() ? `0x6080604052${"5b".repeat(700)}` : "0x",
  eth_call: (_, [transaction]) => call((transaction as { data: Hex }).data),
  eth_getLogs: (chain, [filter]) => {
    const { fromBlock, toBlock } = filter as { fromBlock?: string; toBlock?: string };
    const to = Math.min(numberOf(chain, toBlock), chain.height);
    const from = Math.max(numberOf(chain, fromBlock), 0);
    if (to - from > 10_000) throw new RpcError(-32_602, "the range has more than 10,000 blocks");
    return Array.from({ length: Math.min(60, to - from + 1) }, (_, i) => chain.transferLog(to - i, 0)).toReversed();
  },
};

function answer(chain: Chain, { id, method, params = [] }: Call) {
  try {
    const handle = METHODS[method];
    if (!handle) throw new RpcError(-32_601, `the method ${method} does not exist`);
    return { jsonrpc: "2.0", id, result: handle(chain, params) };
  } catch (error) {
    const code = error instanceof RpcError ? error.code : -32_603;
    return { jsonrpc: "2.0", id, error: { code, message: error instanceof Error ? error.message : String(error) } };
  }
}

export const rpcRoutes: Route[] = [
  {
    method: "POST",
    path: "/rpc",
    needs: "viewer",
    handle: ({ state, body }) =>
      Array.isArray(body.batch)
        ? (body.batch as Call[]).map((one) => answer(state.chain, one))
        : answer(state.chain, body as unknown as Call),
  },
];
