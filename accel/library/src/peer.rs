//! An engine made of calls into libraries.

use std::time::Instant;

use dolmen_accel_api::{
    Address, Algorithm, BatchVerifier, Capabilities, Counters, EngineError, KeyCache, KeyCacheUsage, RecoverJob,
    Verdict, VerifyJob,
};

/// Verifies by one algorithm.
pub(crate) trait Rule: Send + Sync + 'static {
    /// Writes one verdict per job; the slices are of one length.
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]);
}

/// Finds the signer of a secp256k1 signature.
pub(crate) type Recover = fn(&RecoverJob) -> Option<Address>;

/// Verifies BLS signatures of many keys on one message.
pub(crate) trait Aggregate: Send + Sync + 'static {
    /// Whether the signature holds.
    fn holds(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> bool;
}

/// What a library can do.
#[derive(Default)]
pub(crate) struct Parts {
    /// Algorithms with their rules, in the order of [`Algorithm::ALL`], and whether each rule is exactly ours.
    pub(crate) rules: Vec<(Algorithm, Box<dyn Rule>, Exact)>,
    /// Recovery, where the library has it.
    pub(crate) recover: Option<Recover>,
    /// Aggregates, where the library has them.
    pub(crate) aggregate: Option<Box<dyn Aggregate>>,
}

/// Whether a library's rule, with what is added to it here, is exactly the one at [`Algorithm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exact {
    /// For every input.
    Yes,
    /// Only for what honest signers make and for random corruptions of it.
    Near,
}

/// An engine made of calls into libraries. It prepares no keys.
pub struct Peer {
    capabilities: Capabilities,
    parts: Parts,
    counters: Counters,
}

impl Peer {
    pub(crate) fn new(name: &'static str, description: String, batch_preferred: usize, parts: Parts) -> Self {
        let algorithms = parts.rules.iter().map(|(algorithm, ..)| *algorithm).collect();
        let capabilities = Capabilities { name, description, algorithms, batch_preferred, known_keys: false };
        Self { capabilities, parts, counters: Counters::default() }
    }

    /// Whether it accepts exactly the signatures that [`Algorithm`] says, for every input.
    pub fn exact(&self, algorithm: Algorithm) -> bool {
        self.parts.rules.iter().any(|(of, _, exact)| *of == algorithm && *exact == Exact::Yes)
    }

    /// Whether it finds the signers of secp256k1 signatures.
    pub fn recovers(&self) -> bool {
        self.parts.recover.is_some()
    }

    fn unsupported(&self, algorithm: Algorithm) -> EngineError {
        EngineError::Unsupported { engine: self.capabilities.name, algorithm }
    }
}

impl BatchVerifier for Peer {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn verify(
        &self,
        algorithm: Algorithm,
        jobs: &[VerifyJob<'_>],
        verdicts: &mut [Verdict],
    ) -> Result<(), EngineError> {
        assert_eq!(jobs.len(), verdicts.len(), "one verdict per job");
        let rule = self.parts.rules.iter().find(|(of, ..)| *of == algorithm);
        let (_, rule, _) = rule.ok_or_else(|| self.unsupported(algorithm))?;
        let start = Instant::now();
        rule.verify(jobs, verdicts);
        let refused = verdicts.iter().filter(|verdict| !verdict.is_valid()).count();
        self.counters.batch(jobs.len(), refused, start.elapsed());
        self.counters.keys(0, jobs.len());
        Ok(())
    }

    fn recover(&self, jobs: &[RecoverJob], signers: &mut [Option<Address>]) -> Result<(), EngineError> {
        assert_eq!(jobs.len(), signers.len(), "one signer per job");
        let recover = self.parts.recover.ok_or_else(|| self.unsupported(Algorithm::EcdsaSecp256k1))?;
        let start = Instant::now();
        for (job, signer) in jobs.iter().zip(&mut *signers) {
            *signer = recover(job);
        }
        let refused = signers.iter().filter(|signer| signer.is_none()).count();
        self.counters.batch(jobs.len(), refused, start.elapsed());
        self.counters.keys(0, jobs.len());
        let wrong = jobs.iter().zip(signers).filter(|(job, signer)| job.hint.is_some() && job.hint != **signer);
        self.counters.wrong_hints(wrong.count());
        Ok(())
    }

    fn verify_aggregate(&self, keys: &[&[u8]], message: &[u8], signature: &[u8]) -> Result<Verdict, EngineError> {
        let aggregate = self.parts.aggregate.as_ref().ok_or_else(|| self.unsupported(Algorithm::Bls12381))?;
        let start = Instant::now();
        let verdict = Verdict::from(aggregate.holds(keys, message, signature));
        self.counters.batch(1, usize::from(!verdict.is_valid()), start.elapsed());
        self.counters.keys(0, 1);
        Ok(verdict)
    }

    fn keys(&self) -> &dyn KeyCache {
        &NoKeys
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// The key cache of an engine that prepares none.
struct NoKeys;

impl KeyCache for NoKeys {
    fn prepare(&self, _: Algorithm, _: &[&[u8]]) -> usize {
        0
    }

    fn settle(&self) {}

    fn usage(&self) -> KeyCacheUsage {
        KeyCacheUsage::default()
    }
}
