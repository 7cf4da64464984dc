//! Numbers that make the arithmetic work at its edges.

use rand::{Rng, RngExt as _};

use crate::support::number;

/// A number below `2^256`, big endian, and what becomes of it modulo the order.
pub(super) struct Structured {
    pub(super) number: [u8; 32],
    pub(super) negate: bool,
    pub(super) invert: bool,
}

/// A number that is small, a power of two, a run of ones, a pattern of some width that repeats, made of limbs at their
/// ends, or (a third of all) random.
pub(super) fn structured(random: &mut impl Rng) -> Structured {
    let (first, second) = (random.random_range(0..256), random.random_range(0..256));
    let number = match random.random_range(0..12) {
        0 | 1 => number(random.random_range(0..20)),
        2 => bits(|at| at == first),
        3 => bits(|at| (first.min(second)..=first.max(second)).contains(&at)),
        4 => bits(|at| at == first || at == second),
        // The widths of windows.
        5 | 6 => {
            let width = [5, 7, 8, 9, 10, 11, 12, 13][random.random_range(0..8)];
            let pattern: u16 = random.random();
            bits(|at| pattern >> (at % width) & 1 == 1)
        }
        7 => limbs(random),
        _ => random.random(),
    };
    Structured { number, negate: random.random_ratio(1, 3), invert: random.random_ratio(1, 16) }
}

/// The number with the bits, counted from the lowest, for which `is_set`.
fn bits(mut is_set: impl FnMut(usize) -> bool) -> [u8; 32] {
    let mut number = [0_u8; 32];
    for at in 0..256 {
        number[31 - at / 8] |= u8::from(is_set(at)) << (at % 8);
    }
    number
}

fn limbs(random: &mut impl Rng) -> [u8; 32] {
    let mut number = [0; 32];
    for bytes in number.as_chunks_mut::<8>().0 {
        let limb = [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, random.random()][random.random_range(0..6)];
        *bytes = limb.to_be_bytes();
    }
    number
}
