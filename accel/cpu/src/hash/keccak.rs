//! Keccak-256 as Ethereum uses it: Keccak-f\[1600\] with the padding of the original submission, not of FIPS 202.

use super::{function::Function, word::Word};

/// Keccak-256: a rate of 136 bytes, digests of 32.
pub(super) struct Keccak256;

impl Function<136> for Keccak256 {
    type State = [u64; 25];
    type Digest = [u8; 32];

    const INITIAL: [u64; 25] = [0; 25];
    const MARK: u8 = 0x01;
    const TRAILER: usize = 0;

    #[inline(always)]
    fn finish_padding(block: &mut [u8; 136], _message_len: usize) {
        block[135] |= 0x80;
    }

    fn compress(state: &mut [u64; 25], blocks: &[[u8; 136]]) {
        for block in blocks {
            for (lane, bytes) in state.iter_mut().zip(block.as_chunks().0) {
                *lane ^= u64::from_le_bytes(*bytes);
            }
            permute((), state);
        }
    }

    #[inline(always)]
    fn digest(state: &[u64; 25]) -> [u8; 32] {
        let mut digest = [0; 32];
        for (bytes, lane) in digest.as_chunks_mut().0.iter_mut().zip(state) {
            *bytes = lane.to_le_bytes();
        }
        digest
    }
}

/// The constants of the step iota (FIPS 202 §3.2.5).
#[rustfmt::skip]
const ROUND: [u64; 24] = [
    0x0000_0000_0000_0001, 0x0000_0000_0000_8082, 0x8000_0000_0000_808a, 0x8000_0000_8000_8000,
    0x0000_0000_0000_808b, 0x0000_0000_8000_0001, 0x8000_0000_8000_8081, 0x8000_0000_0000_8009,
    0x0000_0000_0000_008a, 0x0000_0000_0000_0088, 0x0000_0000_8000_8009, 0x0000_0000_8000_000a,
    0x0000_0000_8000_808b, 0x8000_0000_0000_008b, 0x8000_0000_0000_8089, 0x8000_0000_0000_8003,
    0x8000_0000_0000_8002, 0x8000_0000_0000_0080, 0x0000_0000_0000_800a, 0x8000_0000_8000_000a,
    0x8000_0000_8000_8081, 0x8000_0000_0000_8080, 0x0000_0000_8000_0001, 0x8000_0000_8000_8008,
];

/// Keccak-f\[1600\] (FIPS 202 §3.3). Lane (x, y) stands at 5y + x.
#[inline(always)]
pub(super) fn permute<W: Word<Lane = u64>>(cpu: W::Cpu, s: &mut [W; 25]) {
    let mut a = *s;
    for constant in ROUND {
        // theta
        let [c0, c1, c2, c3, c4] = [parity(&a, 0), parity(&a, 1), parity(&a, 2), parity(&a, 3), parity(&a, 4)];
        let d = [
            c4.xor(c1.rotate_left(1)),
            c0.xor(c2.rotate_left(1)),
            c1.xor(c3.rotate_left(1)),
            c2.xor(c4.rotate_left(1)),
            c3.xor(c0.rotate_left(1)),
        ];
        // rho and pi: which lane comes to stand in each place of a row, and by how much it is rotated. Then chi.
        let mixed = |i: usize, rotation: u32| a[i].xor(d[i % 5]).rotate_left(rotation);
        let mut row0 = chi(a[0].xor(d[0]), mixed(6, 44), mixed(12, 43), mixed(18, 21), mixed(24, 14));
        let row1 = chi(mixed(3, 28), mixed(9, 20), mixed(10, 3), mixed(16, 45), mixed(22, 61));
        let row2 = chi(mixed(1, 1), mixed(7, 6), mixed(13, 25), mixed(19, 8), mixed(20, 18));
        let row3 = chi(mixed(4, 27), mixed(5, 36), mixed(11, 10), mixed(17, 15), mixed(23, 56));
        let row4 = chi(mixed(2, 62), mixed(8, 55), mixed(14, 39), mixed(15, 41), mixed(21, 2));
        // iota
        row0[0] = row0[0].xor(W::splat(cpu, constant));
        for x in 0..5 {
            (a[x], a[5 + x], a[10 + x], a[15 + x], a[20 + x]) = (row0[x], row1[x], row2[x], row3[x], row4[x]);
        }
    }
    *s = a;
}

/// The parity of a column.
#[inline(always)]
fn parity<W: Word>(a: &[W; 25], x: usize) -> W {
    a[x].xor3(a[x + 5], a[x + 10]).xor3(a[x + 15], a[x + 20])
}

#[inline(always)]
fn chi<W: Word>(a: W, b: W, c: W, d: W, e: W) -> [W; 5] {
    [a.xor_and_not(b, c), b.xor_and_not(c, d), c.xor_and_not(d, e), d.xor_and_not(e, a), e.xor_and_not(a, b)]
}
