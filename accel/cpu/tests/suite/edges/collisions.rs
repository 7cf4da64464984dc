//! Keys made for one signature: additions somewhere inside of the sum of table entries meet equal or opposite points.
//!
//! An affine addition cannot do those, and one that goes wrong would spoil the inversion that it shares with the rest of
//! its batch. Every partial sum is a number plus another times the key's secret, so for two of them one can solve for
//! the secret. This is written down from the engine's `comb.rs`, `known.rs`, `columns.rs` and `single.rs`; were they to
//! change, the cases here would still have to hold, but would be nothing special.

use curve25519_dalek::{EdwardsPoint, Scalar as EdScalar, constants::ED25519_BASEPOINT_POINT};
use dolmen_accel_api::Algorithm;
use k256::elliptic_curve::{CurveGroup as _, Field as _, Scalar};
use sha2::{Digest as _, Sha512};

use super::weierstrass::identities;
use crate::{
    curve::{Curve, Equation, bytes, key_bytes, moduli, multiple, pair, reduce},
    paths::check,
    support::{Case, Job, hex_array, honest, subtract},
};

/// Bits of a window in the table of the base point, and of the narrowest and widest in those of keys.
const GENERATOR_WIDTH: usize = 15;
const NARROW: usize = 7;
const WIDE: usize = 12;

/// Offsets and widths of as few windows of at most `width` bits as hold `bits`.
fn windows(bits: usize, width: usize) -> Vec<(usize, usize)> {
    let count = bits.div_ceil(width);
    let mut offset = 0;
    let window = |index| {
        let width = bits / count + usize::from(index < bits % count);
        offset += width;
        (offset - width, width)
    };
    (0..count).map(window).collect()
}

/// A bit of a big endian number.
fn bit(number: &[u8; 32], at: usize) -> bool {
    number[31 - at / 8] >> (at % 8) & 1 == 1
}

/// The signed odd digits of `k < n`: for each window its digit's absolute value, and whether it is negative.
fn digits(k: &[u8; 32], n: &[u8; 32], bits: usize, width: usize) -> Vec<(u16, bool)> {
    let negate = !bit(k, 0);
    let odd = if negate { subtract(n, k) } else { *k };
    // Bits of (k + 2^bits - 1) / 2: the bit above each.
    let is_set = |at: usize| at == bits - 1 || bit(&odd, at + 1);
    let digit = |(offset, width): &(usize, usize)| {
        let window = (0..*width).fold(0, |window, at| window | u16::from(is_set(offset + at)) << at);
        let (twice, end) = (2 * window + 1, 1 << width);
        (twice.abs_diff(end), (twice < end) != negate)
    };
    windows(bits, width).iter().map(digit).collect()
}

/// The multiples of its point that a scalar's table entries are.
fn entries<C: Curve>(k: &Scalar<C>, width: usize) -> Vec<Scalar<C>> {
    let (_, n) = moduli::<C>();
    let entry = |((absolute, negative), (offset, _)): (&(u16, bool), (usize, usize))| {
        let entry = Scalar::<C>::from(u64::from(*absolute)) * Scalar::<C>::from(2_u64).pow_vartime([offset as u64]);
        if *negative { -entry } else { entry }
    };
    let digits = digits(&bytes::<C>(k), &n, 256, width);
    let entries: Vec<_> = digits.iter().zip(windows(256, width)).map(entry).collect();
    assert_eq!(entries.iter().sum::<Scalar<C>>(), *k);
    entries
}

/// `a + b d` for a secret `d`.
type Linear<C> = (Scalar<C>, Scalar<C>);

/// The pairs that are added in the binary tree over a column.
fn pairs_of_tree<C: Curve>(mut column: Vec<Linear<C>>) -> Vec<[Linear<C>; 2]> {
    let mut pairs = Vec::new();
    while column.len() > 1 {
        let half = column.len().div_ceil(2);
        for row in 0..column.len() / 2 {
            let (left, right) = (column[row], column[row + half]);
            pairs.push([left, right]);
            column[row] = (left.0 + right.0, left.1 + right.1);
        }
        column.truncate(half);
    }
    pairs
}

/// Secrets of keys for which some addition of `[g]G + [q]Q` meets equal or opposite points.
fn secrets<C: Curve>(g: &Scalar<C>, q: &Scalar<C>, width: usize) -> Vec<Scalar<C>> {
    let zero = Scalar::<C>::ZERO;
    let of_g: Vec<Linear<C>> = entries::<C>(g, GENERATOR_WIDTH).into_iter().map(|entry| (entry, zero)).collect();
    let of_q = entries::<C>(q, width).into_iter().map(|entry| (zero, entry));
    let mut pairs = pairs_of_tree::<C>(of_g.iter().copied().chain(of_q).collect());
    // Keys without a table: [q]Q first, then G's entries one by one.
    let mut sum = (zero, *q);
    for entry in of_g {
        pairs.push([sum, entry]);
        sum.0 += entry.0;
    }
    let solutions = pairs.into_iter().flat_map(|[(a, b), (c, d)]| {
        [(c - a, b - d), (-(a + c), b + d)]
            .map(|(numerator, denominator)| denominator.invert().into_option().map(|inverse| numerator * inverse))
    });
    solutions.flatten().filter(|secret| !bool::from(secret.is_zero())).collect()
}

