//! Google's Project Wycheproof, which C2SP now keeps: signatures that libraries have been wrong about.
//!
//! Vectors with signatures in DER apply where the DER is strict, for our encoding has no place for any other; the
//! strict ones are written down as `r || s`. Digests of 64 bytes are cut to the leftmost 32, as the standards say.

use curve25519_dalek::edwards::CompressedEdwardsY;
use dolmen_accel_api::{Algorithm, Verdict};
use dolmen_accel_library::Library;
use sha2::{Digest as _, Sha256, Sha512};
use sha3::{Sha3_256, Sha3_512};
use wycheproof::{
    HashFunction, TestResult,
    ecdsa::{Test, TestGroup, TestGroupTypeId, TestName, TestSet},
    eddsa,
};

use crate::{
    paths::check,
    support::{Case, Job, hex_array, verify},
};

/// Half the order of secp256k1: the highest `s` that we accept there.
const LOW_S_MAX: &str = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";

/// Reads a strict DER sequence of two integers that are not negative (X.690 §8.3, §10.1), as `r || s` of 32 bytes each.
fn fixed(der: &[u8]) -> Option<Vec<u8>> {
    let [0x30, length, rest @ ..] = der else { return None };
    // Two integers of 33 bytes fit into one byte of length.
    if usize::from(*length) != rest.len() || *length >= 0x80 {
        return None;
    }
    let (r, rest) = integer(rest)?;
    let (s, rest) = integer(rest)?;
    rest.is_empty().then(|| [r, s].concat())
}

fn integer(der: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [0x02, length, rest @ ..] = der else { return None };
    let (content, rest) = rest.split_at_checked(usize::from(*length))?;
    let digits = match content {
        [0, next, ..] if next & 0x80 != 0 => &content[1..],
        [0] | [0x01..=0x7f, ..] => content,
        // Empty, negative, or with a zero too many.
        _ => return None,
    };
    let mut number = [0; 32];
    number[32_usize.checked_sub(digits.len())?..].copy_from_slice(digits);
    Some((number, rest))
}

/// The digest of a message, or the leftmost 256 bits of it.
fn digest(hash: &HashFunction, message: &[u8]) -> [u8; 32] {
    let digest = match hash {
        HashFunction::Sha2_256 => Sha256::digest(message).to_vec(),
        HashFunction::Sha2_512 => Sha512::digest(message).to_vec(),
        HashFunction::Sha3_256 => Sha3_256::digest(message).to_vec(),
        HashFunction::Sha3_512 => Sha3_512::digest(message).to_vec(),
        other => panic!("no set here uses {other:?}"),
    };
    *digest.first_chunk().expect("at least 32 bytes")
}

/// The cases of one key, and how many vectors do not apply.
fn ecdsa_group(algorithm: Algorithm, group: &TestGroup) -> (Vec<Case>, usize) {
    let key = &group.key.key[1..];
    assert_eq!((group.key.key[0], key.len()), (4, 64), "keys are uncompressed points");
    let mut cases = Vec::new();
    for test in &group.tests {
        let signature = match group.test_type {
            TestGroupTypeId::EcdsaP1363 => Some(test.sig.to_vec()),
            TestGroupTypeId::Ecdsa | TestGroupTypeId::EcdsaBitcoin => fixed(&test.sig),
        };
        let Some(signature) = signature else {
            assert_ne!(test.result, TestResult::Valid, "{test:?} has no place in our encoding");
            continue;
        };
        assert_ne!(test.result, TestResult::Acceptable, "{test:?}: our rules leave nothing open");
        let digest = digest(&group.hash, &test.msg);
        cases.push(Case::new(Job::digest(key, digest, &signature), holds(algorithm, test, &signature), name(test)));
        // As bytes, where the algorithm's own hash is the one of the set.
        if algorithm == Algorithm::EcdsaP256 && group.hash == HashFunction::Sha2_256 {
            cases.push(Case::new(
                Job::bytes(key, &test.msg, &signature),
                holds(algorithm, test, &signature),
                name(test),
            ));
        }
    }
    let applied = cases.iter().filter(|case| matches!(case.job.message, crate::support::Signed::Digest(_))).count();
    (cases, group.tests.len() - applied)
}

/// Wycheproof's verdict, but for high `s` on secp256k1, which its sets other than Bitcoin's accept.
fn holds(algorithm: Algorithm, test: &Test, signature: &[u8]) -> bool {
    let is_low = || signature[32..] <= hex_array::<32>(LOW_S_MAX)[..];
    test.result == TestResult::Valid && (algorithm != Algorithm::EcdsaSecp256k1 || is_low())
}

