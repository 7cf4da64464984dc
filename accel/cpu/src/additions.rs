//! Affine additions in batches that share one inversion (Montgomery's trick): five products and a square each.
//!
//! The affine formula fails where the points are equal or opposite, or one is the identity, and whoever makes the
//! signatures can choose to meet that. Such a pair puts a denominator into the shared product that is not zero: `2 y`
//! for a doubling, one where there is nothing to divide. So it gets its right sum by the complete law, and its
//! neighbours notice nothing.

use crate::{arith::Arith, field::Fe, point::Affine};

/// Additions done side by side, so that the multiplier always has independent work. It is also the number of products
/// of denominators that run in parallel.
const LANES: usize = 4;
/// How far ahead of its use a point is fetched from memory.
const PREFETCH_DISTANCE: usize = 16;

/// One addition: where the summands are, and where the sum goes.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) to: u32,
}

/// The points of a level. A sum may replace a summand of its own addition: each group reads all its points before it
/// writes any.
pub(crate) trait Level<A: Arith> {
    fn prefetch(&self, index: u32);
    fn x(&self, index: u32) -> Fe<A>;
    fn point(&self, index: u32) -> Affine<A>;
    fn store(&mut self, index: u32, sum: Affine<A>);
}

/// Points in one array.
pub(crate) struct Sums<'a, A>(pub(crate) &'a mut [Affine<A>]);

impl<A: Arith> Level<A> for Sums<'_, A> {
    #[inline(always)]
    fn prefetch(&self, _: u32) {}

    #[inline(always)]
    fn x(&self, index: u32) -> Fe<A> {
        self.0[index as usize].x
    }

    #[inline(always)]
    fn point(&self, index: u32) -> Affine<A> {
        self.0[index as usize]
    }

    #[inline(always)]
    fn store(&mut self, index: u32, sum: Affine<A>) {
        self.0[index as usize] = sum;
    }
}

/// What kind of addition a pair needs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    /// The affine formula.
    Generic,
    /// The points are equal.
    Double,
    /// The right one is the identity.
    Left,
    /// The left one is the identity.
    Right,
    /// The points are opposite.
    Cancel,
}

impl Case {
    fn of<A: Arith>(a: &Affine<A>, b: &Affine<A>) -> Self {
        if b.is_identity() {
            Self::Left
        } else if a.is_identity() {
            Self::Right
        } else if a.x != b.x {
            Self::Generic
        } else if a.y == b.y && !a.y.is_zero() {
            Self::Double
        } else {
            Self::Cancel
        }
    }

    fn denominator<A: Arith>(self, a: &Affine<A>, b: &Affine<A>) -> Fe<A> {
        match self {
            Self::Generic => b.x - a.x,
            Self::Double => a.y.double(),
            Self::Left | Self::Right | Self::Cancel => Fe::ONE,
        }
    }
}

/// The buffers of the additions of a level, kept for the next.
pub(crate) struct Scratch<A> {
    /// For each pair the product of the denominators before it in its lane.
    before: Vec<Fe<A>>,
    /// The groups with pairs that are not generic, in order.
    special: Vec<(usize, [Case; LANES])>,
    /// Whether a sum was the identity, so that it must be looked for from now on. Inputs never are.
    pub(crate) identities: bool,
    /// Pairs so far that were not generic.
    pub(crate) exceptional: u64,
}

impl<A> Default for Scratch<A> {
    fn default() -> Self {
        Self { before: Vec::new(), special: Vec::new(), identities: false, exceptional: 0 }
    }
}

