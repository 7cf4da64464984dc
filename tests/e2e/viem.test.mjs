// viem against the devnet: sends to box 0, reads the receipt on box 1, listens and asks on box 2 over WebSocket,
// filters on box 3. Pending transactions are looked for on box 0: another box may hear of one with its block only.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  BaseError, ContractFunctionRevertedError, createPublicClient, createWalletClient, defineChain, encodeFunctionData,
  erc20Abi, getAddress, http, keccak256, parseEther, parseGwei, stringToHex, toFunctionSelector, toHex, webSocket,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { contracts } from './contracts/compile.mjs'
import { account, box, chainId, reached, rpc, until } from './lib/devnet.mjs'

const { Token, Probe } = contracts()
const SUPPLY = parseEther('1000000')
const WAIT_MS = 30_000

const chain = defineChain({
  id: chainId, name: 'devnet', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [box(0).rpc] } },
})
const owner = privateKeyToAccount(account('viem').private_key)
const stranger = () => privateKeyToAccount(generatePrivateKey())
const over = (index, options) =>
  createPublicClient({ chain, transport: http(box(index).rpc, options), pollingInterval: 100, cacheTime: 0 })
const wallet = createWalletClient({ account: owner, chain, transport: http(box(0).rpc) })
const [sending, reader, filtering] = [over(0), over(1), over(3)]
const overWebSocket = (index) =>
  createPublicClient({ chain, transport: webSocket(box(index).ws, { reconnect: false }), cacheTime: 0 })
const [sendingListener, listener] = [overWebSocket(0), overWebSocket(2)]

/** The receipt as box 1 has it; the transaction went to box 0. */
const mined = async (hash) => {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: WAIT_MS })
  assert.equal(receipt.transactionHash, hash)
  return receipt
}

let token
let probe

async function deploy(contract, args = []) {
  const receipt = await mined(await wallet.deployContract({ abi: contract.abi, bytecode: contract.bytecode, args }))
  assert.equal(receipt.status, 'success')
  // Later calls go to boxes that may be a block behind the one that showed the receipt.
  for (let index = 0; index < 4; index++) await reached(index, receipt.blockNumber)
  return receipt.contractAddress
}

