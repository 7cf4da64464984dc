// The governance contract alone, inside @ethereumjs/evm: no devnet, no network. The code of the committed artefact is
// placed at its address as a genesis file would, and node:crypto stands in for the Ed25519 precompile.
//   GOVERNANCE_SEED=...    runs the random sequence again
//   GOVERNANCE_STEPS=...   makes it longer than 250 steps
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createCustomCommon, Hardfork, Mainnet } from '@ethereumjs/common'
import { createEVM } from '@ethereumjs/evm'
import { SimpleStateManager } from '@ethereumjs/statemanager'
import { Account, bytesToHex, createAddressFromString, hexToBytes } from '@ethereumjs/util'
import {
  concat, decodeAbiParameters, decodeErrorResult, decodeEventLog, decodeFunctionResult, encodeAbiParameters,
  encodeFunctionData, getAddress, keccak256, pad, parseAbiParameters, stringToHex, toHex, zeroAddress, zeroHash,
} from 'viem'
import { Prng } from './lib/prng.mjs'

const contract = new URL('../../node-core/governance/contract/', import.meta.url)
const artefact = JSON.parse(readFileSync(new URL('Governance.json', contract), 'utf8'))
const { abi } = artefact

const GOVERNANCE = '0xd01e000000000000000000000000000000000001'
const ED25519VERIFY = '0xd01e000000000000000000000000000000000011'
const SYSTEM = '0xfffffffffffffffffffffffffffffffffffffffe'
const SYSTEM_GAS = 30_000_000n
const TRANSACTION_GAS = 16_777_216n // EIP-7825
const CHAIN_ID = 1337
const START = 1_800_000_000
const DAY = 86_400

const ROLE = { None: 0, Follower: 1, Validator: 2, Retired: 3 }
const REASON = { Decision: 0, Replacement: 1, Silence: 2, OrganisationRemoved: 3 }
const STATUS = { None: 0, Open: 1, Executed: 2, Rejected: 3, Withdrawn: 4, Expired: 5 }

const ADMISSION = 'struct Admission { bytes32 key; uint32 organisation; string name; address feeRecipient; '
  + 'string endpoint; bytes32 evidence; bytes possession; }'
const POLICY = 'struct Policy { uint16 approvals; bool own; uint64 lifetime; }'
const PARAMETERS = 'struct Parameters { uint64 gasLimit; uint64 baseFeePerGas; uint64 blockIntervalMinMs; '
  + 'uint64 blockIntervalMaxMs; uint64 silentAfterSeconds; }'
const VALIDATOR_INFO = 'struct ValidatorInfo { bytes32 key; address feeRecipient; string name; }'
const EPOCH_RECORD = 'struct EpochRecord { uint64 epoch; ValidatorInfo[] validators; Parameters parameters; }'

// The kinds in the order of the contract's enum, with the arguments that their data encodes.
const KINDS = Object.entries({
  AdmitOrganisation: ['string name, address account, bytes rootCertificate'],
  RemoveOrganisation: ['uint32 organisation'],
  ChangeOrganisation: ['uint32 organisation, address account, bytes rootCertificate'],
  AdmitFollower: ['Admission admission, bool standby', ADMISSION],
  AdmitValidator: ['Admission admission', ADMISSION],
  Promote: ['bytes32 key'],
  Demote: ['bytes32 key'],
  Retire: ['bytes32 key'],
  Replace: ['bytes32 retired, Admission admission', ADMISSION],
  ChangeBox: ['bytes32 key, address feeRecipient, string endpoint, bool standby'],
  SetPolicy: ['uint8 kind, Policy policy', POLICY],
  SetParameters: ['Parameters parameters', PARAMETERS],
  SetPermissionModes: ['bool restrictDeploy, bool restrictSend'],
  SetPermission: ['address account, uint8 bits'],
})
const KIND = Object.fromEntries(KINDS.map(([name], index) => [name, index]))
const changeData = (kind, ...args) => encodeAbiParameters(parseAbiParameters(KINDS[KIND[kind]][1]), args)
const decodeRecord = (record) =>
  decodeAbiParameters(parseAbiParameters(['EpochRecord record', EPOCH_RECORD, VALIDATOR_INFO, PARAMETERS]), record)[0]

const parameters = (changes = {}) => ({
  gasLimit: 30_000_000n, baseFeePerGas: 7n, blockIntervalMinMs: 20n, blockIntervalMaxMs: 500n, silentAfterSeconds: 0n,
  ...changes,
})
const policy = (changes = {}) => ({ approvals: 0, own: false, lifetime: BigInt(7 * DAY), ...changes })

const addressOf = (label) => getAddress(`0x${keccak256(stringToHex(label)).slice(26)}`)
const certificate = (length) => (length === 0 ? '0x' : toHex(new Uint8Array(length).fill(0x30)))

// ---------------------------------------------------------------------------------------------------- keys of boxes

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

/** A box with keys that follow from its name. */
function makeBox(name, organisation = 1) {
  const seed = Buffer.from(keccak256(stringToHex(`box ${name}`)).slice(2), 'hex')
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
  const key = toHex(createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(SPKI_ED25519.length))
  return { name, organisation, key, secret, feeRecipient: addressOf(`fees ${name}`), endpoint: '10.0.0.1:30303' }
}

function possession(box, { chainId = CHAIN_ID, address = GOVERNANCE, key = box.key, tag = '0x11', by = box.organisation }
  = {}) {
  const message = concat([tag, stringToHex('dolmen-possession'), toHex(chainId, { size: 32 }), address, key,
    toHex(by, { size: 4 })])
  return toHex(sign(null, hexToBytes(message), box.secret))
}

const admission = (box, changes = {}) => ({
  key: box.key, organisation: box.organisation, name: box.name, feeRecipient: box.feeRecipient,
  endpoint: box.endpoint, evidence: keccak256(box.key), possession: possession(box), ...changes,
})

/** The precompile at ED25519VERIFY: key ‖ signature ‖ message. */
function verifyEd25519({ data }) {
  const [key, signature, message] = [data.subarray(0, 32), data.subarray(32, 96), data.subarray(96)]
  let valid = false
  try {
    const spki = createPublicKey({ key: Buffer.concat([SPKI_ED25519, key]), format: 'der', type: 'spki' })
    valid = verify(null, message, spki, signature)
  } catch {
    // Not a key: not valid.
  }
  return { executionGasUsed: 3_450n, returnValue: valid ? hexToBytes(pad('0x01')) : new Uint8Array() }
}

// -------------------------------------------------------------------------------------------------------- the chain

/** A call that the contract refused: `error` is the name of its custom error, '' where there is no data. */
class Refused extends Error {
  constructor(data, cause) {
    const { errorName: error = '', args = [] } = data === '0x' ? {} : decodeErrorResult({ abi, data })
    super(`${error}(${args.join(', ')}) ${cause}`)
    Object.assign(this, { name: 'Refused', error, args, data })
  }
}

const refuses = (promise, error, ...args) => assert.rejects(promise, (thrown) => {
  if (!(thrown instanceof Refused)) throw thrown
  assert.equal(thrown.error, error)
  if (args.length > 0) assert.deepEqual(thrown.args, args)
  return true
})

/** The contract in an EVM of its own, with a clock, a block number and a proposer. */
class Chain {
  time = START
  number = 0
  coinbase = addressOf('nobody')

  static async empty() {
    const common = createCustomCommon({ chainId: CHAIN_ID }, Mainnet, { hardfork: Hardfork.Osaka })
    const stateManager = new SimpleStateManager({ common })
    const verifier = { address: createAddressFromString(ED25519VERIFY), function: verifyEd25519 }
    const evm = await createEVM({ common, stateManager, customPrecompiles: [verifier] })
    const address = createAddressFromString(GOVERNANCE)
    await stateManager.putAccount(address, new Account(1n, 0n))
    await stateManager.putCode(address, hexToBytes(artefact.deployedBytecode))
    return Object.assign(new Chain(), { evm, stateManager })
  }

  /** A chain after block zero: organisations by number, validators as boxes. */
  static async start({ organisations = 1, boxes = ['a', 'b', 'c', 'd'].map((name) => makeBox(name)), ...rest } = {}) {
    const chain = await Chain.empty()
    await chain.initialize({ organisations, boxes, ...rest })
    return chain
  }

  async initialize({ organisations = 1, boxes, epochBlocks = 10n, gas = SYSTEM_GAS, parameters: changes } = {}) {
    this.boxes = boxes
    const list = Array.isArray(organisations) ? organisations : Array.from({ length: organisations },
      (_, i) => ({ name: `Organisation ${i + 1}`, account: organisation(i + 1), rootCertificate: '0x' }))
    this.genesis = await this.send(SYSTEM, 'initialize', [list, boxes, parameters(changes), epochBlocks], { gas })
    return this.genesis
  }

  async #run(from, data, { gas = TRANSACTION_GAS, isStatic = false, value = 0n } = {}) {
    const header = {
      number: BigInt(this.number), timestamp: BigInt(this.time), coinbase: createAddressFromString(this.coinbase),
      difficulty: 0n, prevRandao: new Uint8Array(32), gasLimit: gas, baseFeePerGas: 0n, getBlobGasPrice: () => 1n,
    }
    const caller = createAddressFromString(from)
    const to = createAddressFromString(GOVERNANCE)
    const { execResult } = await this.evm.runCall({
      block: { header }, caller, to, data: hexToBytes(data), gasLimit: gas, isStatic, value, skipBalance: true,
    })
    // The end of a transaction: nothing stays warm, and what was written is what the next one finds.
    await this.evm.journal.cleanup()
    this.stateManager.originalStorageCache.clear()
    const result = bytesToHex(execResult.returnValue)
    if (execResult.exceptionError) throw new Refused(result, execResult.exceptionError.error)
    return { result, gas: execResult.executionGasUsed, logs: execResult.logs ?? [] }
  }

  /** Sends a call as `from`; answers what it returned, its gas without the intrinsic gas, and its decoded events. */
  async send(from, functionName, args = [], options = {}) {
    const { result, gas, logs } = await this.#run(from, encodeFunctionData({ abi, functionName, args }), options)
    const events = logs.map(([address, topics, data]) => {
      assert.equal(bytesToHex(address), GOVERNANCE)
      return decodeEventLog({ abi, topics: topics.map((topic) => bytesToHex(topic)), data: bytesToHex(data) })
    })
    return { result: decodeFunctionResult({ abi, functionName, data: result }), gas, events }
  }

  raw(from, data, options) {
    return this.#run(from, data, options)
  }

  async read(functionName, ...args) {
    const data = encodeFunctionData({ abi, functionName, args })
    const { result } = await this.#run(addressOf('reader'), data, { gas: 500_000_000n, isStatic: true })
    return decodeFunctionResult({ abi, functionName, data: result })
  }

  async slot(hex) {
    return pad(bytesToHex(await this.stateManager.getStorage(createAddressFromString(GOVERNANCE), hexToBytes(hex))))
  }

  /** A new block by a box, `seconds` after the one before. */
  async block(box, seconds = 1) {
    this.number += 1
    this.time += seconds
    this.coinbase = box?.feeRecipient ?? addressOf('nobody')
    return this.send(SYSTEM, 'beforeBlock')
  }

  async endEpoch() {
    const { result, gas, events } = await this.send(SYSTEM, 'endEpoch', [], { gas: SYSTEM_GAS })
    return { record: decodeRecord(result), gas, events }
  }

  /** An organisation proposes; answers the proposal's id, gas and events. */
  async propose(by, kind, ...args) {
    const data = changeData(kind, ...args)
    const { result, gas, events } = await this.send(organisation(by), 'propose', [KIND[kind], data])
    return { id: result, gas, events }
  }

  vote(by, id, approve = true) {
    return this.send(organisation(by), 'vote', [id, approve])
  }

  /** Proposes and has as many organisations vote for it as it takes. */
  async decide(kind, ...args) {
    const { id, events } = await this.propose(1, kind, ...args)
    const all = [...events]
    for (let by = 2; (await this.read('proposal', id)).status === STATUS.Open; by++) {
      all.push(...(await this.vote(by, id)).events)
    }
    assert.equal((await this.read('proposal', id)).status, STATUS.Executed)
    return { id, events: all }
  }

  async role(box) {
    return (await this.read('box', box.key)).role
  }

  async names(functionName = 'validators') {
    return (await this.read(functionName)).map(({ name }) => name).sort()
  }
}

