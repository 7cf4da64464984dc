//! Products, squares and differences modulo a curve's prime, with portable code or with MULX and ADX.
//!
//! [`Portable`] is the oracle: the vector suite and the fuzzers hold everything else against it.

#[cfg(target_arch = "x86_64")]
mod adx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;

#[cfg(target_arch = "x86_64")]
pub(crate) use adx::Adx;

use std::marker::PhantomData;

use crate::{
    curve::Curve,
    u256::{self, U256},
};

/// Arithmetic modulo the prime of a curve, on numbers below `2^256` (see `field.rs`).
pub(crate) trait Arith: Copy + Send + Sync + 'static {
    type Curve: Curve;

    fn mul(a: &U256, b: &U256) -> U256;
    fn square(a: &U256) -> U256;
    fn add(a: &U256, b: &U256) -> U256;
    fn sub(a: &U256, b: &U256) -> U256;
}

/// Plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable<C>(PhantomData<C>);

impl<C: Curve> Arith for Portable<C> {
    type Curve = C;

    #[inline(always)]
    fn mul(a: &U256, b: &U256) -> U256 {
        C::reduce(u256::mul_wide(a, b))
    }

    #[inline(always)]
    fn square(a: &U256) -> U256 {
        C::reduce(u256::mul_wide(a, a))
    }

    #[inline(always)]
    fn add(a: &U256, b: &U256) -> U256 {
        let (sum, carry) = u256::add(a, b);
        let (sum, again) = u256::add(&sum, &u256::select(&C::CARRY, carry));
        // Only where both are close to 2^256.
        if again { carry_again::<C>(sum) } else { sum }
    }

    #[inline(always)]
    fn sub(a: &U256, b: &U256) -> U256 {
        let (difference, borrow) = u256::sub(a, b);
        let (difference, again) = u256::sub(&difference, &u256::select(&C::CARRY, borrow));
        // Only where `a` is tiny and `b` close to 2^256.
        if again { borrow_again::<C>(difference) } else { difference }
    }
}

#[cold]
#[inline(never)]
fn carry_again<C: Curve>(sum: U256) -> U256 {
    u256::add(&sum, &C::CARRY).0
}

#[cold]
#[inline(never)]
fn borrow_again<C: Curve>(difference: U256) -> U256 {
    u256::sub(&difference, &C::CARRY).0
}
