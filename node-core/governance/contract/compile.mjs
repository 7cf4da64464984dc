// Compiles Governance.sol with the solc-js of tests/e2e and writes Governance.json, which the node includes.
//   node node-core/governance/contract/compile.mjs            writes it
//   node node-core/governance/contract/compile.mjs --check    fails if it is not what this source compiles to
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..', '..')
const SOURCE = 'Governance.sol'
const ARTEFACT = join(here, 'Governance.json')
// EIP-170. The node puts the code into the genesis state, where nothing else would check it.
const CODE_BYTES_MAX = 24_576

const settings = {
  evmVersion: 'osaka',
  optimizer: { enabled: true, runs: 200 },
  // Without the hash of the source: comments do not change the code.
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
}

/** `{abi, deployedBytecode, solc, settings, sourceSha256}` of the source as it is now. */
export function compile() {
  const require = createRequire(join(root, 'tests', 'e2e', 'package.json'))
  const solc = require('solc')
  const source = readFileSync(join(here, SOURCE), 'utf8')
  const outputSelection = { [SOURCE]: { Governance: ['abi', 'evm.deployedBytecode', 'storageLayout'] } }
  const input = {
    language: 'Solidity',
    sources: { [SOURCE]: { content: source } },
    settings: { ...settings, outputSelection },
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input)))
  if (output.errors?.length > 0) throw new Error(output.errors.map((entry) => entry.formattedMessage).join('\n'))
  const { abi, evm, storageLayout } = output.contracts[SOURCE].Governance
  const { object, immutableReferences, linkReferences } = evm.deployedBytecode
  if (Object.keys({ ...immutableReferences, ...linkReferences }).length > 0) {
    throw new Error(`${SOURCE} has immutables or libraries: code placed in the genesis state cannot have them`)
  }
  const size = object.length / 2
  if (size >= CODE_BYTES_MAX) throw new Error(`${SOURCE} compiles to ${size} bytes, not below ${CODE_BYTES_MAX}`)
  const slots = storageLayout.storage.map(({ label, slot }) => `${slot} ${label}`)
  if (slots[0] !== '0 _permissions' || slots[1] !== '1 _modes' || slots[2].startsWith('1 ')) {
    throw new Error(`the node reads _permissions in slot 0 and _modes in slot 1; ${SOURCE} has ${slots.slice(0, 3)}`)
  }
  return {
    abi,
    deployedBytecode: `0x${object}`,
    solc: solc.version(),
    settings,
    sourceSha256: createHash('sha256').update(source).digest('hex'),
  }
}

/** The names of the fields in which the file differs from what the source compiles to. */
export function differences() {
  const compiled = compile()
  const stored = existsSync(ARTEFACT) ? JSON.parse(readFileSync(ARTEFACT, 'utf8')) : {}
  return [...new Set([...Object.keys(compiled), ...Object.keys(stored)])].filter(
    (field) => JSON.stringify(compiled[field]) !== JSON.stringify(stored[field]),
  )
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes('--check')) {
    const fields = differences()
    if (fields.length > 0) {
      console.error(`Governance.json is not what ${SOURCE} compiles to (${fields.join(', ')}): run without --check`)
      process.exit(1)
    }
  } else {
    const artefact = compile()
    writeFileSync(ARTEFACT, `${JSON.stringify(artefact, null, 1)}\n`)
    console.log(`Governance.json: ${artefact.deployedBytecode.length / 2 - 1} bytes of code, solc ${artefact.solc}`)
  }
}
