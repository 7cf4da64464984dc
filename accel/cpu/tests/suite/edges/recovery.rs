//! Recovery of signers of secp256k1: where Ethereum's rule is narrower than SEC 1, and sums that meet table entries.

use dolmen_accel_api::{BatchVerifier as _, RecoverJob};
use dolmen_accel_library::Library;
use k256::{
    Secp256k1,
    elliptic_curve::{Field as _, Group as _, ProjectivePoint},
};

use crate::{
    curve::{bytes, invert, key_bytes, lift, moduli, multiple, pair, reduce, scalar, under_recovered_key, x},
    paths::{Recovery, check_recovery, recover},
    support::{add, address, number, subtract},
};

type Scalar = k256::Scalar;
type Point = ProjectivePoint<Secp256k1>;

/// A recovery, and the key that is to be found.
struct Found {
    recovery: Recovery,
    key: [u8; 64],
}

fn found(key: [u8; 64], digest: [u8; 32], signature: [u8; 64], odd_y: bool, what: &'static str) -> Found {
    let job = RecoverJob { digest, signature, odd_y, hint: None };
    Found { recovery: Recovery { job, signer: Some(address(&key)), what }, key }
}

/// What comes of a job is what libsecp256k1 says: that there is no signer, or a signer that nobody knows.
fn as_libsecp256k1(job: RecoverJob, what: &'static str) -> Recovery {
    let peer = Library::Libsecp256k1.peer();
    Recovery { job, signer: recover(&peer, [job].into_iter())[0], what }
}

fn none(job: RecoverJob, what: &'static str) -> Recovery {
    Recovery { job, signer: None, what }
}

/// Digests at the ends of their range, sums just inside of the range of `x`, `s` at half the order.
fn ends() -> Vec<Found> {
    let (p, n) = moduli::<Secp256k1>();
    let half = bytes::<Secp256k1>(&(-Scalar::ONE * invert::<Secp256k1>(&scalar::<Secp256k1>(2))));
    let below_n = (1..200).filter_map(|small| lift::<Secp256k1>(&subtract(&n, &number(small)))).take(2);
    let small = (1..200).filter_map(|small| lift::<Secp256k1>(&number(small))).take(2);
    let sums: Vec<Point> = below_n.chain(small).map(Point::from).chain([Point::GENERATOR, -Point::GENERATOR]).collect();
    let digests = [number(0), number(1), subtract(&n, &number(1)), n, add(&n, &number(9)), p, [0xff; 32]];
    let mut all = Vec::new();
    for digest in digests {
        for sum in &sums {
            for s in [number(3), half] {
                let x = x::<Secp256k1>(&sum.to_affine());
                let signed =
                    under_recovered_key::<Secp256k1>(&reduce::<Secp256k1>(&digest), &reduce::<Secp256k1>(&s), &x, sum);
                let (key, forged) = signed.expect("no number of these is zero");
                all.push(found(key, digest, forged.signature, forged.odd_y, "numbers at their ends"));
            }
        }
    }
    all
}

/// `R = [k]G` and the key `[g]G + [q]R` with small numbers: `s = q r`, `e = -g r`.
fn multiples_of_g() -> Vec<Found> {
    let two_to = |exponent: u64| scalar::<Secp256k1>(2).pow_vartime([exponent]);
    let mut small = [0, 1, 2, 3, -1, -2].map(scalar::<Secp256k1>).to_vec();
    small.extend([13, 128].map(two_to));
    let mut all = Vec::new();
    for k in small.iter().filter(|k| !bool::from(k.is_zero())) {
        let r_point = multiple::<Secp256k1>(k).to_affine();
        let r = x::<Secp256k1>(&r_point);
        for g in &small {
            for q in small.iter().filter(|q| !bool::from(q.is_zero())) {
                let key = multiple::<Secp256k1>(&(*g + *q * k));
                if bool::from(key.is_identity()) {
                    continue;
                }
                let s = q * &r;
                let high: bool = k256::elliptic_curve::scalar::IsHigh::is_high(&s).into();
                // [-s](-R) is [s]R.
                let s = if high { -s } else { s };
                let signature = pair(bytes::<Secp256k1>(&r), bytes::<Secp256k1>(&s));
                let odd_y = (key_bytes::<Secp256k1>(&r_point)[63] & 1 == 1) != high;
                let digest = bytes::<Secp256k1>(&-(g * &r));
                let key = key_bytes::<Secp256k1>(&key.to_affine());
                all.push(found(key, digest, signature, odd_y, "multiples of G"));
            }
        }
    }
    all
}

