// ethers against the devnet: sends to box 0, reads the receipt on box 1, listens and asks on box 2 over WebSocket,
// filters on box 3. Pending transactions are looked for on box 0: another box may hear of one with its block only.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  Contract, ContractFactory, Interface, JsonRpcProvider, Network, Wallet, WebSocketProvider, getAddress, isError,
  parseEther, toBeHex, toQuantity, zeroPadValue,
} from 'ethers'
import { contracts } from './contracts/compile.mjs'
import { account, box, chainId, reached, rpc, until } from './lib/devnet.mjs'

const { Token, Probe } = contracts()
const SUPPLY = parseEther('1000000')
const WAIT_MS = 30_000

const network = Network.from(chainId)
// ethers answers repeated questions from a 250 ms cache and polls every 4 s; the tests want what the box has now.
const options = { staticNetwork: network, cacheTimeout: -1, pollingInterval: 100 }
const over = (index, more = {}) => new JsonRpcProvider(box(index).rpc, network, { ...options, ...more })
const [sending, reader, filtering] = [over(0), over(1), over(3)]
const overWebSocket = (index) =>
  new WebSocketProvider(box(index).ws, network, { staticNetwork: network, cacheTimeout: -1 })
const [sendingListener, listener] = [overWebSocket(0), overWebSocket(2)]
const owner = new Wallet(account('ethers').private_key, sending)
const stranger = () => Wallet.createRandom()
const word = (value) => zeroPadValue(toBeHex(value), 32)

/** The receipt as box 1 has it; the transaction went to box 0. */
async function mined(response) {
  const receipt = await reader.waitForTransaction(response.hash, 1, WAIT_MS)
  assert.equal(receipt.hash, response.hash)
  return receipt
}

let token
let probe

async function deploy({ abi, bytecode }, ...args) {
  const contract = await new ContractFactory(abi, bytecode, owner).deploy(...args)
  const receipt = await mined(contract.deploymentTransaction())
  assert.equal(receipt.status, 1)
  for (let index = 0; index < 4; index++) await reached(index, receipt.blockNumber)
  return new Contract(receipt.contractAddress, abi, owner)
}

before(async () => {
  token = await deploy(Token, 'Ethers Token', 'ETH6', SUPPLY)
  probe = await deploy(Probe)
})
after(async () => {
  for (const provider of [sendingListener, listener]) await provider.destroy()
  for (const provider of [sending, reader, filtering]) provider.destroy()
})

test('ethers finds the network by itself', async () => {
  const plain = new JsonRpcProvider(box(1).rpc)
  assert.equal((await plain.getNetwork()).chainId, BigInt(chainId))
  plain.destroy()
  assert.equal(await reader.send('eth_syncing', []), false)
})

test('a transfer shows in the receipt, in getLogs and in the WebSocket subscriptions', async () => {
  const to = stranger().address
  const heads = []
  const pending = new Set()
  const logs = []
  const topics = token.interface.encodeFilterTopics('Transfer', [null, to])
  const filter = { address: await token.getAddress(), topics }
  await listener.on('block', (number) => heads.push(number))
  await sendingListener.on('pending', (hash) => pending.add(hash))
  await listener.on(filter, (log) => logs.push(log))
  // Subscriptions made a moment ago must be in place: the same connections answer after them.
  for (const provider of [sendingListener, listener]) await provider.getBlockNumber()
  await until('the first head', () => heads.length > 0, WAIT_MS)

  const response = await token.transfer(to, 5n)
  const receipt = await mined(response)
  assert.equal(receipt.status, 1)
  const found = await reader.getLogs({ ...filter, fromBlock: receipt.blockNumber, toBlock: receipt.blockNumber })
  assert.equal(found.length, 1)
  assert.equal(found[0].transactionHash, response.hash)
  assert.equal(token.interface.parseLog(found[0]).args.value, 5n)
  const byHash = await reader.getLogs({ ...filter, blockHash: receipt.blockHash })
  assert.deepEqual(byHash.map((log) => log.index), found.map((log) => log.index))

  await until('the log over WebSocket', () => logs.some((log) => log.transactionHash === response.hash), WAIT_MS)
  await until('the pending hash over WebSocket', () => pending.has(response.hash), WAIT_MS)
  await until('the head over WebSocket', () => heads.some((number) => number >= receipt.blockNumber), WAIT_MS)
  assert.equal(logs.length, 1, 'the subscription is for this receiver alone')
  for (const provider of [sendingListener, listener]) await provider.removeAllListeners()
})

