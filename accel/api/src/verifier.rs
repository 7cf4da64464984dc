//! The interface of an engine.

use crate::{Address, Algorithm, Capabilities, Counters, EngineError, KeyCache, RecoverJob, Verdict, VerifyJob};

/// An engine that checks signatures in batches.
///
/// Calls block until every job of the batch has its result, and may come from many threads at once. Use a [`Queue`]
/// where single jobs arrive on an async runtime.
///
/// A batch has no effect on its neighbours: the result of a job depends on the job alone.
///
/// [`Queue`]: crate::Queue
pub trait BatchVerifier: Send + Sync + 'static {
    /// What the engine is and can do.
    fn capabilities(&self) -> &Capabilities;

    /// Writes one verdict per job.
    ///
    /// # Errors
    ///
    /// Only if the engine itself failed, or lacks the algorithm; the verdicts then mean nothing. A malformed key or
    /// signature is no error but [`Verdict::Invalid`].
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    fn verify(&self, algorithm: Algorithm, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict])
    -> Result<(), EngineError>;

    /// Writes the signer's address of every job, `None` where the signature has no signer (out of range, high `s`, or
    /// no such point).
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    ///
    /// # Panics
    ///
    /// If the slices differ in length.
    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError>;

    /// Whether all `keys` together signed `message`, as an aggregate signature says ([`Algorithm::Bls12381`]).
    ///
    /// # Errors
    ///
    /// As for [`verify`](Self::verify).
    fn verify_aggregate(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> Result<Verdict, EngineError>;

    /// The keys that the engine has prepared.
    fn keys(&self) -> &dyn KeyCache;

    /// What the engine has done since it started.
    fn counters(&self) -> &Counters;
}
