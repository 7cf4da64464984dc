// Sends a seeded load of contract-heavy transactions through the boxes' RPC, in rounds: a round is signed, sent to
// the boxes in turn, and every receipt is waited for before the next one starts.
import { concatHex, getContractAddress, hexToBytes, pad, parseEther, toHex, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { deployer } from './asm.mjs'
import { account, chainId, devnet, reached, receiptOn, rpc } from './devnet.mjs'
import { PRECOMPILES, precompileInput } from './precompile_inputs.mjs'
import { destructible, relay, sampler, worker } from './programs.mjs'
import { Prng } from './prng.mjs'

const SENDERS = 5
const TRANSACTIONS_PER_ROUND = 5 // of each sender
const GAS_MAX = 3_000_000n
const word = (value) => pad(toHex(BigInt(value)), { size: 32 })

/** The least gas a node admits: EIP-2028, 2930, 3860 and 7702, and the floor of EIP-7623. */
export function leastGas({ data = '0x', to, accessList = [], authorizationList = [] }) {
  const bytes = hexToBytes(data)
  const zeros = BigInt(bytes.filter((byte) => byte === 0).length)
  const tokens = zeros + 4n * (BigInt(bytes.length) - zeros)
  const create = to ? 0n : 32_000n + 2n * BigInt(Math.ceil(bytes.length / 32))
  const list = accessList.reduce((sum, entry) => sum + 2_400n + 1_900n * BigInt(entry.storageKeys.length), 0n)
  const intrinsic = 21_000n + 4n * tokens + create + list + 25_000n * BigInt(authorizationList.length)
  const floor = 21_000n + 10n * tokens
  return intrinsic > floor ? intrinsic : floor
}

/** One key that sends transactions, with the nonce it will use next. */
class Sender {
  constructor(privateKey) {
    this.wallet = privateKeyToAccount(privateKey)
    this.address = this.wallet.address
  }

  async load() {
    this.nonce = Number(await rpc(0, 'eth_getTransactionCount', [this.address, 'latest']))
  }
}

export class Load {
  constructor(seed) {
    this.rng = new Prng(seed)
    this.spareKeys = new Prng(`${seed} spare`) // drawn when the chain makes it necessary, so apart from the rest
    this.funder = new Sender(account('evmDiff').private_key)
    this.senders = Array.from({ length: SENDERS }, () => new Sender(this.rng.hex(32)))
    // Delegates its own account (EIP-7702). A node may allow such an account one pending transaction: one per round.
    this.chameleon = new Sender(this.rng.hex(32))
    this.authorities = Array.from({ length: 4 }, () => new Sender(this.rng.hex(32)))
    this.workers = []
    this.destructibles = []
    this.strangers = Array.from({ length: 6 }, () => this.rng.hex(20))
    this.sent = 0
    this.precompiles = 0
    this.kinds = {}
  }

  anyAddress() {
    const { rng } = this
    const known = [...this.workers, ...this.strangers, ...this.destructibles, ...this.authorities.map((a) => a.address)]
    if (rng.oneIn(8)) return rng.hex(20)
    if (rng.oneIn(8)) return pad(toHex(rng.pick(PRECOMPILES)), { size: 20 })
    return rng.pick(known)
  }

  anyTarget() {
    return this.workers.length > 0 && !this.rng.oneIn(3) ? this.rng.pick(this.workers) : this.anyAddress()
  }

  /** Reads nonces and fees, funds the senders and deploys the contracts. */
  async prepare() {
    const everyone = [this.funder, this.chameleon, ...this.senders, ...this.authorities]
    await Promise.all(everyone.map((sender) => sender.load()))
    await this.#readFees()
    await this.#round([this.chameleon, ...this.senders].map((sender) => this.#funding(sender)))
    this.relay = getContractAddress({ from: this.funder.address, nonce: BigInt(this.funder.nonce) })
    await this.#round([{ from: this.funder, data: deployer(relay()), gas: 500_000n, label: 'deploy' }])
    for (let generation = 0; generation < 3; generation++) {
      // A later generation calls the earlier ones.
      const batch = this.senders.map((from) => this.#deployment(from, worker(this.rng, this)))
      await this.#round(batch.map(({ transaction }) => transaction))
      this.workers.push(...batch.map(({ address }) => address))
    }
    await this.#sample()
    const batch = this.senders.map((from) => this.#deployment(from, destructible(), BigInt(this.rng.below(9))))
    await this.#round(batch.map(({ transaction }) => transaction))
    this.destructibles.push(...batch.map(({ address }) => address))
  }

  /** Two contracts with other operands each, called over and over as one of the workers, and once for certain. */
  async #sample() {
    for (let i = 0; i < 2; i++) {
      const { address, transaction } = this.#deployment(this.funder, sampler(this.rng))
      await this.#round([transaction])
      await this.#round([{ from: this.funder, to: address, gas: 500_000n, label: 'call' }])
      this.workers.push(address)
    }
  }

  /** Sends random transactions until at least `count` have been sent in all. */
  async run(count) {
    while (this.sent < count) {
      await this.#readFees()
      await this.#settleDelegated()
      const round = []
      for (const from of this.senders) {
        for (let i = 0; i < TRANSACTIONS_PER_ROUND; i++) round.push(await this.#anything(from))
      }
      round.push(await this.#delegation(this.chameleon, true))
      // One authority once a round, so that its nonce in the authorization is the one it will have.
      round.push(await this.#delegation(this.funder, false))
      await this.#round(round)
    }
  }

  /** A delegated account runs code: that may raise its nonce (CREATE) or give its balance away (SELFDESTRUCT). */
  async #settleDelegated() {
    await Promise.all([this.chameleon, ...this.authorities].map((sender) => sender.load()))
    const balance = BigInt(await rpc(0, 'eth_getBalance', [this.chameleon.address, 'latest']))
    if (balance > parseEther('1')) return
    // Its code may refuse to be paid, so a fresh account takes over.
    this.chameleon = new Sender(this.spareKeys.hex(32))
    await this.chameleon.load()
    await this.#round([this.#funding(this.chameleon)])
  }

  #funding({ address }) {
    // With gas to spare: in a second run of the same seed the receiver may have code.
    return { from: this.funder, to: address, value: parseEther('20'), gas: 300_000n, label: 'fund' }
  }

  async #readFees() {
    const { baseFeePerGas } = await rpc(0, 'eth_getBlockByNumber', ['latest', false])
    this.tip = BigInt(await rpc(0, 'eth_maxPriorityFeePerGas'))
    this.baseFee = BigInt(baseFeePerGas)
  }

  #deployment(from, runtime, value = 0n) {
    const data = deployer(runtime)
    const gas = leastGas({ data }) + 200n * BigInt(runtime.length) + 50_000n
    const address = getContractAddress({ from: from.address, nonce: BigInt(from.nonce) })
    return { address, transaction: { from, data, value, gas, label: 'deploy' } }
  }

  async #anything(from) {
    const kinds = ['#call', '#call', '#call', '#call', '#precompile', '#precompile', '#transfer', '#create', '#destroy',
      '#heavyData']
    switch (this.rng.pick(kinds)) {
      case '#call': return this.#call(from)
      case '#precompile': return this.#precompile(from)
      case '#transfer': return this.#transfer(from)
      case '#create': return this.#create(from)
      case '#destroy': return this.#destroy(from)
      default: return this.#heavyData(from)
    }
  }

  #workerInput() {
    const { rng } = this
    const ending = rng.oneIn(5) ? rng.between(1, 7) : 0
    const switches = rng.oneIn(3) ? rng.hex(32) : word(BigInt(rng.hex(32)) & BigInt(rng.hex(32)))
    return concatHex([switches, `0x${rng.hex(31).slice(2)}${ending.toString(16).padStart(2, '0')}`,
      pad(this.anyAddress(), { size: 32 })])
  }

  #call(from) {
    const { rng } = this
    const to = rng.oneIn(8) ? rng.pick(this.authorities).address : rng.pick(this.workers)
    const data = this.#workerInput()
    const accessList = rng.oneIn(2) ? [] : this.#accessList(to)
    const extra = rng.oneIn(8) ? BigInt(rng.below(40_000)) : BigInt(rng.between(300_000, 1_500_000))
    const value = rng.oneIn(2) ? BigInt(rng.below(100_000)) : 0n
    return { from, to, data, accessList, value, gas: leastGas({ data, to, accessList }) + extra, label: 'call' }
  }

  #accessList(to) {
    const { rng } = this
    const keys = () => Array.from({ length: rng.below(5) }, () => word(rng.below(10)))
    const entries = [{ address: to, storageKeys: keys() }]
    for (let i = rng.below(3); i > 0; i--) entries.push({ address: this.anyAddress(), storageKeys: keys() })
    return entries
  }

  #precompile(from) {
    const { rng } = this
    const address = PRECOMPILES[this.precompiles++ % PRECOMPILES.length]
    const input = precompileInput(rng, address)
    const value = rng.oneIn(8) ? 1n : 0n
    // Either through a contract that keeps the outcome, or straight from the transaction.
    const direct = rng.oneIn(6)
    const to = direct ? pad(toHex(address), { size: 20 }) : this.relay
    const given = rng.oneIn(6) ? BigInt(rng.below(3_000)) : 400_000n
    const data = direct ? input : concatHex([word(address), word(given), input])
    return { from, to, data, value, gas: leastGas({ data, to }) + 600_000n, label: 'precompile' }
  }

  #transfer(from) {
    const { rng } = this
    const known = [rng.pick(this.strangers), rng.pick(this.destructibles), from.address, zeroAddress]
    const to = rng.pick([rng.hex(20), ...known])
    const value = rng.oneIn(3) ? 0n : BigInt(rng.below(1_000_000))
    return { from, to, value, gas: 21_000n + BigInt(rng.below(2) * 9_000), label: 'transfer' }
  }

  #create(from) {
    const { rng } = this
    const data = rng.pick([
      '0x6160015ff3', '0x60ef5f5360015ff3', '0x5f5ffd', '0xfe', '0x33ff', '0x', '0x60015f5500', '0x6160005ff3',
      deployer(rng.bytes(rng.between(1, 400))), rng.hex(rng.between(1, 60)),
    ])
    const gas = leastGas({ data }) + BigInt(rng.pick([0, 5_000, 300_000, 6_000_000]))
    return { from, data, value: BigInt(rng.below(3)), gas, label: 'create' }
  }

  #destroy(from) {
    const { rng } = this
    const to = rng.pick(this.destructibles)
    const data = pad(rng.pick([to, rng.hex(20), from.address, this.anyAddress()]), { size: 32 })
    return { from, to, data, value: BigInt(rng.below(50)), gas: leastGas({ data, to }) + 60_000n, label: 'destroy' }
  }

  /** Much data and little work: EIP-7623's floor decides what it costs. */
  #heavyData(from) {
    const { rng } = this
    const data = concatHex([rng.hex(rng.between(100, 3_000)), pad('0x', { size: rng.between(1, 500) })])
    const to = rng.oneIn(3) ? rng.hex(20) : rng.pick(this.workers)
    return { from, to, data, gas: leastGas({ data, to }) + BigInt(rng.below(100_000)), label: 'data' }
  }

  /** A type 4 transaction: delegations that hold, that point nowhere, and that are void. */
  async #delegation(from, self) {
    const { rng } = this
    const signer = self ? from : rng.pick(this.authorities)
    const contractAddress = rng.pick([...this.workers, this.relay, zeroAddress, pad('0x04', { size: 20 }),
      rng.pick(this.authorities).address])
    const sign = (who, nonce, chain) => who.wallet.signAuthorization({ contractAddress, chainId: chain, nonce })
    const valid = await sign(signer, self ? from.nonce + 1 : signer.nonce, rng.oneIn(4) ? 0 : chainId)
    const others = this.authorities.filter((authority) => authority !== signer)
    const voids = [
      await sign(rng.pick(others), 1_000_000, chainId), // a nonce that is not the account's
      await sign(rng.pick(others), 0, chainId + 1), // another chain
    ]
    const authorizationList = [valid, ...voids.filter(() => rng.oneIn(2))]
    const to = rng.pick([signer.address, rng.pick(this.workers)])
    const data = this.#workerInput()
    const gas = leastGas({ data, to, authorizationList }) + 400_000n
    return { from, to, data, authorizationList, gas, label: 'delegate', nonceSteps: self ? 2 : 1 }
  }

  #fees(plan) {
    const { rng, baseFee, tip } = this
    const ceiling = baseFee * 4n + tip * 2n
    if (plan.authorizationList) return { type: 'eip7702', maxFeePerGas: ceiling, maxPriorityFeePerGas: tip }
    const type = plan.accessList?.length ? rng.pick(['eip2930', 'eip1559']) : rng.pick(['legacy', 'eip1559', 'eip1559'])
    if (type === 'eip1559') {
      return { type, maxFeePerGas: ceiling, maxPriorityFeePerGas: rng.pick([tip, tip * 2n, ceiling]) }
    }
    return { type, gasPrice: ceiling }
  }

  async #sign({ from, label, nonceSteps = 1, ...fields }) {
    const nonce = from.nonce
    from.nonce += nonceSteps
    const fees = this.#fees(fields)
    if (fees.type === 'legacy' || fields.accessList?.length === 0) delete fields.accessList
    if (fields.gas > GAS_MAX * 4n) throw new Error(`${label}: ${fields.gas} gas is more than this load may ask for`)
    this.kinds[label] = (this.kinds[label] ?? 0) + 1
    return from.wallet.signTransaction({ chainId, nonce, ...fees, ...fields })
  }

  async #round(plans) {
    // Signed in one order, so that the seed alone decides what is drawn for each.
    const bySender = new Map()
    for (const plan of plans) {
      const signed = await this.#sign(plan)
      bySender.set(plan.from, [...(bySender.get(plan.from) ?? []), signed])
    }
    // A sender's transactions go to one box in the order of their nonces; senders are spread over the boxes.
    const hashes = await Promise.all([...bySender.values()].map(async (list, index) => {
      const mine = []
      for (const signed of list) {
        mine.push(await rpc(index % devnet.boxes.length, 'eth_sendRawTransaction', [signed]))
      }
      return mine
    }))
    const receipts = await Promise.all(
      hashes.flat().map((hash, index) => receiptOn((index + 1) % devnet.boxes.length, hash)),
    )
    // The next round may go to any box, which must know the nonces and balances that this one left.
    const last = Math.max(...receipts.map((receipt) => Number(receipt.blockNumber)))
    await Promise.all(devnet.boxes.map((_, index) => reached(index, last)))
    this.sent += plans.length
  }
}
