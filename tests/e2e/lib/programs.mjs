// Contracts that the generator assembles. A worker is a row of random pieces, each switched on by one bit of the
// call's first word. What a piece computes is folded into an accumulator that ends in storage and in a log, so that
// an instruction that yields another value, or costs another amount, changes the state root.
import { assemble, mark, raw, ref } from './asm.mjs'

const ACC = 0 // memory 0x00: the accumulator; 0x20: the next value to fold in
const SCRATCH = 0x80

/** Folds the top of the stack into the accumulator. */
const fold = [0x20, 'MSTORE', 0x40, ACC, 'KECCAK256', ACC, 'MSTORE']

/** Short init codes, by what becomes of the creation. */
const INITS = [
  '0x6133ff5f526002601ef3', // leaves code that self-destructs to its caller
  '0x6130ff5f526002601ef3', // leaves code that self-destructs to itself
  '0x63505050505f526004601cf3', // leaves code that fails at once for want of stack
  '0x60015f5560026001555f600155', // writes and clears storage, leaves no code
  '0x60ef5f5360015ff3', // code that starts with 0xef: refused by EIP-3541
  '0x6160015ff3', // 24,577 bytes of code: one more than EIP-170 allows
  '0x600a5f5d5f5c5f5560205ff3', // transient storage in a constructor, 32 zero bytes of code
  '0x33ff', // self-destructs while it is created
  '0x5f5ffd', // reverts without data
  '0x60205ffd', // reverts with data
  '0xfe', // uses up all gas
  '0x', // nothing to run
]

/** Instructions that compute, by how many operands they take. */
const COMPUTING = [
  [1, ['ISZERO', 'NOT', 'CLZ']],
  [2, ['ADD', 'MUL', 'SUB', 'DIV', 'SDIV', 'MOD', 'SMOD', 'SIGNEXTEND', 'LT', 'GT', 'SLT', 'SGT', 'EQ']],
  [2, ['AND', 'OR', 'XOR', 'BYTE', 'SHL', 'SHR', 'SAR']],
  [3, ['ADDMOD', 'MULMOD']],
]

/** Instructions that read the surroundings and take no operand. */
const READING = ['ADDRESS', 'ORIGIN', 'CALLER', 'CALLVALUE', 'CALLDATASIZE', 'CODESIZE', 'GASPRICE', 'RETURNDATASIZE',
  'COINBASE', 'TIMESTAMP', 'NUMBER', 'PREVRANDAO', 'GASLIMIT', 'CHAINID', 'SELFBALANCE', 'BASEFEE', 'BLOBBASEFEE', 'PC',
  'MSIZE', 'GAS']

const arithmetic = (rng) => {
  const [inputs, names] = rng.pick(COMPUTING)
  const operands = Array.from({ length: inputs }, () => rng.word())
  if (rng.oneIn(6)) return [BigInt(rng.below(300)), rng.word(), 'EXP', fold]
  // One operand comes from the call, so that the compiler in a node cannot know it.
  return [operands, 0x20, 'CALLDATALOAD', 'XOR', rng.pick(names), fold]
}

const hashing = (rng) => [
  rng.word(), SCRATCH + rng.below(200), 'MSTORE', rng.below(256), SCRATCH + rng.below(300), 'MSTORE8',
  rng.below(400), SCRATCH, 'KECCAK256', fold,
]

const storage = (rng) => {
  const steps = Array.from({ length: rng.between(1, 4) }, () => {
    const slot = rng.below(8)
    return rng.pick([
      [0, slot, 'SSTORE'],
      [rng.word(), slot, 'SSTORE'],
      [slot, 'SLOAD', slot, 'SSTORE'],
      [1, slot, 'SLOAD', 'ADD', slot, 'SSTORE'],
      [slot, 'SLOAD', fold],
      [0x20, 'CALLDATALOAD', slot, 'SSTORE', 0, slot, 'SSTORE', 7, slot, 'SSTORE'],
    ])
  })
  return steps
}

const transient = (rng) => {
  const slot = rng.below(4)
  return [slot, 'TLOAD', fold, rng.word(), slot, 'TSTORE', rng.below(4), 'TLOAD', fold]
}

const logging = (rng) => {
  const topics = rng.below(5)
  return [Array.from({ length: topics }, () => rng.word()), rng.below(100), rng.below(64), `LOG${topics}`]
}

const surroundings = (rng) => rng.pick([
  [rng.pick(READING), fold, rng.pick(READING), fold],
  [rng.between(0, 260), 'NUMBER', 'SUB', 'BLOCKHASH', fold],
  [rng.below(3), 'BLOBHASH', fold],
])

const copying = (rng) => rng.pick([
  [rng.below(200), SCRATCH + rng.below(64), SCRATCH + rng.below(64), 'MCOPY', SCRATCH + rng.below(64), 'MLOAD', fold],
  [rng.below(300), rng.below(300), SCRATCH, 'CALLDATACOPY', SCRATCH, 'MLOAD', fold],
  [rng.below(300), rng.below(9000), SCRATCH, 'CODECOPY', SCRATCH, 'MLOAD', fold],
  [rng.between(5_000, 60_000), 'MLOAD', fold, 'MSIZE', fold],
])

const inspecting = (rng, world) => {
  const address = BigInt(world.anyAddress())
  return rng.pick([
    [address, 'BALANCE', fold],
    [address, 'EXTCODESIZE', fold],
    [address, 'EXTCODEHASH', fold],
    [rng.below(100), rng.below(100), SCRATCH, address, 'EXTCODECOPY', SCRATCH, 'MLOAD', fold],
  ])
}