const organisation = (id) => addressOf(`organisation ${id}`)
const named = (events, name) => events.filter((event) => event.eventName === name).map((event) => event.args)
const boxesNamed = (...names) => names.map((name) => makeBox(name))

// ------------------------------------------------------------------------------------------------------------ tests

test('the committed artefact is what the source compiles to', () => {
  execFileSync(process.execPath, [fileURLToPath(new URL('compile.mjs', contract)), '--check'], { stdio: 'pipe' })
  assert.ok(artefact.deployedBytecode.length / 2 - 1 < 24_576)
})

describe('genesis', () => {
  test('fills the contract, once', async () => {
    const boxes = [makeBox('a', 1), makeBox('b', 2), makeBox('c', 0)]
    const changed = { gasLimit: 5_000_000n }
    const chain = await Chain.start({ organisations: 2, boxes, epochBlocks: 100n, parameters: changed })
    await refuses(chain.initialize({ boxes }), 'AlreadyInitialized')

    const expected = boxes.map(({ key, feeRecipient, name }) => ({ key, feeRecipient, name }))
      .sort((a, b) => (a.key < b.key ? -1 : 1))
    const record = decodeRecord(chain.genesis.result)
    assert.deepEqual(record, { epoch: 0n, validators: expected, parameters: parameters(changed) })
    assert.deepEqual(await chain.read('validators'), expected)
    assert.deepEqual((await chain.read('wantedValidators')).map(({ name }) => name), ['a', 'b', 'c'])
    assert.deepEqual(await chain.read('parameters'), record.parameters)
    assert.deepEqual(await chain.read('activeParameters'), record.parameters)
    assert.equal(await chain.read('epoch'), 0n)
    assert.equal(await chain.read('epochBlocks'), 100n)
    assert.equal(await chain.read('isChangePending'), false)
    assert.deepEqual(await chain.read('permissionModes'), { restrictDeploy: false, restrictSend: false })

    assert.equal(await chain.read('boxCount'), 3n)
    const { secret: _, ...b } = boxes[1]
    assert.deepEqual(await chain.read('box', b.key),
      { ...b, role: ROLE.Validator, standby: false, evidence: zeroHash, since: 0n })
    assert.deepEqual((await chain.read('boxes', 1n, 9n)).map(({ name }) => name), ['b', 'c'])
    assert.deepEqual(await chain.read('boxes', 4n, 9n), [])
    assert.deepEqual((await chain.read('organisations')).map(({ id, active }) => [id, active]), [[1, true], [2, true]])
    assert.equal((await chain.read('organisation', 2)).account, organisation(2))
    assert.equal((await chain.read('organisation', 3)).id, 0)
    assert.equal(await chain.read('organisationOf', organisation(2)), 2)
    assert.equal(await chain.read('lastProposed', b.key), BigInt(START))
    assert.deepEqual(await chain.read('peers'),
      boxes.map(({ key, endpoint }) => ({ key, endpoint, role: ROLE.Validator })))
    for (const [kind] of KINDS) {
      const own = ['AdmitFollower', 'Retire', 'ChangeBox'].includes(kind)
      assert.deepEqual(await chain.read('policy', KIND[kind]), policy({ own }), kind)
    }
  })

  test('refuses what breaks a rule', async () => {
    const [a, b] = boxesNamed('a', 'b')
    const with_ = async (changes) => (await Chain.empty()).initialize({ boxes: [a], ...changes })
    const org = { name: 'One', account: organisation(1), rootCertificate: '0x' }
    await refuses(with_({ epochBlocks: 0n }), 'OutOfBounds', 'epochBlocks')
    await refuses(with_({ boxes: [] }), 'OutOfBounds', 'validators')
    await refuses(with_({ boxes: [a, a] }), 'AlreadyKnown', a.key)
    await refuses(with_({ boxes: [a, { ...b, name: 'a' }] }), 'NameTaken', 'a')
    await refuses(with_({ boxes: [a, { ...b, feeRecipient: a.feeRecipient }] }), 'FeeRecipientTaken', a.feeRecipient)
    await refuses(with_({ boxes: [{ ...a, feeRecipient: zeroAddress }] }), 'OutOfBounds', 'feeRecipient')
    await refuses(with_({ boxes: [{ ...a, key: zeroHash }] }), 'OutOfBounds', 'key')
    await refuses(with_({ boxes: [{ ...a, organisation: 2 }] }), 'UnknownOrganisation', 2)
    await refuses(with_({ parameters: { gasLimit: 1n } }), 'OutOfBounds', 'gasLimit')
    await refuses(with_({ organisations: [org, { ...org, name: 'Two' }] }), 'AccountTaken', org.account)
    await refuses(with_({ organisations: [org, { ...org, account: organisation(2) }] }), 'NameTaken', 'One')
    for (const name of ['', 'x'.repeat(33), 'a b', 'a/b', 'é', '<a>']) {
      await refuses(with_({ boxes: [{ ...a, name }] }), 'OutOfBounds', 'name')
    }
    for (const endpoint of ['1'.repeat(65), 'example.com:1', '10.0.0.1 :1', '"']) {
      await refuses(with_({ boxes: [{ ...a, endpoint }] }), 'OutOfBounds', 'endpoint')
    }
    await with_({ boxes: [{ ...a, name: 'Az09._-'.padEnd(32, 'x'), endpoint: '[2001:db8::AF]:30303' }] })
    await with_({ organisations: 0, boxes: [{ ...a, organisation: 0, endpoint: '' }] })
    const many = Array.from({ length: 129 }, (_, i) => makeBox(`v${i}`))
    await refuses(with_({ boxes: many, gas: 200_000_000n }), 'OutOfBounds', 'validators')
    await refuses(with_({ organisations: 65, gas: 200_000_000n }), 'OutOfBounds', 'organisations')
  })

  test('nobody but SYSTEM makes system calls, and nobody sends ether', async () => {
    const boxes = boxesNamed('a')
    const empty = await Chain.empty()
    const anyone = organisation(1)
    await refuses(empty.send(anyone, 'initialize', [[], boxes, parameters(), 1n]), 'NotSystem', anyone)
    await refuses(empty.send(SYSTEM, 'endEpoch'), 'NotInitialized')
    const chain = await Chain.start({ boxes })
    await refuses(chain.send(organisation(1), 'beforeBlock'), 'NotSystem', organisation(1))
    await refuses(chain.send(organisation(1), 'endEpoch'), 'NotSystem', organisation(1))
    const data = encodeFunctionData({ abi, functionName: 'propose', args: [KIND.Promote, '0x'] })
    await refuses(chain.raw(organisation(1), data, { value: 1n }), '')
    await refuses(chain.raw(organisation(1), '0x', { value: 1n }), '')
    await refuses(chain.raw(organisation(1), '0x'), '')
    await refuses(chain.raw(organisation(1), '0x12345678'), '')
  })
})

