//! The same sums in the lanes of vectors: eight columns side by side, one a lane, so that row by row the points to add lie
//! in the same lanes and nothing is ever moved between them.
//!
//! Equal and opposite points are not looked for: they make the product of their lane zero, and then the level is begun
//! again with a look at each pair. Columns of a group that are shorter than others lack points; as nothing is added to
//! the other of such a pair, a missing point is the same thing as the identity.

use super::{Column, Leaf};
use crate::{
    additions::Pair,
    arith::{
        Arith,
        ifma::{LANES, Lanes, Mask},
    },
    detect::Ifma,
    field::Fe,
    point::Affine,
};

/// Columns from which on this is faster than one addition after the other.
pub(super) const WORTH: usize = 2;
/// How many rows ahead of their use table entries are fetched from memory.
const PREFETCH_ROWS: u32 = 4;
/// Products of denominators that are built side by side, as each product waits for the one before.
const CHAINS: usize = 2;

/// A point in each lane.
struct Points<A> {
    x: Lanes<A>,
    y: Lanes<A>,
}

impl<A> Clone for Points<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Points<A> {}

/// Eight columns and what is left of them: `rows` points from `points` on.
struct Group {
    points: u32,
    rows: u32,
}

/// What is not generic about a pair, lane by lane.
#[derive(Clone, Copy)]
struct Special {
    /// Index of the pair.
    pair: usize,
    /// The left point is the sum, as there is no right one.
    left: Mask,
    /// The right point is the sum, as there is no left one.
    right: Mask,
    /// The points are equal.
    double: Mask,
    /// The points are opposite.
    cancel: Mask,
}

impl Special {
    /// Lanes in which nothing is divided.
    fn skip(self) -> Mask {
        self.left | self.right | self.cancel
    }
}

/// The buffers of a sum, kept for the next.
pub(super) struct Sums<A> {
    groups: Vec<Group>,
    points: Vec<Points<A>>,
    /// For each of `points` the lanes in which there is none, or the identity.
    absent: Vec<Mask>,
    pairs: Vec<Pair>,
    /// For each pair the product of the denominators before it in its chain.
    before: Vec<Lanes<A>>,
    /// The pairs that are not generic, in order.
    special: Vec<Special>,
}

impl<A> Default for Sums<A> {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            points: Vec::new(),
            absent: Vec::new(),
            pairs: Vec::new(),
            before: Vec::new(),
            special: Vec::new(),
        }
    }
}

impl<A: Arith> Sums<A> {
    /// Adds up `columns` of `leaves` into the first of each column's `sums`. Returns how many additions were special.
    pub(super) fn sum(
        &mut self,
        cpu: Ifma,
        tables: &[&[Affine<A>]],
        leaves: &[Leaf],
        columns: &[Column],
        sums: &mut [Affine<A>],
        with_y: bool,
    ) -> u64 {
        self.arrange(columns);
        // SAFETY: the witness says that the CPU has these instructions.
        unsafe { self.sum_groups(cpu, tables, leaves, columns, sums, with_y) }
    }

    /// Groups the columns by eight.
    fn arrange(&mut self, columns: &[Column]) {
        self.groups.clear();
        let mut points = 0;
        for group in columns.chunks(LANES) {
            let rows = group.iter().map(|column| column.rows).max().unwrap_or(0);
            self.groups.push(Group { points, rows });
            points += rows;
        }
        self.absent.clear();
        self.absent.resize(points as usize, 0);
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn sum_groups(
        &mut self,
        cpu: Ifma,
        tables: &[&[Affine<A>]],
        leaves: &[Leaf],
        columns: &[Column],
        sums: &mut [Affine<A>],
        with_y: bool,
    ) -> u64 {
        let zero = Lanes::zero(cpu);
        if self.points.len() < self.absent.len() {
            self.points.resize(self.absent.len(), Points { x: zero, y: zero });
            self.before.resize(self.absent.len(), zero);
        }
        self.fetch(cpu, tables, leaves, columns);
        let mut exceptional = 0;
        loop {
            let last = self.groups.iter().all(|group| group.rows <= 2);
            self.pairs.clear();
            for group in &mut self.groups {
                let half = group.rows.div_ceil(2);
                for left in group.points..group.points + group.rows / 2 {
                    self.pairs.push(Pair { left, right: left + half, to: left });
                }
                group.rows = half;
            }
            if self.pairs.is_empty() {
                break;
            }
            let inverses = self.invert_denominators(cpu);
            exceptional += self
                .special
                .iter()
                .map(|special| u64::from((special.double | special.cancel).count_ones()))
                .sum::<u64>();
            if last && !with_y {
                self.add::<false>(cpu, inverses);
            } else {
                self.add::<true>(cpu, inverses);
            }
        }
        for (group, columns) in self.groups.iter().zip(columns.chunks(LANES)) {
            let at = group.points as usize;
            let xs = self.points[at].x.to_x(cpu);
            let ys = if with_y { self.points[at].y.to_y(cpu) } else { [Fe::ONE; LANES] };
            for (lane, column) in columns.iter().enumerate() {
                let is_identity = self.absent[at] >> lane & 1 == 1;
                let sum = Affine { x: xs[lane], y: ys[lane] };
                sums[column.sums as usize] = if is_identity { Affine::IDENTITY } else { sum };
            }
        }
        exceptional
    }

    /// Fetches the points of all leaves.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn fetch(&mut self, cpu: Ifma, tables: &[&[Affine<A>]], leaves: &[Leaf], columns: &[Column]) {
        let leaf = |column: &Column, row: u32| (row < column.rows).then(|| leaves[(column.leaves + row) as usize]);
        let table = |leaf: Leaf| tables[leaf.table as usize];
        // In place of a point that is not there, any will do.
        let nothing = &tables[0][0];
        for (group, columns) in self.groups.iter().zip(columns.chunks(LANES)) {
            let prefetch_row = |row| {
                for leaf in columns.iter().filter_map(|column| leaf(column, row)) {
                    leaf.prefetch(table(leaf));
                }
            };
            (0..PREFETCH_ROWS).for_each(prefetch_row);
            for row in 0..group.rows {
                prefetch_row(row + PREFETCH_ROWS);
                let mut entries = [nothing; LANES];
                let (mut absent, mut negative) = (Mask::MAX, 0);
                for (lane, column) in columns.iter().enumerate() {
                    if let Some(leaf) = leaf(column, row) {
                        entries[lane] = leaf.entry(table(leaf));
                        absent &= !(1 << lane);
                        negative |= Mask::from(leaf.is_negative()) << lane;
                    }
                }
                let x = Lanes::from_x(cpu, entries.map(|entry| &entry.x.0));
                let y = Lanes::from_y(cpu, entries.map(|entry| &entry.y.0)).negate_if(negative);
                let at = (group.points + row) as usize;
                self.points[at] = Points { x, y };
                self.absent[at] = absent;
            }
        }
    }