/// Signatures of nobody, or of somebody else than one might think.
fn of_nobody(valid: &RecoverJob) -> Vec<Recovery> {
    let (p, n) = moduli::<Secp256k1>();
    let altered = |alter: &dyn Fn(&mut RecoverJob)| {
        let mut job = *valid;
        alter(&mut job);
        job
    };
    let mut all = vec![
        as_libsecp256k1(altered(&|job| job.odd_y = !job.odd_y), "the other parity"),
        as_libsecp256k1(altered(&|job| job.digest = [7; 32]), "another digest"),
    ];
    for r in [number(0), n, add(&n, &number(1)), p, [0xff; 32]] {
        all.push(none(altered(&|job| job.signature[..32].copy_from_slice(&r)), "r out of range"));
    }
    let s: [u8; 32] = valid.signature[32..].try_into().expect("half of 64 bytes");
    let half = bytes::<Secp256k1>(&(-Scalar::ONE * invert::<Secp256k1>(&scalar::<Secp256k1>(2))));
    let beyond = [subtract(&n, &s), add(&half, &number(1)), subtract(&n, &number(1))];
    for s in beyond.into_iter().chain([number(0), n, add(&n, &number(1)), [0xff; 32]]) {
        all.push(none(altered(&|job| job.signature[32..].copy_from_slice(&s)), "s out of range, or high"));
    }
    // Half of all r are no coordinate.
    for r in (1..20).map(number) {
        for odd_y in [false, true] {
            let alter = |job: &mut RecoverJob| {
                job.signature[..32].copy_from_slice(&r);
                job.odd_y = odd_y;
            };
            all.push(as_libsecp256k1(altered(&alter), "small r"));
        }
    }
    // sR = eG.
    for k in [1, 2, -1, 9] {
        let k = scalar::<Secp256k1>(k);
        let point = multiple::<Secp256k1>(&k).to_affine();
        let r = bytes::<Secp256k1>(&x::<Secp256k1>(&point));
        let odd_y = key_bytes::<Secp256k1>(&point)[63] & 1 == 1;
        let digest = bytes::<Secp256k1>(&(k * scalar::<Secp256k1>(11)));
        all.push(none(RecoverJob { digest, signature: pair(r, number(11)), odd_y, hint: None }, "the identity"));
    }
    all
}

/// A signature whose `x` is `r + n` verifies under its key, but is not recovered to it, whatever the hint.
fn above_order() -> Vec<(Recovery, [u8; 64])> {
    let (_, n) = moduli::<Secp256k1>();
    let sums = (0..200).filter_map(|small| lift::<Secp256k1>(&add(&n, &number(small)))).take(3).map(Point::from);
    let mut all = Vec::new();
    for sum in sums.flat_map(|sum| [sum, -sum]) {
        let x = x::<Secp256k1>(&sum.to_affine());
        // n itself is on no point, or r would be zero.
        let signed = under_recovered_key::<Secp256k1>(&scalar::<Secp256k1>(5), &scalar::<Secp256k1>(6), &x, &sum);
        let Some((key, forged)) = signed else { continue };
        for odd_y in [false, true] {
            let job = RecoverJob { digest: forged.digest, signature: forged.signature, odd_y, hint: None };
            let recovery = as_libsecp256k1(job, "x is r + n");
            assert_ne!(recovery.signer, Some(address(&key)));
            all.push((recovery, key));
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn signers() {
    let ends = ends();
    let multiples = multiples_of_g();
    let above_order = above_order();
    // Some of the signers are known.
    let mut keys: Vec<_> = ends.iter().step_by(20).chain(multiples.iter().step_by(80)).map(|found| found.key).collect();
    keys.extend(above_order.iter().map(|(_, key)| *key).take(3));
    keys.sort_unstable();
    keys.dedup();
    let of_nobody = of_nobody(&ends[0].recovery.job);
    let found = ends.into_iter().chain(multiples).map(|found| found.recovery);
    let recoveries: Vec<_> =
        found.chain(of_nobody).chain(above_order.into_iter().map(|(recovery, _)| recovery)).collect();
    check_recovery(&recoveries, &keys.iter().map(|key| &key[..]).collect::<Vec<_>>());
}

/// Hints that name a key with a table: a right one is a hit, and a wrong one a miss that is counted.
#[test]
fn hints_are_counted() {
    let valid = &ends()[5];
    let (_, features) = crate::paths::features().pop().expect("there is a path");
    let engine = crate::paths::engine(features, dolmen_accel_api::Algorithm::EcdsaSecp256k1, 64 << 20);
    let other = key_bytes::<Secp256k1>(&multiple::<Secp256k1>(&scalar::<Secp256k1>(77)).to_affine());
    assert_eq!(engine.keys().prepare(dolmen_accel_api::Algorithm::EcdsaSecp256k1, &[&valid.key, &other]), 2);
    let before = engine.counters().snapshot();
    let hints = [Some(address(&valid.key)), Some(address(&other)), Some([1; 20]), None];
    let jobs = hints.map(|hint| RecoverJob { hint, ..valid.recovery.job });
    assert_eq!(recover(&*engine, jobs.into_iter()), [valid.recovery.signer; 4]);
    let after = engine.counters().snapshot();
    assert_eq!((after.key_hits - before.key_hits, after.key_misses - before.key_misses), (1, 3));
    assert_eq!(after.hints_wrong - before.hints_wrong, 2, "whether or not they name a key with a table");
    assert_eq!((after.batches - before.batches, after.verdicts - before.verdicts), (1, 4));
}
