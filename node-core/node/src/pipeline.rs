//! The way of a transaction through the node, and the node's answers to consensus.
//!
//! client -> RPC or gossip -> `Pool` (decode, verify, admit) -> `build` on the leader (the best transactions, executed
//! into a block) -> `verify` on every validator (header, signatures, execution, all before it votes to notarize) ->
//! finality -> `commit` (one synced batch) -> events to subscribers, receipts to readers.
//!
//! Two threads do the heavy work, so that consensus never waits behind it: one executes (proposals, verifications), one
//! commits. An executed block waits in the `Tree` until it is finalized or its height is.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256};
use bytes::Bytes;
use dolmen_consensus::{Application, Lineage, Peer, Verdict};
use dolmen_execution::{BlockLimits, Built, ExecutionError, Executor, Transactions};
use dolmen_pool::{BestTransactions, Pool, SenderCache, VerifiedTransaction, VerifyError};
use dolmen_rpc::Finalized;
use dolmen_store::{Store, StoreError, snapshot::Pivots};
use dolmen_sync::{is_request, limits::REQUEST_BYTES_MAX};
use dolmen_types::{
    Block, Certificate, PublicKey,
    block::{self, BlockError, BlockRules, Proposal},
};
use tokio::sync::{broadcast, mpsc};

use crate::{
    gossip::pool_ms,
    governance::{Governance, interval_max},
    limits::{BUILD_TIME, CLOCK_AHEAD, LEADER_GRACE, UNCOMMITTED_BLOCKS_MAX},
    metrics::Metrics,
    tree::{Layer, Tree},
    worker::{Cancelled, Worker},
};

/// Everything that takes part in making and finalizing blocks.
pub(crate) struct Pipeline {
    pub(crate) block_bytes_max: usize,
    pub(crate) governance: Arc<Governance>,
    pub(crate) identity: PublicKey,
    pub(crate) store: Arc<Store>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) senders: Arc<SenderCache>,
    pub(crate) tree: Tree,
    pub(crate) events: broadcast::Sender<Arc<Finalized>>,
    pub(crate) gossip_in: mpsc::Sender<(PublicKey, Bytes)>,
    pub(crate) sync_in: mpsc::Sender<(PublicKey, Bytes)>,
    /// States that are kept for boxes that join.
    pub(crate) pivots: Arc<Pivots>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) execution: Worker,
    pub(crate) commits: Worker,
}

/// Why a block could not be executed here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error("a signature in the block is not valid")]
    Signature(#[from] dolmen_pool::VerifyAllError),
    #[error(transparent)]
    Header(#[from] BlockError),
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    #[error("the block pays its fees to {found}, its proposer's address is {expected}")]
    Beneficiary { found: Address, expected: Address },
    #[error("the state of the parent block is not at hand")]
    NoParentState,
    #[error("block {number} is of an epoch that this box has not reached, or its proposer does not vote in it")]
    NoSeat { number: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "finalized block {number} is {finalized}, but this box committed {committed}; stop it and ask for help: the chain may have forked"
    )]
    Fork { number: u64, finalized: B256, committed: B256 },
}

impl PipelineError {
    /// Whether the block breaks a rule, rather than this box failing to judge it.
    const fn is_invalid_block(&self) -> bool {
        match self {
            Self::Signature(error) => !matches!(error.source, VerifyError::Recovery(_)),
            Self::Header(_) | Self::Beneficiary { .. } => true,
            Self::Execution(error) => error.is_invalid_block(),
            Self::NoParentState | Self::NoSeat { .. } | Self::Store(_) | Self::Fork { .. } => false,
        }
    }
}

/// The pipeline as consensus holds it.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Arc<Pipeline>);

impl Application for Handle {
    fn is_executed(&self, hash: &B256) -> bool {
        self.0.tree.contains(hash)
    }

    async fn execute(&self, blocks: Vec<Arc<Block>>) {
        let pipeline = self.0.clone();
        let executed = self.0.execution.run(move |cancelled| pipeline.execute_missing(&blocks, cancelled)).await;
        if let Some(Err(error)) = executed {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot execute a block that a quorum notarized");
        }
    }

