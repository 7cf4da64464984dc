use std::sync::Arc;

use super::*;
use crate::{
    comb::layout,
    memory::Pool,
    testing::{Random, on_every_path},
};

on_every_path! {
    sums_of_two_multiples => sums on [P256, Secp256k1, Sm2];
}

fn sums<A: Arith>() {
    let generator = Affine::<A>::generator();
    let table = Table::new(&generator, &layout::<A::Curve>(6), &Arc::<Pool>::default());
    let mut random = Random(0x5eed);
    let mut single = Single::default();
    for count in [0, 1, 2, 5, 16] {
        let terms: Vec<_> = (0..count)
            .map(|_| {
                let point = Jacobian::from(generator).mul(&random.scalar::<A::Curve>());
                let point = if point.is_identity() { generator } else { point.to_affine() };
                Term { g: random.scalar::<A::Curve>(), q: random.scalar::<A::Curve>(), point }
            })
            .collect();
        let mut called = 0;
        single.sum(&table, &terms, |index, sum| {
            assert_eq!(index, called);
            called += 1;
            let Term { g, q, point } = &terms[index];
            let expected = Jacobian::from(generator).mul(g).add(&Jacobian::from(*point).mul(q));
            assert_eq!(sum.is_identity(), expected.is_identity());
            assert!(sum.is_identity() || sum.to_affine() == expected.to_affine(), "{g:x?} {q:x?} {point:?}");
        });
        assert_eq!(called, count);
    }
}

#[test]
fn signed_digits_spell_the_number() {
    let mut random = Random(0x5eed);
    for _ in 0..500 {
        let k = random.edgy(&[u64::MAX; 4]);
        let mut digits = [0; DIGITS];
        let len = signed_digits(&k, &mut digits);
        assert!(digits[len..].iter().all(|&digit| digit == 0));
        // Horner modulo 2^256; the number above it is only the last carry.
        let mut sum = [0; 4];
        for &digit in digits.iter().rev() {
            sum = u256::add(&sum, &sum).0;
            let part = [u64::from(digit.unsigned_abs()), 0, 0, 0];
            sum = if digit < 0 { u256::sub(&sum, &part).0 } else { u256::add(&sum, &part).0 };
            assert!(digit == 0 || digit % 2 != 0 && digit.unsigned_abs() < 16);
        }
        assert_eq!(sum, k);
    }
}