describe('proposals', () => {
  const setModes = ['SetPermissionModes', true, false]

  test('a majority decides, in the call that reaches it', async () => {
    const chain = await Chain.start({ organisations: 5 })
    chain.number = 7
    const { id, events } = await chain.propose(2, ...setModes)
    assert.equal(id, 1n)
    const data = changeData(...setModes)
    const expires = BigInt(START + 7 * DAY)
    assert.deepEqual(named(events, 'Proposed'),
      [{ id, organisation: 2, kind: KIND.SetPermissionModes, expires, data }])
    assert.deepEqual(named(events, 'Voted'), [{ id, organisation: 2, approve: true }])
    assert.equal(named((await chain.vote(3, id)).events, 'Executed').length, 0)
    const open = {
      id, kind: KIND.SetPermissionModes, status: STATUS.Open, organisation: 2, created: BigInt(START), expires,
      decided: 0n, approvals: 2, rejections: 0, data,
    }
    assert.deepEqual(await chain.read('proposal', id), open)
    await chain.vote(1, id, false)
    chain.number = 9
    const last = await chain.vote(5, id)
    assert.deepEqual(named(last.events, 'Executed'), [{ id }])
    assert.deepEqual(named(last.events, 'PermissionModesSet'), [{ restrictDeploy: true, restrictSend: false }])
    assert.deepEqual(await chain.read('proposal', id),
      { ...open, status: STATUS.Executed, decided: 9n, approvals: 3, rejections: 1 })
    assert.deepEqual(await chain.read('votes', id), [
      { organisation: 2, approve: true }, { organisation: 3, approve: true }, { organisation: 1, approve: false },
      { organisation: 5, approve: true },
    ])
    await refuses(chain.vote(4, id), 'NotOpen', id, STATUS.Executed)
    await refuses(chain.send(organisation(2), 'withdraw', [id]), 'NotOpen', id, STATUS.Executed)
    await refuses(chain.vote(4, 2n), 'NotOpen', 2n, STATUS.None)
    assert.equal((await chain.read('proposal', 2n)).status, STATUS.None)
  })

  test('only active organisations propose, vote and withdraw', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const stranger = addressOf('stranger')
    const { id } = await chain.propose(1, ...setModes)
    await refuses(chain.send(stranger, 'propose', [KIND.Promote, '0x']), 'NotAnOrganisation', stranger)
    await refuses(chain.send(stranger, 'vote', [id, true]), 'NotAnOrganisation', stranger)
    await refuses(chain.send(SYSTEM, 'vote', [id, true]), 'NotAnOrganisation')
    await refuses(chain.send(stranger, 'withdraw', [id]), 'NotAnOrganisation', stranger)
    await refuses(chain.send(organisation(2), 'withdraw', [id]), 'NotProposer', id, 2)
    const { events } = await chain.send(organisation(1), 'withdraw', [id])
    assert.deepEqual(named(events, 'Withdrawn'), [{ id }])
    assert.equal((await chain.read('proposal', id)).status, STATUS.Withdrawn)
    await refuses(chain.vote(2, id), 'NotOpen', id, STATUS.Withdrawn)
  })

  test('votes change while it is open, and one that cannot pass is rejected at once', async () => {
    const chain = await Chain.start({ organisations: 5 })
    const { id } = await chain.propose(1, ...setModes)
    await chain.vote(1, id, false)
    await chain.vote(2, id, false)
    await chain.vote(2, id, true)
    await chain.vote(2, id, true)
    await chain.vote(3, id, false)
    const { approvals, rejections, status } = await chain.read('proposal', id)
    assert.deepEqual([approvals, rejections, status], [1, 2, STATUS.Open])
    const { events } = await chain.vote(5, id, false)
    assert.deepEqual(named(events, 'Rejected'), [{ id }])
    assert.equal((await chain.read('proposal', id)).status, STATUS.Rejected)
    await refuses(chain.vote(1, id), 'NotOpen', id, STATUS.Rejected)
    assert.deepEqual(await chain.read('permissionModes'), { restrictDeploy: false, restrictSend: false })
  })

  test('N of M, as the policy says', async () => {
    const chain = await Chain.start({ organisations: 4 })
    await chain.decide('SetPolicy', KIND.SetPermissionModes, policy({ approvals: 4 }))
    const { id } = await chain.propose(1, ...setModes)
    await chain.vote(2, id)
    await chain.vote(3, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Open)
    const rejected = await chain.vote(4, id, false)
    assert.equal(named(rejected.events, 'Rejected').length, 1)
    // More than there are organisations means all of them.
    await chain.decide('SetPolicy', KIND.SetPermissionModes, policy({ approvals: 64 }))
    const second = await chain.decide(...setModes)
    assert.equal((await chain.read('proposal', second.id)).approvals, 4)
    await chain.decide('SetPolicy', KIND.SetPermissionModes, policy({ approvals: 1 }))
    assert.equal((await chain.read('proposal', (await chain.propose(4, ...setModes)).id)).status, STATUS.Executed)
  })

  test('a new policy holds for open proposals too', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const { id } = await chain.propose(1, ...setModes)
    await chain.decide('SetPolicy', KIND.SetPermissionModes, policy({ approvals: 3 }))
    await chain.vote(2, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Open)
    await chain.vote(3, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Executed)
  })

  test('expires after the lifetime of its policy', async () => {
    const chain = await Chain.start({ organisations: 3 })
    await chain.decide('SetPolicy', KIND.SetPermissionModes, policy({ lifetime: 60n }))
    const { id } = await chain.propose(1, ...setModes)
    const other = await chain.propose(1, ...setModes)
    chain.time += 60
    assert.equal((await chain.read('proposal', id)).status, STATUS.Open)
    await chain.vote(2, other.id)
    chain.time += 1
    assert.equal((await chain.read('proposal', id)).status, STATUS.Expired)
    assert.equal((await chain.read('proposal', other.id)).status, STATUS.Executed)
    await refuses(chain.vote(2, id), 'NotOpen', id, STATUS.Expired)
    await refuses(chain.send(organisation(1), 'withdraw', [id]), 'NotOpen', id, STATUS.Expired)
  })

  test('votes of organisations that were removed since do not count', async () => {
    const chain = await Chain.start({ organisations: 5, boxes: [makeBox('a', 1)] })
    const { id } = await chain.propose(4, ...setModes)
    await chain.vote(5, id)
    await chain.decide('RemoveOrganisation', 5)
    const { approvals } = await chain.read('proposal', id)
    assert.equal(approvals, 1)
    assert.equal((await chain.read('votes', id)).length, 2)
    await refuses(chain.vote(5, id), 'NotAnOrganisation', organisation(5))
    // Four organisations are left, so three must approve; removing the proposer leaves its proposal to the others.
    await chain.decide('RemoveOrganisation', 4)
    await chain.vote(1, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Open)
    await chain.vote(2, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Executed)
  })

  test('fewer organisations can make an old vote enough: repeating it carries the change out', async () => {
    const chain = await Chain.start({ organisations: 5, boxes: [makeBox('a', 1)] })
    const { id } = await chain.propose(1, ...setModes)
    await chain.vote(2, id)
    await chain.decide('RemoveOrganisation', 5)
    await chain.decide('RemoveOrganisation', 4)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Open)
    await chain.vote(1, id)
    assert.equal((await chain.read('proposal', id)).status, STATUS.Executed)
  })

  test('a change that is impossible now reverts its last vote and can be tried again', async () => {
    const chain = await Chain.start({ organisations: 2 })
    const newcomer = makeBox('e')
    const promote = await chain.propose(1, 'Promote', newcomer.key)
    await refuses(chain.vote(2, promote.id), 'UnknownBox', newcomer.key)
    const { status, approvals } = await chain.read('proposal', promote.id)
    assert.deepEqual([status, approvals], [STATUS.Open, 1])
    await chain.decide('AdmitFollower', admission(newcomer), false)
    await chain.vote(2, promote.id)
    assert.equal(await chain.role(newcomer), ROLE.Validator)
  })

  test('pages, newest first', async () => {
    const chain = await Chain.start({ organisations: 3 })
    for (let i = 0; i < 5; i++) await chain.propose(1, 'SetPermission', addressOf(`account ${i}`), 1)
    const ids = async (from, count) => (await chain.read('proposals', from, count)).map(({ id }) => Number(id))
    assert.equal(await chain.read('proposalCount'), 5n)
    assert.deepEqual(await ids(0n, 2n), [5, 4])
    assert.deepEqual(await ids(3n, 100n), [3, 2, 1])
    assert.deepEqual(await ids(99n, 1n), [5])
    assert.deepEqual(await ids(1n, 2n ** 256n - 1n), [1])
    assert.deepEqual(await ids(0n, 0n), [])
    assert.deepEqual(await (await Chain.start()).read('proposals', 0n, 9n), [])
  })

  test('an organisation has 32 open proposals at most; decided and expired ones make room', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const ids = []
    for (let i = 0; i < 32; i++) ids.push((await chain.propose(1, ...setModes)).id)
    await refuses(chain.propose(1, ...setModes), 'OutOfBounds', 'open proposals')
    await chain.propose(2, ...setModes)
    await chain.vote(2, ids[5])
    await chain.send(organisation(1), 'withdraw', [ids[9]])
    await chain.propose(1, ...setModes)
    await chain.propose(1, ...setModes)
    await refuses(chain.propose(1, ...setModes), 'OutOfBounds', 'open proposals')
    chain.time += 7 * DAY + 1
    for (let i = 0; i < 32; i++) await chain.propose(1, ...setModes)
    await refuses(chain.propose(1, ...setModes), 'OutOfBounds', 'open proposals')
  })

  test('data has 8,192 bytes at most and the form of its kind', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const propose = (kind, data) => chain.send(organisation(1), 'propose', [kind, data])
    await propose(KIND.AdmitOrganisation, certificate(8192))
    await refuses(propose(KIND.AdmitOrganisation, certificate(8193)), 'OutOfBounds', 'data')
    for (const kind of ['AdmitFollower', 'AdmitValidator', 'Promote', 'Retire', 'Replace', 'ChangeBox']) {
      await refuses(propose(KIND[kind], '0x1234'), '')
      await refuses(propose(KIND[kind], '0x'), '')
    }
    // Kinds that concern no box of anyone are decoded when they are carried out.
    const one = await Chain.start()
    for (const [kind] of KINDS) await refuses(one.send(organisation(1), 'propose', [KIND[kind], '0x1234']), '')
    const args = [0, changeData('SetPermission', zeroAddress, 0)]
    const data = encodeFunctionData({ abi, functionName: 'propose', args })
    const ofKind = (kind) => concat([data.slice(0, 10), toHex(kind, { size: 32 }), `0x${data.slice(74)}`])
    await one.raw(organisation(1), ofKind(KIND.SetPermission))
    await refuses(one.raw(organisation(1), ofKind(KINDS.length)), '')
  })
})

describe('organisations', () => {
  test('are admitted, changed and removed', async () => {
    const chain = await Chain.start()
    const admitted = await chain.decide('AdmitOrganisation', '石门 Consortium', organisation(2), certificate(4096))
    assert.deepEqual(named(admitted.events, 'OrganisationAdmitted'),
      [{ organisation: 2, account: organisation(2), name: '石门 Consortium' }])
    assert.deepEqual(await chain.read('organisation', 2), {
      id: 2, active: true, account: organisation(2), name: '石门 Consortium', rootCertificate: certificate(4096),
    })

    const changed = await chain.decide('ChangeOrganisation', 2, organisation(22), '0x01')
    assert.deepEqual(named(changed.events, 'OrganisationChanged'), [{ organisation: 2, account: organisation(22) }])
    const { account, rootCertificate } = await chain.read('organisation', 2)
    assert.deepEqual([account, rootCertificate], [organisation(22), '0x01'])
    await refuses(chain.vote(2, 1n), 'NotAnOrganisation', organisation(2))
    await refuses(chain.vote(22, 1n), 'NotOpen', 1n, STATUS.Executed)
    // The same account again, as when only the certificate changes.
    const { id } = await chain.propose(1, 'ChangeOrganisation', 2, organisation(22), certificate(0))
    await chain.vote(22, id)
    assert.equal((await chain.read('organisation', 2)).rootCertificate, '0x')

    const removal = await chain.propose(1, 'RemoveOrganisation', 2)
    const removed = await chain.vote(22, removal.id)
    assert.deepEqual(named(removed.events, 'OrganisationRemoved'), [{ organisation: 2, account: organisation(22) }])
    assert.deepEqual((await chain.read('organisations')).map((one) => one.id), [1])
    assert.equal((await chain.read('organisation', 2)).active, false)
    assert.equal(await chain.read('organisationOf', organisation(22)), 0)
    await refuses(chain.decide('ChangeOrganisation', 2, organisation(3), '0x'), 'UnknownOrganisation', 2)
    await refuses(chain.decide('RemoveOrganisation', 1), 'LastOrganisation', 1)
    // Account and name are free again, the id is not.
    await chain.decide('AdmitOrganisation', '石门 Consortium', organisation(22), '0x')
    assert.equal(await chain.read('organisationOf', organisation(22)), 3)
  })

  test('keep to the limits', async () => {
    const chain = await Chain.start()
    const admit = (name, account, root = '0x') => chain.decide('AdmitOrganisation', name, account, root)
    await refuses(admit('', organisation(2)), 'OutOfBounds', 'name')
    await refuses(admit('x'.repeat(129), organisation(2)), 'OutOfBounds', 'name')
    await refuses(admit('two\nlines', organisation(2)), 'OutOfBounds', 'name')
    await refuses(admit('Organisation 1', organisation(2)), 'NameTaken', 'Organisation 1')
    await refuses(admit('Two', organisation(1)), 'AccountTaken', organisation(1))
    await refuses(admit('Two', zeroAddress), 'OutOfBounds', 'account')
    await refuses(admit('Two', organisation(2), certificate(4097)), 'OutOfBounds', 'rootCertificate')
    await refuses(chain.decide('ChangeOrganisation', 0, organisation(2), '0x'), 'UnknownOrganisation', 0)
    await refuses(chain.decide('ChangeOrganisation', 2, organisation(2), '0x'), 'UnknownOrganisation', 2)
    await refuses(chain.decide('ChangeOrganisation', 1, zeroAddress, '0x'), 'OutOfBounds', 'account')
    const full = await Chain.empty()
    await full.initialize({ organisations: 64, boxes: boxesNamed('a'), gas: 100_000_000n })
    await refuses(full.decide('AdmitOrganisation', 'x', addressOf('x'), '0x'), 'OutOfBounds', 'organisations')
  })

  test('take their boxes with them', async () => {
    const boxes = [...boxesNamed('a', 'b', 'c', 'd', 'e', 'f'), makeBox('g', 2)]
    const chain = await Chain.start({ organisations: 2, boxes })
    const followers = [makeBox('h', 2), makeBox('i', 1), makeBox('j', 2)]
    for (const box of followers) await chain.propose(box.organisation, 'AdmitFollower', admission(box), false)
    const { events } = await chain.decide('RemoveOrganisation', 2)
    assert.deepEqual(named(events, 'BoxRoleChanged').map(({ key, reason }) => [key, reason]),
      [boxes[6], followers[0], followers[2]].map(({ key }) => [key, REASON.OrganisationRemoved]))
    assert.deepEqual(await chain.names('wantedValidators'), ['a', 'b', 'c', 'd', 'e', 'f'])
    assert.deepEqual(await chain.names(), ['a', 'b', 'c', 'd', 'e', 'f', 'g'])
    // It votes until the epoch's end, so the others still connect with it.
    const peers = (await chain.read('peers')).map(({ key, role }) => [key, role])
    assert.deepEqual(peers, [...boxes.slice(0, 6).map(({ key }) => [key, ROLE.Validator]),
      [followers[1].key, ROLE.Follower], [boxes[6].key, ROLE.Retired]])
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), 'abcdef'.split(''))
    assert.equal((await chain.read('peers')).length, 7)
  })

  test('cannot be removed where that costs the others their quorum', async () => {
    const boxes = [makeBox('a', 1), makeBox('b', 1), makeBox('c', 2), makeBox('d', 2)]
    const chain = await Chain.start({ organisations: 3, boxes })
    const { id } = await chain.propose(1, 'RemoveOrganisation', 2)
    await refuses(chain.vote(3, id), 'TooManyLeaving', 2n, 1n)
    assert.equal((await chain.read('organisation', 2)).active, true)
  })
})

