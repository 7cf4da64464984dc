// The box's Ethereum JSON-RPC, under the session that the page has anyway. Loaded only by the screens that need it.

import { createClient, custom, formatBlock, numberToHex, RpcRequestError, type Block, type RpcBlock } from "viem";
import { request } from "./client";

interface Answer {
  id?: number;
  result?: unknown;
  error?: { code: number; message: string; data?: unknown };
}

const URL_SHOWN = "/api/v1/rpc";
let lastId = 0;

function call(method: string, params: unknown = []) {
  lastId += 1;
  return { jsonrpc: "2.0", id: lastId, method, params };
}

function resultOf(body: object, { error, result }: Answer): unknown {
  if (error) throw new RpcRequestError({ body: body as Record<string, unknown>, error, url: URL_SHOWN });
  return result;
}

/** The chain through this box. */
export const chain = createClient({
  transport: custom(
    {
      request: async ({ method, params }: { method: string; params?: unknown }) => {
        const body = call(method, params);
        return resultOf(body, await request<Answer>("POST", "/rpc", { body }));
      },
    },
    { retryCount: 0 },
  ),
  pollingInterval: 500,
});

/** Blocks by their numbers, without their transactions, in one request; those that are not there are left out. */
export async function blocksOf(numbers: number[]): Promise<Block[]> {
  if (numbers.length === 0) return [];
  const body = numbers.map((number) => call("eth_getBlockByNumber", [numberToHex(number), false]));
  const answers = await request<Answer[]>("POST", "/rpc", { body });
  const blocks = answers.map((answer) => resultOf(body, answer) as RpcBlock | null);
  return blocks
    .filter((block) => block !== null)
    .map((block) => formatBlock(block))
    .toSorted((a, b) => Number((b.number ?? 0n) - (a.number ?? 0n)));
}
