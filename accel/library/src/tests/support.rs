//! Keys, signatures and peers for the tests. Everything is derived from numbers, so a failure comes back.

use dolmen_accel_api::{Algorithm, BatchVerifier as _, Message, Verdict, VerifyJob};
use sha2::{Digest as _, Sha256};

use crate::{Library, Peer, Signs, baseline};

/// Every peer, and the baseline.
pub(super) fn peers() -> Vec<Peer> {
    Library::ALL.into_iter().map(Library::peer).chain([baseline()]).collect()
}

/// The peers that verify by `algorithm`.
pub(super) fn peers_of(algorithm: Algorithm) -> Vec<Peer> {
    peers().into_iter().filter(|peer| peer.capabilities().supports(algorithm)).collect()
}

/// 32 bytes that look random.
pub(super) fn bytes(seed: u32) -> [u8; 32] {
    Sha256::digest(seed.to_be_bytes()).into()
}

/// One key in every library that signs by `algorithm`.
pub(super) fn signers(algorithm: Algorithm, seed: u32) -> Vec<Box<dyn Signs>> {
    let signers: Vec<_> =
        Library::ALL.into_iter().filter_map(|library| library.signer(algorithm, &bytes(seed)).ok()).collect();
    assert!(!signers.is_empty(), "somebody signs by {algorithm}");
    signers
}

/// What was signed, owned.
#[derive(Clone, Debug)]
pub(super) enum Signed {
    Digest([u8; 32]),
    Bytes(Vec<u8>),
}

impl Signed {
    pub(super) fn message(&self) -> Message<'_> {
        match self {
            Self::Digest(digest) => Message::Digest(digest),
            Self::Bytes(bytes) => Message::Bytes(bytes),
        }
    }
}

/// A job that owns what it names.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) key: Vec<u8>,
    pub(super) message: Signed,
    pub(super) signature: Vec<u8>,
}

impl Job {
    pub(super) fn signed(signer: &dyn Signs, message: Signed) -> Self {
        let signature = signer.sign(message.message());
        Self { key: signer.public_key().to_vec(), message, signature }
    }

    pub(super) fn with(&self, alter: impl FnOnce(&mut Self)) -> Self {
        let mut job = self.clone();
        alter(&mut job);
        job
    }

    fn borrowed(&self) -> VerifyJob<'_> {
        VerifyJob { key: &self.key, message: self.message.message(), signature: &self.signature }
    }
}

/// What `peer` says of `jobs`, as one batch.
pub(super) fn verify(peer: &Peer, algorithm: Algorithm, jobs: &[Job]) -> Vec<Verdict> {
    let borrowed: Vec<_> = jobs.iter().map(Job::borrowed).collect();
    let mut verdicts = vec![Verdict::Valid; jobs.len()];
    peer.verify(algorithm, &borrowed, &mut verdicts).unwrap();
    verdicts
}

/// What `peer` says of `job` alone.
pub(super) fn holds(peer: &Peer, algorithm: Algorithm, job: &Job) -> bool {
    verify(peer, algorithm, std::slice::from_ref(job))[0].is_valid()
}

pub(super) fn name(peer: &Peer) -> &'static str {
    peer.capabilities().name
}
