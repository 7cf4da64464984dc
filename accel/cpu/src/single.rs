//! `[g]G + [q]Q` for a point `Q` seen for the first time: doublings with windows of `Q`'s scalar, the comb table for `G`.
//!
//! Each step of such a sum waits for the one before, so a single one leaves the multiplier idle half of the time.
//! [`LANES`] of them side by side keep it busy. One alone takes signed windows with gaps, which need fewer additions but
//! come at other places in each scalar.

use crate::{
    arith::Arith,
    comb::Table,
    curve::Curve,
    field::Fe,
    lanes::{LANES, Lanes},
    point::{Affine, Jacobian, invert_all},
    scalar::OddDigits,
    tree::Leaf,
    u256::{self, U256},
};

/// Bits of a window of `Q`'s scalar.
const WIDTH: usize = 5;
/// Odd multiples of `Q` that windows with gaps need, up to `2^(WIDTH - 1)`.
const FEW: usize = 1 << (WIDTH - 2);
/// Odd multiples of `Q` that windows without gaps need, up to `2^WIDTH`.
const MANY: usize = 1 << (WIDTH - 1);
/// Digits of a scalar with gaps: one above its bits.
const DIGITS: usize = 257;
/// Bits of a half of a scalar, made odd, and a multiple of `WIDTH`.
const HALF_BITS: usize = 130;

/// A sum to compute.
pub(crate) struct Term<A> {
    pub(crate) g: U256,
    pub(crate) q: U256,
    /// On the curve, of the group's prime order, not the identity.
    pub(crate) point: Affine<A>,
}

/// The buffers of [`Single::sum`], kept for the next call.
pub(crate) struct Single<A> {
    leaves: Vec<Leaf>,
    other_leaves: [Vec<Leaf>; LANES],
    unused: std::marker::PhantomData<A>,
}

impl<A> Default for Single<A> {
    fn default() -> Self {
        Self { leaves: Vec::new(), other_leaves: Default::default(), unused: std::marker::PhantomData }
    }
}

impl<A: Arith> Single<A> {
    /// Hands the sum of every term to `with`, in order.
    pub(crate) fn sum(&mut self, generator: &Table<A>, terms: &[Term<A>], mut with: impl FnMut(usize, Jacobian<A>)) {
        for (group, terms) in terms.chunks(LANES).enumerate() {
            let first = group * LANES;
            // Lanes cost about as much as two single ones, however few are in use.
            if terms.len() > 2 {
                let last = terms.len() - 1;
                let sums = self.sum_lanes(generator, std::array::from_fn(|lane| &terms[lane.min(last)]));
                sums.into_iter().take(terms.len()).enumerate().for_each(|(lane, sum)| with(first + lane, sum));
            } else {
                for (index, term) in terms.iter().enumerate() {
                    with(first + index, self.sum_one(generator, term));
                }
            }
        }
    }

    fn sum_one(&mut self, generator: &Table<A>, term: &Term<A>) -> Jacobian<A> {
        // On the isomorphic curve where 2P = (x / z^2, y / z^3) is the affine (x, y), each odd multiple is a cheap mixed
        // addition of it; a factor z takes the results back. The law of addition does not know the curve's coefficients.
        let double = Jacobian::from(term.point).double();
        let step = Affine { x: double.x, y: double.y };
        let z_squared = double.z.square();
        let mut multiple = Jacobian { x: term.point.x * z_squared, y: term.point.y * z_squared * double.z, z: Fe::ONE };
        let mut multiples = [Jacobian::IDENTITY; FEW];
        for slot in &mut multiples {
            *slot = Jacobian { z: multiple.z * double.z, ..multiple };
            multiple = multiple.add_affine(&step);
        }
        let mut z_inverses = multiples.map(|multiple| multiple.z);
        invert_all(&mut z_inverses, &mut [Fe::ZERO; FEW]);
        let mut sum = multiply(&std::array::from_fn(|i| multiples[i].scale(z_inverses[i])), &term.q);
        self.leaves.clear();
        generator.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&term.g), &mut self.leaves);
        for leaf in &self.leaves {
            sum = sum.add_affine(&leaf.point(generator.entries()));
        }
        sum
    }

    fn sum_lanes(&mut self, generator: &Table<A>, terms: [&Term<A>; LANES]) -> [Jacobian<A>; LANES] {
        let table = odd_multiples(terms.map(|term| term.point));
        let mut sum = multiply_lanes(&table, terms.map(|term| term.q));
        for (leaves, term) in self.other_leaves.iter_mut().zip(terms) {
            leaves.clear();
            generator.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&term.g), leaves);
        }
        for index in 0..self.other_leaves[0].len() {
            sum.add_affine(&self.other_leaves.each_ref().map(|leaves| leaves[index].point(generator.entries())));
        }
        sum.points()
    }
}

/// `P, 3P, 5P, ...` of each lane, as in [`Single::sum_one`]; the first index is the multiple's.
fn odd_multiples<A: Arith>(points: [Affine<A>; LANES]) -> [[Affine<A>; LANES]; MANY] {
    let mut double = Lanes::from(points);
    double.double();
    let double = double.points();
    let step = double.map(|double| Affine { x: double.x, y: double.y });
    let mut multiple = Lanes::from(std::array::from_fn(|lane| {
        let (point, z_squared) = (&points[lane], double[lane].z.square());
        Affine { x: point.x * z_squared, y: point.y * z_squared * double[lane].z }
    }));
    let mut multiples = [[Jacobian::IDENTITY; LANES]; MANY];
    for slot in &mut multiples {
        let points = multiple.points();
        *slot = std::array::from_fn(|lane| Jacobian { z: points[lane].z * double[lane].z, ..points[lane] });
        multiple.add_affine(&step);
    }
    let mut z_inverses = [Fe::ZERO; MANY * LANES];
    for (inverse, multiple) in z_inverses.iter_mut().zip(multiples.as_flattened()) {
        *inverse = multiple.z;
    }
    invert_all(&mut z_inverses, &mut [Fe::ZERO; MANY * LANES]);
    std::array::from_fn(|i| std::array::from_fn(|lane| multiples[i][lane].scale(z_inverses[i * LANES + lane])))
}