fn scalar_of<C: Curve>(seed: u8) -> Scalar<C> {
    reduce::<C>(&std::array::from_fn(|index| {
        seed.wrapping_mul(91).wrapping_add(u8::try_from(index).unwrap_or(0)) ^ 0xa5
    }))
}

fn weierstrass<C: Curve>() {
    let honest: Vec<_> = honest(C::ALGORITHM, 2, 20).into_iter().map(|job| Case::valid(job, "honest")).collect();
    for width in [NARROW, WIDE] {
        let (g, q) = (scalar_of::<C>(1), scalar_of::<C>(2));
        let mut cases = Vec::new();
        for secret in secrets::<C>(&g, &q, width) {
            let key = multiple::<C>(&secret);
            let bytes = key_bytes::<C>(&key.to_affine());
            match Equation::<C>::under(&key, g, q) {
                Some(equation) => {
                    let forged = C::forge(&equation).expect("no zero by chance");
                    cases.push(Case::valid(forged.job(&bytes), "points meet inside of the sum"));
                    // Its sum is another: whatever becomes of it must not look like the right one.
                    let x = equation.x + Scalar::<C>::ONE;
                    let off = C::forge(&Equation { x, ..equation }).expect("no zero by chance");
                    cases.push(Case::invalid(off.job(&bytes), "points meet inside of another sum"));
                }
                None => cases.extend(identities::<C>(&bytes, g, q)),
            }
        }
        let expected = 2 * (20 + 256_usize.div_ceil(width) - 1);
        assert!(cases.len() > expected, "{} cases for windows of {width} bits", cases.len());
        let beside = honest.iter().cycle().zip(cases.iter().step_by(3));
        let beside = beside.flat_map(|(honest, special)| [special.clone(), honest.clone()]).collect();
        check(C::ALGORITHM, &[cases, beside]);
    }
}

#[test]
fn secp256k1() {
    weierstrass::<k256::Secp256k1>();
}

#[test]
fn p256() {
    weierstrass::<p256::NistP256>();
}

#[test]
fn sm2() {
    weierstrass::<::sm2::Sm2>();
}

/// The order of Ed25519's group, big endian.
const ED25519_ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
const ED25519_BITS: usize = 253;

/// The signatures under the secret `2^exponent`, of many, for which two entries of the first level meet. One cannot
/// solve for those, as `k` is a hash, but where the windows of both tables lie on one another it is one in some
/// thousand.
fn ed25519_collisions(exponent: usize, width: usize, tries: usize) -> Vec<Case> {
    let n = hex_array(ED25519_ORDER);
    let big_endian = |scalar: &EdScalar| {
        let mut bytes = scalar.to_bytes();
        bytes.reverse();
        bytes
    };
    let mut secret = [0; 32];
    secret[exponent / 8] = 1 << (exponent % 8);
    let secret = EdScalar::from_bytes_mod_order(secret);
    let key = EdwardsPoint::mul_base(&secret).compress().0;
    let of_g = windows(ED25519_BITS, GENERATOR_WIDTH);
    let of_key = windows(ED25519_BITS, width);
    let half = (of_g.len() + of_key.len()).div_ceil(2);
    // Rows of G's entries whose partner is an entry of the key's with the same power of two.
    let aligned = |row: &usize| {
        let partner = (row + half).checked_sub(of_g.len()).and_then(|index| of_key.get(index));
        partner.is_some_and(|(offset, _)| offset + exponent == of_g[*row].0)
    };
    let rows: Vec<_> = (0..of_g.len()).filter(aligned).collect();
    let mut cases = Vec::new();
    // A small one would leave S and k alike, and their entries apart.
    let mut nonce = EdScalar::from_bytes_mod_order([0x5a; 32]);
    let mut point = EdwardsPoint::mul_base(&nonce);
    for _ in 0..if rows.is_empty() { 0 } else { tries } {
        nonce += EdScalar::ONE;
        point += ED25519_BASEPOINT_POINT;
        let r = point.compress().0;
        let k = Sha512::new().chain_update(r).chain_update(key).chain_update(b"meet").finalize();
        let k = EdScalar::from_bytes_mod_order_wide(&k.into());
        let s = nonce + k * secret;
        let (g, q) = (big_endian(&s), big_endian(&-k));
        let g = digits(&g, &n, ED25519_BITS, GENERATOR_WIDTH);
        let q = digits(&q, &n, ED25519_BITS, width);
        if rows.iter().any(|row| g[*row].0 == q[row + half - of_g.len()].0) {
            let job = Job::bytes(&key, b"meet", &pair(r, s.to_bytes()));
            cases.push(Case::invalid(job.with(|job| job.signature[32] ^= 1), "points meet, almost"));
            cases.push(Case::valid(job, "points meet inside of the sum"));
        }
    }
    cases
}

#[test]
fn ed25519() {
    let honest: Vec<_> = honest(Algorithm::Ed25519, 2, 20).into_iter().map(|job| Case::valid(job, "honest")).collect();
    for width in [NARROW, WIDE] {
        let all = (0..ED25519_BITS).map(|exponent| ed25519_collisions(exponent, width, 30_000));
        let mut groups: Vec<_> = all.filter(|cases| !cases.is_empty()).collect();
        assert!(groups.iter().map(Vec::len).sum::<usize>() >= 10, "{} keys", groups.len());
        groups.push(honest.iter().cloned().chain(groups.concat()).collect());
        check(Algorithm::Ed25519, &groups);
    }
}
