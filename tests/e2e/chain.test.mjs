// What is particular to a Dolmen chain: its genesis, its header fields, its system contracts and its heartbeat.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { hexToBigInt, keccak256, toHex, toRlp } from 'viem'
import { box, chainId, devnet, height, reached, rpc, sleep } from './lib/devnet.mjs'
import { genesisState, osaka } from './lib/replay.mjs'

const EMPTY_TRIE = keccak256(toRlp('0x'))
const EMPTY_REQUESTS = '0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' // SHA-256 of nothing
const HISTORY_STORAGE = '0x0000F90827F1C53a10cb7A02335B175320002935'
const BEACON_ROOTS = '0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02'
const RING = 8191n // of both system contracts
const HEARTBEAT_MS_MAX = 5_000

const genesis = JSON.parse(readFileSync(devnet.genesis, 'utf8'))
const blockAt = (number, index = 0) => rpc(index, 'eth_getBlockByNumber', [toHex(number), true])
const word = (value) => toHex(value, { size: 32 })

/** Every block from 1 to the present height, oldest first. */
async function* blocks() {
  const top = await height(0)
  for (let first = 1; first <= top; first += 16) {
    const numbers = Array.from({ length: Math.min(16, top - first + 1) }, (_, i) => first + i)
    yield* await Promise.all(numbers.map((number) => blockAt(number)))
  }
}

test('the genesis block commits to the allocation in the genesis file', async () => {
  assert.equal(genesis.chain_id, chainId)
  const { root } = await genesisState(genesis, osaka(chainId))
  const block = await blockAt(0)
  assert.equal(block.stateRoot, root)
  assert.equal(BigInt(block.gasLimit), BigInt(genesis.gas_limit))
  assert.equal(BigInt(block.baseFeePerGas), BigInt(genesis.base_fee_per_gas))
  assert.equal(BigInt(block.timestamp), BigInt(genesis.timestamp_ms) / 1000n)
  assert.deepEqual(block.transactions, [])
})

test('every header has the fields that the chain promises', async () => {
  let parent = await blockAt(0)
  let earlier = BigInt(genesis.timestamp_ms)
  const beneficiaries = new Set()
  for await (const block of blocks()) {
    const at = `block ${Number(block.number)}`
    assert.equal(block.parentHash, parent.hash, at)
    assert.equal(BigInt(block.number), BigInt(parent.number) + 1n, at)
    assert.equal(BigInt(block.baseFeePerGas), BigInt(genesis.base_fee_per_gas), `${at}: the base fee is constant`)
    assert.equal(block.mixHash, keccak256(parent.hash), `${at}: prevRandao is the hash of the parent's hash`)
    assert.equal(block.parentBeaconBlockRoot, parent.hash, at)
    assert.equal(block.extraData.length, 2 + 16, `${at}: extraData is 8 bytes`)
    const proposed = hexToBigInt(block.extraData)
    assert.equal(proposed / 1000n, BigInt(block.timestamp), `${at}: extraData is the time in milliseconds`)
    assert.ok(proposed > earlier, `${at}: time always rises`)
    assert.equal(block.sha3Uncles, keccak256(toRlp([])), at)
    assert.equal(block.withdrawalsRoot, EMPTY_TRIE, at)
    assert.deepEqual(block.withdrawals, [], at)
    assert.deepEqual(block.uncles, [], at)
    assert.equal(block.requestsHash, EMPTY_REQUESTS, at)
    assert.equal(block.nonce, '0x0000000000000000', at)
    for (const field of ['difficulty', 'blobGasUsed', 'excessBlobGas']) {
      assert.equal(block[field], '0x0', `${at} ${field}`)
    }
    beneficiaries.add(block.miner)
    earlier = proposed
    parent = block
  }
  assert.ok(beneficiaries.size >= 1 && beneficiaries.size <= devnet.boxes.length, [...beneficiaries].join(' '))
})

test('every box serves the same blocks', async () => {
  const top = await height(0)
  const picks = [0, 1, Math.floor(top / 2), top - 1, top].filter((number, i, all) => all.indexOf(number) === i)
  for (let index = 1; index < devnet.boxes.length; index++) {
    await reached(index, top)
    for (const number of picks) assert.deepEqual(await blockAt(number, index), await blockAt(number))
  }
})

test('the EIP-2935 contract holds the hashes of earlier blocks', async () => {
  assert.notEqual(await rpc(0, 'eth_getCode', [HISTORY_STORAGE, '0x0']), '0x')
  const top = BigInt(await height(0))
  for (const number of [1n, top / 2n, top]) {
    if (number === 0n) continue
    const { hash } = await blockAt(number - 1n)
    const slot = word((number - 1n) % RING)
    assert.equal(await rpc(0, 'eth_getStorageAt', [HISTORY_STORAGE, slot, toHex(number)]), hash)
    const call = { to: HISTORY_STORAGE, data: word(number - 1n) }
    assert.equal(await rpc(1, 'eth_call', [call, toHex(number)]), hash)
  }
})

test('the EIP-4788 contract holds the parent hash under the time of the block', async () => {
  assert.notEqual(await rpc(0, 'eth_getCode', [BEACON_ROOTS, '0x0']), '0x')
  const number = BigInt(await height(0))
  const block = await blockAt(number)
  const index = BigInt(block.timestamp) % RING
  const at = (slot) => rpc(0, 'eth_getStorageAt', [BEACON_ROOTS, word(slot), block.number])
  assert.equal(BigInt(await at(index)), BigInt(block.timestamp))
  assert.equal(await at(index + RING), block.parentHash)
})

test('an idle chain keeps its heartbeat on every box', async () => {
  const before = await Promise.all(devnet.boxes.map((_, index) => height(index)))
  await sleep(HEARTBEAT_MS_MAX)
  for (const [index, was] of before.entries()) {
    assert.ok((await height(index)) > was, `${box(index).name} made no block in ${HEARTBEAT_MS_MAX} ms`)
  }
})
