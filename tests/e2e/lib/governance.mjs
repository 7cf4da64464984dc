// The governance contract as a node of this chain knows it: its code, the calls of every block, what it answers.
import { createHash, createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createAddressFromString, hexToBytes } from '@ethereumjs/util'
import { decodeFunctionResult, encodeFunctionData, pad } from 'viem'

const artefact = JSON.parse(
  readFileSync(new URL('../../../node-core/governance/contract/Governance.json', import.meta.url), 'utf8'))
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

export const { abi } = artefact
export const GOVERNANCE = createAddressFromString('0xd01e000000000000000000000000000000000001')
export const ED25519VERIFY = createAddressFromString('0xd01e000000000000000000000000000000000011')
export const governanceCode = hexToBytes(artefact.deployedBytecode)

const call = (functionName, args = []) => hexToBytes(encodeFunctionData({ abi, functionName, args }))
export const beforeBlock = call('beforeBlock')
export const endEpoch = call('endEpoch')

/** The call for block zero, from a genesis file. */
export function initialize({ governance, validators, ...genesis }) {
  const organisations = (governance.organisations ?? []).map((organisation) => ({
    name: organisation.name, account: organisation.account, rootCertificate: organisation.root_certificate ?? '0x',
  }))
  const boxes = validators.map((validator) => ({
    key: `0x${validator.public_key}`,
    organisation: organisations.findIndex(({ name }) => name === validator.organisation) + 1,
    name: validator.name,
    feeRecipient: validator.fee_recipient,
    endpoint: validator.endpoint ?? '',
  }))
  return call('initialize', [organisations, boxes, {
    gasLimit: BigInt(genesis.gas_limit),
    baseFeePerGas: BigInt(genesis.base_fee_per_gas),
    blockIntervalMinMs: BigInt(genesis.block_interval_min_ms),
    blockIntervalMaxMs: BigInt(genesis.block_interval_max_ms),
    silentAfterSeconds: BigInt(governance.silent_after_s),
  }, BigInt(governance.epoch_blocks)])
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest()

/** requestsHash (EIP-7685) of a block whose only request is the record that the contract answered, or that has none. */
export function requestsHash(answer) {
  if (answer === undefined) return `0x${sha256('').toString('hex')}`
  const record = decodeFunctionResult({ abi, functionName: 'endEpoch', data: `0x${Buffer.from(answer).toString('hex')}` })
  return `0x${sha256(sha256(Buffer.concat([Buffer.of(0xd0), hexToBytes(record)]))).toString('hex')}`
}

/** The precompile ED25519VERIFY by OpenSSL: key, signature, message. */
export function verifyEd25519({ data }) {
  const [key, signature, message] = [data.subarray(0, 32), data.subarray(32, 96), data.subarray(96)]
  const words = BigInt(Math.ceil(message.length / 32))
  let valid = false
  try {
    const spki = createPublicKey({ key: Buffer.concat([SPKI_ED25519, key]), format: 'der', type: 'spki' })
    valid = verify(null, message, spki, signature)
  } catch {
    // Not a key: not valid.
  }
  return { executionGasUsed: 3000n + 12n * words, returnValue: valid ? hexToBytes(pad('0x01')) : new Uint8Array() }
}
