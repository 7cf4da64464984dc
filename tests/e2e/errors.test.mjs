// Bad input, and the answers that users of Geth expect; afterwards the chain must go on.
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { before, test } from 'node:test'
import { concatHex, hexToBytes, keccak256, pad, parseTransaction, serializeTransaction, toHex, toRlp } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { account, box, chainId, devnet, height, post, reached, receiptOn, rpc, until } from './lib/devnet.mjs'

// What a box answers, one row per case: JSON-RPC code and message, both Geth's where Geth has the case.
const ERRORS = {
  malformedRlp: [-32000, /^rlp: |^empty transaction/],
  unknownType: [-32000, /^transaction type not supported: 111 /],
  blob: [-32000, /^transaction type not supported: 3 /],
  wrongChain: [-32000, /^invalid sender: invalid chain id for signer: have \d+ want \d+$/],
  nonceTooLow: [-32000, /^nonce too low: next nonce \d+, tx nonce \d+$/],
  noFunds: [-32000, /^insufficient funds for gas \* price \+ value: balance \d+, /],
  badSignature: [-32000, /^invalid sender: invalid transaction v, r, s values$/],
  intrinsicGas: [-32000, /^intrinsic gas too low: gas \d+, minimum needed \d+$/],
  floorGas: [-32000, /^insufficient gas for floor data gas cost: gas 100000, minimum needed 181000$/],
  gasCap: [-32000, /^transaction gas limit too high \(cap: 16777216, tx: \d+\)$/],
  tipAboveCap: [-32000, /^max priority fee per gas higher than max fee per gas: /],
  belowBaseFee: [-32000, /^max fee per gas less than block base fee: /],
  oversizedData: [-32000, /^oversized data: transaction size \d+, limit \d+$/],
  initCode: [-32000, /^max initcode size exceeded: code size 49153, limit 49152$/],
  noAuthorizations: [-32000, /^set code tx must have at least one authorization tuple$/],
  alreadyKnown: [-32000, /^already known$/],
  underpriced: [-32000, /^replacement transaction underpriced$/],
  unknownMethod: [-32601, /^the method eth_foo does not exist\/is not available$/],
  parse: [-32700, /\S/],
  invalidRequest: [-32600, /\S/],
  missingParam: [-32602, /^missing value for required argument 0$/],
  badParam: [-32602, /^invalid argument [01]: /],
  batchTooLarge: [-32600, /^batch too large: /],
  futureBlock: [-32000, /^header not found$/],
  logsBackwards: [-32602, /^invalid block range params$/],
  logsBeyondHead: [-32602, /^block range extends beyond current head block$/],
  logsBoth: [-32602, /^cannot specify both BlockHash and FromBlock\/ToBlock, choose one or the other$/],
  filterNotFound: [-32000, /^filter not found$/],
  overrideUnknown: [-32602, /unknown field/],
  overrideBoth: [-32602, /both 'state' and 'stateDiff'/],
}

const sender = privateKeyToAccount(account('errors').private_key)
const stranger = () => privateKeyToAccount(generatePrivateKey())
const to = stranger().address
let gasPrice
let tip
let turn = 0

before(async () => {
  const { baseFeePerGas } = await rpc(0, 'eth_getBlockByNumber', ['latest', false])
  // Above zero, so that a replacement can offer more than it.
  tip = BigInt(await rpc(0, 'eth_maxPriorityFeePerGas')) + 1_000n
  gasPrice = BigInt(baseFeePerGas) * 4n + tip * 2n + 1_000_000_000n
})

function isError(name, { code, message }) {
  const [expected, text] = ERRORS[name]
  assert.equal(code, expected, `${name}: ${message}`)
  assert.match(message, text, name)
}

/** The call must fail with what the table has for `name`. The boxes take turns. */
async function refused(name, method, params) {
  const outcome = await rpc(turn++ % devnet.boxes.length, method, params).then(
    (result) => assert.fail(`${name}: was accepted: ${JSON.stringify(result)}`),
    (error) => error,
  )
  if (outcome.name !== 'RpcError') throw outcome
  isError(name, outcome)
}

const refusedRaw = (name, raw) => refused(name, 'eth_sendRawTransaction', [raw])
const nextNonce = async (address = sender.address) =>
  Number(await rpc(0, 'eth_getTransactionCount', [address, 'latest']))
