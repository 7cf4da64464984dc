//! Elements of a curve's field.
//!
//! The limbs hold any number below `2^256` of the right residue, so an element has two forms, or three where
//! `p < 2^255`. Only comparisons bring it below `p`. That saves a subtraction and its unpredictable branch in each
//! operation.

use crate::{
    arith::Arith,
    curve::{Coefficient, Curve},
    invert,
    u256::{self, U256},
};

/// An element of the field of `A`'s curve, computed with the instructions of `A`.
pub(crate) struct Fe<A>(pub(crate) U256, std::marker::PhantomData<A>);

impl<A> Clone for Fe<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Fe<A> {}

impl<A: Arith> Fe<A> {
    pub(crate) const ZERO: Self = Self::raw([0; 4]);
    pub(crate) const ONE: Self = Self::raw(A::Curve::ONE);
    const P: U256 = A::Curve::P;
    /// `2p`, the third form of zero, if it is below `2^256`, else `p` again.
    const P_OR_2P: U256 = if Self::P[3] >> 63 == 0 { u256::add(&Self::P, &Self::P).0 } else { Self::P };

    /// An element from its internal form.
    #[inline(always)]
    pub(crate) const fn raw(limbs: U256) -> Self {
        Self(limbs, std::marker::PhantomData)
    }

    /// An integer, taken modulo `p`.
    #[inline]
    pub(crate) fn from_integer(integer: &U256) -> Self {
        Self::raw(*integer) * Self::raw(A::Curve::INTO)
    }

    /// The integer below `p`.
    #[inline]
    pub(crate) fn to_integer(self) -> U256 {
        let [a, b, c, d] = self.0;
        Self::raw(A::Curve::reduce([a, b, c, d, 0, 0, 0, 0])).canonical().0
    }

    /// The form below `p`.
    #[inline(always)]
    pub(crate) fn canonical(self) -> Self {
        let once = u256::sub_once(&self.0, &Self::P);
        Self::raw(if Self::P[3] >> 63 == 0 { u256::sub_once(&once, &Self::P) } else { once })
    }

    #[inline(always)]
    pub(crate) fn is_zero(self) -> bool {
        u256::is_zero(&self.0) || self.0 == Self::P || self.0 == Self::P_OR_2P
    }

    /// False only if the element is not zero. Looks at one limb: the common no costs two compares.
    #[inline(always)]
    pub(crate) fn may_be_zero(self) -> bool {
        self.0[0] == 0 || self.0[0] == Self::P[0] || self.0[0] == Self::P_OR_2P[0]
    }

    #[inline(always)]
    pub(crate) fn square(self) -> Self {
        Self::raw(A::square(&self.0))
    }

    /// `self^(2^count)`.
    #[inline]
    pub(crate) fn square_times(self, count: usize) -> Self {
        (0..count).fold(self, |power, _| power.square())
    }

    #[inline(always)]
    pub(crate) fn double(self) -> Self {
        self + self
    }

    /// `self / 2`.
    #[inline(always)]
    pub(crate) fn half(self) -> Self {
        // An odd number becomes even by adding p, which is odd.
        let (sum, carry) = u256::add(&self.0, &u256::select(&Self::P, self.0[0] & 1 == 1));
        Self::raw([
            sum[0] >> 1 | sum[1] << 63,
            sum[1] >> 1 | sum[2] << 63,
            sum[2] >> 1 | sum[3] << 63,
            sum[3] >> 1 | u64::from(carry) << 63,
        ])
    }

    /// `p - self` if `negate`, else itself, for the form below `p` of a non-zero element. No branch: the sign of a
    /// digit is a coin toss, which no branch predictor gets right.
    #[inline(always)]
    pub(crate) fn negate_canonical_if(self, negate: bool) -> Self {
        // p - y = p + 1 + !y modulo 2^256
        let mask = u64::from(negate).wrapping_neg();
        let complement = self.0.map(|limb| limb ^ mask);
        let p_plus_one = const { u256::add(&Self::P, &[1, 0, 0, 0]).0 };
        Self::raw(u256::add(&complement, &u256::select(&p_plus_one, negate)).0)
    }

    /// `1 / self`; zero for zero.
    pub(crate) fn invert(self) -> Self {
        let inverse = Self::raw(invert::invert(&self.canonical().0, &Self::P));
        // In Montgomery's form 1/(a R) lacks R^2 of being R/a; the product takes one R more.
        let into = Self::raw(A::Curve::INTO);
        inverse * (into * into)
    }

    /// `x^3 + a x + b`, what `y^2` must be.
    pub(crate) fn curve_equation(x: Self) -> Self {
        let cubed_and_b = x.square() * x + Self::from_integer(&A::Curve::B);
        match A::Curve::A {
            Coefficient::Zero => cubed_and_b,
            Coefficient::MinusThree => cubed_and_b - x.double() - x,
            Coefficient::Other(a) => cubed_and_b + x * Self::raw(a),
        }
    }
}

impl<A: Arith> std::ops::Mul for Fe<A> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self::raw(A::mul(&self.0, &other.0))
    }
}

impl<A: Arith> std::ops::Sub for Fe<A> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::raw(A::sub(&self.0, &other.0))
    }
}

impl<A: Arith> std::ops::Add for Fe<A> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::raw(A::add(&self.0, &other.0))
    }
}

impl<A: Arith> std::ops::Neg for Fe<A> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl<A: Arith> PartialEq for Fe<A> {
    fn eq(&self, other: &Self) -> bool {
        self.canonical().0 == other.canonical().0
    }
}

impl<A: Arith> std::fmt::Debug for Fe<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x?}", self.to_integer())
    }
}

#[cfg(test)]
mod tests;
