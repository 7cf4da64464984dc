use super::*;
use crate::{
    curve::{Edwards25519, P256, Secp256k1, Sm2},
    testing::{self, Random},
};

fn arithmetic<C: Curve>() {
    let mut random = Random(0x5eed);
    for _ in 0..2000 {
        let (a, b) = (random.scalar::<C>(), random.scalar::<C>());
        let context = format!("{a:x?} {b:x?}");
        assert_eq!(sub::<C>(&add::<C>(&a, &b), &b), a, "{context}");
        assert_eq!(add::<C>(&sub::<C>(&a, &b), &b), a, "{context}");
        // 2^256 in, 2^256 out.
        let product = montgomery_mul::<C>(&montgomery_mul::<C>(&a, &Order::<C>::SQUARED), &b);
        assert_eq!(product, testing::mul(&a, &b, &C::N), "{context}");
    }
    for count in [1, 2, 7, 64] {
        let originals: Vec<_> = (0..count).map(|_| random.scalar::<C>()).filter(|x| !u256::is_zero(x)).collect();
        let mut inverses = originals.clone();
        invert_all::<C, 64>(&mut inverses);
        for (x, inverse) in originals.iter().zip(&inverses) {
            assert_eq!(montgomery_mul::<C>(x, inverse), [1, 0, 0, 0], "{x:x?}");
        }
    }
}

#[test]
fn arithmetic_agrees_with_slow_arithmetic() {
    arithmetic::<P256>();
    arithmetic::<Secp256k1>();
    arithmetic::<Sm2>();
}

fn digits<C: Curve>() {
    let mut random = Random(0x5eed);
    for round in 0..400 {
        let k = random.scalar::<C>();
        let width = 1 + round % 13;
        let digits = OddDigits::new::<C>(&k);
        // Horner from the highest window down, modulo n.
        let count = C::BITS.div_ceil(width);
        let mut sum = [0; 4];
        for window in (0..count).rev() {
            let offset = window * width;
            let bits = width.min(C::BITS - offset);
            for _ in 0..bits {
                sum = testing::mul(&sum, &[2, 0, 0, 0], &C::N);
            }
            let (index, negative) = digits.digit(offset, bits);
            assert!(index < 1 << (bits - 1));
            let digit = [2 * u64::from(index) + 1, 0, 0, 0];
            let digit = if negative { u256::sub(&C::N, &digit).0 } else { digit };
            let (total, carry) = u256::add(&sum, &digit);
            let (reduced, borrow) = u256::sub(&total, &C::N);
            sum = if carry || !borrow { reduced } else { total };
        }
        assert_eq!(sum, k, "{k:x?} in windows of {width}");
    }
}

#[test]
fn odd_digits_spell_the_scalar() {
    digits::<P256>();
    digits::<Secp256k1>();
    digits::<Sm2>();
    digits::<Edwards25519>();
}

#[test]
fn the_endomorphism_splits_into_halves() {
    let lambda = [0xdf02_967c_1b23_bd72, 0x122e_22ea_2081_6678, 0xa526_1c02_8812_645a, 0x5363_ad4c_c05c_30e0];
    let n = Secp256k1::N;
    let mut random = Random(0x5eed);
    for _ in 0..2000 {
        let k = random.scalar::<Secp256k1>();
        for (parts, bits) in [(Secp256k1::split(&k), 129), (Secp256k1::split_odd(&k), 130)] {
            let [k1, k2] = parts.map(|(part, negative)| {
                assert!(u256::bit_len(&part) <= bits, "{k:x?}");
                assert!(bits == 129 || part[0] & 1 == 1, "{k:x?}");
                if negative && !u256::is_zero(&part) { u256::sub(&n, &part).0 } else { part }
            });
            assert_eq!(add::<Secp256k1>(&k1, &testing::mul(&k2, &lambda, &n)), k, "{k:x?}");
        }
    }
}
