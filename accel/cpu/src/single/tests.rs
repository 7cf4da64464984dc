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
    for (count, ifma) in [0, 1, 2, 5, 16].into_iter().flat_map(|count| [(count, None), (count, Ifma::detect())]) {
        let terms: Vec<_> = (0..count)
            .map(|_| {
                let point = Jacobian::from(generator).mul(&random.scalar::<A::Curve>());
                let point = if point.is_identity() { generator } else { point.to_affine() };
                Term { g: random.scalar::<A::Curve>(), q: random.scalar::<A::Curve>(), point }
            })
            .collect();
        let mut called = 0;
        single.sum(&table, &terms, ifma, |index, sum| {
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

/// The lanes leave to the other way what they must, and no more.
#[cfg(target_arch = "x86_64")]
fn lanes_alone<C: Curve>() {
    type A<C> = crate::arith::Portable<C>;
    let Some(cpu) = Ifma::detect() else {
        eprintln!("skipped, as this CPU lacks it: AVX-512 IFMA");
        return;
    };
    let generator = Affine::<A<C>>::generator();
    let table = Table::new(&generator, &layout::<C>(6), &Arc::<Pool>::default());
    let minus = |k: &U256| u256::sub(&C::N, k).0;
    let q = [77, 0, 5, 9];
    let term = |g: U256, q: U256| Term { g, q, point: generator };
    // The identity, then a sum that meets the generator's table on the way, then ordinary ones.
    let terms = [term(minus(&q), q), term([1, 0, 0, 0], [2, 0, 0, 0]), term([5, 6, 7, 8], q), term(q, [1, 2, 3, 4])];
    let sums = lanes::Tables::default().sum(cpu, &table, &terms, &mut Vec::new());
    assert!(sums[0].is_none());
    let expected = |term: &Term<A<C>>| {
        Jacobian::from(generator).mul(&term.g).add(&Jacobian::from(generator).mul(&term.q)).to_affine()
    };
    for (term, sum) in terms.iter().zip(&sums).skip(1) {
        match sum {
            Some(sum) => assert!(sum.to_affine() == expected(term)),
            None => assert!(term.q == [2, 0, 0, 0], "nothing exceptional"),
        }
    }
    // Those that the lanes leave come in their places, among the others.
    let many: Vec<_> = (0..13).map(|index| Term { ..terms[index * 7 % 4] }).collect();
    let mut called = 0;
    Single::default().sum(&table, &many, Some(cpu), |index, sum| {
        assert_eq!(index, called);
        called += 1;
        assert!(sum.is_identity() == (index * 7 % 4 == 0), "{index}");
        assert!(sum.is_identity() || sum.to_affine() == expected(&many[index]), "{index}");
    });
    assert_eq!(called, many.len());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn lanes_need_help_only_with_the_identity() {
    use crate::curve::{P256, Secp256k1, Sm2};
    lanes_alone::<P256>();
    lanes_alone::<Secp256k1>();
    lanes_alone::<Sm2>();
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