test('a receipt and logs over WebSocket are those that another box gives over HTTP', async () => {
  const receipt = await mined(await token.transfer(stranger().address, 13n))
  await reached(2, receipt.blockNumber)
  // Without the provider that each object carries.
  const plain = (value) => JSON.parse(JSON.stringify(value))
  assert.deepEqual(plain(await listener.getTransactionReceipt(receipt.hash)), plain(receipt))
  const range = {
    address: await token.getAddress(), fromBlock: receipt.blockNumber, toBlock: receipt.blockNumber,
  }
  const logs = await listener.getLogs(range)
  assert.deepEqual(logs.map((log) => log.transactionHash), [receipt.hash])
  assert.deepEqual(plain(logs), plain(await reader.getLogs(range)))
})

test('filters: logs, blocks, uninstall', async () => {
  const to = stranger().address
  const address = await token.getAddress()
  const topics = token.interface.encodeFilterTopics('Transfer', [null, to])
  const logFilter = await filtering.send('eth_newFilter', [{ address, topics }])
  const blockFilter = await filtering.send('eth_newBlockFilter', [])
  const receipt = await mined(await token.transfer(to, 1n))
  const logs = await until('the log in the filter', async () => {
    const changes = await filtering.send('eth_getFilterChanges', [logFilter])
    return changes.length > 0 && changes
  })
  assert.deepEqual(logs.map((log) => log.transactionHash), [receipt.hash])
  assert.ok((await filtering.send('eth_getFilterChanges', [blockFilter])).includes(receipt.blockHash))
  for (const id of [logFilter, blockFilter]) {
    assert.equal(await filtering.send('eth_uninstallFilter', [id]), true)
    assert.equal(await filtering.send('eth_uninstallFilter', [id]), false)
  }
})

test("ethers' own event listener over HTTP sees a transfer", async () => {
  const to = stranger().address
  const watched = new Contract(await token.getAddress(), Token.abi, filtering)
  const events = []
  await watched.on(watched.filters.Transfer(null, to), (...args) => events.push(args.at(-1)))
  // The listener starts with the block after the one it finds first.
  const from = await filtering.getBlockNumber()
  await until('one more block', async () => (await filtering.getBlockNumber()) > from, WAIT_MS)
  const receipt = await mined(await token.transfer(to, 2n))
  await until('the event', () => events.length > 0, WAIT_MS)
  assert.equal(events[0].log.transactionHash, receipt.hash)
  await watched.removeAllListeners()
})

test('transactions of types 0, 1 and 2, with explicit fees', async () => {
  const { baseFeePerGas } = await reader.getBlock('latest')
  const gasPrice = baseFeePerGas * 2n + 2_000_000_000n
  const tip = BigInt(await reader.send('eth_maxPriorityFeePerGas', []))
  const accessList = [{ address: await token.getAddress(), storageKeys: [word(0), word(1)] }]
  const kinds = [
    { type: 0, gasPrice },
    { type: 1, gasPrice, accessList },
    { type: 2, maxFeePerGas: gasPrice + tip, maxPriorityFeePerGas: tip, accessList },
  ]
  for (const fields of kinds) {
    const to = stranger().address
    const response = await owner.sendTransaction({ to, value: 9n, ...fields })
    const receipt = await mined(response)
    assert.equal(receipt.type, fields.type)
    assert.equal(receipt.status, 1)
    const sent = await reader.getTransaction(response.hash)
    assert.equal(sent.type, fields.type)
    assert.equal(sent.from, owner.address)
    if (fields.accessList) {
      assert.equal(receipt.gasUsed, 21_000n + 2_400n + 2n * 1_900n)
      assert.deepEqual(sent.accessList, accessList)
    }
    assert.equal(await reader.getBalance(to), 9n)
  }
})

test('EIP-7702: an account delegates to a contract', async () => {
  const authority = new Wallet(stranger().privateKey, reader)
  const address = await probe.getAddress()
  const authorization = await authority.authorize({ address, nonce: 0, chainId })
  const receipt = await mined(await owner.sendTransaction({
    type: 4, to: authority.address, data: probe.interface.encodeFunctionData('set', [8, 9]),
    authorizationList: [authorization], gasLimit: 300_000,
  }))
  assert.equal(receipt.type, 4)
  assert.equal(receipt.status, 1)
  assert.equal(await reader.getCode(authority.address), `0xef0100${address.slice(2).toLowerCase()}`)
  assert.equal(await new Contract(authority.address, Probe.abi, reader).slots(8), 9n)
  assert.equal(await reader.getTransactionCount(authority.address), 1)
  const sent = await reader.getTransaction(receipt.hash)
  assert.equal(sent.authorizationList[0].address, address)
})

test('the fees that ethers estimates get a transaction mined', async () => {
  const fees = await reader.getFeeData()
  assert.ok(fees.gasPrice > 0n && fees.maxFeePerGas >= fees.maxPriorityFeePerGas)
  const receipt = await mined(await owner.sendTransaction({ to: stranger().address, value: 1n }))
  assert.equal(receipt.gasUsed, 21_000n)
  const history = await reader.send('eth_feeHistory', [toQuantity(3), 'latest', [50]])
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1)
  assert.equal(history.reward.length, history.gasUsedRatio.length)
})

