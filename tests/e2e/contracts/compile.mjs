// Compiles the contracts of this folder with solc-js. Output is kept in ../build under the hash of what went in,
// so that a second run, or a second test file, does not start the compiler.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const root = dirname(here)
const build = join(root, 'build')
const require = createRequire(import.meta.url)

const settings = {
  evmVersion: 'osaka',
  optimizer: { enabled: true, runs: 200 },
  outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
}

function sources() {
  const files = readdirSync(here).filter((file) => file.endsWith('.sol')).sort()
  return Object.fromEntries(files.map((file) => [file, { content: readFileSync(join(here, file), 'utf8') }]))
}

function cachePath(input) {
  const versions = ['solc', '@openzeppelin/contracts'].map(
    (name) => JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version,
  )
  const digest = createHash('sha256').update(JSON.stringify([input, versions])).digest('hex')
  return join(build, `contracts-${digest.slice(0, 16)}.json`)
}

function compile(input) {
  const solc = require('solc')
  const find = (path) => {
    const file = join(root, 'node_modules', path)
    return existsSync(file) ? { contents: readFileSync(file, 'utf8') } : { error: `${path} is not in node_modules` }
  }
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: find }))
  const errors = (output.errors ?? []).filter((entry) => entry.severity === 'error')
  if (errors.length > 0) throw new Error(errors.map((entry) => entry.formattedMessage).join('\n'))
  const found = {}
  for (const file of Object.keys(input.sources)) {
    for (const [name, contract] of Object.entries(output.contracts[file])) {
      found[name] = {
        abi: contract.abi,
        bytecode: `0x${contract.evm.bytecode.object}`,
        deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
      }
    }
  }
  return found
}

/** `{Token: {abi, bytecode, deployedBytecode}, Probe: {...}}` */
export function contracts() {
  const input = { language: 'Solidity', sources: sources(), settings }
  const path = cachePath(input)
  if (!existsSync(path)) {
    const found = compile(input)
    mkdirSync(build, { recursive: true })
    // Renamed into place: test files that start together may all compile, and none may read half a file.
    const scratch = `${path}.${process.pid}`
    writeFileSync(scratch, JSON.stringify(found))
    renameSync(scratch, path)
  }
  return JSON.parse(readFileSync(path, 'utf8'))
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  // test_web3.py runs this file and reads the JSON from standard output.
  process.stdout.write(JSON.stringify(contracts()))
}
