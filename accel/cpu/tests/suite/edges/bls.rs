//! BLS: encodings, subgroups, and signatures that are bad together.

use blst::{
    BLST_ERROR,
    min_pk::{AggregateSignature, PublicKey, Signature},
};
use dolmen_accel_api::{Algorithm, BatchVerifier};
use dolmen_accel_library::Library;

use crate::{
    paths::{check, engine, features},
    support::{Case, Job, honest, signer},
};

const ALGORITHM: Algorithm = Algorithm::Bls12381;

/// A compressed point of `length` bytes with this `x`.
fn compressed(length: usize, x: u8, flags: u8) -> Vec<u8> {
    let mut bytes = vec![0; length];
    bytes[0] = flags;
    bytes[length - 1] = x;
    bytes
}

/// Points of the curves of keys and signatures that are not in the groups.
fn outside_of_the_groups() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let key_is = |bytes: &Vec<u8>| {
        PublicKey::uncompress(bytes).is_ok_and(|key| key.validate() == Err(BLST_ERROR::BLST_POINT_NOT_IN_GROUP))
    };
    let signature_is = |bytes: &Vec<u8>| {
        Signature::uncompress(bytes)
            .is_ok_and(|signature| signature.validate(true) == Err(BLST_ERROR::BLST_POINT_NOT_IN_GROUP))
    };
    let small = |length| (1..=255).map(move |x| compressed(length, x, 0x80));
    (small(48).filter(key_is).take(3).collect(), small(96).filter(signature_is).take(3).collect())
}

