// Inputs for the precompiled contracts: for each one valid, edge and invalid ones. Points are made with noble-curves.
import { bls12_381 } from '@noble/curves/bls12-381.js'
import { bn254 } from '@noble/curves/bn254.js'
import { p256 } from '@noble/curves/nist.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bytesToHex, concatHex, hexToBytes, pad, sha256, toHex } from 'viem'

const u256 = (value) => pad(toHex(BigInt(value)), { size: 32 })
const fp = (value) => pad(toHex(BigInt(value)), { size: 64 })
const scalar = (rng) => BigInt(rng.below(1_000_000) + 1)

function spoil(rng, input) {
  const bytes = hexToBytes(input)
  if (bytes.length === 0) return '0x00'
  bytes[rng.below(bytes.length)] ^= 1 << rng.below(8)
  return bytesToHex(bytes)
}

function ecrecover(rng) {
  const message = rng.bytes(32)
  const signature = secp256k1.sign(message, secp256k1.utils.randomSecretKey(rng.bytes(48)), {
    prehash: false, format: 'recovered', extraEntropy: false,
  })
  return concatHex([bytesToHex(message), u256(27 + signature[0]), bytesToHex(signature.subarray(1))])
}

function p256verify(rng) {
  const message = rng.bytes(32)
  const secret = p256.utils.randomSecretKey(rng.bytes(48))
  const signature = p256.sign(message, secret, { prehash: false, lowS: false, extraEntropy: false })
  const point = p256.getPublicKey(secret, false).subarray(1)
  return concatHex([bytesToHex(message), bytesToHex(signature), bytesToHex(point)])
}

function modexp(rng) {
  const size = () => rng.pick([0, 1, 31, 32, 33, 64])
  const lengths = rng.oneIn(8) ? [1, 1, 1025] : [size(), size(), size()]
  return concatHex([...lengths.map(u256), ...lengths.map((length) => rng.hex(length))])
}

const bnG1 = (point) => {
  const { x, y } = point.toAffine()
  return concatHex([u256(x), u256(y)])
}
const bnG2 = (point) => {
  const { x, y } = point.toAffine()
  return concatHex([u256(x.c1), u256(x.c0), u256(y.c1), u256(y.c0)])
}
const BN1 = bn254.G1.Point.BASE
const BN2 = bn254.G2.Point.BASE

function bnPairing(rng) {
  if (rng.oneIn(5)) return '0x'
  const [p, q] = [BN1.multiply(scalar(rng)), BN2.multiply(scalar(rng))]
  // e(P, Q) e(-P, Q) is one; e(P, Q) alone is not.
  return rng.oneIn(3) ? concatHex([bnG1(p), bnG2(q)]) : concatHex([bnG1(p), bnG2(q), bnG1(p.negate()), bnG2(q)])
}

function blake2f(rng) {
  const rounds = toHex(rng.below(40), { size: 4 })
  return concatHex([rounds, rng.hex(64), rng.hex(128), rng.hex(16), rng.pick(['0x00', '0x01', '0x01', '0x02'])])
}

const blsG1 = (point) => {
  const { x, y } = point.toAffine()
  return concatHex([fp(x), fp(y)])
}
const blsG2 = (point) => {
  const { x, y } = point.toAffine()
  return concatHex([fp(x.c0), fp(x.c1), fp(y.c0), fp(y.c1)])
}
const BLS1 = bls12_381.G1.Point.BASE
const BLS2 = bls12_381.G2.Point.BASE
const g1 = (rng) => (rng.oneIn(6) ? concatHex([fp(0), fp(0)]) : blsG1(BLS1.multiply(scalar(rng))))
const g2 = (rng) => (rng.oneIn(6) ? concatHex([fp(0), fp(0), fp(0), fp(0)]) : blsG2(BLS2.multiply(scalar(rng))))
const rows = (rng, row) => concatHex(Array.from({ length: rng.between(1, 3) }, row))
// Below 2^376, so always below the field's modulus.
const element = (rng) => pad(rng.hex(47), { size: 64 })

function blsPairing(rng) {
  const [p, q] = [BLS1.multiply(scalar(rng)), BLS2.multiply(scalar(rng))]
  return rng.oneIn(3) ? concatHex([blsG1(p), blsG2(q)]) : concatHex([blsG1(p), blsG2(q), blsG1(p.negate()), blsG2(q)])
}

/** A constant polynomial has its value as commitment times the generator, and the point at infinity as proof. */
function pointEvaluation(rng) {
  const value = scalar(rng)
  const commitment = `0x${BLS1.multiply(value).toHex(true)}`
  const versioned = concatHex(['0x01', `0x${sha256(commitment).slice(4)}`])
  const infinity = pad('0xc0', { size: 48, dir: 'right' })
  const claimed = rng.oneIn(3) ? value + 1n : value
  return concatHex([versioned, u256(scalar(rng)), u256(claimed), commitment, infinity])
}

const INPUTS = {
  0x01: ecrecover,
  0x02: (rng) => rng.hex(rng.below(300)),
  0x03: (rng) => rng.hex(rng.below(300)),
  0x04: (rng) => rng.hex(rng.below(300)),
  0x05: modexp,
  0x06: (rng) => concatHex([bnG1(BN1.multiply(scalar(rng))), rng.oneIn(3) ? u256(0) : bnG1(BN1.multiply(scalar(rng)))]),
  0x07: (rng) => concatHex([bnG1(BN1.multiply(scalar(rng))), u256(rng.word())]),
  0x08: bnPairing,
  0x09: blake2f,
  0x0a: pointEvaluation,
  0x0b: (rng) => concatHex([g1(rng), g1(rng)]),
  0x0c: (rng) => rows(rng, () => concatHex([g1(rng), u256(rng.word())])),
  0x0d: (rng) => concatHex([g2(rng), g2(rng)]),
  0x0e: (rng) => rows(rng, () => concatHex([g2(rng), u256(rng.word())])),
  0x0f: blsPairing,
  0x10: element,
  0x11: (rng) => concatHex([element(rng), element(rng)]),
  0x100: p256verify,
}

/** Addresses of Osaka's precompiled contracts. */
export const PRECOMPILES = Object.keys(INPUTS).map(Number)

/** An input for one precompiled contract; one in five has a flipped bit or a wrong length. */
export function precompileInput(rng, address) {
  const input = INPUTS[address](rng)
  if (rng.oneIn(10)) return spoil(rng, input)
  if (rng.oneIn(10)) return input.slice(0, 2 + 2 * rng.below(input.length / 2))
  return input
}