describe('boxes', () => {
  test('are admitted as followers and validators with proof of possession', async () => {
    const chain = await Chain.start({ organisations: 2 })
    chain.number = 5
    const follower = makeBox('e', 2)
    const { events } = await chain.decide('AdmitFollower', admission(follower), true)
    const { key, name, feeRecipient, endpoint } = follower
    const evidence = keccak256(key)
    assert.deepEqual(named(events, 'BoxAdmitted'), [{ key, organisation: 2, feeRecipient, name, evidence }])
    assert.deepEqual(named(events, 'BoxRoleChanged'),
      [{ key, from: ROLE.None, to: ROLE.Follower, reason: REASON.Decision }])
    assert.deepEqual(await chain.read('box', key), {
      key, organisation: 2, role: ROLE.Follower, standby: true, since: 5n, feeRecipient, evidence, name, endpoint,
    })
    assert.equal(await chain.read('isChangePending'), false)
    const validator = makeBox('f', 1)
    await chain.decide('AdmitValidator', admission(validator))
    assert.equal(await chain.role(validator), ROLE.Validator)
    assert.equal(await chain.read('isChangePending'), true)
    assert.deepEqual(await chain.names(), ['a', 'b', 'c', 'd'])
    assert.equal(await chain.read('lastProposed', validator.key), 0n)
    chain.time += 10
    const { record, events: ended } = await chain.endEpoch()
    assert.equal(record.epoch, 1n)
    assert.deepEqual(record.validators.map((one) => one.name).sort(), ['a', 'b', 'c', 'd', 'f'])
    assert.deepEqual(record.validators, await chain.read('validators'))
    assert.deepEqual(record.validators.map((one) => one.key), record.validators.map((one) => one.key).sort())
    assert.deepEqual(named(ended, 'EpochStarted'), [{ epoch: 1n, validators: record.validators.map((one) => one.key) }])
    assert.equal(await chain.read('lastProposed', validator.key), BigInt(chain.time))
    assert.equal(await chain.read('isChangePending'), false)
  })

  test('a forged possession admits nothing', async () => {
    const chain = await Chain.start()
    const box = makeBox('e')
    const other = makeBox('other')
    const forged = [
      possession(box, { by: box.organisation + 1 }), possession(other), possession(other, { key: box.key }), possession(box, { key: other.key }),
      possession(box, { chainId: 1 }), possession(box, { address: ED25519VERIFY }), possession(box, { tag: '0x10' }),
      // The last would be valid, if the byte too many were taken as the message's first.
      '0x', possession(box).slice(0, -2), toHex(new Uint8Array(64)), `${possession(box, { tag: '0x0011' })}00`,
    ]
    for (const signature of forged) {
      const changed = admission(box, { possession: signature })
      await refuses(chain.decide('AdmitFollower', changed, false), 'NoPossession', box.key)
      await refuses(chain.decide('AdmitValidator', changed), 'NoPossession', box.key)
      await refuses(chain.decide('Replace', chain.boxes[0].key, changed), 'NoPossession', box.key)
    }
    await chain.decide('AdmitFollower', admission(box), false)
  })

  test('without the precompile nothing is proven', async () => {
    const chain = await Chain.start()
    const bare = await createEVM({ common: chain.evm.common, stateManager: chain.stateManager })
    chain.evm = bare
    const box = makeBox('e')
    await refuses(chain.decide('AdmitFollower', admission(box), false), 'NoPossession', box.key)
  })

  test('a retired key never comes back; its name and fee recipient do', async () => {
    const chain = await Chain.start()
    const [a] = chain.boxes
    await chain.decide('Retire', a.key)
    for (const kind of ['AdmitFollower', 'AdmitValidator', 'Replace', 'Promote', 'Demote', 'Retire', 'ChangeBox']) {
      const args = {
        AdmitFollower: [admission(a), false], AdmitValidator: [admission(a)],
        Replace: [chain.boxes[1].key, admission(a)], ChangeBox: [a.key, a.feeRecipient, '', false],
      }[kind] ?? [a.key]
      const error = kind.startsWith('Admit') || kind === 'Replace' ? 'AlreadyKnown' : 'WrongRole'
      await refuses(chain.decide(kind, ...args), error)
    }
    const heir = { ...makeBox('heir'), name: a.name, feeRecipient: a.feeRecipient }
    await chain.decide('AdmitFollower', admission(heir), false)
    assert.equal(await chain.role(heir), ROLE.Follower)
    assert.equal(await chain.role(a), ROLE.Retired)
    assert.equal(await chain.read('boxCount'), 5n)
  })

  test('names, fee recipients and organisations are checked', async () => {
    const chain = await Chain.start({ organisations: 2 })
    const [a] = chain.boxes
    const box = makeBox('e')
    const admit = (changes) => chain.decide('AdmitFollower', admission(box, changes), false)
    await refuses(admit({ name: 'a' }), 'NameTaken', 'a')
    await refuses(admit({ name: '' }), 'OutOfBounds', 'name')
    await refuses(admit({ name: 'x'.repeat(33) }), 'OutOfBounds', 'name')
    await refuses(admit({ feeRecipient: a.feeRecipient }), 'FeeRecipientTaken', a.feeRecipient)
    await refuses(admit({ feeRecipient: zeroAddress }), 'OutOfBounds', 'feeRecipient')
    await refuses(admit({ endpoint: 'box.example:30303' }), 'OutOfBounds', 'endpoint')
    await refuses(admit({ endpoint: '1'.repeat(65) }), 'OutOfBounds', 'endpoint')
    await refuses(admit({ organisation: 0 }), 'UnknownOrganisation', 0)
    await refuses(admit({ organisation: 3, possession: possession(box, { by: 3 }) }), 'UnknownOrganisation', 3)
    await refuses(chain.decide('AdmitFollower', admission(a), false), 'AlreadyKnown', a.key)
    await refuses(chain.decide('Promote', box.key), 'UnknownBox', box.key)
    await refuses(chain.decide('Demote', box.key), 'UnknownBox', box.key)
    await refuses(chain.decide('Retire', box.key), 'UnknownBox', box.key)
    await refuses(chain.decide('ChangeBox', box.key, box.feeRecipient, '', false), 'UnknownBox', box.key)
    await refuses(chain.decide('Replace', box.key, admission(makeBox('f'))), 'UnknownBox', box.key)
    await refuses(chain.decide('Promote', a.key), 'WrongRole', a.key, ROLE.Validator)
  })

  test('are promoted, demoted and replaced', async () => {
    const chain = await Chain.start()
    const [a, b] = chain.boxes
    const [e, f] = boxesNamed('e', 'f')
    await chain.decide('AdmitFollower', admission(e), true)
    chain.number = 3
    const promoted = await chain.decide('Promote', e.key)
    assert.deepEqual(named(promoted.events, 'BoxRoleChanged'),
      [{ key: e.key, from: ROLE.Follower, to: ROLE.Validator, reason: REASON.Decision }])
    const { standby, since } = await chain.read('box', e.key)
    assert.deepEqual([standby, since], [false, 3n])
    assert.deepEqual((await chain.endEpoch()).record.validators.length, 5)
    const demoted = await chain.decide('Demote', a.key)
    assert.deepEqual(named(demoted.events, 'BoxRoleChanged'),
      [{ key: a.key, from: ROLE.Validator, to: ROLE.Follower, reason: REASON.Decision }])
    await refuses(chain.decide('Replace', a.key, admission(f)), 'WrongRole', a.key, ROLE.Follower)
    await chain.endEpoch()
    assert.deepEqual((await chain.read('wantedValidators')).map(({ name }) => name), ['b', 'c', 'd', 'e'])
    // The newcomer may take over name and fee recipient, and stands where the old one stood.
    const heir = { ...f, name: b.name, feeRecipient: b.feeRecipient }
    const replaced = await chain.decide('Replace', b.key, admission(heir))
    assert.deepEqual(named(replaced.events, 'BoxRoleChanged'), [
      { key: b.key, from: ROLE.Validator, to: ROLE.Retired, reason: REASON.Replacement },
      { key: heir.key, from: ROLE.None, to: ROLE.Validator, reason: REASON.Decision },
    ])
    assert.equal((await chain.read('wantedValidators'))[0].key, heir.key)
    // Until the epoch ends the old one's blocks are its own.
    chain.time += 3
    await chain.block(heir)
    assert.equal(await chain.read('lastProposed', b.key), BigInt(chain.time))
    assert.equal(await chain.read('lastProposed', heir.key), 0n)
    const { record } = await chain.endEpoch()
    assert.deepEqual(record.validators.find(({ name }) => name === 'b').key, heir.key)
    assert.equal(await chain.read('lastProposed', b.key), 0n)
    assert.equal(await chain.read('lastProposed', heir.key), BigInt(chain.time))
  })

  test('change their endpoint, fee recipient and standby flag', async () => {
    const chain = await Chain.start()
    const [a, b] = chain.boxes
    const e = makeBox('e')
    await chain.decide('AdmitFollower', admission(e), false)
    const { events } = await chain.decide('ChangeBox', e.key, addressOf('new'), '[::1]:1', true)
    assert.deepEqual(named(events, 'BoxChanged'),
      [{ key: e.key, feeRecipient: addressOf('new'), endpoint: '[::1]:1', standby: true }])
    const { feeRecipient, endpoint, standby } = await chain.read('box', e.key)
    assert.deepEqual([feeRecipient, endpoint, standby], [addressOf('new'), '[::1]:1', true])
    await chain.decide('ChangeBox', e.key, addressOf('new'), '', false)
    await refuses(chain.decide('ChangeBox', a.key, a.feeRecipient, '', true), 'WrongRole', a.key, ROLE.Validator)
    await refuses(chain.decide('ChangeBox', a.key, b.feeRecipient, '', false), 'FeeRecipientTaken', b.feeRecipient)
    await refuses(chain.decide('ChangeBox', a.key, zeroAddress, '', false), 'OutOfBounds', 'feeRecipient')
    await refuses(chain.decide('ChangeBox', a.key, a.feeRecipient, 'host:1', false), 'OutOfBounds', 'endpoint')
    // The first fee recipient of e is free again.
    await chain.decide('ChangeBox', a.key, e.feeRecipient, a.endpoint, false)
  })

  test('a fee recipient tells the proposer by the active set, also while validators trade theirs', async () => {
    const chain = await Chain.start()
    const [a, b] = chain.boxes
    const change = (box, feeRecipient) => chain.decide('ChangeBox', box.key, feeRecipient, '', false)
    await change(a, addressOf('spare'))
    await change(b, a.feeRecipient)
    await change(a, b.feeRecipient)
    assert.equal(await chain.read('isChangePending'), true)
    const recipients = async () =>
      Object.fromEntries((await chain.read('validators')).map(({ name, feeRecipient }) => [name, feeRecipient]))
    assert.equal((await recipients()).a, a.feeRecipient)
    await chain.block(a, 5)
    const seen = BigInt(chain.time)
    assert.equal(await chain.read('lastProposed', a.key), seen)
    chain.time += 5
    await chain.endEpoch()
    assert.deepEqual([(await recipients()).a, (await recipients()).b], [b.feeRecipient, a.feeRecipient])
    assert.equal(await chain.read('lastProposed', a.key), seen)
    assert.equal(await chain.read('lastProposed', b.key), BigInt(START))
    await chain.block(a, 5)
    assert.equal(await chain.read('lastProposed', b.key), BigInt(chain.time))
  })

  test('beforeBlock notes only proposers of the active set', async () => {
    const chain = await Chain.start()
    const [a] = chain.boxes
    const e = makeBox('e')
    await chain.decide('AdmitValidator', admission(e))
    for (const stranger of [e, undefined]) assert.ok((await chain.block(stranger)).gas < 5_000n, 'nothing is written')
    assert.equal(await chain.read('lastProposed', e.key), 0n)
    await chain.block(a, 1)
    const wrote = BigInt(chain.time)
    await chain.block(a, 0)
    assert.equal(await chain.read('lastProposed', a.key), wrote)
  })
})

