//! Independent Jacobian points, worked on side by side.
//!
//! The formulas are those of `point.rs`, step by step across the lanes, so that the CPU always has independent products.

use crate::{
    arith::Arith,
    curve::{Coefficient, Curve},
    field::Fe,
    point::{Affine, Jacobian},
};

/// Points side by side. Two would already hide much of the latency of a product.
pub(crate) const LANES: usize = 4;

/// `LANES` points.
pub(crate) struct Lanes<A> {
    x: [Fe<A>; LANES],
    y: [Fe<A>; LANES],
    z: [Fe<A>; LANES],
}

/// `a * b` in each lane.
#[inline(always)]
fn mul<A: Arith>(a: &[Fe<A>; LANES], b: &[Fe<A>; LANES]) -> [Fe<A>; LANES] {
    std::array::from_fn(|lane| a[lane] * b[lane])
}

#[inline(always)]
fn square<A: Arith>(a: &[Fe<A>; LANES]) -> [Fe<A>; LANES] {
    a.map(Fe::square)
}

#[inline(always)]
fn add<A: Arith>(a: &[Fe<A>; LANES], b: &[Fe<A>; LANES]) -> [Fe<A>; LANES] {
    std::array::from_fn(|lane| a[lane] + b[lane])
}

#[inline(always)]
fn sub<A: Arith>(a: &[Fe<A>; LANES], b: &[Fe<A>; LANES]) -> [Fe<A>; LANES] {
    std::array::from_fn(|lane| a[lane] - b[lane])
}

impl<A: Arith> From<[Affine<A>; LANES]> for Lanes<A> {
    fn from(points: [Affine<A>; LANES]) -> Self {
        let points = points.map(Jacobian::from);
        Self { x: points.map(|point| point.x), y: points.map(|point| point.y), z: points.map(|point| point.z) }
    }
}

impl<A: Arith> Lanes<A> {
    fn point(&self, lane: usize) -> Jacobian<A> {
        Jacobian { x: self.x[lane], y: self.y[lane], z: self.z[lane] }
    }

    fn set(&mut self, lane: usize, point: Jacobian<A>) {
        (self.x[lane], self.y[lane], self.z[lane]) = (point.x, point.y, point.z);
    }

    /// All of them.
    pub(crate) fn points(&self) -> [Jacobian<A>; LANES] {
        std::array::from_fn(|lane| self.point(lane))
    }

    /// Doubles each; complete, as [`Jacobian::double`].
    #[inline(never)]
    pub(crate) fn double(&mut self) {
        let y_squared = square(&self.y);
        let base = match A::Curve::A {
            Coefficient::MinusThree => {
                let z_squared = square(&self.z);
                mul(&add(&self.x, &z_squared), &sub(&self.x, &z_squared))
            }
            Coefficient::Zero | Coefficient::Other(_) => square(&self.x),
        };
        let mut numerator: [Fe<A>; LANES] = base.map(|base| base.double() + base);
        if let Coefficient::Other(a) = A::Curve::A {
            let z_fourth = square(&square(&self.z));
            numerator = add(&numerator, &z_fourth.map(|z_fourth| Fe::raw(a) * z_fourth));
        }
        let m = numerator.map(Fe::half);
        let s = mul(&self.x, &y_squared);
        self.z = mul(&self.y, &self.z);
        let y_fourth = square(&y_squared);
        self.x = sub(&square(&m), &s.map(Fe::double));
        self.y = sub(&mul(&m, &sub(&s, &self.x)), &y_fourth);
    }

    /// Adds a point to each; complete, as [`Jacobian::add_affine`].
    #[inline(never)]
    pub(crate) fn add_affine(&mut self, points: &[Affine<A>; LANES]) {
        let (x2, y2) = (points.map(|point| point.x), points.map(|point| point.y));
        let z_squared = square(&self.z);
        let u2 = mul(&x2, &z_squared);
        let s2 = mul(&mul(&y2, &z_squared), &self.z);
        let (h, r) = (sub(&u2, &self.x), sub(&s2, &self.y));
        // Equal or opposite points, or the identity: all lanes are done again by the complete law, which is rare.
        let special = (0..LANES).any(|lane| h[lane].may_be_zero() || self.z[lane].may_be_zero());
        let before = special.then(|| self.points());
        let h_squared = square(&h);
        let h_cubed = mul(&h_squared, &h);
        let v = mul(&self.x, &h_squared);
        let s1 = mul(&self.y, &h_cubed);
        self.z = mul(&self.z, &h);
        self.x = sub(&sub(&square(&r), &h_cubed), &v.map(Fe::double));
        self.y = sub(&mul(&r, &sub(&v, &self.x)), &s1);
        if let Some(before) = before {
            for lane in 0..LANES {
                self.set(lane, before[lane].add_affine(&points[lane]));
            }
        }
    }

    /// Adds a point to one lane; complete.
    pub(crate) fn add_affine_to(&mut self, lane: usize, point: &Affine<A>) {
        self.set(lane, self.point(lane).add_affine(point));
    }
}
