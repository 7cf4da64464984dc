//! Points of a curve: affine for tables and sums, Jacobian where a complete law or doublings are needed.

use crate::{
    arith::Arith,
    curve::{Coefficient, Curve},
    field::Fe,
    u256::{self, U256},
};

/// An affine point in one cache line. `(0, 0)`, which is on none of the curves, stands for the identity.
#[repr(C, align(64))]
pub(crate) struct Affine<A> {
    pub(crate) x: Fe<A>,
    pub(crate) y: Fe<A>,
}

impl<A> Clone for Affine<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Affine<A> {}

impl<A: Arith> Affine<A> {
    pub(crate) const IDENTITY: Self = Self { x: Fe::ZERO, y: Fe::ZERO };

    pub(crate) fn generator() -> Self {
        let (x, y) = A::Curve::GENERATOR;
        Self { x: Fe::from_integer(&x), y: Fe::from_integer(&y) }
    }

    #[inline(always)]
    pub(crate) fn is_identity(&self) -> bool {
        self.x.may_be_zero() && self.x.is_zero() && self.y.is_zero()
    }

    /// The point with these coordinates, if both are below `p` and it is on the curve.
    pub(crate) fn new(x: &U256, y: &U256) -> Option<Self> {
        if !u256::is_less(x, &A::Curve::P) || !u256::is_less(y, &A::Curve::P) {
            return None;
        }
        let point = Self { x: Fe::from_integer(x), y: Fe::from_integer(y) };
        (point.y.square() == Fe::curve_equation(point.x)).then_some(point)
    }

    /// A key `x || y`, big endian.
    pub(crate) fn from_bytes(bytes: &[u8; 64]) -> Option<Self> {
        let (halves, _) = bytes.as_chunks::<32>();
        Self::new(&u256::from_be_bytes(&halves[0]), &u256::from_be_bytes(&halves[1]))
    }

    /// `x || y`, big endian.
    pub(crate) fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&u256::to_be_bytes(&self.x.to_integer()));
        bytes[32..].copy_from_slice(&u256::to_be_bytes(&self.y.to_integer()));
        bytes
    }

    /// The same point with coordinates below `p`.
    pub(crate) fn canonical(&self) -> Self {
        Self { x: self.x.canonical(), y: self.y.canonical() }
    }

    /// `3 x^2 + a`, the numerator of the slope of the tangent.
    pub(crate) fn tangent_numerator(&self) -> Fe<A> {
        let square = self.x.square();
        let triple = square.double() + square;
        match A::Curve::A {
            Coefficient::Zero => triple,
            Coefficient::MinusThree => triple - (Fe::ONE.double() + Fe::ONE),
            Coefficient::Other(a) => triple + Fe::raw(a),
        }
    }
}

impl<A: Arith> PartialEq for Affine<A> {
    fn eq(&self, other: &Self) -> bool {
        self.x == other.x && self.y == other.y
    }
}

impl<A: Arith> std::fmt::Debug for Affine<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "({:?}, {:?})", self.x, self.y)
    }
}

/// The point `(x / z^2, y / z^3)`, or the identity if `z` is zero.
pub(crate) struct Jacobian<A> {
    pub(crate) x: Fe<A>,
    pub(crate) y: Fe<A>,
    pub(crate) z: Fe<A>,
}

impl<A> Clone for Jacobian<A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Jacobian<A> {}

impl<A: Arith> From<Affine<A>> for Jacobian<A> {
    fn from(point: Affine<A>) -> Self {
        let z = if point.is_identity() { Fe::ZERO } else { Fe::ONE };
        Self { x: point.x, y: point.y, z }
    }
}

impl<A: Arith> Jacobian<A> {
    pub(crate) const IDENTITY: Self = Self { x: Fe::ONE, y: Fe::ONE, z: Fe::ZERO };

    pub(crate) fn is_identity(&self) -> bool {
        self.z.is_zero()
    }

