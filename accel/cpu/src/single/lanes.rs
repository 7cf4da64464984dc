//! The same sums for eight points at once, one in each lane of vectors. All lanes take the same steps: the digits are odd,
//! so every window is an addition.
//!
//! Nothing looks for equal or opposite points: adding such leaves a lane with `Z = 0`, which no later step changes. Those
//! lanes, and sums that are the identity, are left to the other way.

use super::{MULTIPLES, Term};
use crate::{
    arith::{
        Arith,
        ifma::{LANES, Lanes, Mask},
    },
    columns::Leaf,
    comb::Table,
    curve::{Coefficient, Curve},
    detect::Ifma,
    point::{Affine, Jacobian},
    scalar::OddDigits,
};

/// Terms from which on this is faster than one after the other.
pub(super) const WORTH: usize = 2;
/// Bits of a window: [`MULTIPLES`] odd multiples are all its digits.
const WIDTH: usize = MULTIPLES.ilog2() as usize + 1;
/// Bits of half a scalar, in whole windows.
const HALF_BITS: usize = 132;

/// The odd multiples of the points of all lanes.
type Multiples<A> = [[Affine<A>; MULTIPLES]; LANES];

/// The buffers of [`sum`](Self::sum).
pub(super) struct Tables<A> {
    /// Of the points, and of the points under the endomorphism. Empty before the first use.
    multiples: Vec<Multiples<A>>,
}

impl<A> Default for Tables<A> {
    fn default() -> Self {
        Self { multiples: Vec::new() }
    }
}

/// Affine points, as [`Lanes::from_x`] and [`Lanes::from_y`] have them.
struct Points<A> {
    x: Lanes<A>,
    y: Lanes<A>,
}

impl<A: Arith> Points<A> {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn new(cpu: Ifma, entries: [&Affine<A>; LANES], negative: Mask) -> Self {
        Self {
            x: Lanes::from_x(cpu, entries.map(|entry| &entry.x.0)),
            y: Lanes::from_y(cpu, entries.map(|entry| &entry.y.0)).negate_if(negative),
        }
    }
}

/// Jacobian coordinates.
struct Sum<A> {
    x: Lanes<A>,
    y: Lanes<A>,
    z: Lanes<A>,
}