describe('an organisation alone', () => {
  test('decides about its own followers, not about validators or others', async () => {
    const chain = await Chain.start({ organisations: 3, boxes: [...boxesNamed('a', 'b', 'c'), makeBox('d', 2)] })
    const status = async ({ id }) => (await chain.read('proposal', id)).status
    const [e, f, g] = [makeBox('e', 2), makeBox('f', 3), makeBox('g', 2)]
    assert.equal(await status(await chain.propose(2, 'AdmitFollower', admission(e), false)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'AdmitFollower', admission(f), false)), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'AdmitValidator', admission(g))), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'Promote', e.key)), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'Demote', chain.boxes[3].key)), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'Retire', chain.boxes[3].key)), STATUS.Open)
    assert.equal(await status(await chain.propose(1, 'Retire', e.key)), STATUS.Open)
    assert.equal(await status(await chain.propose(1, 'ChangeBox', e.key, addressOf('x'), '', false)), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'ChangeBox', e.key, addressOf('x'), '', false)), STATUS.Executed)
    const { key, feeRecipient } = chain.boxes[3]
    assert.equal(await status(await chain.propose(2, 'ChangeBox', key, feeRecipient, '', false)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'Retire', e.key)), STATUS.Executed)
  })

  test('decides nothing that it votes against', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const status = async (id) => (await chain.read('proposal', id)).status
    await chain.decide('SetPolicy', KIND.AdmitFollower, policy())
    const e = makeBox('e', 2)
    const { id } = await chain.propose(2, 'AdmitFollower', admission(e), false)
    await chain.vote(2, id, false)
    await chain.decide('SetPolicy', KIND.AdmitFollower, policy({ own: true }))
    // Not rejected either: its own vote can still be enough.
    await chain.vote(1, id, false)
    await chain.vote(3, id, false)
    assert.equal(await status(id), STATUS.Open)
    await chain.vote(2, id, true)
    assert.equal(await status(id), STATUS.Executed)
  })

  test('makes a follower standby only where it may promote it', async () => {
    const chain = await Chain.start({ organisations: 3 })
    const status = async ({ id }) => (await chain.read('proposal', id)).status
    const [e, f] = [makeBox('e', 2), makeBox('f', 2)]
    const admitted = await chain.propose(2, 'AdmitFollower', admission(e), true)
    assert.equal(await status(admitted), STATUS.Open)
    await chain.vote(1, admitted.id)
    assert.equal((await chain.read('box', e.key)).standby, true)
    // A standby that stays one is changed by its organisation alone.
    assert.equal(await status(await chain.propose(2, 'ChangeBox', e.key, addressOf('x'), '', true)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'ChangeBox', e.key, addressOf('x'), '', false)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'ChangeBox', e.key, addressOf('x'), '', true)), STATUS.Open)
    await chain.decide('SetPolicy', KIND.Promote, policy({ own: true }))
    assert.equal(await status(await chain.propose(2, 'ChangeBox', e.key, addressOf('x'), '', true)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'AdmitFollower', admission(f), true)), STATUS.Executed)
    assert.equal(await status(await chain.propose(2, 'Promote', f.key)), STATUS.Executed)
  })

  test('admits and replaces its own validators where the consortium lets it', async () => {
    const chain = await Chain.start({ organisations: 3, boxes: [...boxesNamed('a', 'b', 'c'), makeBox('d', 2)] })
    const status = async ({ id }) => (await chain.read('proposal', id)).status
    await chain.decide('SetPolicy', KIND.AdmitValidator, policy({ own: true }))
    await chain.decide('SetPolicy', KIND.Replace, policy({ own: true }))
    assert.equal(await status(await chain.propose(2, 'AdmitValidator', admission(makeBox('e', 2)))), STATUS.Executed)
    await chain.endEpoch()
    const f = makeBox('f', 2)
    assert.equal(await status(await chain.propose(2, 'Replace', chain.boxes[0].key, admission(f))), STATUS.Open)
    const foreign = admission(makeBox('g', 1))
    assert.equal(await status(await chain.propose(2, 'Replace', chain.boxes[3].key, foreign)), STATUS.Open)
    assert.equal(await status(await chain.propose(2, 'Replace', chain.boxes[3].key, admission(f))), STATUS.Executed)
  })
})

describe('policies, parameters and permissions', () => {
  test('policies keep to their limits', async () => {
    const chain = await Chain.start()
    const set = (kind, changes) => chain.decide('SetPolicy', KIND[kind], policy(changes))
    const { events } = await set('Replace', { approvals: 3, own: true, lifetime: 60n })
    const wanted = policy({ approvals: 3, own: true, lifetime: 60n })
    assert.deepEqual(named(events, 'PolicySet'), [{ kind: KIND.Replace, policy: wanted }])
    assert.deepEqual(await chain.read('policy', KIND.Replace), wanted)
    await set('Retire', { lifetime: BigInt(365 * DAY) })
    await refuses(set('Retire', { lifetime: BigInt(365 * DAY + 1) }), 'OutOfBounds', 'lifetime')
    await refuses(set('Retire', { lifetime: 59n }), 'OutOfBounds', 'lifetime')
    await refuses(set('Retire', { approvals: 65 }), 'OutOfBounds', 'approvals')
    const owned = ['AdmitFollower', 'AdmitValidator', 'Promote', 'Retire', 'Replace', 'ChangeBox']
    for (const [kind] of KINDS) {
      if (owned.includes(kind)) await set(kind, { own: true })
      else await refuses(set(kind, { own: true }), 'OutOfBounds', 'own')
    }
    await refuses(chain.decide('SetPolicy', KINDS.length, policy()), '')
  })

  test('parameters keep to their limits and wait for the next epoch', async () => {
    const chain = await Chain.start()
    const set = (changes) => chain.decide('SetParameters', parameters(changes))
    const wanted = parameters({
      gasLimit: 1_000_000_000n, baseFeePerGas: 0n, blockIntervalMinMs: 1n, blockIntervalMaxMs: 60_000n,
      silentAfterSeconds: 5n,
    })
    const { events } = await chain.decide('SetParameters', wanted)
    assert.deepEqual(named(events, 'ParametersSet'), [{ parameters: wanted }])
    assert.deepEqual(await chain.read('parameters'), wanted)
    assert.deepEqual(await chain.read('activeParameters'), parameters())
    assert.equal(await chain.read('isChangePending'), true)
    assert.deepEqual((await chain.endEpoch()).record.parameters, wanted)
    assert.deepEqual(await chain.read('activeParameters'), wanted)
    assert.equal(await chain.read('isChangePending'), false)
    await set({ gasLimit: 1_000_000n, baseFeePerGas: 2n ** 64n - 1n })
    await set({ blockIntervalMinMs: 60_000n, blockIntervalMaxMs: 60_000n })
    await refuses(set({ gasLimit: 999_999n }), 'OutOfBounds', 'gasLimit')
    await refuses(set({ gasLimit: 1_000_000_001n }), 'OutOfBounds', 'gasLimit')
    await refuses(set({ blockIntervalMinMs: 0n }), 'OutOfBounds', 'blockIntervalMinMs')
    await refuses(set({ blockIntervalMinMs: 501n }), 'OutOfBounds', 'blockIntervalMinMs')
    await refuses(set({ blockIntervalMaxMs: 60_001n }), 'OutOfBounds', 'blockIntervalMaxMs')
    await refuses(set({ silentAfterSeconds: 4n }), 'OutOfBounds', 'silentAfterSeconds')
  })

  test('permissions and modes lie in the slots that the node reads', async () => {
    const chain = await Chain.start({ organisations: 2 })
    const account = addressOf('user')
    const slotOf = (address) => keccak256(concat([pad(address), zeroHash]))
    const stored = async (address) => Number(await chain.slot(slotOf(address)))
    const modes = () => chain.slot(toHex(1, { size: 32 }))
    const both = async (address, bits) => {
      assert.equal(await chain.read('permissionsOf', address), bits)
      assert.equal(await stored(address), bits)
    }
    assert.equal(await chain.slot(zeroHash), zeroHash)
    assert.equal(await modes(), zeroHash)
    await both(account, 0)
    await both(organisation(1), 4)
    for (const [restrictDeploy, restrictSend] of [[true, false], [false, true], [true, true]]) {
      const { events } = await chain.decide('SetPermissionModes', restrictDeploy, restrictSend)
      assert.deepEqual(named(events, 'PermissionModesSet'), [{ restrictDeploy, restrictSend }])
      assert.equal(Number(await modes()), Number(restrictDeploy) | Number(restrictSend) << 8)
      assert.deepEqual(await chain.read('permissionModes'), { restrictDeploy, restrictSend })
    }
    for (const bits of [1, 3, 2, 0]) {
      const { events } = await chain.decide('SetPermission', account, bits)
      assert.deepEqual(named(events, 'PermissionSet'), [{ account, bits }])
      await both(account, bits)
    }
    await refuses(chain.decide('SetPermission', account, 4), 'OutOfBounds', 'bits')
    await refuses(chain.decide('SetPermission', account, 255), 'OutOfBounds', 'bits')
    // The account of an organisation keeps its bit for as long as it is that.
    await chain.decide('SetPermission', organisation(2), 2)
    await both(organisation(2), 6)
    await chain.decide('SetPermission', account, 1)
    await chain.decide('ChangeOrganisation', 2, account, '0x')
    await both(organisation(2), 2)
    await both(account, 5)
    const { id } = await chain.propose(1, 'RemoveOrganisation', 2)
    await chain.send(account, 'vote', [id, true])
    await both(account, 1)
    await chain.decide('AdmitOrganisation', 'Three', organisation(3), '0x')
    await both(organisation(3), 4)
    assert.equal(await chain.slot(zeroHash), zeroHash)
  })
})

