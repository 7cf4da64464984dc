//! Peers agree on random jobs, good and bad, and on signers.

use dolmen_accel_api::{Address, Algorithm, BatchVerifier as _, EngineError, RecoverJob, Verdict};
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

use super::support::{Job, Signed, bytes, name, peers, peers_of, signers, verify};
use crate::encoding::address;

/// Jobs of three keys, every second one altered somewhere.
fn jobs(algorithm: Algorithm, count: usize) -> Vec<Job> {
    let mut random = StdRng::seed_from_u64(20_161);
    let keys: Vec<_> = (20..23).map(|seed| signers(algorithm, seed)).collect();
    (0..count)
        .map(|index| {
            let signers = &keys[random.random_range(0..keys.len())];
            let signer = &signers[random.random_range(0..signers.len())];
            let message = if random.random() {
                Signed::Digest(random.random())
            } else {
                let mut message = vec![0; random.random_range(1..200)];
                random.fill_bytes(&mut message);
                Signed::Bytes(message)
            };
            let mut job = Job::signed(&**signer, message);
            if index % 2 == 1 {
                let bit = 1 << random.random_range(0..8);
                match random.random_range(0..3) {
                    0 => job.key[random.random_range(0..algorithm.key_len())] ^= bit,
                    1 => job.signature[random.random_range(0..algorithm.signature_len())] ^= bit,
                    _ => match &mut job.message {
                        Signed::Digest(digest) => digest[random.random_range(0..32)] ^= bit,
                        Signed::Bytes(bytes) => bytes[0] ^= bit,
                    },
                }
            }
            job
        })
        .collect()
}

#[test]
fn peers_agree_on_random_jobs() {
    for algorithm in Algorithm::ALL {
        let jobs = jobs(algorithm, if algorithm == Algorithm::Bls12381 { 40 } else { 200 });
        let expected = [Verdict::Valid, Verdict::Invalid].repeat(jobs.len() / 2);
        for peer in peers_of(algorithm) {
            assert_eq!(verify(&peer, algorithm, &jobs), expected, "{algorithm} by {}", name(&peer));
        }
    }
}

#[test]
fn recoverers_agree() {
    let mut random = StdRng::seed_from_u64(20_162);
    let mut jobs = Vec::new();
    let mut expected = Vec::new();
    for seed in 30..40 {
        for signer in signers(Algorithm::EcdsaSecp256k1, seed) {
            let digest = random.random();
            let (signature, odd_y) = signer.sign_recoverable(&digest).unwrap();
            let signer: Address = address(signer.public_key().try_into().unwrap());
            jobs.push(RecoverJob { digest, signature, odd_y, hint: None });
            jobs.push(RecoverJob { digest, signature, odd_y, hint: Some(signer) });
            jobs.push(RecoverJob { digest, signature, odd_y, hint: Some([1; 20]) });
            expected.extend([Some(Some(signer)); 3]);
            // Another digest, parity or r: another signer, or none; which, the libraries have to agree on.
            jobs.push(RecoverJob { digest: random.random(), signature, odd_y, hint: None });
            jobs.push(RecoverJob { digest, signature, odd_y: !odd_y, hint: None });
            let mut other_r = signature;
            other_r[..32].copy_from_slice(&random.random::<[u8; 32]>());
            jobs.push(RecoverJob { digest, signature: other_r, odd_y, hint: Some(signer) });
            expected.extend([None; 3]);
        }
    }
    let recoverers: Vec<_> = peers().into_iter().filter(super::super::peer::Peer::recovers).collect();
    let found = recoverers.iter().map(|peer| {
        let mut signers = vec![None; jobs.len()];
        peer.recover(&jobs, &mut signers).unwrap();
        (name(peer), signers)
    });
    let found: Vec<_> = found.collect();
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["libsecp256k1", "rustcrypto", "off"]);
    for (name, signers) in &found {
        assert_eq!(signers, &found[0].1, "{name} and {}", found[0].0);
        for (signer, expected) in signers.iter().zip(&expected) {
            assert!(expected.is_none_or(|expected| *signer == expected), "{name}");
        }
    }
    assert!(found[0].1.iter().any(Option::is_none), "some r are no coordinate");
    assert_eq!(recoverers[0].counters().snapshot().hints_wrong, 2 * 20, "the wrong hints, and those of a wrong r");
}

#[test]
fn aggregates_hold_for_exactly_their_keys() {
    let signers: Vec<_> = (50..54).map(|seed| signers(Algorithm::Bls12381, seed).remove(0)).collect();
    let message = bytes(55);
    let signatures: Vec<_> = signers
        .iter()
        .map(|signer| signer.sign(dolmen_accel_api::Message::Bytes(&message)))
        .map(|signature| blst::min_pk::Signature::from_bytes(&signature).unwrap())
        .collect();
    let sum = blst::min_pk::AggregateSignature::aggregate(&signatures.iter().collect::<Vec<_>>(), true).unwrap();
    let sum = sum.to_signature().compress();
    let keys: Vec<_> = signers.iter().map(|signer| signer.public_key()).collect();
    for peer in peers_of(Algorithm::Bls12381) {
        let holds =
            |keys: &[&[u8]], signature: &[u8]| peer.verify_aggregate(keys, &message, signature).unwrap().is_valid();
        assert!(holds(&keys, &sum), "{}", name(&peer));
        assert!(!holds(&keys[1..], &sum));
        assert!(!holds(&[&keys[..], &keys[..1]].concat(), &sum));
        assert!(!holds(&[&keys[..3], &[&[0; 48]]].concat(), &sum));
        assert!(!holds(&[&keys[..3], &[&keys[3][1..]]].concat(), &sum));
        assert!(!holds(&keys, &sum[1..]));
        assert!(!holds(&[], &sum));
        // P and -P: their sum is the identity, and so is a signature of nobody.
        let mut negated = keys[0].to_vec();
        negated[0] ^= 0x20;
        let nobody = [&[0xc0][..], &[0; 95]].concat();
        assert!(!holds(&[keys[0], &negated], &nobody), "{}", name(&peer));
    }
}

#[test]
fn what_a_library_lacks_is_an_error_that_names_it() {
    let openssl = crate::Library::OpenSsl.peer();
    let error = openssl.recover(&[], &mut []).unwrap_err();
    assert!(matches!(error, EngineError::Unsupported { engine: "openssl", algorithm: Algorithm::EcdsaSecp256k1 }));
    let error = openssl.verify(Algorithm::Bls12381, &[], &mut []).unwrap_err();
    assert!(matches!(error, EngineError::Unsupported { engine: "openssl", algorithm: Algorithm::Bls12381 }));
    let error = openssl.verify_aggregate(&[], &[], &[]).unwrap_err();
    assert!(matches!(error, EngineError::Unsupported { engine: "openssl", algorithm: Algorithm::Bls12381 }));
}

#[test]
fn work_is_counted() {
    let peer = crate::baseline();
    let jobs = jobs(Algorithm::Sm2, 6);
    verify(&peer, Algorithm::Sm2, &jobs);
    let counted = peer.counters().snapshot();
    assert_eq!((counted.batches, counted.verdicts, counted.refused, counted.key_misses), (1, 6, 3, 6));
    assert_eq!(peer.keys().prepare(Algorithm::Sm2, &[&jobs[0].key]), 0, "it prepares none");
}
