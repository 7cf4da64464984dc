//! Comb tables: for every window of a scalar the odd multiples `(2 i + 1) 2^offset P`, so that `[k]P` is a sum of one
//! entry a window and needs no doubling.

use std::sync::Arc;

use crate::{
    additions::{Pair, Scratch},
    arith::Arith,
    columns::Leaf,
    curve::Curve,
    memory::{Entries, Pool},
    point::{Affine, Jacobian, to_affine},
    scalar::OddDigits,
};

#[derive(Clone, Copy, Debug)]
struct Window {
    /// The lowest bit of its digit.
    offset: usize,
    /// Bits of its digit.
    width: usize,
    /// Where in the table its `2^(width - 1)` entries begin.
    start: u32,
}

/// How a scalar is cut into windows.
#[derive(Debug)]
pub(crate) struct Layout {
    windows: Box<[Window]>,
    entries: usize,
}

impl Layout {
    /// As few windows of at most `width` bits as hold `bits`, all about equally wide.
    pub(crate) fn new(bits: usize, width: usize) -> Self {
        let count = bits.div_ceil(width);
        let (mut offset, mut start) = (0, 0);
        let windows = (0..count)
            .map(|index| {
                let width = bits / count + usize::from(index < bits % count);
                let window = Window { offset, width, start };
                offset += width;
                start += 1 << (width - 1);
                window
            })
            .collect();
        Self { windows, entries: start as usize }
    }

    /// Bytes of a table.
    pub(crate) fn bytes(&self) -> usize {
        self.entries * size_of::<Affine<()>>()
    }

    /// Appends the entries of table `table` that sum up to the scalar's multiple.
    #[inline]
    pub(crate) fn push_leaves(&self, table: u32, digits: &OddDigits, leaves: &mut Vec<Leaf>) {
        leaves.extend(self.windows.iter().map(|window| {
            let (index, negative) = digits.digit(window.offset, window.width);
            Leaf::new(table, window.start + index, negative)
        }));
    }
}

/// The table of one point.
pub(crate) struct Table<A> {
    layout: Arc<Layout>,
    entries: Entries<A>,
}

impl<A: Arith> Table<A> {
    /// The table of a point whose order is that of the curve's prime group.
    pub(crate) fn new(point: &Affine<A>, layout: &Arc<Layout>, pool: &Arc<Pool>) -> Self {
        let entries = Entries::copy(pool, &multiples(point, layout));
        Self { layout: Arc::clone(layout), entries }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The point whose multiples these are.
    pub(crate) fn point(&self) -> Affine<A> {
        self.entries[self.layout.windows[0].start as usize]
    }

    pub(crate) fn entries(&self) -> &[Affine<A>] {
        &self.entries
    }
}

/// All entries of a table, with coordinates below `p`.
#[expect(clippy::cast_possible_truncation, reason = "a table has below 2^24 entries")]
fn multiples<A: Arith>(point: &Affine<A>, layout: &Layout) -> Vec<Affine<A>> {
    // One array: the table, then the step 2^filled (2^offset P) of every window, twice so that a level reads the one
    // set and writes the other.
    let count = layout.windows.len();
    let mut points = vec![Affine::IDENTITY; layout.entries + 2 * count];
    let mut bases = Vec::with_capacity(2 * count);
    let mut base = Jacobian::from(*point);
    for window in &layout.windows {
        let double = base.double();
        bases.extend([base, double]);
        base = (1..window.width).fold(double, |base, _| base.double());
    }
    for (index, pair) in to_affine(&bases).chunks_exact(2).enumerate() {
        points[layout.windows[index].start as usize] = pair[0];
        points[layout.entries + index] = pair[1];
    }

    // The filled part of each window, shifted by its step, gives as many entries again.
    let mut scratch = Scratch::default();
    let mut pairs = Vec::new();
    let (mut steps, mut next_steps) = (layout.entries as u32, (layout.entries + count) as u32);
    let mut filled = 1;
    let widest = layout.windows[0].width;
    while filled < 1 << (widest - 1) {
        pairs.clear();
        for (index, window) in layout.windows.iter().enumerate() {
            let (step, next_step) = (steps + index as u32, next_steps + index as u32);
            if filled < 1 << (window.width - 1) {
                pairs.extend((window.start..window.start + filled).map(|left| Pair {
                    left,
                    right: step,
                    to: left + filled,
                }));
            }
            pairs.push(Pair { left: step, right: step, to: next_step });
        }
        scratch.add_within(&mut points, &mut pairs);
        (steps, next_steps) = (next_steps, steps);
        filled *= 2;
    }
    points.truncate(layout.entries);
    for point in &mut points {
        *point = point.canonical();
    }
    points
}

/// The layout of tables of `C`'s points with windows of at most `width` bits.
pub(crate) fn layout<C: Curve>(width: usize) -> Arc<Layout> {
    Arc::new(Layout::new(C::BITS, width))
}

#[cfg(test)]
mod tests;