const sign = async (fields, from = sender) => from.signTransaction({
  type: 'eip1559', chainId, to, gas: 21_000n, maxFeePerGas: gasPrice, maxPriorityFeePerGas: tip,
  nonce: await nextNonce(from.address), ...fields,
})

test('malformed transactions', async () => {
  const good = await sign({})
  const cut = good.slice(0, -8)
  for (const raw of ['0x', '0x02', '0xc0', '0xdeadbeef', '0x02c0', cut, concatHex([good, '0x00']), toRlp(['0x01'])]) {
    await refusedRaw('malformedRlp', raw)
  }
  await refusedRaw('unknownType', concatHex(['0x6f', toRlp(['0x01', '0x02'])]))
  await refusedRaw('badParam', '0xzz')
  await refusedRaw('badParam', '0x123')
})

test('blob transactions are refused', async () => {
  const versioned = `0x01${keccak256('0x01').slice(4)}`
  await refusedRaw('blob', await sign({ type: 'eip4844', blobVersionedHashes: [versioned], maxFeePerBlobGas: 1n }))
})

test('the wrong chain id', async () => {
  await refusedRaw('wrongChain', await sign({ chainId: chainId + 1 }))
  await refusedRaw('wrongChain', await sign({ type: 'legacy', gasPrice, maxFeePerGas: undefined,
    maxPriorityFeePerGas: undefined, chainId: chainId + 1 }))
})

test('invalid signatures', async () => {
  const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const { r, s, yParity, ...unsigned } = parseTransaction(await sign({}))
  const high = toHex(ORDER - BigInt(s), { size: 32 })
  const zero = toHex(0, { size: 32 })
  for (const forged of [{ r, s: high, yParity: 1 - yParity }, { r: zero, s, yParity }, { r, s: zero, yParity }]) {
    await refusedRaw('badSignature', serializeTransaction(unsigned, forged))
  }
})

test('nonce too low', async () => {
  const hash = await rpc(0, 'eth_sendRawTransaction', [await sign({ value: 1n })])
  const { blockNumber } = await receiptOn(1, hash)
  for (let index = 0; index < devnet.boxes.length; index++) await reached(index, Number(blockNumber))
  await refusedRaw('nonceTooLow', await sign({ nonce: (await nextNonce()) - 1, value: 2n }))
})

test('not enough funds', async () => {
  await refusedRaw('noFunds', await sign({}, stranger()))
  const balance = BigInt(await rpc(0, 'eth_getBalance', [sender.address, 'latest']))
  await refusedRaw('noFunds', await sign({ value: balance }))
})

test('too little and too much gas', async () => {
  await refusedRaw('intrinsicGas', await sign({ gas: 20_999n }))
  await refusedRaw('intrinsicGas', await sign({ to: undefined, data: '0x00', gas: 53_000n }))
  // 4,000 bytes other than zero: 21,000 + 16 each is enough for EIP-2028, EIP-7623 asks for 40 each.
  await refusedRaw('floorGas', await sign({ data: `0x${'11'.repeat(4_000)}`, gas: 100_000n }))
  const { gasLimit } = await rpc(0, 'eth_getBlockByNumber', ['latest', false])
  await refusedRaw('gasCap', await sign({ gas: BigInt(gasLimit) + 1n }))
})

test('fees that make no sense', async () => {
  const raw = { maxFeePerGas: gasPrice, maxPriorityFeePerGas: gasPrice + 1n }
  await refusedRaw('tipAboveCap', await signUnchecked(raw))
  const { baseFeePerGas } = await rpc(0, 'eth_getBlockByNumber', ['latest', false])
  assert.ok(BigInt(baseFeePerGas) > 0n, 'this case needs a chain with a base fee')
  await refusedRaw('belowBaseFee', await sign({ maxFeePerGas: 0n, maxPriorityFeePerGas: 0n }))
})

/** Signs fees that viem refuses to serialise. */
async function signUnchecked({ maxFeePerGas, maxPriorityFeePerGas }) {
  const number = (value) => (BigInt(value) === 0n ? '0x' : toHex(BigInt(value)))
  const fields = [chainId, await nextNonce(), maxPriorityFeePerGas, maxFeePerGas, 21_000].map(number)
  const body = [...fields, to, '0x', '0x', []]
  const payload = (list) => concatHex(['0x02', toRlp(list)])
  const { r, s, yParity } = await sender.sign({ hash: keccak256(payload(body)) }).then((signature) => ({
    r: toHex(BigInt(signature.slice(0, 66))),
    s: toHex(BigInt(`0x${signature.slice(66, 130)}`)),
    yParity: Number(`0x${signature.slice(130)}`) - 27,
  }))
  return payload([...body, number(yParity), r, s])
}

