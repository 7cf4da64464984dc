use super::*;
use crate::testing::{Random, on_every_path};

on_every_path! {
    the_group_laws_hold => group on [P256, Secp256k1, Sm2, Edwards25519];
}

fn group<A: Arith>() {
    let generator = Affine::<A>::generator();
    let (x, y) = A::Curve::GENERATOR;
    assert!(Affine::<A>::new(&x, &y).is_some(), "the generator is on the curve");
    assert!(Affine::<A>::new(&y, &x).is_none());
    assert!(Affine::<A>::new(&u256::add(&x, &A::Curve::P).0, &y).is_none() || u256::add(&x, &A::Curve::P).1);
    let g = Jacobian::from(generator);
    assert!(g.mul(&A::Curve::N).is_identity(), "the order is right");
    let mut random = Random(0x5eed);
    for _ in 0..20 {
        let (a, b) = (random.scalar::<A::Curve>(), random.scalar::<A::Curve>());
        let (p, q) = (g.mul(&a), g.mul(&b));
        let sum = p.add(&q);
        assert_eq!(sum.to_affine(), q.add(&p).to_affine());
        assert_eq!(sum.to_affine(), p.add_affine(&q.to_affine()).to_affine());
        assert_eq!(p.double().to_affine(), p.add(&p).to_affine());
        assert_eq!(p.double().to_affine(), p.add_affine(&p.to_affine()).to_affine());
        let mut opposite = p;
        opposite.y = -opposite.y;
        assert!(p.add(&opposite).is_identity());
        assert_eq!(p.add(&Jacobian::IDENTITY).to_affine(), p.to_affine());
        assert_eq!(Jacobian::IDENTITY.add_affine(&p.to_affine()).to_affine(), p.to_affine());
        let all = to_affine(&[p, Jacobian::IDENTITY, q, sum]);
        assert_eq!(all, [p.to_affine(), Affine::IDENTITY, q.to_affine(), sum.to_affine()]);
    }
}
