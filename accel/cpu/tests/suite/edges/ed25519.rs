//! Ed25519 by ZIP 215: points of small and mixed order, encodings that are not canonical, numbers at their ends.

use curve25519_dalek::{
    EdwardsPoint, Scalar,
    constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION},
    edwards::CompressedEdwardsY,
    traits::IsIdentity as _,
};
use dolmen_accel_api::{Algorithm, KeyCache as _};
use sha2::{Digest as _, Sha512};

use crate::{
    curve::pair,
    paths::{check, engine, features},
    support::{Case, Hex, Job, Signed, hex_array, honest},
};

const ALGORITHM: Algorithm = Algorithm::Ed25519;
/// The order of the group, little endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// `y`, little endian, from its lowest byte and the sign bit, for the `y` next to 0 and to `p`.
fn encoding(lowest: u8, above: u8, sign: bool) -> [u8; 32] {
    let mut encoding = [above; 32];
    encoding[0] = lowest;
    encoding[31] = (above & 0x7f) | (u8::from(sign) << 7);
    encoding
}

/// The 14 encodings of the eight points of small order: the canonical ones, and those that are not.
pub(crate) fn small_order_encodings() -> Vec<[u8; 32]> {
    let canonical = EIGHT_TORSION.iter().map(|point| point.compress().to_bytes());
    let negative_zero_x = [encoding(1, 0, true), encoding(0xec, 0xff, true)];
    // y = p and y = p + 1.
    let above = [false, true].map(|sign| [encoding(0xed, 0xff, sign), encoding(0xee, 0xff, sign)]);
    canonical.chain(negative_zero_x).chain(above.into_iter().flatten()).collect()
}

/// `SHA-512(R || A || M)`.
fn k(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(
        &Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize().into(),
    )
}

/// The signature with nonce `r`, whose point is sent as `r_bytes`, by the secret `a`, whose key is sent as `key`.
fn signed(a: &Scalar, key: &[u8; 32], r: &Scalar, r_bytes: &[u8; 32], message: &[u8]) -> Job {
    let s = r + k(r_bytes, key, message) * a;
    Job::bytes(key, message, &pair(*r_bytes, s.to_bytes()))
}

/// Secrets and nonces, some of which make sums of table entries meet.
fn scalars() -> Vec<Scalar> {
    let two_to = |exponent: usize| {
        let mut bytes = [0; 32];
        bytes[exponent / 8] = 1 << (exponent % 8);
        Scalar::from_bytes_mod_order(bytes)
    };
    let small = [1_u64, 2, 3, 5, 8].map(Scalar::from);
    let negative = small.map(|scalar| -scalar);
    let powers = [7, 13, 126, 252].map(two_to);
    small.into_iter().chain(negative).chain(powers).chain(powers.map(|power| power.invert())).collect()
}

/// Everything that is signed with the secret and holds, with points of small order added to key and `R`.
fn mixed_orders() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, a) in scalars().into_iter().enumerate() {
        let r = scalars()[(3 * index + 1) % 18];
        for key_torsion in [0, 1, 4, 7] {
            for r_torsion in [0, 1, 2, 4] {
                let key = (B * a + EIGHT_TORSION[key_torsion]).compress().0;
                let r_bytes = (B * r + EIGHT_TORSION[r_torsion]).compress().0;
                let case = Case::valid(signed(&a, &key, &r, &r_bytes, b"mixed"), "mixed orders");
                let is_plain = key_torsion == 0 && r_torsion == 0;
                let other = case.job.with(|job| job.signature[32] ^= 1);
                cases.push(if is_plain { case } else { case.corner() });
                cases.push(Case::invalid(other, "mixed orders, another S"));
            }
        }
    }
    cases
}