/// `[k]P` of each lane from the odd multiples of `P`.
fn multiply_lanes<A: Arith>(table: &[[Affine<A>; LANES]; MANY], ks: [U256; LANES]) -> Lanes<A> {
    let Some(beta) = A::Curve::BETA else {
        let digits = ks.map(|k| OddDigits::new::<A::Curve>(&k));
        return sum_windows(A::Curve::BITS, &[(table, digits)]);
    };
    // [k]P = [k1]P + [k2](beta x, y), both half as long. Odd digits spell odd numbers: the even ones are one less.
    let beta = Fe::raw(beta);
    let turned = table.map(|points| points.map(|point| Affine { x: point.x * beta, y: point.y }));
    let halves = ks.map(|k| A::Curve::split(&k));
    let digits = |half: usize| {
        halves.map(|halves| {
            let ([low, rest @ ..], negate) = halves[half];
            OddDigits::odd(&[low | 1, rest[0], rest[1], rest[2]], HALF_BITS, negate)
        })
    };
    let mut sum = sum_windows(HALF_BITS, &[(table, digits(0)), (&turned, digits(1))]);
    for (half, table) in [table, &turned].into_iter().enumerate() {
        for lane in 0..LANES {
            let (k, negate) = halves[lane][half];
            if k[0] & 1 == 0 {
                let point = &table[0][lane];
                sum.add_affine_to(lane, &Affine { x: point.x, y: if negate { point.y } else { -point.y } });
            }
        }
    }
    sum
}

/// A table of odd multiples, and the digits of the scalars that it is multiplied by.
type Factor<'a, A> = (&'a [[Affine<A>; LANES]; MANY], [OddDigits; LANES]);

/// The sum of all factors, from the highest window of `bits` down.
fn sum_windows<A: Arith>(bits: usize, factors: &[Factor<'_, A>]) -> Lanes<A> {
    let entries = |(table, digits): &Factor<'_, A>, offset: usize| {
        let width = WIDTH.min(bits - offset);
        std::array::from_fn(|lane| {
            let (index, negative) = digits[lane].digit(offset, width);
            let point = &table[index as usize][lane];
            Affine { x: point.x, y: if negative { -point.y } else { point.y } }
        })
    };
    let mut offset = (bits - 1) / WIDTH * WIDTH;
    let mut sum = Lanes::from(entries(&factors[0], offset));
    factors[1..].iter().for_each(|factor| sum.add_affine(&entries(factor, offset)));
    while offset > 0 {
        offset -= WIDTH;
        (0..WIDTH).for_each(|_| sum.double());
        factors.iter().for_each(|factor| sum.add_affine(&entries(factor, offset)));
    }
    sum
}

/// `[k]P` from the odd multiples of `P`.
fn multiply<A: Arith>(table: &[Affine<A>; FEW], k: &U256) -> Jacobian<A> {
    let mut digits = [[0_i8; DIGITS]; 2];
    let mut sum = Jacobian::IDENTITY;
    if let Some(beta) = A::Curve::BETA {
        // As in `multiply_lanes`.
        let beta = Fe::raw(beta);
        let [(k1, negate1), (k2, negate2)] = A::Curve::split(k);
        let turned = table.map(|point| Affine { x: point.x * beta, y: point.y });
        let len = signed_digits(&k1, &mut digits[0]).max(signed_digits(&k2, &mut digits[1]));
        for index in (0..len).rev() {
            sum = sum.double();
            sum = add_digit(sum, table, digits[0][index], negate1);
            sum = add_digit(sum, &turned, digits[1][index], negate2);
        }
    } else {
        let len = signed_digits(k, &mut digits[0]);
        for digit in digits[0][..len].iter().rev() {
            sum = add_digit(sum.double(), table, *digit, false);
        }
    }
    sum
}

#[inline(always)]
fn add_digit<A: Arith>(sum: Jacobian<A>, table: &[Affine<A>; FEW], digit: i8, negate: bool) -> Jacobian<A> {
    if digit == 0 {
        return sum;
    }
    let point = &table[usize::from(digit.unsigned_abs() / 2)];
    let y = if (digit < 0) == negate { point.y } else { -point.y };
    sum.add_affine(&Affine { x: point.x, y })
}

/// Writes `k` as `sum digits[i] 2^i` with digits that are zero or odd and below `2^(WIDTH - 1)` in absolute value, at
/// least `WIDTH` apart. Returns how many digits it took.
#[expect(clippy::cast_possible_truncation, reason = "a digit is below 16 in absolute value")]
fn signed_digits(k: &U256, digits: &mut [i8; DIGITS]) -> usize {
    digits.fill(0);
    let bits = u256::bit_len(k);
    let (mut at, mut len, mut carry) = (0, 0, 0_u64);
    while at < bits || carry == 1 {
        let window = u256::bits(k, at, WIDTH);
        if window & 1 == carry {
            at += 1;
            continue;
        }
        let digit = window + carry;
        carry = digit >> (WIDTH - 1);
        digits[at] = digit.wrapping_sub(carry << WIDTH) as i8;
        len = at + 1;
        at += WIDTH;
    }
    len
}

#[cfg(test)]
mod tests;
