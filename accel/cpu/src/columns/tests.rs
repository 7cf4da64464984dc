use super::*;
use crate::{
    point::Jacobian,
    testing::{Random, on_every_path},
};

on_every_path! {
    columns_of_any_length_sum_up => columns on [P256, Secp256k1, Sm2, Edwards25519];
    exceptional_pairs_spoil_nothing => exceptional on [P256, Secp256k1, Sm2, Edwards25519];
    a_few_exceptional_pairs_among_many => planted on [P256, Secp256k1, Sm2, Edwards25519];
}

/// Some multiples of the generator, and the sum of the leaves by the complete law.
fn multiples<A: Arith>(count: u64) -> Vec<Affine<A>> {
    let generator = Jacobian::from(Affine::<A>::generator());
    (1..=count).map(|k| generator.mul(&[k, 0, 0, 0]).to_affine().canonical()).collect()
}

fn expected<A: Arith>(leaves: &[Leaf], tables: &[&[Affine<A>]]) -> Affine<A> {
    leaves
        .iter()
        .fold(Jacobian::IDENTITY, |sum, leaf| sum.add_affine(&leaf.point(tables[leaf.table as usize])))
        .to_affine()
}

/// Sums `columns` of leaves in one batch, with and without `y`, in lanes and not, and compares. Returns the exceptional
/// pairs that were met, by the way that met fewest.
fn check<A: Arith>(columns: &[Vec<Leaf>], tables: &[&[Affine<A>]]) -> u64 {
    let mut batch = Columns::<A>::default();
    let mut fewest = u64::MAX;
    let mut ways = vec![(true, None), (false, None)];
    ways.extend(Ifma::detect().into_iter().flat_map(|cpu| [(true, Some(cpu)), (false, Some(cpu))]));
    for (with_y, ifma) in ways {
        let before = batch.scratch.exceptional;
        batch.clear();
        for column in columns {
            batch.push(|leaves| leaves.extend(column));
        }
        batch.sum(tables, with_y, ifma);
        for (index, column) in columns.iter().enumerate() {
            let (sum, expected) = (batch.result(index), expected(column, tables));
            assert_eq!(sum.is_identity(), expected.is_identity());
            assert!(
                sum.x == expected.x && (sum.y == expected.y || !with_y),
                "column {index} with y: {with_y}, {ifma:?}"
            );
        }
        fewest = fewest.min(batch.scratch.exceptional - before);
    }
    fewest
}

#[expect(clippy::cast_possible_truncation, reason = "below 1000")]
fn leaf(random: &mut Random, tables: u64, entries: u64) -> Leaf {
    Leaf::new(random.below(tables) as u32, random.below(entries) as u32, random.below(2) == 1)
}

fn columns<A: Arith>() {
    let points = multiples::<A>(300);
    let tables: Vec<&[_]> = points.chunks(100).collect();
    let mut random = Random(0x5eed);
    for count in [1, 2, 3, 4, 5, 8, 9, 27] {
        let columns: Vec<Vec<_>> =
            (0..count).map(|_| (0..2 + random.below(30)).map(|_| leaf(&mut random, 3, 100)).collect()).collect();
        check(&columns, &tables);
    }
}

/// Few points, so that nearly every level meets equal and opposite points and the identity.
fn exceptional<A: Arith>() {
    let points = multiples::<A>(3);
    let mut random = Random(0x5eed);
    let mut met = 0;
    for _ in 0..60 {
        let columns: Vec<Vec<_>> =
            (0..7).map(|_| (0..2 + random.below(12)).map(|_| leaf(&mut random, 1, 3)).collect()).collect();
        met += check(&columns, &[&points]);
    }
    assert!(met > 500, "the exceptional pairs were met: {met}");
    // Clean columns beside nothing but cancellations.
    let cancel = [Leaf::new(0, 0, false), Leaf::new(0, 0, true)].repeat(9);
    let clean = vec![Leaf::new(0, 0, false), Leaf::new(0, 1, false)];
    assert!(check(&[cancel.clone(), clean.clone(), cancel.clone(), cancel, clean], &[&points]) > 0);
}

/// Three groups of lanes with distinct points, and here and there a pair that is equal or opposite.
#[expect(clippy::cast_possible_truncation, reason = "below 100")]
fn planted<A: Arith>() {
    let points = multiples::<A>(600);
    let mut random = Random(0x5eed);
    for _ in 0..8 {
        let mut columns: Vec<Vec<_>> = (0..21)
            .map(|column| (0..26).map(|row| Leaf::new(0, 26 * column + row, random.below(2) == 1)).collect())
            .collect();
        let mut expected = 0;
        for column in [9, 10, 18, 20] {
            let row = random.below(13) as usize;
            let column: &mut Vec<Leaf> = &mut columns[column];
            let Leaf { entry, .. } = column[row];
            column[row + 13] = Leaf { table: 0, entry: entry ^ if random.below(2) == 1 { NEGATIVE } else { 0 } };
            expected += 1;
        }
        assert!(check(&columns, &[&points]) >= expected);
    }
}
