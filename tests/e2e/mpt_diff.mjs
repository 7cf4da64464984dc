// Compares another trie with @ethereumjs/mpt. Reads JSON lines from the file named, or from standard input:
//   {"ops": [["put", "0xkey", "0xvalue"], ["del", "0xkey"], ["root", "0xexpected"], ...]}
// Keys are used as they are; with "secure": true in the line they are hashed first, as in the state trie.
// Prints "N sequences, M roots agree"; at the first difference prints it and exits with 1.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { createMPT } from '@ethereumjs/mpt'
import { bytesToHex, hexToBytes } from '@ethereumjs/util'

class Difference extends Error {}

/** Applies one sequence to an empty trie and checks every root in it; yields how many there were. */
async function check({ ops, secure = false }) {
  if (!Array.isArray(ops)) throw new Difference('no "ops" list')
  const trie = await createMPT({ useKeyHashing: secure, useNodePruning: true })
  let roots = 0
  for (const [index, [op, first, second]] of ops.entries()) {
    if (op === 'put') await trie.put(hexToBytes(first), hexToBytes(second))
    else if (op === 'del') await trie.del(hexToBytes(first))
    else if (op === 'root') {
      const ours = bytesToHex(trie.root())
      if (ours !== first.toLowerCase()) throw new Difference(`op ${index}: root is ${ours}, the input says ${first}`)
      roots += 1
    } else throw new Difference(`op ${index}: '${op}' is not put, del or root`)
  }
  return roots
}

const input = process.argv[2] ? createReadStream(process.argv[2]) : process.stdin
let line = 0
let sequences = 0
let agreed = 0
try {
  for await (const text of createInterface({ input, crlfDelay: Infinity })) {
    line += 1
    if (text.trim() === '') continue
    agreed += await check(JSON.parse(text))
    sequences += 1
  }
  if (agreed === 0) throw new Difference('the input has no root to compare')
  console.log(`${sequences} sequences, ${agreed} roots agree`)
} catch (error) {
  console.error(`line ${line}: ${error.message}`)
  process.exitCode = 1
}