/** A promise for the first of a watcher's items that `wanted` accepts. */
function firstOf(what, watch, wanted) {
  let stop
  let timer
  const found = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${WAIT_MS} ms`)), WAIT_MS)
    stop = watch((items) => items.filter(wanted).slice(0, 1).forEach(resolve), reject)
  })
  return found.finally(() => {
    clearTimeout(timer)
    stop()
  })
}

before(async () => {
  // Asked while it opens a connection, viem opens another, and closes the last alone: the test would never end.
  for (const client of [sendingListener, listener]) await client.getBlockNumber()
  token = await deploy(Token, ['Viem Token', 'VIEM', SUPPLY])
  probe = await deploy(Probe)
})
after(async () => {
  for (const client of [sendingListener, listener]) (await client.transport.getRpcClient()).close()
})

test('the chain is the one that was asked for', async () => {
  assert.equal(await reader.getChainId(), chainId)
  assert.equal(Number(await rpc(0, 'net_version')), chainId)
  assert.equal(await rpc(0, 'eth_syncing'), false)
  assert.match(await rpc(0, 'web3_clientVersion'), /\S/)
})

test('a deployed ERC-20 answers calls, and its code is what the compiler made', async () => {
  assert.equal(await reader.getCode({ address: token }), Token.deployedBytecode)
  const read = (functionName, args = []) => reader.readContract({ address: token, abi: erc20Abi, functionName, args })
  assert.equal(await read('name'), 'Viem Token')
  assert.equal(await read('decimals'), 18)
  assert.equal(await read('balanceOf', [owner.address]), SUPPLY)
})

test('a transfer shows in the receipt, in getLogs and in three WebSocket subscriptions', async () => {
  const to = stranger().address
  const signed = await wallet.signTransaction(await wallet.prepareTransactionRequest({
    to: token, data: encodeFunctionData({ abi: erc20Abi, functionName: 'transfer', args: [to, 7n] }),
  }))
  let hash
  const seen = [
    firstOf('log', (onLogs, onError) => listener.watchContractEvent({
      address: token, abi: erc20Abi, eventName: 'Transfer', args: { to }, onLogs, onError,
    }), (log) => log.args.value === 7n),
    firstOf('pending transaction', (onTransactions, onError) => sendingListener.watchPendingTransactions({
      onTransactions, onError, batch: false,
    }), (pending) => pending === hash),
    firstOf('new head', (onBlock, onError) => listener.watchBlocks({
      onBlock: (block) => onBlock([block]), onError,
    }), (block) => block.number > 0n),
  ]
  const heads = []
  const stopHeads = listener.watchBlocks({ onBlock: (block) => heads.push(block) })
  // A subscription made a moment ago must be in place: the same connection answers after it.
  for (const client of [sendingListener, listener]) await client.getBlockNumber()
  await until('the first head', () => heads.length > 0, WAIT_MS)
  hash = keccak256(signed)
  assert.equal(await wallet.sendRawTransaction({ serializedTransaction: signed }), hash)

  const receipt = await mined(hash)
  const logs = await reader.getContractEvents({
    address: token, abi: erc20Abi, eventName: 'Transfer', args: { from: owner.address, to },
    fromBlock: receipt.blockNumber, toBlock: receipt.blockNumber,
  })
  assert.equal(logs.length, 1)
  assert.equal(logs[0].transactionHash, hash)
  assert.equal(logs[0].blockHash, receipt.blockHash)
  assert.deepEqual(await reader.getLogs({ address: token, blockHash: receipt.blockHash }).then((all) => all.length), 1)

  const [log, pending] = await Promise.all(seen)
  assert.equal(log.transactionHash, hash)
  assert.equal(pending, hash)
  const reachedHead = () => heads.find((seenHead) => seenHead.number >= receipt.blockNumber)
  const head = await until('the head of the transfer', reachedHead, WAIT_MS)
  stopHeads()
  assert.ok(head.number >= receipt.blockNumber)
  const numbers = heads.map((b) => b.number)
  assert.deepEqual(numbers, [...numbers].sort((a, b) => Number(a - b)), 'heads come in order')
})

test('a receipt and logs over WebSocket are those that another box gives over HTTP', async () => {
  const hash = await wallet.writeContract({
    address: token, abi: erc20Abi, functionName: 'transfer', args: [stranger().address, 13n],
  })
  const receipt = await mined(hash)
  await reached(2, receipt.blockNumber)
  assert.deepEqual(await listener.getTransactionReceipt({ hash }), receipt)
  const range = { address: token, fromBlock: receipt.blockNumber, toBlock: receipt.blockNumber }
  const logs = await listener.getLogs(range)
  assert.deepEqual(logs.map((log) => log.transactionHash), [hash])
  assert.deepEqual(logs, await reader.getLogs(range))
})

test('filters: logs, blocks, pending transactions, uninstall', async () => {
  const to = stranger().address
  const logFilter = await filtering.createContractEventFilter({
    address: token, abi: erc20Abi, eventName: 'Transfer', args: { to },
  })
  const blockFilter = await filtering.createBlockFilter()
  const pendingFilter = await sending.createPendingTransactionFilter()
  const hash = await wallet.writeContract({ address: token, abi: erc20Abi, functionName: 'transfer', args: [to, 3n] })
  const receipt = await mined(hash)
  const logs = await until('the log in the filter', async () => {
    const changes = await filtering.getFilterChanges({ filter: logFilter })
    return changes.length > 0 && changes
  })
  assert.equal(logs.length, 1)
  assert.equal(logs[0].args.value, 3n)
  assert.deepEqual(await filtering.getFilterChanges({ filter: logFilter }), [], 'changes are handed out once')
  assert.equal((await filtering.getFilterLogs({ filter: logFilter })).length, 1)
  const blocks = await filtering.getFilterChanges({ filter: blockFilter })
  assert.ok(blocks.includes(receipt.blockHash))
  assert.ok((await sending.getFilterChanges({ filter: pendingFilter })).includes(hash))
  for (const [client, filter] of [[filtering, logFilter], [filtering, blockFilter], [sending, pendingFilter]]) {
    assert.equal(await client.uninstallFilter({ filter }), true)
    assert.equal(await client.uninstallFilter({ filter }), false)
  }
})

test('transactions of types 0, 1, 2 and 4, with explicit fees', async () => {
  const { baseFeePerGas } = await reader.getBlock()
  const gasPrice = baseFeePerGas * 2n + parseGwei('2')
  const tip = await reader.estimateMaxPriorityFeePerGas()
  const value = 11n
  const kinds = {
    legacy: { gasPrice },
    eip2930: { gasPrice, accessList: [{ address: token, storageKeys: [toHex(0, { size: 32 })] }] },
    eip1559: { maxFeePerGas: gasPrice + tip, maxPriorityFeePerGas: tip },
  }
  for (const [type, fields] of Object.entries(kinds)) {
    const to = stranger().address
    const hash = await wallet.sendTransaction({ type, to, value, ...fields })
    const receipt = await mined(hash)
    assert.equal(receipt.status, 'success', type)
    assert.equal(receipt.type, type)
    const sent = await reader.getTransaction({ hash })
    assert.equal(sent.type, type)
    assert.equal(sent.from, owner.address.toLowerCase())
    assert.equal(await reader.getBalance({ address: to }), value)
    const { baseFeePerGas: paid } = await reader.getBlock({ blockNumber: receipt.blockNumber })
    const least = (a, b) => (a < b ? a : b)
    const price = type === 'eip1559' ? least(fields.maxFeePerGas, paid + tip) : gasPrice
    assert.equal(receipt.effectiveGasPrice, price)
  }
})

test('EIP-7702: an account delegates to a contract and takes it back', async () => {
  const authority = stranger()
  const delegate = async (contractAddress) => {
    const authorization = await wallet.signAuthorization({
      account: authority, contractAddress, nonce: await reader.getTransactionCount({ address: authority.address }),
    })
    const data = encodeFunctionData({ abi: Probe.abi, functionName: 'set', args: [5n, 6n] })
    const receipt = await mined(await wallet.sendTransaction({
      authorizationList: [authorization], to: authority.address, data, gas: 300_000n,
    }))
    assert.equal(receipt.type, 'eip7702')
    assert.equal(receipt.status, 'success')
    return receipt
  }
  const receipt = await delegate(probe)
  assert.equal(await reader.getCode({ address: authority.address }), `0xef0100${probe.slice(2).toLowerCase()}`)
  assert.equal(receipt.logs[0].address, authority.address.toLowerCase())
  const delegated = { address: authority.address, abi: Probe.abi }
  assert.equal(await reader.readContract({ ...delegated, functionName: 'slots', args: [5n] }), 6n)
  const sent = await reader.getTransaction({ hash: receipt.transactionHash })
  assert.equal(getAddress(sent.authorizationList[0].address), getAddress(probe))
  await delegate('0x0000000000000000000000000000000000000000')
  assert.equal(await reader.getCode({ address: authority.address }), undefined)
})

test('the fees that viem estimates get a transaction mined', async () => {
  const estimate = await reader.estimateFeesPerGas()
  assert.ok(estimate.maxFeePerGas >= estimate.maxPriorityFeePerGas)
  assert.ok(await reader.getGasPrice() > 0n)
  const receipt = await mined(await wallet.sendTransaction({ to: stranger().address, value: 1n }))
  assert.equal(receipt.status, 'success')
  assert.equal(receipt.gasUsed, 21_000n)
  const history = await reader.getFeeHistory({ blockCount: 4, rewardPercentiles: [10, 90] })
  assert.equal(history.gasUsedRatio.length, history.reward.length)
  assert.equal(history.baseFeePerGas.length, history.gasUsedRatio.length + 1)
  assert.ok(history.gasUsedRatio.length > 0 && history.gasUsedRatio.length <= 4)
})

test('createAccessList names the slots that a call touches', async () => {
  const data = encodeFunctionData({ abi: Probe.abi, functionName: 'set', args: [1n, 2n] })
  const { accessList, gasUsed } = await reader.createAccessList({ account: owner, to: probe, data })
  assert.ok(gasUsed > 21_000n)
  const entry = accessList.find(({ address }) => getAddress(address) === getAddress(probe))
  assert.ok(entry.storageKeys.includes(toHex(1, { size: 32 })), 'slot 1 holds the counter')
  assert.equal(entry.storageKeys.length, 2)
})

test('call with state overrides', async () => {
  const read = (functionName, args, stateOverride) =>
    reader.readContract({ address: probe, abi: Probe.abi, functionName, args, stateOverride })
  const slot = toHex(1, { size: 32 })
  const word = (value) => toHex(value, { size: 32 })
  assert.equal(await read('counter', [], [{ address: probe, stateDiff: [{ slot, value: word(77) }] }]), 77n)
  const nowhere = stranger().address
  assert.equal(await reader.readContract({
    address: nowhere, abi: Probe.abi, functionName: 'counter',
    stateOverride: [{ address: nowhere, code: Probe.deployedBytecode, state: [{ slot, value: word(9) }] }],
  }), 9n)
  // Without the override the same sender cannot pay the value.
  const poor = stranger().address
  const call = { account: poor, to: nowhere, value: parseEther('5') }
  await assert.rejects(reader.call(call), /insufficient funds/i)
  await reader.call({ ...call, stateOverride: [{ address: poor, balance: parseEther('6') }] })
})

test('a call at an older block sees the older state', async () => {
  const contract = { address: probe, abi: Probe.abi }
  const set = (value) => wallet.writeContract({ ...contract, functionName: 'set', args: [42n, value] })
  const first = await mined(await set(1n))
  const second = await mined(await set(2n))
  const at = (blockNumber) =>
    reader.readContract({ address: probe, abi: Probe.abi, functionName: 'slots', args: [42n], blockNumber })
  assert.equal(await at(first.blockNumber - 1n), 0n)
  assert.equal(await at(first.blockNumber), 1n)
  assert.equal(await at(second.blockNumber), 2n)
  const before = await reader.getBalance({ address: owner.address, blockNumber: first.blockNumber - 1n })
  const after = await reader.getBalance({ address: owner.address, blockNumber: first.blockNumber })
  assert.equal(before - after, first.gasUsed * first.effectiveGasPrice)
})

test('reverts carry code 3 and data, and decode to the reason or the custom error', async () => {
  const failing = (functionName, args = []) => encodeFunctionData({ abi: Probe.abi, functionName, args })
  for (const [data, selector] of [
    [failing('failWithReason'), '0x08c379a0'],
    [failing('failWithPanic', [0n]), '0x4e487b71'],
    [failing('failWithError', [5n]), toFunctionSelector('Refused(address,uint256,uint256)')],
  ]) {
    for (const method of ['eth_estimateGas', 'eth_call']) {
      await assert.rejects(rpc(1, method, [{ from: owner.address, to: probe, data }, 'latest']), (error) => {
        assert.equal(error.code, 3)
        assert.match(error.message, /^execution reverted/)
        assert.equal(error.data.slice(0, 10), selector)
        return true
      })
    }
  }
  const decoded = async (functionName, args) => {
    const call = { account: owner, address: probe, abi: Probe.abi, functionName, args }
    const error = await reader.estimateContractGas(call)
      .then(() => assert.fail(`${functionName} was expected to revert`), (reason) => reason)
    assert.ok(error instanceof BaseError)
    return error.walk((cause) => cause instanceof ContractFunctionRevertedError)
  }
  assert.equal((await decoded('failWithReason', [])).reason, 'probe: told to fail')
  const refused = await decoded('failWithError', [5n])
  assert.equal(refused.data.errorName, 'Refused')
  assert.equal(refused.data.args[0], owner.address)
  assert.equal(refused.data.args[1], 5n)
})

test('a reverted transaction has a receipt with status 0 and its gas', async () => {
  const data = encodeFunctionData({ abi: Probe.abi, functionName: 'failWithReason' })
  const receipt = await mined(await wallet.sendTransaction({ to: probe, data, gas: 100_000n }))
  assert.equal(receipt.status, 'reverted')
  assert.ok(receipt.gasUsed > 21_000n && receipt.gasUsed < 100_000n)
  assert.deepEqual(receipt.logs, [])
})

test('block tags', async () => {
  const number = async (blockTag) => (await reader.getBlock({ blockTag })).number
  const [finalized, safe, latest] = [await number('finalized'), await number('safe'), await number('latest')]
  assert.ok(finalized <= safe && safe <= latest, `${finalized} ${safe} ${latest}`)
  assert.equal(await number('earliest'), 0n)
  const pending = await rpc(1, 'eth_getBlockByNumber', ['pending', false])
  assert.ok(pending === null || BigInt(pending.number) >= latest)
  for (const blockTag of ['latest', 'safe', 'finalized', 'pending']) {
    assert.ok(await reader.getBalance({ address: owner.address, blockTag }) > 0n, blockTag)
  }
  const nonces = await Promise.all(['latest', 'pending'].map((blockTag) =>
    reader.getTransactionCount({ address: owner.address, blockTag })))
  assert.equal(nonces[0], nonces[1])
})

test('batched requests are answered together', async () => {
  const batching = over(1, { batch: { batchSize: 20, wait: 20 } })
  const numbers = Array.from({ length: 10 }, (_, i) => BigInt(i % 3))
  const blocks = await Promise.all(numbers.map((blockNumber) => batching.getBlock({ blockNumber })))
  assert.deepEqual(blocks.map((block) => block.number), numbers)
})

test('indexed events of several kinds are found by topic', async () => {
  const receipt = await mined(await wallet.writeContract({
    address: probe, abi: Probe.abi, functionName: 'emitAll', args: ['hello', '0x1234', [1n, 2n, 3n]],
  }))
  assert.equal(receipt.logs.length, 4)
  assert.deepEqual(receipt.logs.map((log) => log.topics.length), [1, 2, 3, 1])
  const range = { fromBlock: toHex(receipt.blockNumber), toBlock: toHex(receipt.blockNumber), address: probe }
  const byTopics = (topics) => rpc(1, 'eth_getLogs', [{ ...range, topics }])
  const text = keccak256(stringToHex('hello'))
  const blob = keccak256('0x1234')
  assert.equal((await byTopics([null, text])).length, 1)
  assert.equal((await byTopics([null, [text, blob], blob])).length, 1)
  assert.equal((await byTopics([null, blob, text])).length, 0)
  assert.equal((await byTopics([])).length, 4)
  assert.deepEqual((await byTopics([])).map((log) => Number(log.logIndex)), receipt.logs.map((log) => log.logIndex))
})

test('block receipts and pool status', async () => {
  const receipt = await mined(await wallet.sendTransaction({ to: stranger().address, value: 1n }))
  const all = await rpc(1, 'eth_getBlockReceipts', [toHex(receipt.blockNumber)])
  assert.ok(all.some(({ transactionHash }) => transactionHash === receipt.transactionHash))
  for (const one of all) assert.deepEqual(one, await rpc(1, 'eth_getTransactionReceipt', [one.transactionHash]))
  const status = await rpc(0, 'txpool_status')
  assert.match(status.pending, /^0x[0-9a-f]+$/)
  assert.match(status.queued, /^0x[0-9a-f]+$/)
  assert.equal(await rpc(1, 'eth_getBlockTransactionCountByNumber', [toHex(receipt.blockNumber)]), toHex(all.length))
})
