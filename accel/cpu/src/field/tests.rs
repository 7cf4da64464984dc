use super::*;
use crate::testing::{self, Random, on_every_path};

on_every_path! {
    operations_agree_with_slow_arithmetic => operations on [P256, Secp256k1, Sm2, Edwards25519];
    inverses_are_inverses => inverses on [P256, Secp256k1, Sm2, Edwards25519];
}

fn operations<A: Arith>() {
    let p = A::Curve::P;
    let mut random = Random(0x5eed);
    for _ in 0..4000 {
        let (a, b) = (Fe::<A>::raw(random.edgy(&p)), Fe::<A>::raw(random.edgy(&p)));
        let (x, y) = (a.to_integer(), b.to_integer());
        let context = format!("{:x?} {:x?}", a.0, b.0);
        assert_eq!((a * b).to_integer(), testing::mul(&x, &y, &p), "product of {context}");
        assert_eq!(a.square().to_integer(), testing::mul(&x, &x, &p), "square of {context}");
        assert_eq!((a - b + b).to_integer(), x, "difference and sum of {context}");
        assert_eq!((a + b - b).to_integer(), x, "sum and difference of {context}");
        assert!((a + b - a - b).is_zero(), "{context}");
        let same = a;
        assert!((a - same).may_be_zero() && (a - same).is_zero(), "{context}");
        assert_eq!(a.is_zero(), u256::is_zero(&x), "{context}");
        assert!(a.may_be_zero() || !a.is_zero(), "{context}");
        assert_eq!((a == b), x == y, "{context}");
        assert!(u256::is_less(&a.canonical().0, &p) && a.canonical() == a, "{context}");
        assert_eq!(Fe::<A>::from_integer(&x).to_integer(), x);
        assert_eq!(a.half() + a.half(), a, "{context}");
        let canonical = a.canonical();
        if !canonical.is_zero() {
            assert!((canonical.negate_canonical_if(true) + a).is_zero(), "{context}");
            assert_eq!(canonical.negate_canonical_if(false).0, canonical.0, "{context}");
        }
    }
}

fn inverses<A: Arith>() {
    let mut random = Random(0x5eed);
    for _ in 0..500 {
        let a = Fe::<A>::raw(random.edgy(&A::Curve::P));
        let expected = if a.is_zero() { Fe::ZERO } else { Fe::ONE };
        assert_eq!(a * a.invert(), expected, "{:x?}", a.0);
    }
}