    async fn propose(&self, lineage: Lineage) -> Option<Arc<Block>> {
        let parent = lineage.parent.clone();
        let record = self.0.governance.record_at(parent.number() + 1)?;
        let parent_ms = parent.timestamp_ms().unwrap_or(0);
        let earliest = parent_ms + record.parameters.block_interval_min_ms;
        let mut latest = Instant::now() + interval_max(&record);
        // At most until `latest`: a clock that was set back must not stop the chain until it has caught up.
        let early = Duration::from_millis(earliest.saturating_sub(now_ms()));
        tokio::time::sleep_until((Instant::now() + early).min(latest).into()).await;
        self.commits_behind(parent.number(), latest).await;
        let mut activity = self.0.pool.activity();
        loop {
            activity.borrow_and_update();
            let waited = Instant::now() >= latest;
            let (pipeline, lineage) = (self.0.clone(), lineage.clone());
            let built = self.0.execution.run(move |cancelled| pipeline.build(&lineage, waited, cancelled)).await?;
            match built {
                Ok(Some(block)) => return Some(block),
                // What the organisations decided takes effect when the epoch has its blocks.
                Ok(None) if !waited && self.is_change_pending().await => latest = Instant::now(),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(
                        height = parent.number() + 1,
                        error = &error as &dyn std::error::Error,
                        "cannot build a block"
                    );
                    return None;
                }
            }
            let _ = tokio::time::timeout_at(latest.into(), activity.changed()).await;
        }
    }

    async fn verify(&self, lineage: Lineage, block: Arc<Block>, proposer: PublicKey) -> Verdict {
        // A block from the future may be valid later; its proposer loses the turn if its clock is far off. The first
        // possible time after the parent's is never the future: it is all that boxes with slow clocks can propose.
        let present_ms = now_ms().max(lineage.parent.timestamp_ms().unwrap_or(0) + 1);
        let ahead_ms = block.timestamp_ms().unwrap_or(0).saturating_sub(present_ms);
        let ahead = Duration::from_millis(ahead_ms).saturating_sub(CLOCK_AHEAD);
        tokio::time::sleep(ahead).await;
        let (pipeline, height, hash) = (self.0.clone(), block.number(), block.hash());
        let verified =
            self.0.execution.run(move |cancelled| pipeline.verify(&lineage, block, &proposer, cancelled)).await;
        match verified {
            Some(Ok(())) => Verdict::Valid,
            Some(Err(error)) if error.is_invalid_block() => {
                self.0.metrics.invalid_blocks.inc();
                tracing::warn!(height, %hash, %proposer, error = &error as &dyn std::error::Error, "proposed block is not valid");
                Verdict::Invalid
            }
            Some(Err(error)) => {
                tracing::warn!(height, %hash, error = &error as &dyn std::error::Error, "cannot judge a proposed block");
                Verdict::Abstain
            }
            None => Verdict::Abstain,
        }
    }

    async fn finalized(&self, block: Arc<Block>, certificate: Option<Certificate>) -> bool {
        let (pipeline, height) = (self.0.clone(), block.number());
        match self.0.commits.run(move |_| pipeline.commit(&block, certificate.as_ref())).await {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                tracing::error!(height, error = &error as &dyn std::error::Error, "cannot apply a finalized block");
                false
            }
            None => false,
        }
    }

    fn gossip(&self, from: PublicKey, message: Bytes) {
        if self.0.gossip_in.try_send((from, message)).is_err() {
            self.0.metrics.gossip_dropped.inc();
        }
    }

    fn sync(&self, from: PublicKey, message: Bytes) {
        // What is no request is an answer that was late, where this box itself fetched a state before.
        if message.len() <= REQUEST_BYTES_MAX && is_request(&message) {
            // Where there is no room the peer asks again, or another box.
            let _ = self.0.sync_in.try_send((from, message));
        }
    }

    fn height(&self) -> u64 {
        self.0.store.head().block.number()
    }

    fn block(&self, height: u64) -> Option<Arc<Block>> {
        readable(height, self.0.store.block(height))?.map(Arc::new)
    }

    fn height_of(&self, hash: &B256) -> Option<u64> {
        readable(self.height(), self.0.store.number_of(hash))?
    }

    fn certificate(&self, height: u64) -> Option<Certificate> {
        readable(height, self.0.store.certificate(height))?
    }

    fn certified(&self) -> Option<(Arc<Block>, Certificate)> {
        let (block, certificate) = readable(self.height(), self.0.store.last_certified())??;
        Some((Arc::new(block), certificate))
    }

    fn validators(&self, epoch: u64) -> Option<Vec<PublicKey>> {
        Some(self.0.governance.record(epoch)?.keys().collect())
    }

    fn leader_timeout(&self, epoch: u64) -> Duration {
        let record = self.0.governance.record(epoch).unwrap_or_else(|| self.0.governance.current());
        interval_max(&record) + LEADER_GRACE
    }

    fn peers(&self) -> Arc<[Peer]> {
        self.0.governance.peers()
    }
}

