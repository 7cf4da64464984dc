//! Executing proven blocks on a database, as a box does that catches up.

use std::{num::NonZeroUsize, sync::Arc};

use dolmen_accel_api::QueueConfig;
use dolmen_execution::{ExecutionError, Executor};
use dolmen_governance::{EpochRecord, RecordError};
use dolmen_pool::{SenderCache, Signatures, VerifyAllError};
use dolmen_store::{Store, StoreError};
use dolmen_types::{
    Block, BlockError, Certificate,
    block::{BlockRules, check_header},
};

use crate::Chain;

/// No transaction comes twice in a chain, so none is kept.
const SENDERS: NonZeroUsize = NonZeroUsize::MIN;

/// Why a block was not executed and committed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block breaks a rule that needs no state.
    #[error("the block breaks a rule of the chain")]
    Block(#[from] BlockError),
    /// A signature in it.
    #[error("a signature in the block is not valid")]
    Signature(#[from] VerifyAllError),
    /// It does not give what its header says.
    #[error(
        "executing the block does not give what its header says; check that this program is as new as the chain's boxes"
    )]
    Execution(#[from] ExecutionError),
    /// The database's record of the block's epoch.
    #[error("the database has no readable record of epoch {epoch}; run `dolmen verify`")]
    Record {
        /// The epoch.
        epoch: u64,
        /// What is wrong with it; none where it is missing.
        #[source]
        source: Option<RecordError>,
    },
}

/// Executes blocks one after the other on a database.
pub(crate) struct Replay {
    store: Arc<Store>,
    executor: Executor,
    senders: SenderCache,
    /// An epoch and what its blocks obey.
    rules: Option<(u64, BlockRules)>,
}

impl Replay {
    pub(crate) fn new(chain: &Chain, store: Arc<Store>) -> Self {
        let settings = chain.genesis().file();
        let signatures = Arc::new(Signatures::start(chain.verifier().clone(), QueueConfig::default()));
        Self {
            store,
            executor: Executor::new(settings.chain_id, chain.epochs()),
            senders: SenderCache::new(settings.chain_id, signatures, SENDERS, 1),
            rules: None,
        }
    }

    /// Executes the block after the head, compares every result with its header, and commits it.
    pub(crate) fn apply(
        &mut self,
        chain: &Chain,
        block: Block,
        certificate: Option<&Certificate>,
    ) -> Result<(), ReplayError> {
        let head = self.store.head();
        let rules = self.rules(chain, block.number())?;
        check_header(&block, head.block.header(), head.block.hash(), rules)?;
        let transactions = self.senders.verify_all(block.transactions(), &[])?;
        let block = Arc::new(block);
        let executed = self.executor.execute(&head.state, &*self.store, block, &transactions, &|| false)?;
        Ok(self.store.commit(&executed, certificate)?)
    }

    fn rules(&mut self, chain: &Chain, height: u64) -> Result<BlockRules, ReplayError> {
        let epoch = chain.epochs().of(height);
        if let Some((_, rules)) = self.rules.filter(|(of, _)| *of == epoch) {
            return Ok(rules);
        }
        let record = self.store.epoch_record(epoch)?.ok_or(ReplayError::Record { epoch, source: None })?;
        let record =
            EpochRecord::decode(&record).map_err(|source| ReplayError::Record { epoch, source: Some(source) })?;
        let parameters = record.parameters;
        let rules = BlockRules { gas_limit: parameters.gas_limit, base_fee_per_gas: parameters.base_fee_per_gas };
        self.rules = Some((epoch, rules));
        Ok(rules)
    }
}