describe('the quorum', () => {
  /** Blocks by these boxes in turn, so that the others fall silent. */
  const keepAlive = async (chain, boxes, seconds) => {
    for (let spent = 0; spent < seconds; spent += 1) await chain.block(boxes[spent % boxes.length], 1)
  }
  const heard = { parameters: { silentAfterSeconds: 10n } }
  const admit = (chain, box) => chain.decide('AdmitValidator', admission(box))

  test('a chain grows from one box to five, one in an epoch', async () => {
    const [a, b, c, d, e, f] = boxesNamed('a', 'b', 'c', 'd', 'e', 'f')
    const chain = await Chain.start({ boxes: [a] })
    await admit(chain, b)
    await refuses(admit(chain, c), 'QuorumAtRisk', 2n, 3n)
    await chain.endEpoch()
    await admit(chain, c)
    await refuses(admit(chain, d), 'QuorumAtRisk', 2n, 3n)
    await chain.endEpoch()
    await admit(chain, d)
    await refuses(admit(chain, e), 'QuorumAtRisk', 3n, 4n)
    await chain.endEpoch()
    await admit(chain, e)
    await refuses(admit(chain, f), 'QuorumAtRisk', 4n, 5n)
    assert.equal((await chain.endEpoch()).record.validators.length, 5)
  })

  test('a validator known to be silent does not count, and may go', async () => {
    const chain = await Chain.start(heard)
    const [a, b, c, d] = chain.boxes
    const e = makeBox('e')
    await keepAlive(chain, [a, b, c], 10)
    assert.equal(await chain.read('lastProposed', d.key), BigInt(START))
    // At exactly silentAfterSeconds it is not silent yet.
    await admit(chain, e)
    await chain.decide('Retire', e.key)
    await chain.block(a, 1)
    const [f, g] = boxesNamed('f', 'g')
    await refuses(admit(chain, f), 'QuorumAtRisk', 3n, 4n)
    await refuses(chain.decide('Retire', a.key), 'QuorumAtRisk', 2n, 3n)
    await refuses(chain.decide('Demote', b.key), 'QuorumAtRisk', 2n, 3n)
    await refuses(chain.decide('Replace', c.key, admission(f)), 'QuorumAtRisk', 2n, 3n)
    await chain.decide('Replace', d.key, admission(f))
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 'f'])
    await admit(chain, g)
  })

  test('without silentAfterSeconds everyone counts as heard', async () => {
    const chain = await Chain.start()
    chain.time += 365 * DAY
    await admit(chain, makeBox('e'))
    await chain.decide('Demote', chain.boxes[0].key)
    assert.equal((await chain.endEpoch()).record.validators.length, 4)
  })

  test('below four, one newcomer is trusted where all others are heard', async () => {
    const [a, b, c] = boxesNamed('a', 'b', 'c')
    const chain = await Chain.start({ boxes: [a, b], ...heard })
    await keepAlive(chain, [a], 11)
    await refuses(admit(chain, c), 'QuorumAtRisk', 1n, 3n)
    await refuses(chain.decide('Retire', a.key), 'QuorumAtRisk', 0n, 1n)
    await chain.decide('Replace', b.key, admission(c))
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), ['a', 'c'])
  })

  test('the last validator can be replaced, not taken away', async () => {
    const [a, b] = boxesNamed('a', 'b')
    const chain = await Chain.start({ boxes: [a], ...heard })
    await refuses(chain.decide('Retire', a.key), 'QuorumAtRisk', 0n, 1n)
    await refuses(chain.decide('Demote', a.key), 'QuorumAtRisk', 0n, 1n)
    chain.time += 100
    await refuses(chain.decide('Demote', a.key), 'QuorumAtRisk', 0n, 1n)
    await chain.decide('Replace', a.key, admission(b))
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name), ['b'])
  })

  test('no more leave in one epoch than may fail', async () => {
    const chain = await Chain.start()
    await chain.decide('Demote', chain.boxes[0].key)
    await refuses(chain.decide('Retire', chain.boxes[1].key), 'TooManyLeaving', 2n, 1n)
    const seven = await Chain.start({ boxes: boxesNamed(...'abcdefg') })
    await seven.decide('Retire', seven.boxes[0].key)
    await seven.decide('Replace', seven.boxes[1].key, admission(makeBox('h')))
    await refuses(seven.decide('Demote', seven.boxes[2].key), 'TooManyLeaving', 3n, 2n)
    await refuses(seven.decide('Replace', seven.boxes[2].key, admission(makeBox('i'))), 'TooManyLeaving', 3n, 2n)
    // Coming back before the epoch ends makes room.
    const back = await Chain.start()
    await back.decide('Demote', back.boxes[0].key)
    await back.decide('Promote', back.boxes[0].key)
    assert.equal(await back.read('isChangePending'), false)
    await back.decide('Demote', back.boxes[1].key)
  })

  test('an epoch goes on with its validators where the wanted ones are at risk, with new parameters', async () => {
    const chain = await Chain.start(heard)
    const [a, b, c, d] = chain.boxes
    const e = makeBox('e')
    await admit(chain, e)
    await keepAlive(chain, [a, b, c], 11)
    await chain.decide('SetParameters', parameters({ silentAfterSeconds: 10n, gasLimit: 5_000_000n }))
    assert.equal(await chain.read('isChangePending'), true)
    const { record, events } = await chain.endEpoch()
    const [held] = named(events, 'EpochHeld')
    assert.equal(held.epoch, 0n)
    const reason = decodeErrorResult({ abi, data: held.reason })
    assert.deepEqual([reason.errorName, reason.args], ['QuorumAtRisk', [3n, 4n]])
    assert.deepEqual(record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 'd'])
    assert.equal(record.epoch, 1n)
    assert.equal(record.parameters.gasLimit, 5_000_000n)
    assert.deepEqual(await chain.names('wantedValidators'), ['a', 'b', 'c', 'd', 'e'])
    // Hurrying would not help, until the silent one is heard again.
    assert.equal(await chain.read('isChangePending'), false)
    await chain.block(d)
    assert.equal(await chain.read('isChangePending'), true)
    const next = await chain.endEpoch()
    assert.equal(named(next.events, 'EpochHeld').length, 0)
    assert.equal(next.record.validators.length, 5)
  })

  test('a wanted set that lost its quorum is mended step by step', async () => {
    const boxes = boxesNamed(...'abcdefghij')
    const chain = await Chain.start({ boxes, ...heard })
    const newcomers = boxesNamed('k', 'l', 'm', 'n')
    for (const box of newcomers) await admit(chain, box)
    await keepAlive(chain, boxes.slice(0, 7), 14)
    const held = await chain.endEpoch()
    assert.equal(named(held.events, 'EpochHeld').length, 1)
    await refuses(admit(chain, makeBox('o')), 'QuorumAtRisk', 7n, 11n)
    await refuses(chain.decide('Retire', boxes[0].key), 'QuorumAtRisk', 6n, 9n)
    await chain.decide('Retire', newcomers[0].key)
    for (const box of boxes.slice(7)) await chain.decide('Retire', box.key)
    assert.equal(await chain.read('isChangePending'), true)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), [...'abcdefglmn'])
  })

  test('a silent validator is replaced by a standby follower', async () => {
    const boxes = [makeBox('a', 1), makeBox('b', 1), makeBox('c', 2), makeBox('d', 2)]
    const chain = await Chain.start({ organisations: 2, boxes, ...heard })
    const standbys = [makeBox('s1', 1), makeBox('s2', 1), makeBox('s3', 2), makeBox('s4', 2), makeBox('f', 2)]
    for (const box of standbys) {
      await chain.block(boxes[0], 0)
      await chain.decide('AdmitFollower', admission(box), box.name !== 'f')
    }
    await keepAlive(chain, boxes.slice(0, 3), 10)
    assert.equal(await chain.read('isChangePending'), false)
    await chain.block(boxes[0], 1)
    assert.equal(await chain.read('isChangePending'), true)
    const { record, events } = await chain.endEpoch()
    assert.deepEqual(record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 's3'])
    assert.deepEqual(named(events, 'BoxRoleChanged'), [
      { key: boxes[3].key, from: ROLE.Validator, to: ROLE.Follower, reason: REASON.Silence },
      { key: standbys[2].key, from: ROLE.Follower, to: ROLE.Validator, reason: REASON.Silence },
    ])
    const { standby, role, since } = await chain.read('box', boxes[3].key)
    assert.deepEqual([standby, role, since], [false, ROLE.Follower, BigInt(chain.number)])
    assert.equal((await chain.read('wantedValidators'))[3].name, 's3')
    assert.equal(await chain.read('lastProposed', standbys[2].key), BigInt(chain.time))
    assert.equal(await chain.read('isChangePending'), false)

    // Organisation 2 has one more standby; after it, the oldest of the others.
    const alive = [boxes[0], boxes[1], boxes[2]]
    await keepAlive(chain, alive, 11)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 's4'])
    await keepAlive(chain, alive, 11)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 's1'])
    await keepAlive(chain, alive, 11)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 's2'])
    // Nobody is left: the silent one keeps its seat.
    await keepAlive(chain, alive, 11)
    assert.equal(await chain.read('isChangePending'), false)
    const last = await chain.endEpoch()
    assert.deepEqual(last.record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 's2'])
    assert.equal(named(last.events, 'EpochHeld').length, 0)
  })

  test('no more silent validators are replaced than the rules let go', async () => {
    const boxes = boxesNamed(...'abcdefg')
    const chain = await Chain.start({ boxes, ...heard })
    for (const box of boxesNamed('s1', 's2', 's3')) await chain.decide('AdmitFollower', admission(box), true)
    await keepAlive(chain, boxes.slice(0, 5), 11)
    await chain.decide('Demote', boxes[5].key)
    const { record } = await chain.endEpoch()
    assert.deepEqual(record.validators.map(({ name }) => name).sort(), ['a', 'b', 'c', 'd', 'e', 's1'])
    // Three of six are heard: below the quorum of five nothing is replaced.
    await keepAlive(chain, boxes.slice(0, 3), 11)
    assert.equal(await chain.read('isChangePending'), false)
    assert.equal(named((await chain.endEpoch()).events, 'BoxRoleChanged').length, 0)
  })

  test('a replacement counts among those that leave', async () => {
    const boxes = boxesNamed(...'abcdefg')
    const chain = await Chain.start({ boxes, ...heard })
    await chain.decide('AdmitFollower', admission(makeBox('s')), true)
    await keepAlive(chain, boxes.slice(0, 6), 11)
    await chain.decide('Demote', boxes[4].key)
    await chain.decide('Demote', boxes[5].key)
    // Two of seven leave already, so g keeps its seat for another epoch.
    const names = async () => (await chain.endEpoch()).record.validators.map(({ name }) => name).sort()
    assert.deepEqual(await names(), [...'abcdg'])
    assert.deepEqual(await names(), [...'abcds'])
  })

  test('of two standby followers the one that has waited longer comes first, whenever admitted', async () => {
    const boxes = boxesNamed(...'abcde')
    const chain = await Chain.start({ boxes, ...heard })
    const [a, b] = boxes
    await chain.decide('AdmitFollower', admission(makeBox('s')), true)
    await chain.block(b)
    await chain.decide('Demote', a.key)
    await chain.endEpoch()
    await chain.decide('ChangeBox', a.key, a.feeRecipient, '', true)
    await keepAlive(chain, boxes.slice(1, 4), 11)
    const names = async () => (await chain.endEpoch()).record.validators.map(({ name }) => name).sort()
    assert.deepEqual(await names(), [...'bcds'])
    await keepAlive(chain, boxes.slice(1, 4), 11)
    assert.deepEqual(await names(), [...'abcd'])
  })

  test('a box that was demoted in this epoch is no stand-in in it', async () => {
    const chain = await Chain.start({ boxes: boxesNamed(...'abcdefg'), ...heard })
    const [a] = chain.boxes
    await keepAlive(chain, chain.boxes.slice(0, 6), 11)
    await chain.decide('Demote', a.key)
    await chain.decide('ChangeBox', a.key, a.feeRecipient, '', true)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), [...'bcdefg'])
    assert.equal(await chain.read('isChangePending'), true)
    assert.deepEqual((await chain.endEpoch()).record.validators.map(({ name }) => name).sort(), [...'abcdef'])
  })
})

