// A small seeded generator (sfc32), so that a failing run can be sent again from its seed.
import { bytesToHex, keccak256, toHex } from 'viem'

export class Prng {
  #state

  constructor(seed) {
    const digest = keccak256(toHex(String(seed)))
    this.#state = [0, 1, 2, 3].map((i) => parseInt(digest.slice(2 + i * 8, 10 + i * 8), 16) | 0)
    for (let i = 0; i < 16; i++) this.u32()
  }

  u32() {
    let [a, b, c, d] = this.#state
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + t) | 0
    this.#state = [a, b, c, d]
    return t >>> 0
  }

  /** A whole number in [0, limit). */
  below(limit) {
    return this.u32() % limit
  }

  /** A whole number in [low, high]. */
  between(low, high) {
    return low + this.below(high - low + 1)
  }

  /** True once in `n` times. */
  oneIn(n) {
    return this.below(n) === 0
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  bytes(length) {
    return Uint8Array.from({ length }, () => this.u32() & 0xff)
  }

  hex(length) {
    return bytesToHex(this.bytes(length))
  }

  /** A 256-bit word; half of them are the values where arithmetic goes wrong. */
  word() {
    if (this.oneIn(2)) return BigInt(this.hex(32))
    const edge = this.pick([0n, 1n, 2n, 31n, 32n, 255n, 256n, 1n << 128n, 1n << 255n, (1n << 255n) - 1n, 1n << 256n])
    return BigInt.asUintN(256, edge - BigInt(this.below(2)))
  }
}
