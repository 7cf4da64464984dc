// An assembler for EVM bytecode. A program is a list of: an opcode's name; a number, pushed with as few bytes as it
// needs; `mark('x')`, a jump target; `ref('x')`, its position pushed; `raw(hex)`, bytes as they are.
import { bytesToHex, concatBytes, hexToBytes } from '@ethereumjs/util'

const NAMES = {
  0x00: 'STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND',
  0x10: 'LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR CLZ',
  0x20: 'KECCAK256',
  0x30: 'ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY GASPRICE '
    + 'EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH',
  0x40: 'BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE BLOBHASH BLOBBASEFEE',
  0x50: 'POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE MCOPY PUSH0',
  0x80: Array.from({ length: 16 }, (_, i) => `DUP${i + 1}`).join(' '),
  0x90: Array.from({ length: 16 }, (_, i) => `SWAP${i + 1}`).join(' '),
  0xa0: 'LOG0 LOG1 LOG2 LOG3 LOG4',
  0xf0: 'CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2',
  0xfa: 'STATICCALL',
  0xfd: 'REVERT INVALID SELFDESTRUCT',
}

const OPCODES = new Map(
  Object.entries(NAMES).flatMap(([base, names]) => names.split(' ').map((name, i) => [name, Number(base) + i])),
)

export const mark = (name) => ({ mark: name })
export const ref = (name) => ({ ref: name })
export const raw = (hex) => ({ raw: hexToBytes(hex) })

function push(value) {
  const number = BigInt(value)
  if (number === 0n) return Uint8Array.of(OPCODES.get('PUSH0'))
  const digits = number.toString(16)
  const bytes = hexToBytes(`0x${digits.length % 2 ? '0' : ''}${digits}`)
  if (bytes.length > 32) throw new Error(`${value} does not fit a word`)
  return concatBytes(Uint8Array.of(0x5f + bytes.length), bytes)
}

function encode(item) {
  if (typeof item === 'number' || typeof item === 'bigint') return push(item)
  if (typeof item === 'string') {
    const opcode = OPCODES.get(item)
    if (opcode === undefined) throw new Error(`no opcode is named ${item}`)
    return Uint8Array.of(opcode)
  }
  if (item.mark !== undefined) return Uint8Array.of(OPCODES.get('JUMPDEST'))
  if (item.ref !== undefined) return Uint8Array.of(0x61, 0, 0)
  return item.raw
}

/** The program's bytes. */
export function assemble(program) {
  const items = program.flat(Infinity)
  const parts = items.map(encode)
  const marks = new Map()
  let at = 0
  items.forEach((item, i) => {
    if (item.mark !== undefined) marks.set(item.mark, at)
    at += parts[i].length
  })
  items.forEach((item, i) => {
    if (item.ref === undefined) return
    const target = marks.get(item.ref)
    if (target === undefined) throw new Error(`nothing is marked ${item.ref}`)
    parts[i][1] = target >> 8
    parts[i][2] = target & 0xff
  })
  return concatBytes(...parts)
}

/** Init code that deploys `runtime`. */
export function deployer(runtime) {
  // PUSH2 length, PUSH2 offset 15, PUSH0, CODECOPY, PUSH2 length, PUSH0, RETURN: 13 bytes, padded to 15 by two STOPs.
  const length = runtime.length
  const [high, low] = [length >> 8, length & 0xff]
  const head = Uint8Array.of(0x61, high, low, 0x61, 0, 15, 0x5f, 0x39, 0x61, high, low, 0x5f, 0xf3, 0, 0)
  return bytesToHex(concatBytes(head, runtime))
}
