//! Where the node's secp256k1 signatures are recovered: through the engine, in batches.

use std::sync::Arc;

use alloy_primitives::Address;
use dolmen_accel_api::{BatchVerifier, EngineError, Queue, QueueConfig, QueueError, QueueSnapshot, RecoverJob};
use rayon::prelude::*;

/// Jobs below which a batch is not worth splitting over threads: the engine gains most up to some dozen a batch.
const SPLIT_MIN: usize = 32;

/// Why a signature was not looked at.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The engine failed.
    #[error("the signature engine failed; restart the box, with --accel=off if it fails again")]
    Engine(#[source] Arc<EngineError>),
    /// The queue in front of the engine gave the job up.
    #[error(transparent)]
    Queue(QueueError),
}

impl RecoveryError {
    /// Whether it may work a little later.
    pub const fn is_overload(&self) -> bool {
        matches!(self, Self::Queue(_))
    }
}

impl PartialEq for RecoveryError {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for RecoveryError {}

impl From<QueueError> for RecoveryError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Engine(error) => Self::Engine(error),
            other => Self::Queue(other),
        }
    }
}

/// The engine with the queue that gathers single signatures for it. Shared by all that recover signers.
pub struct Signatures {
    engine: Arc<dyn BatchVerifier>,
    queue: Queue,
}

impl Signatures {
    /// Starts the queue's threads.
    pub fn start(engine: Arc<dyn BatchVerifier>, config: QueueConfig) -> Self {
        Self { queue: Queue::start(Arc::clone(&engine), config), engine }
    }

    /// The engine.
    pub fn engine(&self) -> &dyn BatchVerifier {
        &*self.engine
    }

    /// What the queue has done.
    pub fn queue(&self) -> QueueSnapshot {
        self.queue.snapshot()
    }

    /// Recovers one signer, in a batch with those of other callers. Blocks for a fraction of a millisecond.
    pub(crate) fn recover_one(&self, job: RecoverJob) -> Result<Option<Address>, RecoveryError> {
        let signer = self.queue.recover(job, None)?.wait()?;
        Ok(signer.map(Address::from))
    }

    /// Recovers many signers, on several threads where there are more than a few. Blocks.
    pub(crate) fn recover_all(&self, jobs: &[RecoverJob]) -> Result<Vec<Option<Address>>, RecoveryError> {
        let mut signers = vec![None; jobs.len()];
        let size = jobs.len().div_ceil(rayon::current_num_threads()).max(SPLIT_MIN);
        let engine_failed = |error| RecoveryError::Engine(Arc::new(error));
        if size >= jobs.len() {
            self.engine.recover(jobs, &mut signers).map_err(engine_failed)?;
        } else {
            jobs.par_chunks(size)
                .zip(signers.par_chunks_mut(size))
                .try_for_each(|(jobs, signers)| self.engine.recover(jobs, signers).map_err(engine_failed))?;
        }
        Ok(signers.into_iter().map(|signer| signer.map(Address::from)).collect())
    }
}
