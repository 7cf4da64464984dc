// Where npm put Foundry's real programs. They come from the packages that hold the program itself: the launcher
// packages would add a process and an install script that downloads.
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The path of one of them, such as `cast`, for this machine. */
export function foundry(name) {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const holder = `@foundry-rs/${name}-${process.platform}-${architecture}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${holder}/package.json`)), 'bin', name)
  } catch (cause) {
    throw new Error(`${holder} is not installed: run npm ci; package.json lists Linux on x86-64 alone`, { cause })
  }
}