test('too much data', async () => {
  await refusedRaw('oversizedData', await sign({ data: pad('0x', { size: 512 * 1024 }), gas: 16_000_000n }))
  await refusedRaw('initCode', await sign({ to: undefined, data: pad('0x', { size: 49_153 }), gas: 16_000_000n }))
})

test('a type 4 transaction without authorizations', async () => {
  await refusedRaw('noAuthorizations', await sign({ type: 'eip7702', authorizationList: [] }))
})

test('already known, and a replacement that pays too little', async () => {
  // Both wait behind a gap in the nonces; sending what is missing gets all of them mined.
  const nonce = await nextNonce()
  const waiting = await sign({ nonce: nonce + 1, value: 1n })
  const hash = await rpc(0, 'eth_sendRawTransaction', [waiting])
  assert.equal(hash, keccak256(waiting))
  const codeAndText = async (name, raw) => {
    const sending = rpc(0, 'eth_sendRawTransaction', [raw])
    isError(name, await sending.then(() => assert.fail(`${name}: was accepted`), (error) => error))
  }
  await codeAndText('alreadyKnown', waiting)
  await codeAndText('underpriced', await sign({ nonce: nonce + 1, value: 2n }))
  const more = { maxFeePerGas: gasPrice * 2n, maxPriorityFeePerGas: tip * 2n }
  const better = await sign({ nonce: nonce + 1, value: 3n, ...more })
  await rpc(0, 'eth_sendRawTransaction', [better])
  await rpc(0, 'eth_sendRawTransaction', [await sign({ nonce })])
  assert.equal((await receiptOn(1, keccak256(better))).status, '0x1')
  assert.equal(await rpc(1, 'eth_getTransactionReceipt', [hash]), null, 'the replaced transaction is not mined')
})

test('unknown methods and bad parameters', async () => {
  await refused('unknownMethod', 'eth_foo', [])
  await refused('missingParam', 'eth_getBalance', [])
  await refused('badParam', 'eth_getBalance', ['0x1234', 'latest'])
  await refused('badParam', 'eth_getBalance', [to, 'latestt'])
  await refused('badParam', 'eth_getBlockByHash', ['0x12', false])
  await refused('badParam', 'eth_getTransactionByHash', [`0x${'g'.repeat(64)}`])
})

const parsed = ({ text }) => JSON.parse(text)

test('bodies that are not JSON-RPC', async () => {
  for (const body of ['{', '{"jsonrpc":"2.0",', 'hello', '']) {
    isError('parse', parsed(await post(box(0).rpc, body)).error)
  }
  for (const body of ['{"jsonrpc":"2.0","id":1}', '[]', '{"id":1,"jsonrpc":"2.0","method":7}']) {
    isError('invalidRequest', parsed(await post(box(0).rpc, body)).error)
  }
})

test('a batch answers each entry by itself, bad ones too', async () => {
  const replies = parsed(await post(box(1).rpc, JSON.stringify([
    { jsonrpc: '2.0', id: 'a', method: 'eth_chainId', params: [] },
    { jsonrpc: '2.0', id: 'b', method: 'eth_foo', params: [] },
    { jsonrpc: '2.0', id: 'c', method: 'eth_getBalance', params: [] },
  ])))
  const by = Object.fromEntries(replies.map((reply) => [reply.id, reply]))
  assert.equal(Number(by.a.result), chainId)
  isError('unknownMethod', by.b.error)
  isError('missingParam', by.c.error)
})

test('a batch that is too large', async () => {
  const entries = Array.from({ length: 20_000 }, (_, id) => ({ jsonrpc: '2.0', id, method: 'eth_chainId', params: [] }))
  const reply = parsed(await post(box(2).rpc, JSON.stringify(entries)))
  // One answer for the whole batch, and none of its calls is made.
  assert.equal(reply.id, null)
  isError('batchTooLarge', reply.error)
})

