//! ECDSA and SM2: sums that meet table entries, the identity, coordinates and numbers at the ends of their ranges,
//! keys that are none.

use dolmen_accel_api::Algorithm;
use k256::elliptic_curve::{CurveGroup as _, Field as _, ProjectivePoint, Scalar};

use crate::{
    curve::{
        Curve, Equation, bytes, invert, key_bytes, lift, moduli, multiple, reduce, scalar, under_recovered_key, x,
    },
    paths::check,
    support::{Case, Job, Signed, add, checked_add, hex_array, honest, number, subtract},
};

#[test]
fn secp256k1() {
    all::<k256::Secp256k1>();
}

#[test]
fn p256() {
    all::<p256::NistP256>();
}

#[test]
fn sm2() {
    all::<::sm2::Sm2>();
}

fn all<C: Curve>() {
    let honest: Vec<_> = honest(C::ALGORITHM, 3, 48).into_iter().map(|job| Case::valid(job, "honest")).collect();
    let exceptional = exceptional_sums::<C>();
    let beside = honest
        .iter()
        .cycle()
        .zip(exceptional.iter().step_by(5))
        .flat_map(|(honest, bad)| [bad.clone(), honest.clone()]);
    let groups = [
        beside.collect(),
        exceptional,
        coordinates::<C>(),
        digests::<C>(),
        last_numbers::<C>(),
        numbers_out_of_range::<C>(&honest[0].job),
        keys::<C>(),
        lengths::<C>(&honest[1].job),
        honest,
    ];
    check(C::ALGORITHM, &groups);
}

fn power<C: Curve>(exponent: u64) -> Scalar<C> {
    scalar::<C>(2).pow_vartime([exponent])
}

/// Keys that are multiples of `G` with scalars such that entries of both tables are equal or opposite, at the leaves
/// or further up, and sums that are the identity.
fn exceptional_sums<C: Curve>() -> Vec<Case> {
    let mut secrets = [1, -1, 2, -2, 3].map(scalar::<C>).to_vec();
    // By the widths of windows, half and quarter of the scalar.
    secrets.extend([7, 8, 12, 13, 26, 128].map(power::<C>));
    secrets.extend([2, 4].map(|small| invert::<C>(&scalar::<C>(small))));
    secrets.push(invert::<C>(&power::<C>(13)));
    secrets.extend(C::LAMBDA.map(|lambda| reduce::<C>(&hex_array(lambda))));
    let mut factors = [0, 1, 2, 3, 6, -1, -2].map(scalar::<C>).to_vec();
    factors.extend([7, 13, 128].map(power::<C>));
    factors.push(power::<C>(13) - scalar::<C>(1));
    if let Some(lambda) = C::LAMBDA {
        let lambda = reduce::<C>(&hex_array(lambda));
        factors.extend([lambda, lambda * scalar::<C>(2), lambda + scalar::<C>(1), lambda.square()]);
    }
    let mut cases = Vec::new();
    for secret in &secrets {
        let key = multiple::<C>(secret);
        let key_bytes = key_bytes::<C>(&key.to_affine());
        for g in &factors {
            for q in factors.iter().filter(|q| !bool::from(q.is_zero())) {
                match Equation::<C>::under(&key, *g, *q) {
                    Some(equation) => {
                        let forged = C::forge(&equation).map(|forged| forged.job(&key_bytes));
                        cases.extend(forged.map(|job| Case::valid(job, "multiples of G")));
                    }
                    None => cases.extend(identities::<C>(&key_bytes, *g, *q)),
                }
            }
            // The two terms are one point; opposite points.
            let q = *g * invert::<C>(secret);
            if !bool::from(q.is_zero()) {
                let doubled = Equation::<C>::under(&key, *g, q).and_then(|equation| C::forge(&equation));
                cases.extend(doubled.map(|forged| Case::valid(forged.job(&key_bytes), "both terms are one point")));
                cases.extend(identities::<C>(&key_bytes, *g, -q));
            }
        }
    }
    cases
}

/// Signatures whose sum is the identity, which has no coordinate: as if it were zero (as it often is in memory), one,
/// or that of `G`.
pub(super) fn identities<C: Curve>(key: &[u8; 64], g: Scalar<C>, q: Scalar<C>) -> Vec<Case> {
    let xs = [scalar::<C>(0), scalar::<C>(1), x::<C>(&multiple::<C>(&scalar::<C>(1)).to_affine())];
    let forged =
        xs.into_iter().filter_map(|x| C::forge(&Equation { g, q, q_inverse: invert::<C>(&q), x, odd_y: false }));
    forged.map(|forged| Case::invalid(forged.job(key), "the sum is the identity")).collect()
}

/// The points with the first `count` values of `x` at or above `from`, or at and below it.
fn points_from<C: Curve>(from: [u8; 32], upwards: bool, count: usize) -> Vec<([u8; 32], ProjectivePoint<C>)> {
    let xs = (0..200).map(|small| if upwards { add(&from, &number(small)) } else { subtract(&from, &number(small)) });
    xs.filter_map(|x| Some((x, ProjectivePoint::<C>::from(lift::<C>(&x)?)))).take(count).collect()
}