impl<A: Arith> Scratch<A> {
    /// Does all additions of `pairs`, a multiple of [`LANES`]. Without `WITH_Y` the sums have one as their `y`, unless
    /// they are the identity.
    pub(crate) fn add<const WITH_Y: bool>(&mut self, level: &mut impl Level<A>, pairs: &[Pair]) {
        let (groups, rest) = pairs.as_chunks::<LANES>();
        assert!(rest.is_empty(), "the last group of a level is filled up");
        if self.before.len() < pairs.len() {
            self.before.resize(pairs.len(), Fe::ZERO);
        }
        let product = self.multiply_denominators(level, pairs);
        let mut inverse = invert_lanes(&product);
        // From the last pair to the first: the inverse of one denominator is split off the inverse of the product.
        for (index, group) in groups.iter().enumerate().rev() {
            let before = &self.before[index * LANES..][..LANES];
            let points = group.map(|pair| (level.point(pair.left), level.point(pair.right)));
            let special = self.special.pop_if(|(special, _)| *special == index).map(|(_, cases)| cases);
            let mut denominator = points.map(|(a, b)| b.x - a.x);
            let mut numerator = points.map(|(a, b)| b.y - a.y);
            if let Some(cases) = special {
                for lane in 0..LANES {
                    let (a, b) = &points[lane];
                    denominator[lane] = cases[lane].denominator(a, b);
                    if cases[lane] == Case::Double {
                        numerator[lane] = a.tangent_numerator();
                    }
                }
            }
            // Step by step across the lanes, not lane by lane: that is what keeps the multiplier busy.
            let mut slope = [Fe::ZERO; LANES];
            for lane in 0..LANES {
                slope[lane] = inverse[lane] * before[lane];
            }
            for lane in 0..LANES {
                inverse[lane] = inverse[lane] * denominator[lane];
            }
            for lane in 0..LANES {
                slope[lane] = slope[lane] * numerator[lane];
            }
            let mut sum = [Affine { x: Fe::ONE, y: Fe::ONE }; LANES];
            for lane in 0..LANES {
                sum[lane].x = slope[lane].square() - points[lane].0.x - points[lane].1.x;
            }
            if WITH_Y {
                for lane in 0..LANES {
                    let a = &points[lane].0;
                    sum[lane].y = slope[lane] * (a.x - sum[lane].x) - a.y;
                }
            }
            if let Some(cases) = special {
                for lane in 0..LANES {
                    match cases[lane] {
                        Case::Generic | Case::Double => {}
                        Case::Left => sum[lane] = points[lane].0,
                        Case::Right => sum[lane] = points[lane].1,
                        Case::Cancel => sum[lane] = Affine::IDENTITY,
                    }
                }
            }
            for lane in 0..LANES {
                level.store(group[lane].to, sum[lane]);
            }
        }
    }

    /// Multiplies the denominators of each lane, keeps the products on the way, and notes what is not generic.
    fn multiply_denominators(&mut self, level: &impl Level<A>, pairs: &[Pair]) -> [Fe<A>; LANES] {
        self.special.clear();
        for pair in pairs.iter().take(PREFETCH_DISTANCE) {
            level.prefetch(pair.left);
            level.prefetch(pair.right);
        }
        let look_for_identities = self.identities;
        let mut product = [Fe::ONE; LANES];
        for (index, group) in pairs.as_chunks::<LANES>().0.iter().enumerate() {
            if let Some(ahead) = pairs.get(index * LANES + PREFETCH_DISTANCE..) {
                for pair in ahead.iter().take(LANES) {
                    level.prefetch(pair.left);
                    level.prefetch(pair.right);
                }
            }
            let mut denominator = group.map(|pair| level.x(pair.right) - level.x(pair.left));
            if look_for_identities || denominator.iter().any(|denominator| denominator.may_be_zero()) {
                let points = group.map(|pair| (level.point(pair.left), level.point(pair.right)));
                let cases = points.each_ref().map(|(a, b)| Case::of(a, b));
                for lane in 0..LANES {
                    denominator[lane] = cases[lane].denominator(&points[lane].0, &points[lane].1);
                }
                if cases != [Case::Generic; LANES] {
                    self.identities |= cases.contains(&Case::Cancel);
                    self.exceptional += cases.iter().filter(|&&case| case != Case::Generic).count() as u64;
                    self.special.push((index, cases));
                }
            }
            let before = &mut self.before[index * LANES..][..LANES];
            before.copy_from_slice(&product);
            for lane in 0..LANES {
                product[lane] = product[lane] * denominator[lane];
            }
        }
        product
    }

    /// Does all additions of `pairs` within one array. No summand may be the identity.
    pub(crate) fn add_within(&mut self, points: &mut [Affine<A>], pairs: &mut Vec<Pair>) {
        fill_up(pairs);
        self.identities = false;
        self.add::<true>(&mut Sums(points), pairs);
    }
}

/// Repeats the last pair until the last group is full: it then reads, and writes, the same thing several times.
pub(crate) fn fill_up(pairs: &mut Vec<Pair>) {
    if let Some(&last) = pairs.last() {
        pairs.resize(pairs.len().next_multiple_of(LANES), last);
    }
}

/// Inverts elements that are not zero with one inversion.
fn invert_lanes<A: Arith>(elements: &[Fe<A>; LANES]) -> [Fe<A>; LANES] {
    let mut inverted = [Fe::ONE; LANES];
    let mut product = Fe::ONE;
    for lane in 0..LANES {
        inverted[lane] = product;
        product = product * elements[lane];
    }
    let mut inverse = product.invert();
    for lane in (0..LANES).rev() {
        inverted[lane] = inverted[lane] * inverse;
        inverse = inverse * elements[lane];
    }
    inverted
}