fn name(test: &Test) -> String {
    format!("{} {} {:?}", test.tc_id, test.comment, test.flags)
}

/// Checks sets of vectors, of which `applied` apply and `skipped` do not.
fn ecdsa(algorithm: Algorithm, sets: &[TestName], applied: usize, skipped: usize) {
    let (mut groups, mut vectors, mut skipped_here) = (Vec::new(), 0, 0);
    for set in sets {
        let set = TestSet::load(*set).expect("the crate's own data parse");
        for group in &set.test_groups {
            let (cases, skipped) = ecdsa_group(algorithm, group);
            vectors += group.tests.len() - skipped;
            skipped_here += skipped;
            groups.push(cases);
        }
    }
    assert_eq!((vectors, skipped_here), (applied, skipped), "vectors that apply, and that do not");
    check(algorithm, &groups);
}

#[test]
fn secp256k1() {
    let sets = [
        TestName::EcdsaSecp256k1Sha256,
        TestName::EcdsaSecp256k1Sha256P1363,
        TestName::EcdsaSecp256k1Sha256Bitcoin,
        TestName::EcdsaSecp256k1Sha512,
        TestName::EcdsaSecp256k1Sha512P1363,
        TestName::EcdsaSecp256k1Sha3_256,
        TestName::EcdsaSecp256k1Sha3_512,
    ];
    ecdsa(Algorithm::EcdsaSecp256k1, &sets, 1907, 1166);
}

#[test]
fn p256() {
    let sets = [
        TestName::EcdsaSecp256r1Sha256,
        TestName::EcdsaSecp256r1Sha256P1363,
        TestName::EcdsaSecp256r1Sha512,
        TestName::EcdsaSecp256r1Sha512P1363,
        TestName::EcdsaSecp256r1Sha3_256,
        TestName::EcdsaSecp256r1Sha3_512,
    ];
    ecdsa(Algorithm::EcdsaP256, &sets, 1722, 940);
}

/// Wycheproof has the decoding of RFC 8032 §5.1.3. Where key or `R` is a point in an encoding that is not canonical, the
/// rule is that of ZIP 215, as curve25519-dalek's arithmetic has it.
#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("the crate's own data parse");
    let groups: Vec<_> = set.test_groups.iter().map(ed25519_group).collect();
    assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), set.number_of_tests);
    let by_zip_215: Vec<_> = groups.iter().flatten().filter(|case| case.corner && case.holds).collect();
    assert_eq!(by_zip_215.len(), 1, "{by_zip_215:?}");
    check(Algorithm::Ed25519, &groups);
}

fn ed25519_group(group: &eddsa::TestGroup) -> Vec<Case> {
    let zip_215 = Library::Curve25519Dalek.peer();
    let case = |test: &eddsa::Test| {
        let name = format!("{} {} {:?}", test.tc_id, test.comment, test.flags);
        let job = Job::bytes(&group.key.pk, &test.msg, &test.sig);
        if is_canonical(&job.key) && test.sig.first_chunk::<32>().is_none_or(|r| is_canonical(r)) {
            return Case::new(job, test.result == TestResult::Valid, name);
        }
        assert_ne!(test.result, TestResult::Valid, "{name} is none by RFC 8032");
        let holds = verify(&zip_215, Algorithm::Ed25519, [&job], Verdict::Valid)[0];
        Case::new(job, holds, name).corner()
    };
    group.tests.iter().map(case).collect()
}

/// Whether these bytes are the one encoding of a point, or of none.
fn is_canonical(bytes: &[u8]) -> bool {
    let encoding = CompressedEdwardsY::from_slice(bytes).expect("32 bytes");
    encoding.decompress().is_none_or(|point| point.compress() == encoding)
}

#[test]
fn der_is_read_strictly() {
    let strict = [0x30, 7, 2, 2, 0, 0x80, 2, 1, 5];
    let mut expected = [0; 64];
    (expected[31], expected[63]) = (0x80, 5);
    assert_eq!(fixed(&strict).as_deref(), Some(&expected[..]));
    let lax: [&[u8]; 8] = [
        &[],
        &[0x30, 6, 2, 1, 1, 2, 1],
        &[0x30, 6, 2, 1, 1, 2, 1, 5, 0],
        &[0x30, 0x81, 6, 2, 1, 1, 2, 1, 5],
        &[0x30, 7, 2, 2, 0, 1, 2, 1, 5],
        &[0x30, 6, 2, 1, 0x80, 2, 1, 5],
        &[0x30, 5, 2, 0, 2, 1, 5],
        &[0x31, 6, 2, 1, 1, 2, 1, 5],
    ];
    for der in lax {
        assert_eq!(fixed(der), None, "{der:x?}");
    }
}