/// Sums with a coordinate at an end of its range.
fn coordinates<C: Curve>() -> Vec<Case> {
    let (p, n) = moduli::<C>();
    let last = subtract(&p, &number(1));
    let mut cases = Vec::new();
    let mut case = |r_is: &Scalar<C>, sum: &ProjectivePoint<C>, holds: bool, what: &'static str| {
        for (e, s) in [(5, 6), (0, 1), (-1, 1 << 40)] {
            for sum in [*sum, -*sum] {
                let signed = under_recovered_key::<C>(&scalar::<C>(e), &scalar::<C>(s), r_is, &sum);
                cases.extend(signed.map(|(key, forged)| Case::new(forged.job(&key), holds, what)));
            }
        }
    };
    for (from, upwards, what) in [
        (n, true, "x of the sum is not below n"),
        (subtract(&n, &number(1)), false, "x of the sum is just below n"),
        (last, false, "x of the sum is just below p"),
        (number(0), true, "x of the sum is small"),
    ] {
        for (_, sum) in points_from::<C>(from, upwards, 3) {
            case(&x::<C>(&sum.to_affine()), &sum, true, what);
        }
    }
    // y = 1, and its negative.
    let (_, sum) = points_from::<C>(hex_array(C::X_OF_Y_1), true, 1).remove(0);
    case(&x::<C>(&sum.to_affine()), &sum, true, "y of the sum is one");
    // x = r + n, had it been taken modulo p.
    let above = subtract(&p, &n);
    for (x, sum) in points_from::<C>(number(0), true, 3) {
        case(&reduce::<C>(&add(&above, &x)), &sum, false, "x of the sum is r + n modulo p");
    }
    // r is right but for the order: n + r, which is a number of 32 bytes.
    let small = cases.iter().filter(|case| case.holds && case.what == "x of the sum is small");
    let malleable = small.filter_map(|case| {
        let r = case.job.signature[..32].try_into().expect("half of 64 bytes");
        let more = checked_add(&n, &r)?;
        Some(Case::invalid(case.job.with(|job| job.signature[..32].copy_from_slice(&more)), "r + n for r"))
    });
    let malleable: Vec<_> = malleable.collect();
    assert!(C::ALGORITHM == Algorithm::Sm2 || !malleable.is_empty(), "r is x there, and small");
    cases.extend(malleable);
    cases
}

/// Digests at the ends of their range, and not below the order.
fn digests<C: Curve>() -> Vec<Case> {
    let (p, n) = moduli::<C>();
    let minus = |small| subtract(&n, &number(small));
    let plus = |small| add(&n, &number(small));
    let all = [number(0), number(1), minus(1), n, plus(1), plus(77), p, [0xff; 32]];
    let mut cases = Vec::new();
    for digest in all {
        for k in [1, -1, 2, 1234] {
            let sum = multiple::<C>(&scalar::<C>(k));
            let x = x::<C>(&sum.to_affine());
            let signed = under_recovered_key::<C>(&reduce::<C>(&digest), &scalar::<C>(99), &x, &sum);
            let (key, mut forged) = signed.expect("no number of these is zero");
            forged.digest = digest;
            let job = forged.job(&key);
            let other = job.with(|job| job.message = Signed::Digest(number(424_242)));
            cases.push(Case::valid(job, "a digest at an end"));
            cases.push(Case::invalid(other, "another digest"));
        }
    }
    cases
}

/// `s` at the ends of its range, at half the order, and beyond what is allowed; the same for `t` of SM2.
fn last_numbers<C: Curve>() -> Vec<Case> {
    let (_, n) = moduli::<C>();
    let low_only = C::ALGORITHM == Algorithm::EcdsaSecp256k1;
    let half = bytes::<C>(&((scalar::<C>(0) - scalar::<C>(1)) * invert::<C>(&scalar::<C>(2))));
    let minus = |small| subtract(&n, &number(small));
    let sum = multiple::<C>(&scalar::<C>(4321));
    let x = x::<C>(&sum.to_affine());
    let signed = |s: &[u8; 32]| under_recovered_key::<C>(&scalar::<C>(8), &reduce::<C>(s), &x, &sum);
    let mut cases = Vec::new();
    for (s, is_low) in [
        (number(1), true),
        (number(2), true),
        (half, true),
        (add(&half, &number(1)), false),
        (minus(2), false),
        (minus(1), false),
    ] {
        let (key, forged) = signed(&s).expect("no number of these is zero");
        let job = forged.job(&key);
        if let Some(more) = checked_add(&s, &n) {
            let job = job.with(|job| job.signature[32..].copy_from_slice(&more));
            cases.push(Case::invalid(job, "s + n for s"));
        }
        let negated = job.with(|job| job.signature[32..].copy_from_slice(&subtract(&n, &s)));
        let negated_holds = C::ALGORITHM != Algorithm::Sm2 && (!low_only || !is_low);
        cases.push(Case::new(negated, negated_holds, "-s for s"));
        cases.push(Case::new(job, is_low || !low_only, "s at an end, or at half the order"));
    }
    cases
}