describe('gas', () => {
  const heard = { silentAfterSeconds: 10n }
  const many = (prefix, count, organisationOf) => Array.from({ length: count }, (_, i) =>
    ({ ...makeBox(`${prefix}${100 + i}`, organisationOf(i)), endpoint: '' }))
  const changes = ({ events }) => named(events, 'BoxRoleChanged').length

  test('of system calls with four boxes', async (t) => {
    const chain = await Chain.start({ parameters: heard })
    const noted = await chain.block(chain.boxes[0])
    const again = await chain.block(chain.boxes[0], 0)
    const idle = await chain.endEpoch()
    await chain.decide('AdmitFollower', admission(makeBox('s')), true)
    for (let i = 0; i < 11; i++) await chain.block(chain.boxes[i % 3])
    const promoted = await chain.endEpoch()
    assert.equal(changes(promoted), 2)
    t.diagnostic(`4 validators: initialize ${chain.genesis.gas}, beforeBlock ${noted.gas} (same second ${again.gas}), `
      + `endEpoch ${idle.gas}, with a promotion ${promoted.gas}`)
    assert.ok(noted.gas < 10_000n && again.gas < 5_000n && idle.gas < 300_000n && promoted.gas < 500_000n)
  })

  test('at every limit: 64 organisations, 128 validators, 384 standby followers', async (t) => {
    // A third of the validators and all followers are of one organisation: removing it is the largest change there is.
    // Names of 32 bytes take two slots each.
    const boxes = many('validator-with-the-longest-na', 128, (i) => (i < 42 ? 64 : 1 + (i % 63)))
    const chain = await Chain.empty()
    await chain.initialize({ organisations: 64, boxes, parameters: heard, gas: 200_000_000n })
    const used = { beforeBlock: (await chain.block(boxes[127])).gas, endEpoch: (await chain.endEpoch()).gas }
    for (const kind of ['AdmitFollower', 'Promote']) {
      await chain.decide('SetPolicy', KIND[kind], policy({ approvals: 1 }))
    }
    const standbys = many('s', 384, () => 64)
    for (const box of standbys) await chain.propose(64, 'AdmitFollower', admission(box), true)
    const more = admission(makeBox('one-more', 64))
    await refuses(chain.propose(64, 'AdmitFollower', more, true), 'OutOfBounds', 'boxes')

    // The last vote carries a change out; what it did is undone, so that each change meets the full chain.
    const lastVote = async (kind, ...args) => {
      const { id } = await chain.propose(1, kind, ...args)
      for (let by = 2; by < 33; by++) await chain.vote(by, id)
      await chain.stateManager.checkpoint()
      const last = await chain.vote(33, id)
      await chain.stateManager.revert()
      assert.equal(named(last.events, 'Executed').length, 1)
      return last
    }
    used.Retire = (await lastVote('Retire', boxes[0].key)).gas
    const removal = await lastVote('RemoveOrganisation', 64)
    assert.equal(changes(removal), 42 + 384)
    used.RemoveOrganisation = removal.gas
    const largest = changeData('AdmitOrganisation', 'x'.repeat(128), addressOf('x'), certificate(4096))
    used.propose = (await chain.send(organisation(1), 'propose', [KIND.AdmitOrganisation, largest])).gas

    const blocks = async (proposers) => {
      chain.time += 11
      for (const box of proposers) await chain.block(box, 0)
    }
    await blocks(boxes.filter((_, i) => i !== 100))
    const one = await chain.endEpoch()
    assert.equal(changes(one), 2)
    // 42 silent validators of other organisations than the standbys', each compared with all of these.
    await blocks([...boxes.filter((_, i) => i < 85), standbys[0]])
    const pending = encodeFunctionData({ abi, functionName: 'isChangePending' })
    const view = await chain.raw(addressOf('reader'), pending, { gas: 50_000_000n })
    const most = await chain.endEpoch()
    assert.equal(changes(most), 2 * 42)
    assert.equal(most.record.validators.length, 128)
    used['endEpoch with a promotion'] = one.gas
    used['endEpoch with 42'] = most.gas
    used.isChangePending = view.gas

    t.diagnostic(`at the limits: initialize ${chain.genesis.gas}, `
      + Object.entries(used).map(([name, gas]) => `${name} ${gas}`).join(', '))
    for (const gas of [used.Retire, used.RemoveOrganisation, used.propose]) {
      assert.ok(gas < TRANSACTION_GAS * 3n / 4n, 'a transaction has room for it')
    }
    assert.ok(one.gas < SYSTEM_GAS * 2n / 3n && most.gas < SYSTEM_GAS * 2n / 3n, 'a system call has room for it')
    await refuses(chain.propose(64, 'Promote', standbys[200].key), 'OutOfBounds', 'validators')
  })
})

/** What the contract must do, written again: sets, names, silence and the liveness rule, without proposals. */
class Model {
  boxes = new Map()
  wanted = []
  active = new Map()

  constructor(boxes, silentAfter, now) {
    this.silentAfter = silentAfter
    for (const box of boxes) this.#add(box, ROLE.Validator, 0)
    this.wanted = boxes.map(({ key }) => key)
    for (const { key, feeRecipient } of boxes) this.active.set(key, { feeRecipient, last: now })
  }