    /// Complete: the identity stays itself, and a point of order two (`y = 0`) becomes the identity by `z = y z`.
    #[inline]
    pub(crate) fn double(&self) -> Self {
        // Half of the slope's numerator and half of the usual z: fewer doublings of coordinates. Independent products stand
        // side by side, for a chain of doublings is bound by how long each takes, not by how many the CPU can do.
        let y_squared = self.y.square();
        let triple = |square: Fe<A>| square.double() + square;
        let (numerator, s, z) = match A::Curve::A {
            Coefficient::Zero => {
                let x_squared = self.x.square();
                let z = self.y * self.z;
                (triple(x_squared), self.x * y_squared, z)
            }
            Coefficient::MinusThree => {
                let z_squared = self.z.square();
                let z = self.y * self.z;
                let product = (self.x + z_squared) * (self.x - z_squared);
                (triple(product), self.x * y_squared, z)
            }
            Coefficient::Other(a) => {
                let x_squared = self.x.square();
                let z_fourth = self.z.square().square();
                (triple(x_squared) + Fe::raw(a) * z_fourth, self.x * y_squared, self.y * self.z)
            }
        };
        let m = numerator.half();
        let y_fourth = y_squared.square();
        let x = m.square() - s.double();
        Self { x, y: m * (s - x) - y_fourth, z }
    }

    /// Complete addition: for tests.
    #[cfg(test)]
    pub(crate) fn add(&self, other: &Self) -> Self {
        if self.is_identity() {
            return *other;
        }
        if other.is_identity() {
            return *self;
        }
        let (z1_squared, z2_squared) = (self.z.square(), other.z.square());
        let (u1, u2) = (self.x * z2_squared, other.x * z1_squared);
        let (s1, s2) = (self.y * z2_squared * other.z, other.y * z1_squared * self.z);
        self.add_with(u1, u2, s1, s2, self.z * other.z)
    }

    /// Complete addition of an affine point.
    #[inline]
    pub(crate) fn add_affine(&self, other: &Affine<A>) -> Self {
        if self.z.may_be_zero() && self.is_identity() {
            return (*other).into();
        }
        if other.is_identity() {
            return *self;
        }
        let z_squared = self.z.square();
        let (u2, s2) = (other.x * z_squared, other.y * z_squared * self.z);
        self.add_with(self.x, u2, self.y, s2, self.z)
    }

    /// The sum of two points that are not the identity, from their coordinates over the common denominator `z`.
    #[inline(always)]
    fn add_with(&self, u1: Fe<A>, u2: Fe<A>, s1: Fe<A>, s2: Fe<A>, z: Fe<A>) -> Self {
        let (h, r) = (u2 - u1, s2 - s1);
        if h.may_be_zero() && h.is_zero() {
            return if r.is_zero() { self.double() } else { Self::IDENTITY };
        }
        let h_squared = h.square();
        let h_cubed = h_squared * h;
        let v = u1 * h_squared;
        let x = r.square() - h_cubed - v.double();
        Self { x, y: r * (v - x) - s1 * h_cubed, z: z * h }
    }

    /// The affine point whose `1/z` is known.
    pub(crate) fn scale(&self, z_inverse: Fe<A>) -> Affine<A> {
        let squared = z_inverse.square();
        Affine { x: self.x * squared, y: self.y * squared * z_inverse }
    }

    #[cfg(test)]
    pub(crate) fn to_affine(self) -> Affine<A> {
        self.scale(self.z.invert())
    }

    /// `[k]` of the point, bit by bit: for tests.
    #[cfg(test)]
    pub(crate) fn mul(&self, k: &U256) -> Self {
        (0..256).rev().fold(Self::IDENTITY, |sum, index| {
            let doubled = sum.double();
            if u256::bits(k, index, 1) == 1 { doubled.add(self) } else { doubled }
        })
    }
}

/// Inverts every element that is not zero, at the price of one inversion and three products each.
pub(crate) fn invert_all<A: Arith>(elements: &mut [Fe<A>], before: &mut [Fe<A>]) {
    let mut product = Fe::ONE;
    for (element, before) in elements.iter().zip(&mut *before) {
        *before = product;
        if !element.is_zero() {
            product = product * *element;
        }
    }
    let mut inverse = product.invert();
    for (element, before) in elements.iter_mut().zip(before).rev() {
        if !element.is_zero() {
            let inverted = inverse * *before;
            inverse = inverse * *element;
            *element = inverted;
        }
    }
}

/// The affine form of every point.
pub(crate) fn to_affine<A: Arith>(points: &[Jacobian<A>]) -> Vec<Affine<A>> {
    let mut zs: Vec<_> = points.iter().map(|point| point.z).collect();
    invert_all(&mut zs, &mut vec![Fe::ZERO; points.len()]);
    points.iter().zip(zs).map(|(point, z)| if z.is_zero() { Affine::IDENTITY } else { point.scale(z) }).collect()
}

#[cfg(test)]
mod tests;
