use super::*;
use crate::{
    testing::{Random, on_every_path},
    u256,
};

on_every_path! {
    a_sum_of_entries_is_the_multiple => multiple on [P256, Secp256k1, Sm2, Edwards25519];
}

fn multiple<A: Arith>() {
    let pool = Arc::<Pool>::default();
    let generator = Affine::<A>::generator();
    let mut random = Random(0x5eed);
    let n_minus_1 = u256::sub(&A::Curve::N, &[1, 0, 0, 0]).0;
    for width in [4, 5, 7, 8] {
        let point = Jacobian::from(generator).mul(&random.integer()).to_affine();
        let table = Table::new(&point, &layout::<A::Curve>(width), &pool);
        assert_eq!(table.layout().bytes(), size_of_val(table.entries()));
        let scalars = [[0; 4], [1, 0, 0, 0], [2, 0, 0, 0], n_minus_1, random.scalar::<A::Curve>()];
        for k in scalars {
            let mut leaves = Vec::new();
            table.layout().push_leaves(0, &OddDigits::new::<A::Curve>(&k), &mut leaves);
            assert_eq!(leaves.len(), A::Curve::BITS.div_ceil(width));
            let sum = leaves
                .iter()
                .fold(Jacobian::IDENTITY, |sum, leaf| sum.add_affine(&leaf.point(table.entries())))
                .to_affine();
            assert_eq!(sum, Jacobian::from(point).mul(&k).to_affine(), "[{k:x?}] with windows of {width}");
        }
    }
}
