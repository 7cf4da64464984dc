//! Integers modulo the order of a group, for the curves with `N > 2^255`, and how a scalar is cut into digits.

use crate::{
    curve::{Curve, Order},
    invert,
    u256::{self, U256, adc, mul_add},
};

/// `a + b mod n` for both below `n`.
#[inline]
pub(crate) fn add<C: Curve>(a: &U256, b: &U256) -> U256 {
    let (sum, carry) = u256::add(a, b);
    let (reduced, borrow) = u256::sub(&sum, &C::N);
    if carry || !borrow { reduced } else { sum }
}

/// `a - b mod n` for both below `n`.
#[inline]
pub(crate) fn sub<C: Curve>(a: &U256, b: &U256) -> U256 {
    let (difference, borrow) = u256::sub(a, b);
    u256::add(&difference, &u256::select(&C::N, borrow)).0
}

/// `a mod n`.
#[inline]
pub(crate) fn reduce<C: Curve>(a: &U256) -> U256 {
    u256::sub_once(a, &C::N)
}

/// Whether `1 <= a < n`.
#[inline]
pub(crate) fn is_in_range<C: Curve>(a: &U256) -> bool {
    !u256::is_zero(a) && u256::is_less(a, &C::N)
}

/// Montgomery's product `a b / 2^256 mod n`, below `n`.
#[inline]
pub(crate) fn montgomery_mul<C: Curve>(a: &U256, b: &U256) -> U256 {
    let mut wide = u256::mul_wide(a, b);
    let mut carry = false;
    for i in 0..4 {
        let quotient = wide[i].wrapping_mul(Order::<C>::NEG_INVERSE);
        let (_, mut high) = mul_add(quotient, C::N[0], wide[i], 0);
        for j in 1..4 {
            (wide[i + j], high) = mul_add(quotient, C::N[j], wide[i + j], high);
        }
        let (sum, first) = adc(wide[i + 4], high, carry);
        wide[i + 4] = sum;
        carry = first;
    }
    let result = [wide[4], wide[5], wide[6], wide[7]];
    let (reduced, borrow) = u256::sub(&result, &C::N);
    if carry || !borrow { reduced } else { result }
}

/// Replaces every one of up to `MAX` numbers `x` in `[1, n - 1]` by `2^256 / x`, so that `montgomery_mul(y, x)` is then
/// `y / x`, at the price of one inversion and three products each.
pub(crate) fn invert_all<C: Curve, const MAX: usize>(xs: &mut [U256]) {
    let mut before = [[0; 4]; MAX];
    let mut product = Order::<C>::ONE;
    for (x, before) in xs.iter().zip(&mut before) {
        *before = product;
        product = montgomery_mul::<C>(&product, x);
    }
    // Each product above lost a factor 2^256, which one product with its square gives back to all outputs.
    let mut inverse = montgomery_mul::<C>(&invert::invert(&product, &C::N), &Order::<C>::SQUARED);
    for (x, before) in xs.iter_mut().zip(&before).rev() {
        let inverted = montgomery_mul::<C>(&inverse, before);
        inverse = montgomery_mul::<C>(&inverse, x);
        *x = inverted;
    }
}

/// A scalar `k < n` written in signed odd digits: `k = sum d(j) 2^offset(j)`, where window `j` of `w` bits has an odd
/// `|d(j)| < 2^w`.
///
/// No digit is zero, so no summand is the identity, and a table needs only the positive odd multiples. Only an odd
/// number has such digits; of an even `k` they are those of `n - k`, negated.
#[derive(Clone, Copy)]
pub(crate) struct OddDigits {
    /// `(k + 2^bits - 1) / 2`: read with 1 for a bit that is set and -1 for one that is not, they spell `k`.
    bits: U256,
    negate: bool,
}

impl OddDigits {
    #[inline]
    pub(crate) fn new<C: Curve>(k: &U256) -> Self {
        let negate = k[0] & 1 == 0;
        let odd = if negate { u256::sub(&C::N, k).0 } else { *k };
        Self::of_odd(&odd, C::BITS, negate)
    }

    /// The digits of an odd number below `2^bits`, or of its negative.
    #[inline]
    pub(crate) fn of_odd(odd: &U256, bits: usize, negate: bool) -> Self {
        let mut half =
            [odd[0] >> 1 | odd[1] << 63, odd[1] >> 1 | odd[2] << 63, odd[2] >> 1 | odd[3] << 63, odd[3] >> 1];
        half[(bits - 1) / 64] |= 1 << ((bits - 1) % 64);
        Self { bits: half, negate }
    }

    /// The digit of the `width` bits at `offset`: `(|d| - 1) / 2`, and whether it is negative.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a digit has at most 16 bits")]
    pub(crate) fn digit(&self, offset: usize, width: usize) -> (u32, bool) {
        let window = u256::bits(&self.bits, offset, width) as u32;
        let half = 1_u32 << (width - 1);
        let positive = window >= half;
        // 2 window + 1 - 2^width is the digit.
        let index = if positive { window - half } else { half - 1 - window };
        (index, positive == self.negate)
    }
}

#[cfg(test)]
mod tests;