/// Signatures whose sum `[S]B - [k]A` is the identity or of small order, by keys of every order.
fn small_sums() -> Vec<Case> {
    let mut cases = Vec::new();
    for a in scalars().iter().take(6) {
        let key = (B * a).compress().0;
        for r_bytes in small_order_encodings() {
            let case = Case::valid(signed(a, &key, &Scalar::ZERO, &r_bytes, b"small sum"), "R of small order").corner();
            cases.push(
                Case::invalid(case.job.with(|job| job.signature[33] ^= 1), "R of small order, another S").corner(),
            );
            cases.push(case);
        }
    }
    // Any S and R that belong together, for k has no say.
    for key in small_order_encodings() {
        for r in [0, 1, 77] {
            let r = Scalar::from(r as u64);
            for torsion in [0, 3] {
                let r_bytes = (B * r + EIGHT_TORSION[torsion]).compress().0;
                cases.push(
                    Case::valid(signed(&Scalar::ZERO, &key, &r, &r_bytes, b"any"), "key of small order").corner(),
                );
                let wrong = signed(&Scalar::ZERO, &key, &(r + Scalar::ONE), &r_bytes, b"any");
                cases.push(Case::invalid(wrong, "key of small order, another S").corner());
            }
        }
    }
    // S = L - 1 and 0: the ends of its range.
    for key in small_order_encodings() {
        let r = -Scalar::ONE;
        let case = Case::valid(signed(&Scalar::ZERO, &key, &r, &(B * r).compress().0, b"ends"), "S = L - 1").corner();
        cases.extend(above(&case));
        cases.push(case);
    }
    cases
}

/// `S + L`, and as many `L` more as fit: the same number modulo the order.
fn above(case: &Case) -> Vec<Case> {
    let order: [u8; 32] = hex_array(ORDER);
    let mut job = case.job.clone();
    let mut cases = Vec::new();
    loop {
        let mut carry = 0;
        for (byte, more) in job.signature[32..].iter_mut().zip(order) {
            let [low, high] = (u16::from(*byte) + u16::from(more) + carry).to_le_bytes();
            *byte = low;
            carry = u16::from(high);
        }
        if carry != 0 {
            return cases;
        }
        cases.push(Case::invalid(job.clone(), format!("{}, S + {} L", case.what, cases.len() + 1)));
    }
}

/// `S` that is not below the order, by keys of prime order.
fn numbers(valid: &[Job]) -> Vec<Case> {
    let order: [u8; 32] = hex_array(ORDER);
    let mut cases = Vec::new();
    for job in valid {
        cases.extend(above(&Case::valid(job.clone(), "honest")));
        for s in [order, [0; 32], [0xff; 32]] {
            cases.push(Case::invalid(job.with(|job| job.signature[32..].copy_from_slice(&s)), "S = L, 0, 2^256 - 1"));
        }
        for bit in 4..8 {
            cases.push(Case::invalid(job.with(|job| job.signature[63] |= 1 << bit), "a high bit of S"));
        }
        for other in [EIGHT_TORSION[1], B] {
            let r = CompressedEdwardsY(job.signature[..32].try_into().expect("half of 64 bytes"));
            let r = r.decompress().expect("an honest R") + other;
            let altered = job.with(|job| job.signature[..32].copy_from_slice(&r.compress().0));
            // k changes with the bytes of R, so the cofactor forgives nothing.
            cases.push(Case::invalid(altered, "R + T for R"));
        }
    }
    cases
}

/// Encodings with `y` at or above `p` that are points, but of small order none: nobody knows their secrets.
fn not_canonical() -> Vec<[u8; 32]> {
    let all = (0xed..=0xff_u8).flat_map(|lowest| [false, true].map(|sign| encoding(lowest, 0xff, sign)));
    let is_large = |bytes: &[u8; 32]| {
        CompressedEdwardsY(*bytes).decompress().is_some_and(|point| !point.mul_by_cofactor().is_identity())
    };
    all.filter(is_large).collect()
}

