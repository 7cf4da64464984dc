//! The interface's self-test finds engines that are wrong in one place only.

use dolmen_accel_api::{
    Address, Algorithm, BatchVerifier, Capabilities, Counters, EngineError, HashAlgorithm, Hasher, KeyCache, Message,
    RecoverJob, Verdict, VerifyJob, self_test,
};

use crate::{Library, LibraryHasher, Peer, baseline};

type Verify = fn(Algorithm, &[VerifyJob<'_>], &mut [Verdict]);
type Recover = fn(&[RecoverJob], &mut [Option<Address>]);

/// The baseline, with its results altered.
struct Faulty {
    peer: Peer,
    verify: Verify,
    recover: Recover,
    aggregate: fn(Verdict) -> Verdict,
}

impl Faulty {
    fn none() -> Self {
        Self { peer: baseline(), verify: |_, _, _| {}, recover: |_, _| {}, aggregate: |verdict| verdict }
    }
}

impl BatchVerifier for Faulty {
    fn capabilities(&self) -> &Capabilities {
        self.peer.capabilities()
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        jobs: &[VerifyJob<'_>],
        verdicts: &mut [Verdict],
    ) -> Result<(), EngineError> {
        self.peer.verify(algorithm, jobs, verdicts)?;
        (self.verify)(algorithm, jobs, verdicts);
        Ok(())
    }

    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError> {
        self.peer.recover(jobs, signers)?;
        (self.recover)(jobs, signers);
        Ok(())
    }

    fn verify_aggregate(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> Result<Verdict, EngineError> {
        self.peer.verify_aggregate(keys, message, signature).map(self.aggregate)
    }

    fn keys(&self) -> &dyn KeyCache {
        self.peer.keys()
    }

    fn counters(&self) -> &Counters {
        self.peer.counters()
    }
}

fn subject(engine: &Faulty) -> Option<&'static str> {
    match self_test::run(engine) {
        Ok(()) => None,
        Err(EngineError::SelfTest { engine: "off", subject }) => Some(subject),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_engine_without_fault_passes() {
    assert_eq!(subject(&Faulty::none()), None);
}

#[test]
fn faults_of_verification_are_found() {
    let faults: [(&str, Verify); 8] = [
        ("secp256k1", |_, _, verdicts| verdicts.fill(Verdict::Valid)),
        ("secp256k1", |_, _, verdicts| verdicts.fill(Verdict::Invalid)),
        ("p256", |algorithm, jobs, verdicts| {
            // Refuses what is signed with high s.
            if algorithm == Algorithm::EcdsaP256 {
                let high = |job: &VerifyJob<'_>| job.signature.get(32).is_some_and(|byte| *byte >= 0x80);
                jobs.iter()
                    .zip(verdicts)
                    .filter(|(job, _)| high(job))
                    .for_each(|(_, verdict)| *verdict = Verdict::Invalid);
            }
        }),
        ("sm2", |algorithm, _, verdicts| {
            // The fifth lane of a batch tells what the fourth does.
            if algorithm == Algorithm::Sm2 && verdicts.len() > 4 {
                verdicts[4] = verdicts[3];
            }
        }),
        ("ed25519", |algorithm, jobs, verdicts| {
            if algorithm == Algorithm::Ed25519 {
                Library::Ed25519Dalek.peer().verify(algorithm, jobs, verdicts).unwrap();
            }
        }),
        ("bls12381", |algorithm, jobs, verdicts| {
            // Takes the identity for a key.
            if algorithm == Algorithm::Bls12381 {
                let identity =
                    |job: &VerifyJob<'_>| job.key.first() == Some(&0xc0) && job.signature.first() == Some(&0xc0);
                jobs.iter()
                    .zip(verdicts)
                    .filter(|(job, _)| identity(job))
                    .for_each(|(_, verdict)| *verdict = Verdict::Valid);
            }
        }),
        ("sm2", |algorithm, jobs, verdicts| {
            // Does not look at digests.
            if algorithm == Algorithm::Sm2 {
                let digest =
                    |job: &VerifyJob<'_>| matches!(job.message, Message::Digest(_)) && job.signature.len() == 64;
                jobs.iter()
                    .zip(verdicts)
                    .filter(|(job, _)| digest(job))
                    .for_each(|(_, verdict)| *verdict = Verdict::Valid);
            }
        }),
        ("p256", |algorithm, _, verdicts| {
            // Loses the last lane of an odd batch.
            if algorithm == Algorithm::EcdsaP256 && verdicts.len() % 2 == 1 {
                *verdicts.last_mut().unwrap() = Verdict::Invalid;
            }
        }),
    ];
    for (expected, verify) in faults {
        assert_eq!(subject(&Faulty { verify, ..Faulty::none() }), Some(expected));
    }
}

#[test]
fn faults_of_recovery_and_aggregates_are_found() {
    let faults: [Recover; 3] = [
        |_, signers| signers.fill(None),
        // Believes the hint.
        |jobs, signers| {
            for (job, signer) in jobs.iter().zip(signers) {
                *signer = job.hint.or(*signer);
            }
        },
        |_, signers| signers.iter_mut().filter(|signer| signer.is_none()).for_each(|signer| *signer = Some([0; 20])),
    ];
    for recover in faults {
        assert_eq!(subject(&Faulty { recover, ..Faulty::none() }), Some("secp256k1"));
    }
    let faults: [fn(Verdict) -> Verdict; 2] = [|_| Verdict::Valid, |_| Verdict::Invalid];
    for aggregate in faults {
        assert_eq!(subject(&Faulty { aggregate, ..Faulty::none() }), Some("bls12381"));
    }
}

/// A hasher that is wrong for one length.
struct FaultyHasher(LibraryHasher);

impl Hasher for FaultyHasher {
    fn hash(&self, algorithm: HashAlgorithm, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        self.0.hash(algorithm, messages, digests);
        let wrong = messages.iter().zip(digests).filter(|(message, _)| message.len() == 311);
        wrong.for_each(|(_, digest)| digest[5] ^= 8);
    }
}

#[test]
fn a_hasher_that_is_wrong_for_one_length_is_found() {
    let hasher = FaultyHasher(Library::RustCrypto.hasher().unwrap());
    for algorithm in HashAlgorithm::ALL {
        let error = self_test::run_hash("faulty", &hasher, algorithm).unwrap_err();
        assert!(matches!(error, EngineError::SelfTest { subject, .. } if subject == algorithm.name()));
    }
}