#[test]
fn encodings() {
    let valid = honest(ALGORITHM, 2, 6);
    let (key, signature) = (&valid[0].key, &valid[0].signature);
    // The prime of the field.
    let p = crate::support::hex(
        "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    );
    let mut above_p = p.clone();
    above_p[0] |= 0x80;
    let (outside_keys, outside_signatures) = outside_of_the_groups();
    assert_eq!((outside_keys.len(), outside_signatures.len()), (3, 3));
    let with_flags = |bytes: &[u8], flags: u8| {
        let mut bytes = bytes.to_vec();
        bytes[0] = bytes[0] & 0x1f | flags;
        bytes
    };
    let mut keys = outside_keys;
    keys.extend((0..8).map(|flags| with_flags(key, flags << 5)).filter(|bytes| bytes != key));
    keys.extend([compressed(48, 0, 0xc0), compressed(48, 1, 0xc0), compressed(48, 0, 0xe0), above_p.clone()]);
    keys.extend([vec![], key[1..].to_vec(), [&key[..], &[0]].concat(), vec![0; 48], vec![0xff; 48], signature.clone()]);
    keys.push(PublicKey::from_bytes(key).expect("an honest key").serialize().to_vec());
    let mut signatures = outside_signatures;
    signatures.extend((0..8).map(|flags| with_flags(signature, flags << 5)).filter(|bytes| bytes != signature));
    signatures.extend([compressed(96, 0, 0xc0), compressed(96, 1, 0xc0), [&above_p[..], &[0; 48]].concat()]);
    signatures.extend([vec![], signature[1..].to_vec(), [&signature[..], &[0]].concat(), vec![0; 96], vec![0xff; 96]]);
    signatures.push(key.clone());
    signatures.push(Signature::from_bytes(signature).expect("an honest signature").serialize().to_vec());
    let bad_keys = keys.into_iter().map(|key| Case::invalid(valid[0].with(|job| job.key = key), "a bad key"));
    let bad_signatures = signatures
        .into_iter()
        .map(|bytes| Case::invalid(valid[0].with(|job| job.signature = bytes), "a bad signature"));
    let bad: Vec<_> = bad_keys.chain(bad_signatures).collect();
    let honest: Vec<_> = valid.iter().map(|job| Case::valid(job.clone(), "honest")).collect();
    let beside = honest.iter().cycle().zip(&bad).flat_map(|(honest, bad)| [honest.clone(), bad.clone()]).collect();
    check(ALGORITHM, &[beside]);
}

/// Two signatures of which one is too much by a point, the other too little: their sum is right, so a batch that
/// only added up would take them.
#[test]
fn errors_that_cancel() {
    let jobs = honest(ALGORITHM, 3, 6);
    let parsed = |job: &Job| Signature::from_bytes(&job.signature).expect("an honest signature");
    let plus = |a: &Signature, b: &Signature| {
        AggregateSignature::aggregate(&[a, b], false).expect("two points").to_signature().compress().to_vec()
    };
    let error = parsed(&jobs[5]);
    let minus_error = {
        let mut bytes = jobs[5].signature.clone();
        bytes[0] ^= 0x20;
        Signature::from_bytes(&bytes).expect("the negative of a point")
    };
    let first = jobs[0].with(|job| job.signature = plus(&parsed(&jobs[0]), &error));
    let second = jobs[1].with(|job| job.signature = plus(&parsed(&jobs[1]), &minus_error));
    let swapped = [
        jobs[2].with(|job| job.signature = jobs[3].signature.clone()),
        jobs[3].with(|job| job.signature = jobs[2].signature.clone()),
    ];
    let mut cases = vec![Case::invalid(first, "too much"), Case::invalid(second, "too little")];
    cases.extend(swapped.map(|job| Case::invalid(job, "swapped")));
    let with_honest = [&cases[..], &[Case::valid(jobs[4].clone(), "honest")]].concat();
    check(ALGORITHM, &[cases, with_honest]);
}

/// Aggregates hold for exactly their keys, whatever their order, and keys that cancel sign nothing.
#[test]
fn aggregates() {
    let message = b"one message for all";
    let signers: Vec<_> = (0..5).map(|seed| signer(ALGORITHM, seed)).collect();
    let signatures: Vec<_> = signers
        .iter()
        .map(|signer| signer.sign(dolmen_accel_api::Message::Bytes(message)))
        .map(|bytes| Signature::from_bytes(&bytes).expect("an honest signature"))
        .collect();
    let sum = AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), true).expect("five signatures");
    let sum = sum.to_signature().compress();
    let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
    let reversed: Vec<_> = keys.iter().rev().copied().collect();
    let mut negative = keys[0].to_vec();
    negative[0] ^= 0x20;
    let infinity = compressed(96, 0, 0xc0);
    let twice = AggregateSignature::aggregate(&[&signatures[0], &signatures[0]], true).expect("two signatures");
    let twice = twice.to_signature().compress();
    let (outside_keys, outside_signatures) = outside_of_the_groups();

    let ours = engine(features()[0].1, ALGORITHM, 0);
    let blst = Library::Blst.peer();
    let engines: [(&str, &dyn BatchVerifier); 2] = [("ours", &*ours), ("blst", &blst)];
    for (name, engine) in engines {
        let holds = |keys: &[&[u8]], signature: &[u8]| {
            engine.verify_aggregate(keys, message, signature).expect("it has aggregates").is_valid()
        };
        assert!(holds(&keys, &sum), "{name}");
        assert!(holds(&reversed, &sum), "{name}: the order of keys");
        assert!(holds(&[keys[0], keys[0]], &twice), "{name}: a key twice, and its signature twice");
        assert!(!holds(&[keys[0]], &twice), "{name}: a key once, and its signature twice");
        for index in 0..keys.len() {
            let without: Vec<_> = keys.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, key)| *key).collect();
            assert!(!holds(&without, &sum), "{name}: without key {index}");
        }
        assert!(!holds(&[keys[0], &negative], &infinity), "{name}: keys that cancel");
        assert!(!holds(&[&keys[..], &[keys[0], &negative[..]]].concat(), &infinity), "{name}: infinity as signature");
        // They add nothing to the sum, and each is a key.
        assert!(
            holds(&[&keys[..], &[keys[0], &negative[..]]].concat(), &sum),
            "{name}: keys that cancel beside others"
        );
        assert!(!holds(&[&keys[..], &[&outside_keys[0][..]]].concat(), &sum), "{name}: a key outside of the group");
        assert!(!holds(&keys, &outside_signatures[0]), "{name}: a signature outside of the group");
        assert!(!holds(&[&keys[..4], &[&keys[4][1..]]].concat(), &sum), "{name}: a short key");
        assert!(!holds(&keys, &sum[1..]) && !holds(&keys, &[]), "{name}: a short signature");
        assert!(!holds(&[], &sum) && !holds(&[], &infinity), "{name}: no keys");
    }
}
