//! Random numbers with a taste for edges, and slow arithmetic to compare with.

use crate::{
    curve::Curve,
    u256::{self, U256},
};

/// xorshift64*: tests replay from their seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.next().to_le_bytes()[3])
    }

    /// Any 256-bit integer, often one close to `0`, `m`, `2m` or `2^256`, or with long runs of equal bits.
    pub(crate) fn edgy(&mut self, m: &U256) -> U256 {
        let small = [self.below(4), 0, 0, 0];
        match self.below(10) {
            0 => small,
            1 => u256::sub(m, &small).0,
            2 => u256::add(m, &small).0,
            3 => u256::sub(&[0; 4], &small).0,
            4 => u256::sub(&u256::add(m, m).0, &small).0,
            5 => u256::add(&u256::add(m, m).0, &small).0,
            6 => std::array::from_fn(|_| match self.below(5) {
                0 => 0,
                1 => u64::MAX,
                2 => 1,
                3 => 1 << 63,
                _ => self.next(),
            }),
            _ => self.integer(),
        }
    }

    pub(crate) fn integer(&mut self) -> U256 {
        std::array::from_fn(|_| self.next())
    }

    /// A scalar below the order of the group, often one at an edge.
    pub(crate) fn scalar<C: Curve>(&mut self) -> U256 {
        modulo(&self.edgy(&C::N), &C::N)
    }
}

/// `a mod m`, bit by bit.
pub(crate) fn modulo(a: &U256, m: &U256) -> U256 {
    mul(a, &[1, 0, 0, 0], m)
}

/// `a b mod m`, bit by bit.
pub(crate) fn mul(a: &U256, b: &U256, m: &U256) -> U256 {
    let double_and_add = |sum: U256, bit: &U256| {
        let sum = add(&sum, &sum, m);
        add(&sum, bit, m)
    };
    let bits = |number: &U256| (0..256).rev().map(|at| u256::bits(number, at, 1)).collect::<Vec<_>>();
    let a = bits(a).into_iter().fold([0; 4], |sum, bit| double_and_add(sum, &[bit, 0, 0, 0]));
    bits(b).into_iter().fold([0; 4], |sum, bit| double_and_add(sum, if bit == 1 { &a } else { &[0; 4] }))
}

/// `a + b mod m` for both below `m`.
fn add(a: &U256, b: &U256, m: &U256) -> U256 {
    let (sum, carry) = u256::add(a, b);
    let (reduced, borrow) = u256::sub(&sum, m);
    if carry || !borrow { reduced } else { sum }
}

/// Runs a generic test on every curve with every arithmetic that this machine has.
macro_rules! on_every_path {
    ($($name:ident => $generic:ident on [$($curve:ident),*];)*) => {
        $(
            #[test]
            fn $name() {
                $(
                    $generic::<$crate::arith::Portable<$crate::curve::$curve>>();
                    #[cfg(target_arch = "x86_64")]
                    if $crate::detect::CpuFeatures::detect().adx {
                        $generic::<$crate::arith::Adx<$crate::curve::$curve>>();
                    }
                )*
            }
        )*
    };
}

pub(crate) use on_every_path;