impl<A: Arith> Sum<A> {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn new(cpu: Ifma, points: &Points<A>) -> Self {
        Self { x: points.x, y: points.y, z: Lanes::unit(cpu) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn double(&self, cpu: Ifma) -> Self {
        let y_squared = self.y.squared();
        let m = match A::Curve::A {
            Coefficient::Zero => self.x.squared().triple(),
            Coefficient::MinusThree => {
                let z_squared = self.z.squared();
                self.x.plus(z_squared).times(self.x.minus(z_squared)).triple()
            }
            Coefficient::Other(_) => {
                // The coefficient of the curve of the coordinates without a unit.
                let z_fourth = self.z.per_unit().squared().squared();
                self.x.squared().triple().plus(Lanes::coefficient(cpu).times(z_fourth))
            }
        };
        // At most 1.32 M and 1.1 M, so that eight times as much can be subtracted.
        let (beta, y_fourth) = (self.x.times(y_squared), y_squared.squared());
        let (beta, y_fourth) = (beta.plus(beta), y_fourth.plus(y_fourth));
        let (beta, y_fourth) = (beta.plus(beta), y_fourth.plus(y_fourth));
        let yz = self.y.times(self.z);
        let x = m.square_minus(beta, beta);
        Self { x, y: m.times_minus(beta.minus(x), y_fourth.plus(y_fourth)), z: yz.plus(yz) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn add(&self, points: &Points<A>) -> Self {
        let z = self.z.per_unit();
        let z_squared = z.squared();
        let h = points.x.times(z_squared).minus(self.x);
        let r = points.y.times(z_squared.times(z)).minus(self.y);
        let h_squared = h.squared();
        let h_cubed = h_squared.times(h);
        let v = self.x.times(h_squared);
        let x = r.square_minus(h_cubed, v.plus(v));
        Self { x, y: r.times_minus(v.minus(x), self.y.times(h_cubed)), z: self.z.times(h) }
    }
}

impl<A: Arith> Tables<A> {
    /// The sums of up to eight terms, but none where that takes the complete law.
    pub(super) fn sum(
        &mut self,
        cpu: Ifma,
        generator: &Table<A>,
        terms: &[Term<A>],
        leaves: &mut Vec<Leaf>,
    ) -> [Option<Jacobian<A>>; LANES] {
        self.multiples.resize(2, [[Affine::IDENTITY; MULTIPLES]; LANES]);
        leaves.clear();
        // Lanes without a term repeat the first.
        let terms = std::array::from_fn(|lane| terms.get(lane).unwrap_or(&terms[0]));
        for term in terms {
            generator.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&term.g), leaves);
        }
        for leaf in leaves.iter() {
            leaf.prefetch(generator.entries());
        }
        // SAFETY: the witness says that the CPU has these instructions.
        unsafe { self.sum_lanes(cpu, generator.entries(), terms, leaves) }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn sum_lanes(
        &mut self,
        cpu: Ifma,
        generator: &[Affine<A>],
        terms: [&Term<A>; LANES],
        leaves: &[Leaf],
    ) -> [Option<Jacobian<A>>; LANES] {
        if !self.fill(cpu, terms) {
            return [None; LANES];
        }
        let mut sum = if A::Curve::BETA.is_some() {
            let halves = terms.map(|term| A::Curve::split_odd(&term.q));
            let digits = [0, 1].map(|half: usize| {
                halves.each_ref().map(|halves| OddDigits::of_odd(&halves[half].0, HALF_BITS, halves[half].1))
            });
            self.multiply(cpu, HALF_BITS, &digits)
        } else {
            let digits = terms.map(|term| OddDigits::new::<A::Curve>(&term.q));
            self.multiply(cpu, A::Curve::BITS, &[digits])
        };
        let rows = leaves.len() / LANES;
        for row in 0..rows {
            let leaves: [Leaf; LANES] = std::array::from_fn(|lane| leaves[lane * rows + row]);
            let negative = (0..LANES).fold(0, |mask, lane| mask | Mask::from(leaves[lane].is_negative()) << lane);
            sum = sum.add(&Points::new(cpu, leaves.map(|leaf| leaf.entry(generator)), negative));
        }
        let (xs, ys, zs) = (sum.x.to_own(cpu), sum.y.to_own(cpu), sum.z.to_own(cpu));
        std::array::from_fn(|lane| {
            let sum = Jacobian { x: xs[lane], y: ys[lane], z: zs[lane] };
            (!sum.is_identity()).then_some(sum)
        })
    }

    /// Computes the odd multiples of all points. False if a point has none, as those of small order.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn fill(&mut self, cpu: Ifma, terms: [&Term<A>; LANES]) -> bool {
        // See `push_odd_multiples`.
        let points = Points::new(cpu, terms.map(|term| &term.point), 0);
        let double = Sum::new(cpu, &points).double(cpu);
        let step = Points { x: double.x, y: double.y };
        let z = double.z.per_unit();
        let z_squared = z.squared();
        let mut multiple =
            Sum { x: points.x.times(z_squared), y: points.y.times(z_squared.times(z)), z: Lanes::unit(cpu) };
        let zero = Lanes::zero(cpu);
        let mut multiples = [(zero, zero, zero); MULTIPLES];
        let mut before = [zero; MULTIPLES];
        let mut product = Lanes::one(cpu);
        for (at, before) in multiples.iter_mut().zip(&mut before) {
            let z = multiple.z.per_unit().times(z);
            *at = (multiple.x, multiple.y, z);
            *before = product;
            product = product.times(z);
            multiple = multiple.add(&step);
        }
        let Some(mut inverse) = product.invert(cpu) else { return false };
        for (index, ((x, y, z), before)) in multiples.into_iter().zip(before).enumerate().rev() {
            let z_inverse = inverse.times(before);
            inverse = inverse.times(z);
            let squared = z_inverse.squared();
            let (x, y) = (x.times(squared), y.times(squared.times(z_inverse)));
            let (xs, ys) = (x.to_x(cpu), y.to_y(cpu));
            for lane in 0..LANES {
                self.multiples[0][lane][index] = Affine { x: xs[lane], y: ys[lane] }.canonical();
            }
            if let Some(beta) = &A::Curve::BETA {
                let xs = x.times(Lanes::plain(cpu, beta)).to_x(cpu);
                for (lane, x) in xs.into_iter().enumerate() {
                    let y = self.multiples[0][lane][index].y;
                    self.multiples[1][lane][index] = Affine { x: x.canonical(), y };
                }
            }
        }
        true
    }

    /// The multiples that all `digits` together spell, those of each part from its table.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn multiply<const PARTS: usize>(&self, cpu: Ifma, bits: usize, digits: &[[OddDigits; LANES]; PARTS]) -> Sum<A> {
        let windows = bits.div_ceil(WIDTH);
        let mut sum = Sum::new(cpu, &self.points(cpu, 0, &digits[0], windows - 1));
        for (part, digits) in digits.iter().enumerate().skip(1) {
            sum = sum.add(&self.points(cpu, part, digits, windows - 1));
        }
        for window in (0..windows - 1).rev() {
            for _ in 0..WIDTH {
                sum = sum.double(cpu);
            }
            for (part, digits) in digits.iter().enumerate() {
                sum = sum.add(&self.points(cpu, part, digits, window));
            }
        }
        sum
    }

    /// The multiples that the digits of a window mean.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn points(&self, cpu: Ifma, part: usize, digits: &[OddDigits; LANES], window: usize) -> Points<A> {
        let mut negative = 0;
        let mut entries = [&self.multiples[part][0][0]; LANES];
        for lane in 0..LANES {
            let (index, is_negative) = digits[lane].digit(window * WIDTH, WIDTH);
            entries[lane] = &self.multiples[part][lane][index as usize];
            negative |= Mask::from(is_negative) << lane;
        }
        Points::new(cpu, entries, negative)
    }
}