/// Keys and `R` that are no points, or points in encodings that are not canonical, beside what honest signers make.
fn encodings(valid: &Job) -> Vec<Case> {
    let mut cases = Vec::new();
    let large = not_canonical();
    assert!(!large.is_empty());
    let is_none = |bytes: &[u8; 32]| CompressedEdwardsY(*bytes).decompress().is_none();
    let none: Vec<_> = (2..40).map(|lowest| encoding(lowest, 0, false)).filter(is_none).take(6).collect();
    assert_eq!(none.len(), 6);
    for bytes in large.iter().chain(&none).chain(&small_order_encodings()) {
        cases.push(Case::invalid(valid.with(|job| job.key = bytes.to_vec()), "another key").corner());
        cases.push(Case::invalid(valid.with(|job| job.signature[..32].copy_from_slice(bytes)), "another R").corner());
    }
    // Nothing but what does not decode: in a batch of one equation it must not carry the others with it.
    for key in &none {
        for r in &none {
            cases.push(Case::invalid(Job::bytes(key, b"none", &pair(*r, [0; 32])), "no point").corner());
        }
    }
    let negated =
        CompressedEdwardsY(valid.key[..].try_into().expect("keys have 32 bytes")).decompress().map(|key| -key);
    let negated = negated.expect("an honest key").compress().0;
    cases.push(Case::invalid(valid.with(|job| job.key = negated.to_vec()), "the negative of the key"));
    let flip_sign = |half: usize| move |job: &mut Job| job.signature[half] ^= 0x80;
    cases.push(Case::invalid(valid.with(flip_sign(31)), "the other sign of R"));
    for length in [0, 1, 31, 33, 63, 64, 65, 96, 128] {
        cases.push(Case::invalid(valid.with(|job| job.key.resize(length, 0)), "length of the key"));
        if length != 64 {
            cases.push(Case::invalid(valid.with(|job| job.signature.resize(length, 0)), "length of the signature"));
        }
    }
    cases
}

/// A digest is a message of 32 bytes.
fn digests() -> Vec<Case> {
    let as_bytes = |job: &Job| match job.message {
        Signed::Digest(digest) => Some(job.with(|job| job.message = Signed::Bytes(digest.to_vec()))),
        Signed::Bytes(_) => None,
    };
    let jobs = honest(ALGORITHM, 2, 30);
    jobs.iter().filter_map(as_bytes).map(|job| Case::valid(job, "a digest as bytes")).collect()
}

#[test]
fn all() {
    let valid = honest(ALGORITHM, 3, 48);
    let honest: Vec<_> = valid.iter().cloned().map(|job| Case::valid(job, "honest")).collect();
    let mixed = mixed_orders();
    let beside =
        honest.iter().cycle().zip(&mixed).flat_map(|(honest, mixed)| [mixed.clone(), honest.clone()]).collect();
    check(ALGORITHM, &[mixed, beside, small_sums(), numbers(&valid[..4]), encodings(&valid[1]), digests(), honest]);
}

/// Only keys of the group of prime order get a table.
#[test]
fn which_keys_get_tables() {
    let is_of_prime_order = |point: &EdwardsPoint| point.is_torsion_free() && !point.is_identity();
    let decoded = |bytes: &[u8; 32]| CompressedEdwardsY(*bytes).decompress().is_some_and(|key| is_of_prime_order(&key));
    let mut keys: Vec<[u8; 32]> = small_order_encodings();
    keys.extend(not_canonical());
    keys.extend((0..8).map(|torsion| (B * Scalar::from(9_u64) + EIGHT_TORSION[torsion]).compress().0));
    for (name, features) in features() {
        let engine = engine(features, ALGORITHM, 64 << 20);
        for key in &keys {
            assert_eq!(engine.prepare(ALGORITHM, &[key]), usize::from(decoded(key)), "{name}: {}", Hex(key));
        }
        // The key without a part of small order; none of the encodings that are not canonical is of prime order.
        assert_eq!(engine.usage().keys, 1, "{name}");
    }
}
