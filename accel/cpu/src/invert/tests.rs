use super::*;
use crate::{
    curve::{Curve, Edwards25519, P256, Secp256k1, Sm2},
    testing::{Random, modulo, mul},
    u256,
};

#[test]
fn inverses_modulo_every_prime_and_order() {
    let mut random = Random(0x5eed);
    let moduli = [P256::P, P256::N, Secp256k1::P, Secp256k1::N, Sm2::P, Sm2::N, Edwards25519::P, Edwards25519::N];
    for m in moduli {
        for _ in 0..400 {
            let x = modulo(&random.edgy(&m), &m);
            let inverse = invert(&x, &m);
            assert!(u256::is_less(&inverse, &m));
            let expected = if u256::is_zero(&x) { [0; 4] } else { [1, 0, 0, 0] };
            assert_eq!(mul(&x, &inverse, &m), expected, "1 / {x:x?} modulo {m:x?}");
        }
    }
}
