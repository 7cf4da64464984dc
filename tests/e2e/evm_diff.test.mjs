// The independent-EVM check: a seeded load runs on the boxes, then the whole chain is replayed from genesis in
// @ethereumjs/vm, and gas, receipts, logs, bloom, receiptsRoot and stateRoot of every block are compared.
//   EVM_DIFF_SEED=...   sends the same transactions again (which block each falls into is up to the chain)
//   EVM_DIFF_TXS=...    how many transactions to send, 300 unless told
// Run by hand it takes the time it needs; `make e2e` ends each file after a few minutes (tests/tests/tools/main.rs).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { devnet, height, reached, rpc } from './lib/devnet.mjs'
import { Load } from './lib/load.mjs'
import { PRECOMPILES } from './lib/precompile_inputs.mjs'
import { Replay } from './lib/replay.mjs'

// What a load must have executed to be worth comparing.
const OPCODES = ('ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND LT GT SLT SGT EQ ISZERO AND OR XOR NOT '
  + 'BYTE SHL SHR SAR CLZ KECCAK256 ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE '
  + 'CALLDATACOPY CODESIZE CODECOPY GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY '
  + 'EXTCODEHASH BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE '
  + 'BLOBHASH BLOBBASEFEE POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD '
  + 'TSTORE MCOPY PUSH0 PUSH32 DUP1 LOG0 LOG1 LOG2 LOG3 LOG4 CREATE CALL CALLCODE RETURN DELEGATECALL '
  + 'CREATE2 STATICCALL REVERT INVALID SELFDESTRUCT').split(' ')

const seed = process.env.EVM_DIFF_SEED ?? String(Date.now())
const count = Number(process.env.EVM_DIFF_TXS ?? 300)

test(`a seeded load replays to the same roots in another EVM (seed ${seed})`, async (t) => {
  t.diagnostic(`EVM_DIFF_SEED=${seed} EVM_DIFF_TXS=${count}`)
  const load = new Load(seed)
  await load.prepare()
  const replay = await Replay.fromGenesis(JSON.parse(readFileSync(devnet.genesis, 'utf8')))
  const missing = () => [...OPCODES.filter((name) => !replay.opcodes.has(name)),
    ...PRECOMPILES.filter((address) => !replay.precompiles.has(address))]
  const started = Date.now()
  let top, totals
  // Chance leaves a rare instruction out of one load in some dozens: then it goes on, up to twice as long.
  for (let goal = count; totals === undefined || (missing().length > 0 && goal <= 2 * count); goal += 100) {
    await load.run(goal)
    top = await height(0)
    totals = await replay.advance(0, top)
  }
  t.diagnostic(`sent ${load.sent}: ${JSON.stringify(load.kinds)}`)
  t.diagnostic(`replayed ${totals.blocks} blocks, ${totals.transactions} transactions (${totals.failed} failed), `
    + `${totals.logs} logs, ${totals.gas} gas in ${Date.now() - started} ms`)

  assert.equal(totals.blocks, top)
  assert.ok(totals.epochs > 0, 'the load goes on beyond an epoch')
  assert.ok(totals.transactions >= load.sent, 'every transaction of the load is in the replayed chain')
  assert.ok(totals.failed > 0 && totals.failed < totals.transactions, 'the load has both outcomes')
  assert.ok(totals.logs > 0, 'the load emits logs')

  assert.deepEqual(missing(), [], 'instructions and precompiles that the load never ran')

  // The other boxes serve the very same blocks.
  for (let index = 1; index < devnet.boxes.length; index++) {
    await reached(index, top)
    const [theirs, ours] = await Promise.all([index, 0].map((box) =>
      rpc(box, 'eth_getBlockByNumber', [`0x${top.toString(16)}`, true])))
    assert.deepEqual(theirs, ours)
  }
})