/// What the database answers; `None`, said in the log, where it does not.
fn readable<T>(height: u64, answer: Result<T, StoreError>) -> Option<T> {
    let failed = |error: &StoreError| {
        tracing::error!(height, error = error as &dyn std::error::Error, "cannot read what consensus asks for");
    };
    answer.inspect_err(failed).ok()
}

impl Handle {
    /// Asks on the execution thread: with many boxes the answer takes some milliseconds, which votes would wait for.
    async fn is_change_pending(&self) -> bool {
        let governance = self.0.governance.clone();
        self.0.execution.run(move |_| governance.is_change_pending()).await.unwrap_or(false)
    }

    /// Waits, until `latest` at most, while so many blocks up to `height` are not committed that another would only
    /// lengthen the queue: a chain goes no faster than the disks of its boxes.
    async fn commits_behind(&self, height: u64, latest: Instant) {
        let mut events = self.0.events.subscribe();
        while height > self.height() + UNCOMMITTED_BLOCKS_MAX {
            if tokio::time::timeout_at(latest.into(), events.recv()).await.is_err() {
                return;
            }
        }
    }
}

impl Pipeline {
    /// Builds a block on the lineage's parent; `None` where there is nothing to put in it and `even_empty` is not set.
    #[tracing::instrument(level = "debug", skip_all, fields(height = lineage.parent.number() + 1))]
    fn build(
        &self,
        lineage: &Lineage,
        even_empty: bool,
        cancelled: &Cancelled,
    ) -> Result<Option<Arc<Block>>, PipelineError> {
        self.execute_missing(&lineage.missing, cancelled)?;
        let parent = &lineage.parent;
        let base = self.tree.base(parent).ok_or(PipelineError::NoParentState)?;
        let used_nonces = self.tree.used_nonces(&base.hashes.uncommitted);
        let mut best = Best(self.pool.best_after(&used_nonces), None);
        if !even_empty && best.is_empty() {
            return Ok(None);
        }
        let started = Instant::now();
        let proposal = Proposal {
            // A clock that went back must not stop the box from proposing.
            timestamp_ms: now_ms().max(parent.timestamp_ms().unwrap_or(0) + 1),
            beneficiary: self.fee_recipient(&self.identity, parent.number() + 1)?,
        };
        let rules = self.rules_at(parent.number() + 1)?;
        let header = block::next_header(parent.header(), parent.hash(), proposal, rules);
        let limits = BlockLimits { bytes_max: self.block_bytes_max, deadline: started + BUILD_TIME };
        let Built { executed, transactions } =
            self.executor.build(&base.state, &base.hashes, header, &mut best, limits)?;
        if transactions.is_empty() && !even_empty {
            return Ok(None);
        }
        self.metrics.build_seconds.observe(started.elapsed().as_secs_f64());
        let block = executed.block.clone();
        self.tree.insert(Arc::new(Layer { executed, transactions, ancestors: base.hashes.uncommitted }));
        Ok(Some(block))
    }

