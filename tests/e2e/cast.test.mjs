// Foundry's real `cast` program against the boxes: sends to box 0, reads from the others.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { getAddress, isAddressEqual, keccak256, pad, toHex } from 'viem'
import { generatePrivateKey, privateKeyToAddress } from 'viem/accounts'
import { contracts } from './contracts/compile.mjs'
import { account, box, chainId, reached, rpc } from './lib/devnet.mjs'
import { foundry } from './lib/foundry.mjs'

const { Token, Probe } = contracts()
const { address: owner, private_key: key } = account('cast')
const program = foundry('cast')
const run = promisify(execFile)
const stranger = () => privateKeyToAddress(generatePrivateKey())

/** Runs cast against one box and returns what it printed. Settings and endpoints of the user's own are kept out. */
async function cast(index, ...args) {
  const env = { PATH: process.env.PATH, HOME: '/nonexistent', NO_COLOR: '1', ETH_RPC_URL: box(index).rpc }
  const { stdout } = await run(program, args, { env, timeout: 60_000 })
  return stdout.trim()
}

async function send(...args) {
  const receipt = JSON.parse(await cast(0, 'send', '--json', '--private-key', key, '--timeout', '30', ...args))
  for (let index = 0; index < 4; index++) await reached(index, Number(receipt.blockNumber))
  return receipt
}

let token
let probe

before(async () => {
  const signature = 'constructor(string,string,uint256)'
  const { stdout: args } = await run(program, ['abi-encode', signature, 'Cast', 'CST', '1000000'])
  token = (await send('--create', `${Token.bytecode}${args.trim().slice(2)}`)).contractAddress
  probe = (await send('--create', Probe.bytecode)).contractAddress
})

test('cast chain-id, block-number, client, gas-price and base-fee', async () => {
  assert.equal(Number(await cast(1, 'chain-id')), chainId)
  const number = Number(await cast(2, 'block-number'))
  assert.ok(number > 0)
  assert.match(await cast(1, 'client'), /\S/)
  assert.ok(BigInt(await cast(1, 'gas-price')) > 0n)
  assert.ok(BigInt(await cast(1, 'base-fee')) >= 0n)
  const block = JSON.parse(await cast(3, 'block', String(number - 1), '--json'))
  assert.equal(Number(block.number), number - 1)
})

test('cast balance and nonce follow a send', async () => {
  const to = stranger()
  const nonce = Number(await cast(1, 'nonce', owner))
  const receipt = await send(to, '--value', '123wei')
  assert.equal(receipt.status, '0x1')
  assert.equal(await cast(1, 'balance', to), '123')
  assert.equal(await cast(2, 'balance', to, '--block', String(Number(receipt.blockNumber) - 1)), '0')
  assert.equal(Number(await cast(3, 'nonce', owner)), nonce + 1)
})

test('cast send of a legacy transaction and of one with an access list', async () => {
  const legacy = await send(stranger(), '--value', '1', '--legacy')
  assert.equal(Number(legacy.type), 0)
  const list = JSON.stringify([{ address: token, storageKeys: [toHex(0, { size: 32 })] }])
  const listed = await send(stranger(), '--value', '1', '--access-list', list)
  assert.equal(BigInt(listed.gasUsed), 21_000n + 2_400n + 1_900n)
})

test('cast call, and cast receipt and tx on another box', async () => {
  const to = stranger()
  const { transactionHash } = await send(token, 'transfer(address,uint256)', to, '42')
  assert.equal(await cast(1, 'call', token, 'balanceOf(address)(uint256)', to), '42')
  assert.equal(await cast(1, 'call', token, 'name()(string)'), '"Cast"')
  const receipt = JSON.parse(await cast(2, 'receipt', transactionHash, '--json'))
  assert.equal(receipt.transactionHash, transactionHash)
  assert.equal(receipt.logs.length, 1)
  assert.equal(Number(await cast(2, 'receipt', transactionHash, 'blockNumber')), Number(receipt.blockNumber))
  const sent = JSON.parse(await cast(3, 'tx', transactionHash, '--json'))
  assert.ok(isAddressEqual(sent.from, owner))
})

test('cast logs finds an event by its signature and an indexed argument', async () => {
  const to = stranger()
  const { blockNumber, transactionHash } = await send(token, 'transfer(address,uint256)', to, '7')
  const range = ['--from-block', String(Number(blockNumber) - 1), '--to-block', String(Number(blockNumber))]
  const logs = JSON.parse(await cast(1, 'logs', '--json', ...range, '--address', token,
    'Transfer(address indexed,address indexed,uint256)', owner, to))
  assert.deepEqual(logs.map((log) => log.transactionHash), [transactionHash])
})

test('cast rpc passes a call through', async () => {
  assert.equal(JSON.parse(await cast(1, 'rpc', 'eth_chainId')), toHex(chainId))
  const block = JSON.parse(await cast(1, 'rpc', 'eth_getBlockByNumber', '0x0', 'false'))
  assert.equal(block.number, '0x0')
  await assert.rejects(cast(1, 'rpc', 'eth_foo'), /-32601/)
})

test('cast estimate, of a call that works and of one that reverts', async () => {
  const gas = BigInt(await cast(1, 'estimate', '--from', owner, probe, 'set(uint256,uint256)', '1', '2'))
  assert.ok(gas > 21_000n && gas < 200_000n)
  assert.equal(await cast(1, 'estimate', '--from', owner, stranger(), '--value', '1'), '21000')
  await assert.rejects(cast(1, 'estimate', '--from', owner, probe, 'failWithReason()'), /probe: told to fail/)
})

test('cast access-list names the slots of a call', async () => {
  const text = await cast(1, 'access-list', '--from', owner, probe, 'set(uint256,uint256)', '3', '4')
  assert.match(text, /gas used: \d+/)
  assert.ok(text.toLowerCase().includes(probe.toLowerCase()))
  assert.ok(text.includes(toHex(1, { size: 32 })), 'slot 1 holds the counter')
})

test('cast proof, storage, code and codesize', async () => {
  const slot = keccak256(`0x${pad(owner, { size: 32 }).slice(2)}${toHex(0, { size: 32 }).slice(2)}`)
  const block = toHex(Number(await cast(2, 'block-number')))
  const proof = JSON.parse(await cast(1, 'proof', token, slot, '--block', String(Number(block))))
  assert.deepEqual(proof, await rpc(1, 'eth_getProof', [token, [slot], block]))
  const stored = await cast(1, 'storage', token, slot)
  assert.equal(BigInt(stored), BigInt(await cast(1, 'call', token, 'balanceOf(address)', owner)))
  assert.equal(await cast(3, 'code', token), Token.deployedBytecode)
  assert.equal(Number(await cast(3, 'codesize', token)), (Token.deployedBytecode.length - 2) / 2)
})

test('cast wallet sign-auth and send --auth delegate an account (EIP-7702)', async () => {
  const secret = generatePrivateKey()
  const authority = privateKeyToAddress(secret)
  const auth = await cast(0, 'wallet', 'sign-auth', probe, '--private-key', secret, '--nonce', '0', '--chain',
    String(chainId))
  const receipt = await send(authority, 'set(uint256,uint256)', '11', '12', '--auth', auth, '--gas-limit', '300000')
  assert.equal(Number(receipt.type), 4)
  assert.equal(await cast(1, 'code', authority), `0xef0100${getAddress(probe).slice(2).toLowerCase()}`)
  assert.equal(await cast(1, 'call', authority, 'slots(uint256)(uint256)', '11'), '12')
})
