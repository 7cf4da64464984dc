//! The four curves, as constants, and the portable reduction of a product modulo each prime.
//!
//! Ed25519 is here in short Weierstrass form, `y^2 = x^3 + a x + b`, so that one addition law serves all. The map to
//! and from the Edwards form is in `ed25519.rs`.

mod edwards25519;
mod p256;
mod secp256k1;
mod sm2;

pub(crate) use self::{edwards25519::Edwards25519, p256::P256, secp256k1::Secp256k1, sm2::Sm2};

use crate::u256::{self, U256, neg_inverse_64, power_of_two_mod};

/// A curve `y^2 = x^3 + a x + b` of prime order, or its subgroup of prime order, over a prime field.
pub(crate) trait Curve: Copy + Send + Sync + 'static {
    /// The prime of the field, above `2^254`.
    const P: U256;
    /// The order of the group, odd.
    const N: U256;
    /// Bits of `N`: scalars are cut into windows of so many bits in all.
    const BITS: usize = 256;
    /// The coefficient `a` in the internal form.
    const A: Coefficient;
    /// The coefficient `b`.
    const B: U256;
    /// The base point.
    const GENERATOR: (U256, U256);

    /// `2^256 mod p`: what a carry out of the highest limb is worth.
    const CARRY: U256 = u256::sub(&[0; 4], &Self::P).0;
    /// One, in the form that `reduce` keeps: Montgomery's with `2^256`, or plain.
    const ONE: U256 = power_of_two_mod(256, &Self::P);
    /// What a product with takes an integer into the internal form.
    const INTO: U256 = power_of_two_mod(512, &Self::P);

    /// A cube root of one in the field, in the internal form, if the curve has the endomorphism `(x, y) -> (BETA x, y)`.
    const BETA: Option<U256> = None;

    /// Two numbers of half the length and their signs, so that `k` is the first plus the second times the
    /// endomorphism's eigenvalue. Only where there is a `BETA`.
    fn split(k: &U256) -> [(U256, bool); 2] {
        [(*k, false), ([0; 4], false)]
    }

    /// As [`split`](Self::split), but into odd numbers, which are below `2^130`.
    fn split_odd(k: &U256) -> [(U256, bool); 2] {
        Self::split(k)
    }

    /// A number below `2^256` that is the 512-bit `wide` modulo `p`, divided by `2^256` in Montgomery's form.
    ///
    /// It may be `p` or more: see `field.rs`.
    fn reduce(wide: [u64; 8]) -> U256;
}

/// What is special about the coefficient `a` of a curve.
#[derive(Clone, Copy)]
pub(crate) enum Coefficient {
    Zero,
    MinusThree,
    /// Any other, in the internal form.
    Other(U256),
}

/// Integers modulo `N` in Montgomery's form, for the curves with `N > 2^255`.
pub(crate) struct Order<C>(std::marker::PhantomData<C>);

impl<C: Curve> Order<C> {
    pub(crate) const NEG_INVERSE: u64 = neg_inverse_64(C::N[0]);
    pub(crate) const ONE: U256 = power_of_two_mod(256, &C::N);
    pub(crate) const SQUARED: U256 = power_of_two_mod(512, &C::N);
}

/// Adds a carry out of `2^256` to a number small enough that no second carry follows.
#[inline(always)]
fn fold<C: Curve>(low: U256, carry: bool) -> U256 {
    u256::add(&low, &u256::select(&C::CARRY, carry)).0
}

/// Reduction for primes `2^256 - k` and `2 (2^255 - k / 2)` with small `k`: folds the high half in with `2^256 = k`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the halves of a 128-bit number are what is wanted")]
fn fold_high<C: Curve, const K: u64>(wide: [u64; 8]) -> U256 {
    let (r0, carry) = u256::mul_add(wide[4], K, wide[0], 0);
    let (r1, carry) = u256::mul_add(wide[5], K, wide[1], carry);
    let (r2, carry) = u256::mul_add(wide[6], K, wide[2], carry);
    let (r3, carry) = u256::mul_add(wide[7], K, wide[3], carry);
    let rest = carry as u128 * K as u128;
    let (sum, carry) = u256::add(&[r0, r1, r2, r3], &[rest as u64, (rest >> 64) as u64, 0, 0]);
    fold::<C>(sum, carry)
}