test('createAccessList and call with state overrides', async () => {
  const to = await probe.getAddress()
  const data = probe.interface.encodeFunctionData('set', [1, 2])
  const list = await reader.send('eth_createAccessList', [{ from: owner.address, to, data }, 'latest'])
  const entry = list.accessList.find(({ address }) => getAddress(address) === to)
  assert.equal(entry.storageKeys.length, 2)
  // The list, sent along, is accepted as it is and costs what was said.
  const receipt = await mined(await owner.sendTransaction({ to, data, type: 1, accessList: list.accessList }))
  assert.equal(receipt.status, 1)
  assert.equal(receipt.gasUsed, BigInt(list.gasUsed))
  const call = { to, data: probe.interface.encodeFunctionData('counter') }
  const override = { [to]: { stateDiff: { [word(1)]: word(1234) } } }
  assert.equal(BigInt(await reader.send('eth_call', [call, 'latest', override])), 1234n)
  assert.notEqual(await new Contract(to, Probe.abi, reader).counter(), 1234n)
})

test('a call at an older block sees the older state', async () => {
  const before = await mined(await probe.set(100, 1))
  const later = await mined(await probe.set(100, 2))
  const view = new Contract(await probe.getAddress(), Probe.abi, reader)
  assert.equal(await view.slots(100, { blockTag: before.blockNumber - 1 }), 0n)
  assert.equal(await view.slots(100, { blockTag: before.blockNumber }), 1n)
  assert.equal(await view.slots(100, { blockTag: later.blockNumber }), 2n)
  assert.equal(await view.slots(100, { blockTag: before.blockHash }), 1n)
  const storage = await reader.getStorage(await probe.getAddress(), 1, before.blockNumber)
  assert.equal(BigInt(storage) + 1n, BigInt(await reader.getStorage(await probe.getAddress(), 1, later.blockNumber)))
})

test('estimateGas of a reverting call decodes to the reason and to the custom error', async () => {
  const view = new Contract(await probe.getAddress(), Probe.abi, new Wallet(account('ethers').private_key, reader))
  const failure = (promise) => promise.then(() => assert.fail('the call was expected to revert'), (error) => error)
  const reason = await failure(view.failWithReason.estimateGas())
  assert.ok(isError(reason, 'CALL_EXCEPTION'))
  assert.equal(reason.reason, 'probe: told to fail')
  const refused = await failure(view.failWithError.estimateGas(7))
  assert.ok(isError(refused, 'CALL_EXCEPTION'))
  const parsed = new Interface(Probe.abi).parseError(refused.data)
  assert.equal(parsed.name, 'Refused')
  assert.equal(parsed.args.wanted, 7n)
  assert.equal(refused.info.error.code, 3)
})

test('block tags', async () => {
  // One after the other: the chain may grow in between, but never shrinks.
  const finalized = await reader.getBlock('finalized')
  const safe = await reader.getBlock('safe')
  const latest = await reader.getBlock('latest')
  assert.ok(finalized.number <= safe.number && safe.number <= latest.number)
  assert.equal((await reader.getBlock('earliest')).number, 0)
  assert.equal((await reader.getBlock(latest.hash)).number, latest.number)
  const nonce = await reader.getTransactionCount(owner.address)
  assert.equal(await reader.getTransactionCount(owner.address, 'pending'), nonce)
})

test('ethers batches requests into one body', async () => {
  const batching = over(1, { batchMaxCount: 20, batchStallTime: 20 })
  let sent = 0
  await batching.on('debug', (event) => {
    if (event.action === 'sendRpcPayload' && Array.isArray(event.payload)) sent = event.payload.length
  })
  const blocks = await Promise.all(Array.from({ length: 12 }, (_, i) => batching.send('eth_getBlockByNumber', [
    toQuantity(i % 2), false,
  ])))
  assert.equal(sent, 12)
  assert.deepEqual(blocks.map((block) => Number(block.number)), Array.from({ length: 12 }, (_, i) => i % 2))
  batching.destroy()
})

test('block receipts and pool status', async () => {
  const receipt = await mined(await owner.sendTransaction({ to: stranger().address, value: 1n }))
  const all = await reader.send('eth_getBlockReceipts', [toQuantity(receipt.blockNumber)])
  assert.ok(all.some(({ transactionHash }) => transactionHash === receipt.hash))
  const block = await reader.getBlock(receipt.blockNumber, true)
  assert.equal(block.prefetchedTransactions.length, all.length)
  assert.deepEqual(Object.keys(await rpc(1, 'txpool_status')).sort(), ['pending', 'queued'])
})
