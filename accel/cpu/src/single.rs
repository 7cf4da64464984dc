//! `[g]G + [q]Q` for a point `Q` seen for the first time: doublings with signed windows for `Q`, the comb table for
//! `G`. Only the inversion that makes the small tables affine is shared, so a batch of one is about as fast.
//!
//! Four such sums side by side, step by step, gain no more than 3%: the multiplier is busy either way. Vectors do gain:
//! see `lanes`.

#[cfg(target_arch = "x86_64")]
mod lanes;

#[cfg(target_arch = "x86_64")]
use crate::arith::ifma::LANES;
use crate::{
    arith::Arith,
    columns::Leaf,
    comb::Table,
    curve::Curve,
    detect::Ifma,
    field::Fe,
    point::{Affine, Jacobian, invert_all},
    scalar::OddDigits,
    u256::{self, U256},
};

/// Bits of a window of `Q`'s scalar. Five: eight odd multiples, an addition every sixth bit.
const WIDTH: usize = 5;
/// Odd multiples of `Q`.
const MULTIPLES: usize = 1 << (WIDTH - 2);
/// Digits of a scalar: one above its bits.
const DIGITS: usize = 257;

/// A sum to compute.
pub(crate) struct Term<A> {
    pub(crate) g: U256,
    pub(crate) q: U256,
    /// On the curve, of the group's prime order, not the identity.
    pub(crate) point: Affine<A>,
}

/// The buffers of [`Single::sum`], kept for the next call.
pub(crate) struct Single<A> {
    multiples: Vec<Jacobian<A>>,
    z_inverses: Vec<Fe<A>>,
    before: Vec<Fe<A>>,
    leaves: Vec<Leaf>,
    #[cfg(target_arch = "x86_64")]
    lanes: lanes::Tables<A>,
}

impl<A> Default for Single<A> {
    fn default() -> Self {
        Self {
            multiples: Vec::new(),
            z_inverses: Vec::new(),
            before: Vec::new(),
            leaves: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            lanes: lanes::Tables::default(),
        }
    }
}

impl<A: Arith> Single<A> {
    /// Hands the sum of every term to `with`, in order. Many are computed in the lanes of vectors, if there is an `ifma`.
    pub(crate) fn sum(
        &mut self,
        generator: &Table<A>,
        terms: &[Term<A>],
        ifma: Option<Ifma>,
        mut with: impl FnMut(usize, Jacobian<A>),
    ) {
        let mut done = 0;
        #[cfg(target_arch = "x86_64")]
        if let Some(cpu) = ifma {
            for terms in terms.chunks(LANES).filter(|terms| terms.len() >= lanes::WORTH) {
                let sums = self.lanes.sum(cpu, generator, terms, &mut self.leaves);
                for (index, sum) in sums[..terms.len()].iter().enumerate() {
                    match sum {
                        Some(sum) => with(done + index, *sum),
                        None => self.sum_each(generator, &terms[index..=index], |_, sum| with(done + index, sum)),
                    }
                }
                done += terms.len();
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = ifma;
        self.sum_each(generator, &terms[done..], |index, sum| with(done + index, sum));
    }

    /// One sum after the other.
    fn sum_each(&mut self, generator: &Table<A>, terms: &[Term<A>], mut with: impl FnMut(usize, Jacobian<A>)) {
        self.multiples.clear();
        for term in terms {
            push_odd_multiples(&term.point, &mut self.multiples);
        }
        self.z_inverses.clear();
        self.z_inverses.extend(self.multiples.iter().map(|multiple| multiple.z));
        self.before.resize(self.z_inverses.len(), Fe::ZERO);
        invert_all(&mut self.z_inverses, &mut self.before);
        for (index, term) in terms.iter().enumerate() {
            let at = index * MULTIPLES;
            let table = std::array::from_fn(|i| self.multiples[at + i].scale(self.z_inverses[at + i]));
            let mut sum = multiply(&table, &term.q);
            self.leaves.clear();
            generator.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&term.g), &mut self.leaves);
            for leaf in &self.leaves {
                sum = sum.add_affine(&leaf.point(generator.entries()));
            }
            with(index, sum);
        }
    }
}

/// Appends `P, 3P, 5P, ...`.
fn push_odd_multiples<A: Arith>(point: &Affine<A>, multiples: &mut Vec<Jacobian<A>>) {
    // On the isomorphic curve where 2P = (x / z^2, y / z^3) is the affine (x, y), each multiple is a cheap mixed
    // addition of it; a factor z takes the results back. The law of addition does not know the curve's coefficients.
    let double = Jacobian::from(*point).double();
    let step = Affine { x: double.x, y: double.y };
    let z_squared = double.z.square();
    let mut multiple = Jacobian { x: point.x * z_squared, y: point.y * z_squared * double.z, z: Fe::ONE };
    for _ in 0..MULTIPLES {
        multiples.push(Jacobian { z: multiple.z * double.z, ..multiple });
        multiple = multiple.add_affine(&step);
    }
}

/// `[k]P` from the odd multiples of `P`.
fn multiply<A: Arith>(table: &[Affine<A>; MULTIPLES], k: &U256) -> Jacobian<A> {
    let mut digits = [[0_i8; DIGITS]; 2];
    let mut sum = Jacobian::IDENTITY;
    if let Some(beta) = A::Curve::BETA {
        // [k]P = [k1]P + [k2](beta x, y), both half as long.
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
fn add_digit<A: Arith>(sum: Jacobian<A>, table: &[Affine<A>; MULTIPLES], digit: i8, negate: bool) -> Jacobian<A> {
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