    /// Multiplies the denominators of each chain, keeps the products on the way, and inverts the last.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn invert_denominators(&mut self, cpu: Ifma) -> [Lanes<A>; CHAINS] {
        let mut products = self.multiply_denominators::<false>(cpu);
        let mut inverse = products[0].times(products[1]).invert(cpu);
        if inverse.is_none() {
            products = self.multiply_denominators::<true>(cpu);
            inverse = products[0].times(products[1]).invert(cpu);
        }
        let inverse = inverse.expect("no denominator is zero once the exceptional pairs are found");
        [inverse.times(products[1]), inverse.times(products[0])]
    }

    /// Multiplies the denominators of each chain. Only if `EXACT` it finds points that are equal or opposite.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn multiply_denominators<const EXACT: bool>(&mut self, cpu: Ifma) -> [Lanes<A>; CHAINS] {
        self.special.clear();
        let mut products = [Lanes::one(cpu); CHAINS];
        for (index, pair) in self.pairs.iter().enumerate() {
            let (a, b) = (&self.points[pair.left as usize], &self.points[pair.right as usize]);
            let mut denominator = b.x.minus(a.x);
            let (right, left) = (self.absent[pair.left as usize], self.absent[pair.right as usize]);
            if EXACT || left | right != 0 {
                let equal = if EXACT { denominator.zeros(cpu) & !(left | right) } else { 0 };
                let double = if equal != 0 { b.y.minus(a.y).zeros(cpu) & equal } else { 0 };
                let special = Special { pair: index, left, right, double, cancel: equal & !double };
                if special.skip() | double != 0 {
                    denominator = denominator.blend(double, a.y.plus(a.y)).blend(special.skip(), Lanes::one(cpu));
                    self.special.push(special);
                }
            }
            self.before[index] = products[index % CHAINS];
            products[index % CHAINS] = products[index % CHAINS].times(denominator);
        }
        products
    }

    /// Does all additions, given the inverse of each chain's product.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512ifma")]
    fn add<const WITH_Y: bool>(&mut self, cpu: Ifma, mut inverses: [Lanes<A>; CHAINS]) {
        // From the last pair to the first: the inverse of one denominator is split off the inverse of the product.
        for (index, pair) in self.pairs.iter().enumerate().rev() {
            let (left, right) = (pair.left as usize, pair.right as usize);
            let (a, b) = (self.points[left], self.points[right]);
            let mut denominator = b.x.minus(a.x);
            let mut numerator = b.y.minus(a.y);
            let special = self.special.pop_if(|special| special.pair == index);
            if let Some(special) = special {
                denominator = denominator.blend(special.double, a.y.plus(a.y)).blend(special.skip(), Lanes::one(cpu));
                if special.double != 0 {
                    let tangent = a.x.squared().triple().plus(Lanes::coefficient(cpu));
                    numerator = numerator.blend(special.double, tangent);
                }
            }
            let inverse = inverses[index % CHAINS];
            let slope = inverse.times(self.before[index]).times(numerator);
            inverses[index % CHAINS] = inverse.times(denominator);
            let mut sum = Points { x: slope.square_minus(a.x, b.x), y: a.y };
            if WITH_Y {
                sum.y = slope.times_minus(a.x.minus(sum.x), a.y);
            }
            let mut absent = 0;
            if let Some(special) = special {
                sum.x = sum.x.blend(special.left, a.x).blend(special.right, b.x);
                sum.y = sum.y.blend(special.left, a.y).blend(special.right, b.y);
                absent = special.left & special.right | special.cancel;
            }
            self.points[pair.to as usize] = sum;
            self.absent[pair.to as usize] = absent;
        }
    }
}