  #add({ key, name, feeRecipient, organisation }, role, since, standby = false) {
    this.boxes.set(key, { key, name, feeRecipient, organisation, role, standby, since })
  }

  get current() {
    return [...this.boxes.values()].filter(({ role }) => role !== ROLE.Retired)
  }

  live(key, now) {
    return this.active.has(key) && now <= this.active.get(key).last + this.silentAfter
  }

  /** The state of the rule for a wanted set: how many live and are needed, and the error if it is broken. */
  rule(wanted, now) {
    const common = wanted.filter((key) => this.active.has(key)).length
    const live = wanted.filter((key) => this.live(key, now)).length
    const quorum = Math.floor((2 * wanted.length) / 3) + 1
    const trusted = live + (wanted.length < 4 && live === common && common < wanted.length ? 1 : 0)
    const most = Math.max(1, Math.floor((this.active.size - 1) / 3))
    const leaving = this.active.size - common
    const error = leaving > most ? 'TooManyLeaving' : trusted < quorum ? 'QuorumAtRisk' : undefined
    return { live, quorum, error, leaves: leaving > most }
  }

  /** The error of going over to another wanted set, if there is one. */
  refusal(wanted, now) {
    const [before, after] = [this.rule(this.wanted, now), this.rule(wanted, now)]
    const mends = before.error && wanted.length > 0 && !after.leaves && after.live >= before.live
      && after.quorum <= before.quorum
    return mends ? undefined : after.error
  }

  admissible({ key, name, feeRecipient }, without) {
    if (this.boxes.has(key)) return 'AlreadyKnown'
    const others = this.current.filter((box) => box.key !== without)
    if (others.some((box) => box.name === name)) return 'NameTaken'
    if (others.some((box) => box.feeRecipient === feeRecipient)) return 'FeeRecipientTaken'
    return undefined
  }

  #to(key, role, number) {
    Object.assign(this.boxes.get(key), { role, since: number, standby: false })
  }

  /** Carries a change out, or answers the error that it meets. */
  change(kind, args, now, number) {
    const [first] = args
    const box = this.boxes.get(first)
    const role = box?.role ?? ROLE.None
    const without = this.wanted.filter((key) => key !== first)
    const wrong = (...allowed) => (role === ROLE.None ? 'UnknownBox' : allowed.includes(role) ? undefined : 'WrongRole')
    let error
    switch (kind) {
      case 'AdmitFollower':
        error = this.admissible(first)
        if (!error) this.#add(first, ROLE.Follower, number, args[1])
        return error
      case 'AdmitValidator': {
        const wanted = [...this.wanted, first.key]
        error = this.admissible(first) ?? this.refusal(wanted, now)
        if (error) return error
        this.#add(first, ROLE.Validator, number)
        this.wanted = wanted
        return undefined
      }
      case 'Promote':
        error = wrong(ROLE.Follower) ?? this.refusal([...this.wanted, first], now)
        if (error) return error
        this.wanted = [...this.wanted, first]
        return this.#to(first, ROLE.Validator, number)
      case 'Demote':
        error = wrong(ROLE.Validator) ?? this.refusal(without, now)
        if (error) return error
        this.wanted = without
        return this.#to(first, ROLE.Follower, number)
      case 'Retire':
        error = wrong(ROLE.Follower, ROLE.Validator)
          ?? (role === ROLE.Validator ? this.refusal(without, now) : undefined)
        if (error) return error
        this.wanted = without
        return this.#to(first, ROLE.Retired, number)
      case 'Replace': {
        const wanted = this.wanted.map((key) => (key === first ? args[1].key : key))
        error = wrong(ROLE.Validator) ?? this.admissible(args[1], first) ?? this.refusal(wanted, now)
        if (error) return error
        this.#to(first, ROLE.Retired, number)
        this.#add(args[1], ROLE.Validator, number)
        this.wanted = wanted
        return undefined
      }
      case 'ChangeBox': {
        const [key, feeRecipient, , standby] = args
        error = wrong(ROLE.Follower, ...(standby ? [] : [ROLE.Validator]))
        if (error) return error
        if (this.current.some((other) => other.key !== key && other.feeRecipient === feeRecipient)) {
          return 'FeeRecipientTaken'
        }
        Object.assign(box, { feeRecipient, standby })
        return undefined
      }
      case 'RemoveOrganisation': {
        const gone = this.current.filter(({ organisation: of_ }) => of_ === first).map(({ key }) => key)
        const wanted = this.wanted.filter((key) => !gone.includes(key))
        if (wanted.length !== this.wanted.length) error = this.refusal(wanted, now)
        if (error) return error
        for (const key of gone) this.#to(key, ROLE.Retired, number)
        this.wanted = wanted
        return undefined
      }
    }
    throw new Error(kind)
  }

  /** The swaps that the end of the epoch would make: [silent, standby]. */
  swaps(now) {
    let wanted = this.wanted
    const swaps = []
    const free = this.current.filter(({ key, standby }) => standby && !this.active.has(key))
    for (const key of this.wanted.filter((one) => this.active.has(one) && !this.live(one, now))) {
      const { organisation: preferred } = this.boxes.get(key)
      // A stable sort keeps the order of admission among equals.
      const [chosen] = free.filter((box) => !swaps.some(([, taken]) => taken === box.key)).sort((a, b) =>
        Number(b.organisation === preferred) - Number(a.organisation === preferred) || a.since - b.since)
      if (!chosen) break
      const next = wanted.map((one) => (one === key ? chosen.key : one))
      if (this.rule(next, now).error) break
      wanted = next
      swaps.push([key, chosen.key])
    }
    return { swaps, wanted }
  }

  /** Whether the active set would change at the end of the epoch: undefined if it need not, else whether it may. */
  turns(now) {
    const { wanted } = this.swaps(now)
    const same = wanted.length === this.active.size
      && wanted.every((key) => this.active.get(key)?.feeRecipient === this.boxes.get(key).feeRecipient)
    return same ? undefined : this.rule(wanted, now).error === undefined
  }

  endEpoch(now, number) {
    const turns = this.turns(now)
    const { swaps, wanted } = this.swaps(now)
    for (const [silent, standby] of swaps) {
      this.#to(silent, ROLE.Follower, number)
      this.#to(standby, ROLE.Validator, number)
    }
    this.wanted = wanted
    if (!turns) return
    this.active = new Map(wanted.map((key) =>
      [key, { feeRecipient: this.boxes.get(key).feeRecipient, last: this.active.get(key)?.last ?? now }]))
  }

  proposed(feeRecipient, now) {
    for (const member of this.active.values()) if (member.feeRecipient === feeRecipient) member.last = now
  }

  /** By key ascending, as the contract lists its active set. */
  validators() {
    return [...this.active].sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { feeRecipient }]) => ({ key, feeRecipient, name: this.boxes.get(key).name }))
  }
}

const seed = process.env.GOVERNANCE_SEED ?? String(Date.now())
const STEPS = Number(process.env.GOVERNANCE_STEPS ?? 250)

test(`a random sequence of ${STEPS} steps does what the model does (seed ${seed})`, async (t) => {
  t.diagnostic(`GOVERNANCE_SEED=${seed}`)
  const random = new Prng(seed)
  const boxes = Array.from({ length: random.between(1, 7) }, (_, i) => makeBox(`v${i}`, 1 + (i % 3)))
  const chain = await Chain.start({ organisations: 3, boxes, parameters: { silentAfterSeconds: 10n } })
  // One organisation of three is enough, so that a step is a proposal; the first organisation stays.
  for (const [kind] of KINDS.filter(([name]) => name !== 'SetPolicy')) {
    await chain.decide('SetPolicy', KIND[kind], policy({ approvals: 1 }))
  }
  const model = new Model(boxes, 10, chain.time)
  const members = [1, 2, 3]
  const outcomes = {}
  const tally = (what) => (outcomes[what] = (outcomes[what] ?? 0) + 1)
  let made = 0

  // Names, fee recipients and keys are now and then those of a box that is or was there.
  const someone = () => random.pick([...model.boxes.values()])
  const newBox = () => {
    const box = makeBox(`n${made++}`, random.pick(members))
    if (random.oneIn(12)) box.name = someone().name
    if (random.oneIn(12)) box.feeRecipient = someone().feeRecipient
    if (random.oneIn(12) && model.boxes.size > boxes.length) return { ...box, ...random.pick(reusable), name: box.name }
    reusable.push({ key: box.key, secret: box.secret })
    return box
  }
  const reusable = boxes.map(({ key, secret }) => ({ key, secret }))
  const target = (...roles) => {
    const fitting = [...model.boxes.values()].filter(({ role }) => roles.includes(role))
    return (fitting.length > 0 && !random.oneIn(8) ? random.pick(fitting) : someone()).key
  }
  const drawChange = () => {
    const kind = random.pick(['AdmitFollower', 'AdmitFollower', 'AdmitValidator', 'AdmitValidator', 'Promote', 'Demote',
      'Retire', 'Replace', 'ChangeBox', ...(random.oneIn(6) && members.length > 1 ? ['RemoveOrganisation'] : [])])
    switch (kind) {
      case 'AdmitFollower': return [kind, newBox(), random.oneIn(2)]
      case 'AdmitValidator': return [kind, newBox()]
      case 'Promote': return [kind, target(ROLE.Follower)]
      case 'Demote': return [kind, target(ROLE.Validator)]
      case 'Retire': return [kind, target(ROLE.Follower, ROLE.Validator)]
      case 'Replace': return [kind, target(ROLE.Validator), newBox()]
      case 'RemoveOrganisation': return [kind, members.at(-1)]
      default: {
        const key = target(ROLE.Follower, ROLE.Validator)
        const feeRecipient = random.oneIn(4) ? someone().feeRecipient : addressOf(`fees ${random.u32()}`)
        return [kind, key, feeRecipient, '', random.oneIn(2)]
      }
    }
  }
  const encoded = (kind, args) => args.map((arg) => (arg?.secret ? admission(arg) : arg))

  let dead = new Set()
  for (let step = 0; step < STEPS; step++) {
    let ended = false
    if (random.oneIn(3)) {
      // A round of blocks without those that are dead at the time.
      if (random.oneIn(3)) dead = new Set([...model.active.keys()].filter(() => random.oneIn(4)))
      for (const [key, { feeRecipient }] of model.active) {
        if (dead.has(key)) continue
        await chain.block({ feeRecipient }, random.below(3))
        model.proposed(feeRecipient, chain.time)
      }
      tally('round')
    } else if (random.oneIn(4)) {
      // Nothing but the end of an epoch changes who votes.
      assert.deepEqual(await chain.read('validators'), model.validators(), `step ${step}`)
      const turns = model.turns(chain.time)
      assert.equal(await chain.read('isChangePending'), turns === true, `step ${step}`)
      const { swaps } = model.swaps(chain.time)
      model.endEpoch(chain.time, chain.number)
      const { record, events } = await chain.endEpoch()
      assert.deepEqual(record.validators, model.validators(), `step ${step}`)
      assert.equal(named(events, 'EpochHeld').length, turns === false ? 1 : 0, `step ${step}`)
      assert.equal(named(events, 'BoxRoleChanged').length, 2 * swaps.length)
      tally(turns === undefined ? 'epoch' : turns ? 'epoch with another set' : 'epoch held')
      if (swaps.length > 0) tally('epoch with promotion')
      ended = true
    } else {
      const [kind, ...args] = drawChange()
      const expected = model.change(kind, args, chain.time, chain.number)
      const proposed = chain.propose(random.pick(members), kind, ...encoded(kind, args))
      if (expected) await refuses(proposed, expected)
      else await proposed
      if (kind === 'RemoveOrganisation' && !expected) members.pop()
      tally(expected ?? kind)
    }
    assert.deepEqual((await chain.read('wantedValidators')).map(({ key }) => key), model.wanted, `step ${step}`)
    if (!ended && step !== STEPS - 1) continue
    const all = await chain.read('boxes', 0n, 10_000n)
    const fields = ({ key, name, feeRecipient, organisation: of_, role, standby, since }) =>
      ({ key, name, feeRecipient, organisation: of_, role, standby, since: Number(since) })
    assert.deepEqual(all.map(fields), [...model.boxes.values()].map(fields), `step ${step}`)
    const current = all.filter(({ role }) => role !== ROLE.Retired)
    for (const field of ['name', 'feeRecipient', 'key']) {
      assert.equal(new Set(current.map((box) => box[field])).size, current.length, `${field} at step ${step}`)
    }
    const validators = current.filter(({ role }) => role === ROLE.Validator).map(({ key }) => key)
    assert.deepEqual([...validators].sort(), [...model.wanted].sort(), `step ${step}`)
    for (const { key } of await chain.read('validators')) {
      assert.equal(await chain.read('lastProposed', key), BigInt(model.active.get(key).last), `step ${step}`)
    }
    const peers = (await chain.read('peers')).map(({ key }) => key).sort()
    assert.deepEqual(peers, [...new Set([...current.map(({ key }) => key), ...model.active.keys()])].sort())
  }
  t.diagnostic(JSON.stringify(outcomes))
})
