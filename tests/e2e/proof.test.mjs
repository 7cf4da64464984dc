// What a box serves is checked against the header alone: proofs against the state root with @ethereumjs/mpt, the
// block hash, the transactions' and receipts' roots and the bloom recomputed with @ethereumjs/block and viem's RLP.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createBlockFromRPC, genTransactionsTrieRoot } from '@ethereumjs/block'
import { createMPT, verifyMPTWithMerkleProof } from '@ethereumjs/mpt'
import { RLP } from '@ethereumjs/rlp'
import { bytesToHex, hexToBytes } from '@ethereumjs/util'
import { Bloom } from '@ethereumjs/vm'
import {
  concatHex, createWalletClient, defineChain, encodeDeployData, encodeFunctionData, http, keccak256, pad, parseEther,
  toHex, toRlp,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { contracts } from './contracts/compile.mjs'
import { account, box, chainId, reached, receiptOn, rpc } from './lib/devnet.mjs'
import { osaka } from './lib/replay.mjs'

const { Token, Probe } = contracts()
const SUPPLY = parseEther('1000')
const BALANCES_SLOT = 0 // of OpenZeppelin's ERC20
const owner = privateKeyToAccount(account('proof').private_key)
const chain = defineChain({
  id: chainId, name: 'devnet', nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
  rpcUrls: { default: { http: [box(0).rpc] } },
})
const wallet = createWalletClient({ account: owner, chain, transport: http(box(0).rpc) })
const common = osaka(chainId)
const holders = Array.from({ length: 12 }, () => privateKeyToAccount(generatePrivateKey()).address)
const balanceSlot = (holder) => keccak256(concatHex([pad(holder, { size: 32 }), toHex(BALANCES_SLOT, { size: 32 })]))

let token
let block // the block after which the proofs are asked for

async function send(transaction) {
  const receipt = await receiptOn(1, await wallet.sendTransaction(transaction))
  assert.equal(receipt.status, '0x1')
  return receipt
}

before(async () => {
  const data = encodeDeployData({ abi: Token.abi, bytecode: Token.bytecode, args: ['Proof', 'PRF', SUPPLY] })
  token = (await send({ data })).contractAddress
  await reached(0, Number((await rpc(1, 'eth_getBlockByNumber', ['latest', false])).number))
  let last
  for (const [index, holder] of holders.entries()) {
    const transfer = encodeFunctionData({ abi: Token.abi, functionName: 'transfer', args: [holder, BigInt(index + 1)] })
    last = await send({ to: token, data: transfer, gas: 100_000n })
    await reached(0, Number(last.blockNumber))
  }
  block = await rpc(1, 'eth_getBlockByNumber', [last.blockNumber, false])
  for (let index = 0; index < 4; index++) await reached(index, Number(block.number))
})

/** What a proof yields under a root: the RLP value, or null where it proves absence. Throws where it proves nothing. */
async function proven(root, key, nodes) {
  return verifyMPTWithMerkleProof(await createMPT({ useKeyHashing: true }), hexToBytes(root), hexToBytes(key),
    nodes.map((node) => hexToBytes(node)))
}

async function checkedAccount(index, address, slots, tag = block.number, root = block.stateRoot) {
  const proof = await rpc(index, 'eth_getProof', [address, slots, tag])
  const value = await proven(root, address.toLowerCase(), proof.accountProof)
  if (value === null) {
    assert.equal(BigInt(proof.nonce), 0n)
    assert.equal(BigInt(proof.balance), 0n)
    return { proof, exists: false }
  }
  const [nonce, balance, storageRoot, codeHash] = RLP.decode(value).map((field) => bytesToHex(field))
  assert.equal(BigInt(nonce === '0x' ? 0 : nonce), BigInt(proof.nonce))
  assert.equal(BigInt(balance === '0x' ? 0 : balance), BigInt(proof.balance))
  assert.equal(storageRoot, proof.storageHash)
  assert.equal(codeHash, proof.codeHash)
  return { proof, exists: true }
}

async function checkedSlot(proof, { key, value, proof: nodes }) {
  const stored = nodes.length === 0 ? null : await proven(proof.storageHash, pad(key, { size: 32 }), nodes)
  const decoded = stored === null ? 0n : BigInt(bytesToHex(RLP.decode(stored)))
  assert.equal(decoded, BigInt(value))
  return decoded
}

test('an account is proven by every box', async () => {
  for (let index = 0; index < 4; index++) {
    const { proof, exists } = await checkedAccount(index, owner.address, [])
    assert.ok(exists)
    assert.equal(BigInt(proof.balance), BigInt(await rpc(index, 'eth_getBalance', [owner.address, block.number])))
    assert.equal(proof.codeHash, keccak256('0x'))
  }
})

test('an account that is not there is proven absent', async () => {
  for (let i = 0; i < 8; i++) {
    const { address } = privateKeyToAccount(generatePrivateKey())
    const { exists } = await checkedAccount(1, address, [balanceSlot(owner.address)])
    assert.equal(exists, false)
  }
})

test('ERC-20 balance slots are proven, present and absent', async () => {
  const absent = privateKeyToAccount(generatePrivateKey()).address
  const slots = [...holders, absent].map(balanceSlot)
  const { proof } = await checkedAccount(2, token, slots)
  assert.equal(proof.codeHash, keccak256(Token.deployedBytecode))
  assert.equal(proof.storageProof.length, slots.length)
  for (const [i, entry] of proof.storageProof.entries()) {
    assert.equal(BigInt(entry.key), BigInt(slots[i]))
    assert.equal(await checkedSlot(proof, entry), i < holders.length ? BigInt(i + 1) : 0n)
  }
})

test('short storage keys are accepted and mean the padded word', async () => {
  const { proof } = await checkedAccount(3, token, ['0x2', '0x02', toHex(2, { size: 32 })]) // the total supply
  for (const entry of proof.storageProof) assert.equal(await checkedSlot(proof, entry), SUPPLY)
})

test('a proof at an older block is under that header', async () => {
  const older = await rpc(1, 'eth_getBlockByNumber', [toHex(Number(block.number) - 1), false])
  const last = balanceSlot(holders.at(-1))
  const { proof } = await checkedAccount(1, token, [last], older.number, older.stateRoot)
  assert.equal(await checkedSlot(proof, proof.storageProof[0]), 0n)
})

test('a proof that was tampered with is refused', async () => {
  const proof = await rpc(1, 'eth_getProof', [owner.address, [], block.number])
  for (let i = 0; i < proof.accountProof.length; i++) {
    const nodes = [...proof.accountProof]
    nodes[i] = `${nodes[i].slice(0, -2)}${nodes[i].endsWith('00') ? '01' : '00'}`
    await assert.rejects(proven(block.stateRoot, owner.address.toLowerCase(), nodes))
  }
})

/** A block with a few transactions of several kinds, and its receipts. */
async function busyBlock() {
  const data = encodeDeployData({ abi: Probe.abi, bytecode: Probe.bytecode })
  const probe = (await send({ data })).contractAddress
  const call = encodeFunctionData({ abi: Probe.abi, functionName: 'emitAll', args: ['text', '0x01', [1n]] })
  const { baseFeePerGas } = await rpc(1, 'eth_getBlockByNumber', ['latest', false])
  const gasPrice = BigInt(baseFeePerGas) * 2n + 2_000_000_000n
  const nonce = Number(await rpc(1, 'eth_getTransactionCount', [owner.address, 'latest']))
  const legacy = { type: 'legacy', gasPrice }
  const kinds = [legacy, { type: 'eip2930', gasPrice }, { type: 'eip1559' }, legacy]
  const hashes = []
  for (const [i, fields] of kinds.entries()) {
    hashes.push(await wallet.sendTransaction({ to: probe, data: call, gas: 200_000n, nonce: nonce + i, ...fields }))
  }
  const receipts = await Promise.all(hashes.map((hash) => receiptOn(1, hash)))
  return [...new Set(receipts.map((receipt) => receipt.blockNumber))]
}

function encodedReceipt(receipt) {
  const fields = [
    receipt.status === '0x1' ? '0x01' : '0x',
    receipt.cumulativeGasUsed,
    receipt.logsBloom,
    receipt.logs.map(({ address, topics, data }) => [address, topics, data]),
  ]
  if (fields[1].length % 2 === 1) fields[1] = `0x0${fields[1].slice(2)}`
  const type = Number(receipt.type)
  return hexToBytes(type === 0 ? toRlp(fields) : `0x0${type}${toRlp(fields).slice(2)}`)
}

function bloomOf(logs) {
  const bloom = new Bloom(undefined, common)
  for (const { address, topics } of logs) [address, ...topics].forEach((item) => bloom.add(hexToBytes(item)))
  return bytesToHex(bloom.bitvector)
}

test('hash, transactionsRoot, receiptsRoot and bloom follow from what is served', async () => {
  for (const number of await busyBlock()) {
    const served = await rpc(1, 'eth_getBlockByNumber', [number, true])
    const receipts = await rpc(1, 'eth_getBlockReceipts', [number])
    const rebuilt = createBlockFromRPC(served, [], { common })
    assert.equal(bytesToHex(rebuilt.hash()), served.hash)
    assert.equal(bytesToHex(await genTransactionsTrieRoot(rebuilt.transactions)), served.transactionsRoot)
    const trie = await createMPT()
    for (const [i, receipt] of receipts.entries()) await trie.put(RLP.encode(i), encodedReceipt(receipt))
    assert.equal(bytesToHex(trie.root()), served.receiptsRoot)
    assert.equal(bloomOf(receipts.flatMap((receipt) => receipt.logs)), served.logsBloom)
    receipts.forEach((receipt) => assert.equal(bloomOf(receipt.logs), receipt.logsBloom))
    assert.equal(receipts.at(-1).cumulativeGasUsed, served.gasUsed)
    served.transactions.forEach((tx, i) => assert.equal(bytesToHex(rebuilt.transactions[i].hash()), tx.hash))
    assert.equal(BigInt(served.size), BigInt(RLP.encode(rebuilt.raw()).length))
  }
})

test('empty blocks, the genesis too, hash to what they are called', async () => {
  for (const number of ['0x0', '0x1', '0x2']) {
    const served = await rpc(2, 'eth_getBlockByNumber', [number, true])
    const rebuilt = createBlockFromRPC(served, [], { common })
    assert.equal(bytesToHex(rebuilt.hash()), served.hash)
    assert.equal(served.sha3Uncles, keccak256(toRlp([])))
  }
})
