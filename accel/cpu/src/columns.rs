//! Sums of many table entries.
//!
//! Every signature is a column of some fifty points to add. A column is added as a binary tree, and level by level all
//! additions of all columns are independent, so each level costs one inversion for all of them. Six levels serve a
//! block of signatures: that keeps small batches cheap.

#[cfg(target_arch = "x86_64")]
mod lanes;

use crate::{
    additions::{Level, Pair, Scratch, Sums, fill_up},
    arith::Arith,
    detect::Ifma,
    field::Fe,
    point::Affine,
};

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
        let entry = self.entry(table);
        Affine { x: entry.x, y: entry.y.negate_canonical_if(self.is_negative()) }
    }

    /// The entry itself, without the sign.
    #[inline(always)]
    pub(crate) fn entry<A>(self, table: &[Affine<A>]) -> &Affine<A> {
        &table[(self.entry & !NEGATIVE) as usize]
    }

    /// Fetches the entry, which will soon be used.
    #[inline(always)]
    pub(crate) fn prefetch<A>(self, table: &[Affine<A>]) {
        let entry = self.entry(table);
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
    pub(crate) fn is_negative(self) -> bool {
        self.entry & NEGATIVE != 0
    }
}

/// The lowest level: summands are table entries.
struct Leaves<'a, A> {
    tables: &'a [&'a [Affine<A>]],
    leaves: &'a [Leaf],
    sums: &'a mut [Affine<A>],
}

impl<A> Leaves<'_, A> {
    /// A leaf and its table.
    #[inline(always)]
    fn leaf(&self, index: u32) -> (Leaf, &[Affine<A>]) {
        let leaf = self.leaves[index as usize];
        (leaf, self.tables[leaf.table as usize])
    }
}

impl<A: Arith> Level<A> for Leaves<'_, A> {
    #[inline(always)]
    fn prefetch(&self, index: u32) {
        let (leaf, table) = self.leaf(index);
        leaf.prefetch(table);
    }

    #[inline(always)]
    fn x(&self, index: u32) -> Fe<A> {
        let (leaf, table) = self.leaf(index);
        leaf.entry(table).x
    }

    #[inline(always)]
    fn point(&self, index: u32) -> Affine<A> {
        let (leaf, table) = self.leaf(index);
        leaf.point(table)
    }

    #[inline(always)]
    fn store(&mut self, index: u32, sum: Affine<A>) {
        self.sums[index as usize] = sum;
    }
}

/// Columns of table entries, and the sum of each.
pub(crate) struct Columns<A> {
    leaves: Vec<Leaf>,
    columns: Vec<Column>,
    sums: Vec<Affine<A>>,
    pairs: Vec<Pair>,
    pub(crate) scratch: Scratch<A>,
    #[cfg(target_arch = "x86_64")]
    lanes: lanes::Sums<A>,
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
            #[cfg(target_arch = "x86_64")]
            lanes: lanes::Sums::default(),
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

    /// Adds up every column, in the lanes of vectors if there is an `ifma`. The sums have their `y` only if `with_y`.
    pub(crate) fn sum(&mut self, tables: &[&[Affine<A>]], with_y: bool, ifma: Option<Ifma>) {
        let Some(last) = self.columns.last() else { return };
        let needed = (last.sums + last.rows.div_ceil(2)) as usize;
        if self.sums.len() < needed {
            self.sums.resize(needed, Affine::IDENTITY);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(cpu) = ifma.filter(|_| self.columns.len() >= lanes::WORTH) {
            self.scratch.exceptional +=
                self.lanes.sum(cpu, tables, &self.leaves, &self.columns, &mut self.sums, with_y);
            return;
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = ifma;
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
