//! Sums of many table entries: affine additions in batches that share one inversion.
//!
//! Every signature is a column of some fifty points to add. A column is added as a binary tree, and level by level all
//! additions of all columns are independent, so each level costs one inversion for all of them (Montgomery's trick).
//! Six levels serve a block of signatures: that keeps small batches cheap. An addition costs five products and a
//! square.
//!
//! The affine formula fails where the points are equal or opposite, or one is the identity, and whoever makes the
//! signatures can choose to meet that. Such a pair puts a denominator into the shared product that is not zero: `2 y`
//! for a doubling, one where there is nothing to divide. So it gets its right sum by the complete law, and its
//! neighbours notice nothing.

use crate::{arith::Arith, field::Fe, point::Affine};

/// Additions done side by side, so that the multiplier always has independent work. It is also the number of products
/// of denominators that run in parallel.
const LANES: usize = 4;
/// How far ahead of its use a table entry is fetched from memory.
const PREFETCH_DISTANCE: usize = 16;

/// An entry of one of the tables of a sum: table, entry, and whether its negative is meant.
#[derive(Clone, Copy)]
pub(crate) struct Leaf {
    /// Index of the table.
    table: u32,
    /// Index of the entry, and the sign in the highest bit.
    entry: u32,
}

const NEGATIVE: u32 = 1 << 31;

impl Leaf {
    #[inline(always)]
    pub(crate) fn new(table: u32, entry: u32, negative: bool) -> Self {
        debug_assert!(entry < NEGATIVE);
        Self { table, entry: entry | u32::from(negative) << 31 }
    }

    /// The point that is meant, of a table with coordinates below `p`.
    #[inline(always)]
    pub(crate) fn point<A: Arith>(self, table: &[Affine<A>]) -> Affine<A> {
        let entry = &table[self.index()];
        Affine { x: entry.x, y: entry.y.negate_canonical_if(self.entry & NEGATIVE != 0) }
    }

    #[inline(always)]
    fn index(self) -> usize {
        (self.entry & !NEGATIVE) as usize
    }
}

/// One addition: where the summands are, and where the sum goes.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) left: u32,
    pub(crate) right: u32,
    pub(crate) to: u32,
}

/// The points of a level. A sum may replace a summand of its own addition: each group reads all its points before it
/// writes any.
trait Level<A: Arith> {
    fn prefetch(&self, index: u32);
    fn x(&self, index: u32) -> Fe<A>;
    fn point(&self, index: u32) -> Affine<A>;
    fn store(&mut self, index: u32, sum: Affine<A>);
}

/// The lowest level: summands are table entries.
struct Leaves<'a, A> {
    tables: &'a [&'a [Affine<A>]],
    leaves: &'a [Leaf],
    sums: &'a mut [Affine<A>],
}

impl<A: Arith> Leaves<'_, A> {
    #[inline(always)]
    fn entry(&self, index: u32) -> &Affine<A> {
        let leaf = self.leaves[index as usize];
        &self.tables[leaf.table as usize][leaf.index()]
    }
}

impl<A: Arith> Level<A> for Leaves<'_, A> {
    #[inline(always)]
    fn prefetch(&self, index: u32) {
        let entry = self.entry(index);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch of any address has no effect but on the caches.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(entry).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = entry;
    }

    #[inline(always)]
    fn x(&self, index: u32) -> Fe<A> {
        self.entry(index).x
    }

    #[inline(always)]
    fn point(&self, index: u32) -> Affine<A> {
        let leaf = self.leaves[index as usize];
        leaf.point(self.tables[leaf.table as usize])
    }

    #[inline(always)]
    fn store(&mut self, index: u32, sum: Affine<A>) {
        self.sums[index as usize] = sum;
    }
}

/// All other levels: summands are sums of the level below.
struct Sums<'a, A>(&'a mut [Affine<A>]);

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
    identities: bool,
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
    fn add<const WITH_Y: bool>(&mut self, level: &mut impl Level<A>, pairs: &[Pair]) {
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
fn fill_up(pairs: &mut Vec<Pair>) {
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

/// Columns of table entries, and the sum of each.
pub(crate) struct Columns<A> {
    leaves: Vec<Leaf>,
    columns: Vec<Column>,
    sums: Vec<Affine<A>>,
    pairs: Vec<Pair>,
    pub(crate) scratch: Scratch<A>,
}

/// A column and what is left of it: `rows` sums from `sums` on.
#[derive(Clone, Copy)]
struct Column {
    leaves: u32,
    sums: u32,
    rows: u32,
}

impl<A> Default for Columns<A> {
    fn default() -> Self {
        Self {
            leaves: Vec::new(),
            columns: Vec::new(),
            sums: Vec::new(),
            pairs: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

impl<A: Arith> Columns<A> {
    /// Forgets all columns.
    pub(crate) fn clear(&mut self) {
        self.leaves.clear();
        self.columns.clear();
    }

    /// Adds a column of at least two leaves, which `push` appends.
    #[expect(clippy::cast_possible_truncation, reason = "a block has some thousand leaves")]
    pub(crate) fn push(&mut self, push: impl FnOnce(&mut Vec<Leaf>)) {
        let sums = self.columns.last().map_or(0, |column| column.sums + column.rows.div_ceil(2));
        let leaves = self.leaves.len();
        push(&mut self.leaves);
        let rows = (self.leaves.len() - leaves) as u32;
        debug_assert!(rows >= 2);
        self.columns.push(Column { leaves: leaves as u32, sums, rows });
    }

    /// Adds up every column. The sums have their `y` only if `with_y`, and one in its place otherwise.
    pub(crate) fn sum(&mut self, tables: &[&[Affine<A>]], with_y: bool) {
        let Some(last) = self.columns.last() else { return };
        let needed = (last.sums + last.rows.div_ceil(2)) as usize;
        if self.sums.len() < needed {
            self.sums.resize(needed, Affine::IDENTITY);
        }
        self.scratch.identities = false;

        self.pairs.clear();
        let mut middles = Leaves { tables, leaves: &self.leaves, sums: &mut self.sums };
        for column in &mut self.columns {
            let half = column.rows.div_ceil(2);
            for row in 0..column.rows / 2 {
                let left = column.leaves + row;
                self.pairs.push(Pair { left, right: left + half, to: column.sums + row });
            }
            if column.rows % 2 == 1 {
                // The middle one has no partner.
                let middle = middles.point(column.leaves + half - 1);
                middles.store(column.sums + half - 1, middle);
            }
            column.rows = half;
        }
        fill_up(&mut self.pairs);
        let mut level = Leaves { tables, leaves: &self.leaves, sums: &mut self.sums };
        self.scratch.add::<true>(&mut level, &self.pairs);

        loop {
            let last = self.columns.iter().all(|column| column.rows <= 2);
            self.pairs.clear();
            for column in &mut self.columns {
                let half = column.rows.div_ceil(2);
                for row in 0..column.rows / 2 {
                    let left = column.sums + row;
                    self.pairs.push(Pair { left, right: left + half, to: left });
                }
                column.rows = half;
            }
            if self.pairs.is_empty() {
                return;
            }
            fill_up(&mut self.pairs);
            let mut level = Sums(&mut self.sums);
            if last && !with_y {
                self.scratch.add::<false>(&mut level, &self.pairs);
            } else {
                self.scratch.add::<true>(&mut level, &self.pairs);
            }
        }
    }

    /// The sum of a column.
    pub(crate) fn result(&self, column: usize) -> &Affine<A> {
        &self.sums[self.columns[column].sums as usize]
    }
}

#[cfg(test)]
mod tests;