    /// Everything that a validator checks before it votes.
    #[tracing::instrument(level = "debug", skip_all, fields(height = block.number()))]
    fn verify(
        &self,
        lineage: &Lineage,
        block: Arc<Block>,
        proposer: &PublicKey,
        cancelled: &Cancelled,
    ) -> Result<(), PipelineError> {
        let (found, expected) = (block.header().beneficiary, self.fee_recipient(proposer, block.number())?);
        if found != expected {
            return Err(PipelineError::Beneficiary { found, expected });
        }
        if self.tree.get(&block.hash()).is_some() {
            return Ok(());
        }
        self.execute_missing(&lineage.missing, cancelled)?;
        let started = Instant::now();
        self.tree.insert(Arc::new(self.execute(&lineage.parent, block, cancelled)?));
        self.metrics.verify_seconds.observe(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Executes ancestors that this box did not see in time; a quorum notarized each.
    fn execute_missing(&self, missing: &[Arc<Block>], cancelled: &Cancelled) -> Result<(), PipelineError> {
        for block in missing {
            if !self.tree.contains(&block.hash()) {
                let parent = block.header().parent_hash;
                let layer = self.execute_on(&parent, block.clone(), cancelled)?;
                self.tree.insert(Arc::new(layer));
            }
        }
        Ok(())
    }

    fn execute_on(&self, parent: &B256, block: Arc<Block>, cancelled: &Cancelled) -> Result<Layer, PipelineError> {
        // The tree first: what is committed in between is then the head.
        let layer = self.tree.get(parent);
        let head = self.store.head();
        match layer {
            Some(layer) => self.execute(layer.block(), block, cancelled),
            None if head.block.hash() == *parent => self.execute(&head.block, block, cancelled),
            None => Err(PipelineError::NoParentState),
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(height = block.number()))]
    fn execute(&self, parent: &Block, block: Arc<Block>, cancelled: &Cancelled) -> Result<Layer, PipelineError> {
        block::check_header(&block, parent.header(), parent.hash(), self.rules_at(block.number())?)?;
        let base = self.tree.base(parent).ok_or(PipelineError::NoParentState)?;
        let transactions = tracing::debug_span!("signatures", transactions = block.transactions().len())
            .in_scope(|| self.senders.verify_all(block.transactions(), block.sender_hints()))?;
        let executed =
            self.executor.execute(&base.state, &base.hashes, block, &transactions, &|| cancelled.is_set())?;
        Ok(Layer { executed, transactions, ancestors: base.hashes.uncommitted })
    }

    /// Makes a finalized block durable and tells everyone. Repeated for a block that was committed before.
    #[tracing::instrument(level = "debug", skip_all, fields(height = block.number()))]
    fn commit(&self, block: &Arc<Block>, certificate: Option<&Certificate>) -> Result<(), PipelineError> {
        let head = self.store.head();
        if block.number() <= head.block.number() {
            let committed = self.store.hash_of(block.number())?.unwrap_or_default();
            let (number, finalized) = (block.number(), block.hash());
            return if committed == finalized {
                Ok(())
            } else {
                Err(PipelineError::Fork { number, finalized, committed })
            };
        }
        let layer = match self.tree.get(&block.hash()) {
            Some(layer) => layer,
            None => Arc::new(self.execute_on(&block.header().parent_hash, block.clone(), &Cancelled::default())?),
        };
        let started = Instant::now();
        tracing::debug_span!("store").in_scope(|| self.store.commit(&layer.executed, certificate))?;
        if self.governance.committed(&self.store.head(), &layer.executed.receipts)? {
            let parameters = self.governance.current().parameters;
            self.pool.set_rules(parameters.base_fee_per_gas, parameters.gas_limit, pool_ms());
        }
        self.pivots.observe(&self.store.head());
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        self.tree.finalize(block);
        let changed = layer.executed.diff.accounts.iter().map(|change| change.address);
        self.pool.finalized(&layer.transactions, changed, pool_ms());
        self.metrics.finalized(&layer, self.proposer(block), now_ms(), self.tree.len());
        let senders = layer.transactions.iter().map(VerifiedTransaction::sender).collect();
        // No receiver is no error: nobody subscribed.
        let _ = self.events.send(Arc::new(Finalized {
            block: block.clone(),
            receipts: Arc::new(layer.executed.receipts.clone()),
            senders: Arc::new(senders),
        }));
        Ok(())
    }

    fn fee_recipient(&self, validator: &PublicKey, number: u64) -> Result<Address, PipelineError> {
        self.governance.fee_recipient(validator, number).ok_or(PipelineError::NoSeat { number })
    }

    fn rules_at(&self, number: u64) -> Result<BlockRules, PipelineError> {
        self.governance.rules_at(number).ok_or(PipelineError::NoSeat { number })
    }

    /// Name of a block's proposer.
    fn proposer(&self, block: &Block) -> String {
        self.governance.proposer(block).map(|proposer| proposer.name).unwrap_or_default()
    }
}

/// The pool's order as the executor takes it, with one transaction of look-ahead.
struct Best<'a>(BestTransactions<'a>, Option<VerifiedTransaction>);

impl Best<'_> {
    fn is_empty(&mut self) -> bool {
        if self.1.is_none() {
            self.1 = self.0.next();
        }
        self.1.is_none()
    }
}

impl Transactions for Best<'_> {
    fn next(&mut self) -> Option<VerifiedTransaction> {
        self.1.take().or_else(|| self.0.next())
    }

    fn skip_sender(&mut self, sender: Address) {
        self.0.skip_sender(sender);
    }
}

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
