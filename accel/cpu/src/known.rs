//! `[g]G + [q]Q` for keys that have a table.

use std::sync::Arc;

use crate::{
    arith::Arith, cache::Known, columns::Columns, comb::Table, detect::Ifma, scalar::OddDigits, u256::U256,
    weierstrass::BLOCK,
};

/// Sums `[g]G + [q]Q` for every key of a block that was found and whose scalars `(g, q)` there are. The sums become
/// the columns, in order.
pub(crate) fn sum<A: Arith>(
    columns: &mut Columns<A>,
    generator: &Table<A>,
    found: &[Option<Arc<Known<A>>>],
    scalars: impl Fn(usize) -> Option<(U256, U256)>,
    with_y: bool,
    ifma: Option<Ifma>,
) {
    columns.clear();
    let mut tables = [generator.entries(); BLOCK + 1];
    let mut table = 0;
    for (index, known) in found.iter().enumerate() {
        let (Some(known), Some((g, q))) = (known, scalars(index)) else { continue };
        table += 1;
        tables[table] = known.table.entries();
        let table = u32::try_from(table).expect("a block is small");
        columns.push(|leaves| {
            generator.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&g), leaves);
            known.table.layout().push_leaves(table, &OddDigits::new::<A::Curve>(&q), leaves);
        });
    }
    columns.sum(&tables[..=table], with_y, ifma);
}