/// `r` and `s` that are no numbers of a signature, beside what honest signers make.
fn numbers_out_of_range<C: Curve>(valid: &Job) -> Vec<Case> {
    let (p, n) = moduli::<C>();
    let minus = |small| subtract(&n, &number(small));
    let plus = |small| add(&n, &number(small));
    let mut numbers = vec![number(0), number(1), number(2), minus(2), minus(1), n, plus(1), subtract(&p, &n), p];
    numbers.extend([add(&p, &number(1)), subtract(&p, &number(1)), [0xff; 32], [0x80; 32]]);
    let mut cases = Vec::new();
    let mut bad = |alter: &dyn Fn(&mut Job)| cases.push(Case::invalid(valid.with(alter), "r or s is another"));
    for first in &numbers {
        bad(&|job| job.signature[..32].copy_from_slice(first));
        bad(&|job| job.signature[32..].copy_from_slice(first));
        for second in &numbers {
            bad(&|job| job.signature = [*first, *second].concat());
        }
    }
    let r = valid.signature[..32].try_into().expect("half of 64 bytes");
    // For SM2 r + s = n: Q would have no say.
    bad(&|job| job.signature[32..].copy_from_slice(&subtract(&n, &r)));
    bad(&|job| job.signature[..32].copy_from_slice(&subtract(&n, &r)));
    bad(&|job| job.signature.rotate_left(32));
    cases
}

/// Keys that are none, or another.
fn keys<C: Curve>() -> Vec<Case> {
    let (p, _) = moduli::<C>();
    let mut cases = Vec::new();
    let mut signed = |key: &ProjectivePoint<C>| {
        let equation = Equation::<C>::under(key, scalar::<C>(70), scalar::<C>(90)).expect("no identity by chance");
        let job = C::forge(&equation).expect("no zero by chance").job(&key_bytes::<C>(&key.to_affine()));
        cases.push(Case::valid(job.clone(), "an odd key"));
        move |alter: &dyn Fn(&mut [u8; 64]), what: &'static str| {
            let mut key = job.key[..].try_into().expect("keys have 64 bytes");
            alter(&mut key);
            Case::invalid(job.with(|job| job.key = key.into()), what)
        }
    };
    let mut bad = Vec::new();
    for (x, key) in points_from::<C>(number(0), true, 2) {
        let altered = signed(&key);
        bad.push(altered(&|key| key[..32].copy_from_slice(&add(&x, &p)), "x of the key is not below p"));
        bad.push(altered(&|key| key[31] ^= 1, "x is another"));
    }
    let (_, y_of_one) = points_from::<C>(hex_array(C::X_OF_Y_1), true, 1).remove(0);
    for key in [y_of_one, -y_of_one] {
        let y: [u8; 32] = key_bytes::<C>(&key.to_affine())[32..].try_into().expect("half of 64 bytes");
        let altered = signed(&key);
        if let Some(above) = checked_add(&y, &p) {
            bad.push(altered(&|key| key[32..].copy_from_slice(&above), "y of the key is not below p"));
        }
        let negative = subtract(&p, &y);
        bad.push(altered(&|key| key[32..].copy_from_slice(&negative), "the negative of the key"));
    }
    let altered = signed(&multiple::<C>(&scalar::<C>(5)));
    bad.extend([
        altered(&|key| key.fill(0), "zeros"),
        altered(&|key| key.fill(0xff), "ones"),
        altered(&|key| key[..32].fill(0), "x is zero"),
        altered(&|key| key[32..].fill(0), "y is zero"),
        altered(&|key| key[..32].copy_from_slice(&p), "x is p"),
        altered(&|key| key[32..].copy_from_slice(&p), "y is p"),
        altered(&|key| key.copy_from_slice(&[p, p].concat()), "both are p"),
        altered(&|key| key[63] ^= 1, "not on the curve"),
        altered(&|key| key.rotate_left(32), "y and x"),
        altered(&|key| key.reverse(), "little endian"),
    ]);
    cases.extend(bad);
    cases
}

/// Everything that is too short or too long.
fn lengths<C: Curve>(valid: &Job) -> Vec<Case> {
    let mut cases = Vec::new();
    for length in [0, 1, 31, 32, 33, 63, 65, 66, 96, 128, 1000] {
        cases.push(Case::invalid(valid.with(|job| job.key.resize(length, 0)), "length of the key"));
        cases.push(Case::invalid(valid.with(|job| job.signature.resize(length, 0)), "length of the signature"));
    }
    let tagged = valid.with(|job| job.key.insert(0, 4));
    cases.push(Case::invalid(tagged, "an uncompressed point"));
    let odd = valid.key[63] & 1;
    let compressed = valid.with(|job| job.key = [&[2 + odd][..], &valid.key[..32]].concat());
    cases.push(Case::invalid(compressed, "a compressed point"));
    let der = valid.with(|job| {
        let (r, s) = valid.signature.split_at(32);
        job.signature = [&[0x30, 70, 2, 33, 0][..], r, &[2, 33, 0], s].concat();
    });
    cases.push(Case::invalid(der, "a signature in DER"));
    cases
}