/** Folds in how a call went and what it returned. */
const outcome = (rng) => [
  fold, 'RETURNDATASIZE', fold,
  rng.oneIn(12)
    ? [1, 'RETURNDATASIZE', SCRATCH, 'RETURNDATACOPY'] // past the end: the frame fails
    : ['RETURNDATASIZE', 0, SCRATCH, 'RETURNDATACOPY', 'RETURNDATASIZE', SCRATCH, 'KECCAK256', fold],
]

const calling = (rng, world) => {
  const target = BigInt(world.anyTarget())
  const gas = rng.pick([0, 2_300, 30_000, 90_000, 200_000])
  const memory = [rng.below(64), SCRATCH, rng.pick([0, 32, 64, 96]), SCRATCH]
  const input = [rng.word(), SCRATCH, 'MSTORE', 0x20, 'CALLDATALOAD', SCRATCH + 0x20, 'MSTORE']
  const value = rng.oneIn(3) ? rng.between(1, 1000) : 0
  const kind = rng.pick(['CALL', 'CALL', 'DELEGATECALL', 'STATICCALL', 'CALLCODE'])
  const withValue = kind === 'CALL' || kind === 'CALLCODE'
  return [input, memory, withValue ? value : [], target, gas, kind, outcome(rng)]
}

const creating = (rng) => {
  const init = rng.pick(INITS)
  const size = (init.length - 2) / 2
  const place = [BigInt(init.padEnd(66, '0')), SCRATCH, 'MSTORE']
  const value = rng.oneIn(3) ? rng.between(1, 50) : 0
  const create = rng.oneIn(2)
    ? [size, SCRATCH, value, 'CREATE']
    // The same salt again collides with what is there; a salt from the call does not.
    : [rng.oneIn(3) ? rng.below(3) : [0x40, 'CALLDATALOAD'], size, SCRATCH, value, 'CREATE2']
  // The new contract is called in the transaction that made it: that is when SELFDESTRUCT removes it (EIP-6780).
  const call = [0, 0, 0, 0, rng.below(20), 'DUP6', rng.pick([5_000, 60_000]), 'CALL', outcome(rng)]
  return [place, create, 'DUP1', fold, rng.oneIn(3) ? [] : call, 'POP']
}

const PIECES = [arithmetic, arithmetic, arithmetic, hashing, storage, storage, storage, transient, logging, logging,
  surroundings, surroundings, copying, inspecting, calling, calling, calling, creating, creating]

/** How a worker ends, chosen by the lowest byte of the call's second word. */
const ENDINGS = {
  1: [0x60, SCRATCH, 'REVERT'],
  2: ['INVALID'],
  3: [mark('forever'), ref('forever'), 'JUMP'],
  4: ['POP'],
  5: [1, 'JUMP'],
  6: [0x40, 'CALLDATALOAD', 'SELFDESTRUCT'],
  7: [raw('0x0c')],
}

/** The number of pieces in a worker: one bit of a word switches each. */
export const PIECES_PER_WORKER = 40

/** Runtime code of a worker. `world.anyAddress()` and `world.anyTarget()` yield addresses to look at and to call. */
export function worker(rng, world) {
  const pieces = Array.from({ length: PIECES_PER_WORKER }, (_, i) => [
    0, 'CALLDATALOAD', i, 'SHR', 1, 'AND', 'ISZERO', ref(`skip${i}`), 'JUMPI',
    rng.pick(PIECES)(rng, world),
    mark(`skip${i}`),
  ])
  const branch = Object.keys(ENDINGS).map((key) => [
    0x20, 'CALLDATALOAD', 0xff, 'AND', Number(key), 'EQ', ref(`end${key}`), 'JUMPI',
  ])
  const keep = [ACC, 'MLOAD', 'DUP1', 100, 'SSTORE', 0x20, ACC, 'LOG1']
  const endings = Object.entries(ENDINGS).map(([key, program]) => [mark(`end${key}`), program])
  return assemble([pieces, branch, keep, 0x40, 0, 'RETURN', endings])
}

/** Runs every computing and reading instruction, whatever the call says: none is left to chance. */
export function sampler(rng) {
  const computing = COMPUTING.flatMap(([inputs, names]) => names.map((name) =>
    Array.from({ length: 4 }, () => [Array.from({ length: inputs }, () => rng.word()), name, fold])))
  const powers = Array.from({ length: 6 }, () => [rng.word() >> BigInt(rng.below(256)), rng.word(), 'EXP', fold])
  const hashes = [0, 1, 2, 255, 256, 257, 1000].map((back) => [back, 'NUMBER', 'SUB', 'BLOCKHASH', fold])
  return assemble([computing, powers, READING.map((name) => [name, fold]), hashes, 0, 'BLOBHASH', fold,
    ACC, 'MLOAD', 0, 'SSTORE', 0x20, ACC, 'LOG0'])
}

/** Calls the address in the first word with the gas in the second and the rest as input; keeps the outcome. */
export function relay() {
  const size = [0x40, 'CALLDATASIZE', 'SUB']
  return assemble([
    size, 0x40, SCRATCH, 'CALLDATACOPY',
    0, 0, size, SCRATCH, 'CALLVALUE', 0, 'CALLDATALOAD', 0x20, 'CALLDATALOAD', 'CALL', fold,
    'RETURNDATASIZE', fold, 'RETURNDATASIZE', 0, SCRATCH, 'RETURNDATACOPY',
    'RETURNDATASIZE', SCRATCH, 'KECCAK256', fold, 'GAS', fold,
    ACC, 'MLOAD', 0, 'CALLDATALOAD', 'SSTORE', 'RETURNDATASIZE', SCRATCH, 'LOG0',
  ])
}

/** Self-destructs to the address in the first word: without effect on its code in a later transaction. */
export const destructible = () => assemble([0, 'CALLDATALOAD', 'SELFDESTRUCT'])
