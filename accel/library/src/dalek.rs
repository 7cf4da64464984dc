//! ed25519-dalek: whole batches by one randomised equation, the fastest Ed25519 of a library.
//!
//! A batch that fails is checked again one by one to find the bad ones, as a caller would have to. Neither form has our
//! rule: the batch equation has no cofactor, and the single form compares the bytes of `R`.

use dolmen_accel_api::{Algorithm, Message, Verdict, VerifyJob};
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey, verify_batch};

use crate::{
    call::{Call, OneByOne},
    encoding::bytes,
    peer::{Exact, Parts, Rule},
    signing::Signs,
};

pub(crate) fn parts() -> Parts {
    Parts { rules: vec![(Algorithm::Ed25519, Box::new(Batch(OneByOne::new(Single))), Exact::Near)], ..Parts::default() }
}

/// Makes a signing key; every secret is one.
pub(crate) fn signer(secret: &[u8; 32]) -> Box<dyn Signs> {
    let key = SigningKey::from_bytes(secret);
    Box::new(Signer { public: key.verifying_key().to_bytes(), key })
}

struct Single;

impl Call for Single {
    const ALGORITHM: Algorithm = Algorithm::Ed25519;
    type Key = VerifyingKey;

    fn parse(&self, key: &[u8]) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(key.try_into().ok()?).ok()
    }

    fn holds(&self, key: &VerifyingKey, message: Message<'_>, signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| key.verify(bytes(message), &signature).is_ok())
    }
}

struct Batch(OneByOne<Single>);

impl Rule for Batch {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        if jobs.len() < 2 {
            return self.0.verify(jobs, verdicts);
        }
        verdicts.fill(Verdict::Invalid);
        // Malformed ones stay out: they would fail the batch of all others.
        let mut lanes = Vec::with_capacity(jobs.len());
        let mut messages = Vec::with_capacity(jobs.len());
        let mut signatures = Vec::with_capacity(jobs.len());
        let mut keys = Vec::with_capacity(jobs.len());
        for (lane, job) in jobs.iter().enumerate() {
            if let (Some(key), Ok(signature)) = (self.0.key(job.key), Signature::from_slice(job.signature)) {
                lanes.push(lane);
                messages.push(bytes(job.message));
                signatures.push(signature);
                keys.push(*key);
            }
        }
        let all_hold = verify_batch(&messages, &signatures, &keys).is_ok();
        for lane in lanes {
            verdicts[lane] = (all_hold || self.0.holds(&jobs[lane])).into();
        }
    }
}

struct Signer {
    key: SigningKey,
    public: [u8; 32],
}

impl Signs for Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        self.key.sign(bytes(message)).to_bytes().to_vec()
    }
}