/** Offers a body of `bytes` bytes and stops sending as soon as the server answers. */
function offer(index, bytes) {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': bytes }
    const sending = request(box(index).rpc, { method: 'POST', headers }, (reply) => {
      let text = ''
      reply.setEncoding('utf8').on('data', (part) => (text += part))
      reply.on('end', () => {
        resolve({ status: reply.statusCode, text })
        sending.destroy()
      })
    })
    sending.setTimeout(30_000, () => sending.destroy(new Error('no answer to an oversize body within 30 s')))
    sending.on('error', reject)
    const chunk = ' '.repeat(64 * 1024)
    const fill = () => {
      for (let sent = 0; sent < 16; sent++) {
        if (!sending.writable) return undefined
        bytes -= chunk.length
        if (bytes <= 0) return sending.end(chunk)
        if (!sending.write(chunk)) break
      }
      return setTimeout(fill, 5)
    }
    setTimeout(fill, 200) // time to refuse by the length alone
  })
}

test('a body that is too large', { timeout: 60_000 }, async () => {
  const { status, text } = await offer(3, 64 * 1024 * 1024)
  assert.equal(status, 413, text.slice(0, 200))
  assert.equal(JSON.parse(text).error.code, -32007)
})

test('GET on the RPC port is a plain HTTP error', async () => {
  const reply = await fetch(box(0).rpc, { signal: AbortSignal.timeout(10_000) })
  assert.ok(reply.status >= 400 && reply.status < 500, `HTTP ${reply.status}`)
  await reply.text()
})

test('what is not there is null', async () => {
  const nothing = keccak256(generatePrivateKey())
  for (const [method, params] of [
    ['eth_getBlockByNumber', ['0x7fffffff', false]],
    ['eth_getBlockByHash', [nothing, true]],
    ['eth_getTransactionByHash', [nothing]],
    ['eth_getTransactionReceipt', [nothing]],
    ['eth_getBlockReceipts', ['0x7fffffff']],
    ['eth_getTransactionByBlockNumberAndIndex', ['0x0', '0x0']],
  ]) {
    assert.equal(await rpc(turn++ % devnet.boxes.length, method, params), null, method)
  }
})

test('state at a block that is not there yet', async () => {
  await refused('futureBlock', 'eth_getBalance', [to, '0x7fffffff'])
  await refused('futureBlock', 'eth_call', [{ to, data: '0x' }, '0x7fffffff'])
  await refused('futureBlock', 'eth_call', [{ to, data: '0x' }, { blockHash: keccak256(generatePrivateKey()) }])
})

test('logs of ranges that make no sense', async () => {
  await refused('logsBeyondHead', 'eth_getLogs', [{ fromBlock: '0x0', toBlock: '0x7fffffff' }])
  await refused('logsBackwards', 'eth_getLogs', [{ fromBlock: '0x2', toBlock: '0x1' }])
  await refused('logsBoth', 'eth_getLogs', [{ fromBlock: '0x0', blockHash: keccak256('0x') }])
  await refused('badParam', 'eth_getLogs', [{ address: '0x12' }])
})

test('unknown filters', async () => {
  const unknown = `0x${generatePrivateKey().slice(2, 34)}`
  await refused('filterNotFound', 'eth_getFilterChanges', [unknown])
  await refused('filterNotFound', 'eth_getFilterLogs', [unknown])
  assert.equal(await rpc(0, 'eth_uninstallFilter', [unknown]), false)
})

test('state overrides that make no sense', async () => {
  const call = { to, data: '0x' }
  // Geth ignores fields that it does not know; here a misspelt one is refused rather than left out of the call.
  await refused('overrideUnknown', 'eth_call', [call, 'latest', { [to]: { colour: '0x1' } }])
  await refused('overrideBoth', 'eth_call', [call, 'latest', { [to]: { state: {}, stateDiff: {} } }])
})

test('the chain goes on', async () => {
  const heights = await Promise.all(devnet.boxes.map((_, index) => height(index)))
  const hash = await rpc(0, 'eth_sendRawTransaction', [await sign({ value: 5n })])
  for (const [index, before] of heights.entries()) {
    assert.equal((await receiptOn(index, hash)).status, '0x1')
    await until(`${box(index).name} to go on`, async () => (await height(index)) > before)
  }
  const common = toHex(Math.min(...await Promise.all(devnet.boxes.map((_, index) => height(index)))))
  const hashes = await Promise.all(devnet.boxes.map(async (_, index) =>
    (await rpc(index, 'eth_getBlockByNumber', [common, false])).hash))
  assert.equal(new Set(hashes).size, 1, `boxes differ at ${common}: ${hashes}`)
  assert.equal(hexToBytes(hashes[0]).length, 32)
})
