// The devnet under test: where its boxes are, which account each test file may use, and bounded waiting.
import { readFileSync } from 'node:fs'

function load() {
  const path = process.env.DOLMEN_DEVNET
  if (!path) throw new Error('DOLMEN_DEVNET is not set: point it at the devnet.json of a running devnet')
  return JSON.parse(readFileSync(path, 'utf8'))
}

export const devnet = load()
export const chainId = devnet.chain_id

// One row per file that sends transactions, so that files running side by side never share a nonce.
// README.md and test_web3.py repeat this table.
export const ACCOUNT_INDEX = {
  viem: 0,
  ethers: 1,
  web3py: 2,
  proof: 3,
  cast: 4,
  errors: 5,
  evmDiff: 6,
  web: 7,
}

/** The funded account that belongs to one test file: `{address, private_key}`. */
export function account(file) {
  const index = ACCOUNT_INDEX[file]
  if (index === undefined) throw new Error(`no account is set aside for '${file}'`)
  return devnet.accounts[index]
}

export function box(index) {
  const found = devnet.boxes[index]
  if (!found) throw new Error(`the devnet has ${devnet.boxes.length} boxes, and box ${index} is asked for`)
  return found
}

/** A JSON-RPC error as the server sent it. */
export class RpcError extends Error {
  constructor(method, { code, message, data }) {
    super(message)
    Object.assign(this, { name: 'RpcError', method, code, data })
  }
}

/** Sends a body as it is; no check of what comes back. */
export async function post(url, body, headers = { 'content-type': 'application/json' }, timeoutMs = 30_000) {
  const reply = await fetch(url, { method: 'POST', body, headers, signal: AbortSignal.timeout(timeoutMs) })
  return { status: reply.status, text: await reply.text() }
}

let nextId = 1

/** One JSON-RPC call by hand, without any library between the test and the node. */
export async function rpc(index, method, params = []) {
  const id = nextId++
  const { status, text } = await post(box(index).rpc, JSON.stringify({ jsonrpc: '2.0', id, method, params }))
  const reply = JSON.parse(text)
  if (reply.error) throw new RpcError(method, reply.error)
  if (status !== 200 || reply.id !== id || reply.jsonrpc !== '2.0' || !('result' in reply)) {
    throw new Error(`${method}: not a JSON-RPC reply (HTTP ${status}): ${text.slice(0, 200)}`)
  }
  return reply.result
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Polls until `probe` returns something other than null, undefined or false. */
export async function until(what, probe, timeoutMs = 30_000, everyMs = 50) {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== null && value !== undefined && value !== false) return value
    if (Date.now() > deadline) throw new Error(`gave up after ${timeoutMs} ms waiting for ${what}`)
    await sleep(everyMs)
  }
}

/** Waits for a transaction's receipt on one box, over plain HTTP. */
export const receiptOn = (index, hash) =>
  until(`the receipt of ${hash} on ${box(index).name}`, () => rpc(index, 'eth_getTransactionReceipt', [hash]))

/** The height of one box. */
export const height = async (index) => Number(await rpc(index, 'eth_blockNumber'))

/** Waits until a box has a block. Boxes finalise the same chain, each at its own moment. */
export const reached = (index, number) =>
  until(`${box(index).name} to reach block ${number}`, async () => (await height(index)) >= Number(number))
