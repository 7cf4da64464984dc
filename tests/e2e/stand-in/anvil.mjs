// Runs the suite's files against anvil instead of a devnet: one anvil answers for all four boxes. For working on
// the tests themselves; what anvil is known to answer differently stands in README.md.
//   node stand-in/anvil.mjs node --test viem.test.mjs
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesToHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { foundry } from '../lib/foundry.mjs'

const CHAIN_ID = 1337
const MNEMONIC = 'test test test test test test test test test test test junk'
// The code of EIP-2935's system contract, and of the deployer that anvil puts into every genesis. EIP-4788's contract
// is left out: anvil does not make its system call.
const HISTORY = '0x3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257'
  + '611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500'
const DEPLOYER = '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035'
  + '828234f58015156039578182fd5b8082525050506014600cf3'

async function freePort() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

function writeDevnet(folder, port) {
  const accounts = Array.from({ length: 10 }, (_, addressIndex) => {
    const wallet = mnemonicToAccount(MNEMONIC, { addressIndex })
    return { address: wallet.address, private_key: bytesToHex(wallet.getHdKey().privateKey) }
  })
  const alloc = Object.fromEntries(accounts.map(({ address }) => [address, { balance: '0x21e19e0c9bab2400000' }]))
  alloc['0x0000F90827F1C53a10cb7A02335B175320002935'] = { balance: '0x0', nonce: '0x1', code: HISTORY }
  alloc['0x4e59b44847b379578588920cA78FbF26c0B4956C'] = { balance: '0x0', code: DEPLOYER }
  const genesis = join(folder, 'genesis.json')
  writeFileSync(genesis, JSON.stringify({ chain_id: CHAIN_ID, accounts: alloc }))
  const geth = join(folder, 'geth-genesis.json')
  const timestamp = `0x${Math.floor(Date.now() / 1000).toString(16)}`
  const header = { difficulty: '0x0', gasLimit: '0x1c9c380', timestamp }
  writeFileSync(geth, JSON.stringify({ config: { chainId: CHAIN_ID }, ...header, alloc }))
  const boxes = Array.from({ length: 4 }, (_, index) => ({
    name: `box-${index}`,
    rpc: `http://127.0.0.1:${port}`,
    ws: `ws://127.0.0.1:${port}`,
  }))
  const devnet = join(folder, 'devnet.json')
  writeFileSync(devnet, JSON.stringify({ chain_id: CHAIN_ID, genesis, boxes, accounts }))
  return { devnet, geth }
}

async function answers(port) {
  for (let tries = 0; tries < 100; tries++) {
    try {
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] })
      const reply = await fetch(`http://127.0.0.1:${port}`, {
        method: 'POST', body, headers: { 'content-type': 'application/json' },
      })
      if (reply.ok) return
    } catch {
      // Not listening yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('anvil did not answer within 10 s')
}

const [command, ...args] = process.argv.slice(2)
if (!command) throw new Error('usage: node stand-in/anvil.mjs COMMAND [ARGUMENT...]')
const folder = mkdtempSync(join(tmpdir(), 'dolmen-anvil-'))
const port = await freePort()
const { devnet, geth } = writeDevnet(folder, port)
const anvil = spawn(foundry('anvil'), [
  '--port', String(port), '--chain-id', String(CHAIN_ID), '--hardfork', 'osaka', '--init', geth, '--silent',
  '--block-time', '0.5', '--mixed-mining', '--order', 'fifo', '--enable-tx-gas-limit',
], { stdio: ['ignore', 'inherit', 'inherit'] })
let child
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => [child, anvil].forEach((one) => one?.kill()))
let status = 1
try {
  await answers(port)
  child = spawn(command, args, { stdio: 'inherit', env: { ...process.env, DOLMEN_DEVNET: devnet } })
  status = await new Promise((resolve) => child.on('exit', (code) => resolve(code ?? 1)))
} finally {
  anvil.kill()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(status)
