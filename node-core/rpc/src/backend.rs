//! The query layer: what a box can say about its chain, beneath every interface that it answers on.
//!
//! Methods here block: they read the database, recover senders or run the EVM. Interfaces call them through
//! [`Backend::read`] and [`Backend::compute`], which run them on blocking threads, a bounded number at a time.

mod blocks;
mod calls;
mod fees;
mod governance;
mod logs;
mod recent;
mod send;
mod waiting;

use std::{num::NonZeroUsize, sync::Arc};

use alloy_primitives::Address;
use dolmen_execution::Executor;
use dolmen_pool::{Pool, SenderCache};
use dolmen_store::Store;
use dolmen_types::{Block, Epochs, Receipt};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

pub use blocks::FoundTransaction;
pub use calls::{CallRequest, HeaderOverrides};
pub(crate) use fees::BLOB_BASE_FEE;
pub use governance::{BlockCertificate, Epoch, GovernanceState};
pub use logs::{BlockRange, LogCriteria, locate, matching_logs};
pub(crate) use logs::{FoundLogs, limit_error};
pub use recent::FinalizedBlock;
use recent::RecentBlocks;
use waiting::Waiting;

use crate::{RpcError, RpcLimits};

/// A block that was committed, as the node announces it: one a height, in order.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// The block.
    pub block: Arc<Block>,
    /// Its receipts, one a transaction.
    pub receipts: Arc<Vec<Receipt>>,
    /// The senders of its transactions, in order.
    pub senders: Arc<Vec<Address>>,
}

/// How far a box that is behind has caught up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncStatus {
    /// Height at which catching up began.
    pub starting_block: u64,
    /// Height reached.
    pub current_block: u64,
    /// Highest height known to be finalized.
    pub highest_block: u64,
}

/// What the node knows of its network.
pub trait SyncSource: Send + Sync {
    /// `None` while the box keeps up with the chain.
    fn status(&self) -> Option<SyncStatus>;
    /// Peers connected.
    fn peers(&self) -> usize;
}

/// What a [`Backend`] is built from.
pub struct BackendParts {
    /// The finalized chain.
    pub store: Arc<Store>,
    /// The transaction pool.
    pub pool: Arc<Pool>,
    /// Runs calls.
    pub executor: Arc<Executor>,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Blocks of an epoch, at least 1.
    pub epochs: Epochs,
    /// What `web3_clientVersion` says, such as `dolmen/v0.1.0/linux-amd64/rust1.95`.
    pub client_version: String,
    /// Where the node announces committed blocks, after the commit.
    pub events: broadcast::Sender<Arc<Finalized>>,
    /// The node's view of its network.
    pub sync: Arc<dyn SyncSource>,
    /// The clock that the node passes to the pool, milliseconds.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Bounds.
    pub limits: RpcLimits,
}

/// Senders recovered for older blocks: a few full blocks. Apart from the pool's cache, which they would empty.
const VERIFIED_MAX: NonZeroUsize = NonZeroUsize::new(16_384).expect("not zero");
/// Encoded bytes of these transactions.
const VERIFIED_BYTES_MAX: usize = 16 << 20;

/// The query layer of one box. Shared by all its interfaces.
pub struct Backend {
    parts: BackendParts,
    reads: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    sends: Arc<Semaphore>,
    filter_values: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
    waiting: Arc<Waiting>,
    recent: Mutex<RecentBlocks>,
    verified: SenderCache,
    /// The last suggested tip and the height it was computed at.
    tip: Mutex<Option<(u64, u128)>>,
}

impl Backend {
    /// A query layer over a box's parts. Starts a task that follows the node's announcements, so it needs a tokio
    /// runtime.
    pub fn start(parts: BackendParts) -> Arc<Self> {
        let events = parts.events.subscribe();
        let backend = Arc::new(Self {
            reads: Arc::new(Semaphore::new(parts.limits.reads_concurrent_max)),
            heavy: Arc::new(Semaphore::new(parts.limits.heavy_concurrent_max)),
            searches: Arc::new(Semaphore::new(parts.limits.searches_concurrent_max)),
            sends: Arc::new(Semaphore::new(parts.limits.sends_concurrent_max)),
            subscriptions: Arc::new(Semaphore::new(parts.limits.subscriptions_max)),
            waiting: Arc::default(),
            filter_values: Arc::new(Semaphore::new(parts.limits.filter_values_max)),
            recent: Mutex::new(RecentBlocks::new(parts.limits.recent_bytes_max)),
            verified: SenderCache::new(
                parts.chain_id,
                parts.pool.signatures().clone(),
                VERIFIED_MAX,
                VERIFIED_BYTES_MAX,
            ),
            tip: Mutex::new(None),
            parts,
        });
        tokio::spawn(Self::follow(Arc::downgrade(&backend), events));
        backend
    }

    /// EIP-155 chain id.
    pub const fn chain_id(&self) -> u64 {
        self.parts.chain_id
    }

    /// The next block's base fee, wei per gas.
    pub fn base_fee(&self) -> u64 {
        self.parts.pool.config().base_fee_per_gas
    }

    /// Name and version of the program.
    pub fn client_version(&self) -> &str {
        &self.parts.client_version
    }

    /// Bounds.
    pub const fn limits(&self) -> &RpcLimits {
        &self.parts.limits
    }

    /// The finalized chain.
    pub const fn store(&self) -> &Arc<Store> {
        &self.parts.store
    }

    /// The transaction pool.
    pub const fn pool(&self) -> &Arc<Pool> {
        &self.parts.pool
    }

    /// The node's view of its network.
    pub fn sync(&self) -> &dyn SyncSource {
        &*self.parts.sync
    }

    /// Committed blocks from now on. A receiver that falls behind gets an error, not a gap.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Finalized>> {
        self.parts.events.subscribe()
    }

    /// Runs a query that mostly waits for the disk.
    pub async fn read<R: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        self.run(&self.reads, query).await
    }

    /// Room for a subscription; given back when dropped.
    pub(crate) fn hold_subscription(&self) -> Result<OwnedSemaphorePermit, RpcError> {
        self.subscriptions.clone().try_acquire_owned().map_err(|_| {
            let most = self.limits().subscriptions_max;
            RpcError::Limit(format!("{most} subscriptions are open on this box; end some first or ask another box"))
        })
    }

    /// Runs a query that needs the whole of one block. `height` says which, `None` where there is none. Where the block
    /// is kept decoded it is a read; else decoding it may take as long as a call, and waits for its turn among them.
    pub async fn read_block<R: Send + 'static>(
        self: &Arc<Self>,
        height: impl FnOnce(&Self) -> Result<Option<u64>, RpcError> + Send + 'static,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Clone + Send + 'static,
    ) -> Result<R, RpcError> {
        let first = query.clone();
        let kept = move |backend: &Self| match height(backend)? {
            Some(number) if !backend.is_kept(number) => Ok(None),
            _ => first(backend).map(Some),
        };
        match self.read(kept).await? {
            Some(found) => Ok(found),
            None => self.compute(query).await,
        }
    }

    /// Takes a transaction in: apart from the reads, so that those cannot keep it out.
    pub async fn send<R: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        self.run(&self.sends, query).await
    }

    /// Runs a log search: apart from what computes, so that a few long ones cannot keep calls waiting.
    pub async fn search<R: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        self.run(&self.searches, query).await
    }

    /// Runs a query that mostly computes: calls, proofs, fee histories.
    pub async fn compute<R: Send + 'static>(
        self: &Arc<Self>,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        self.run(&self.heavy, query).await
    }

    async fn run<R: Send + 'static>(
        self: &Arc<Self>,
        turns: &Arc<Semaphore>,
        query: impl FnOnce(&Self) -> Result<R, RpcError> + Send + 'static,
    ) -> Result<R, RpcError> {
        let wait = self.limits().turn_wait_max;
        let busy = |_| RpcError::Limit("the node is busy; try again later or ask another box".to_owned());
        let turn = tokio::time::timeout(wait, turns.clone().acquire_owned()).await.map_err(busy)?;
        let turn = turn.expect("the semaphores are never closed");
        let (backend, caller) = (self.clone(), tracing::Span::current());
        let task = tokio::task::spawn_blocking(move || {
            // Held until the query is done even if the caller went away meanwhile.
            let _turn = turn;
            caller.in_scope(|| query(&backend))
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a query panicked or was cancelled");
            Err(RpcError::Internal("the query failed"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;
    use crate::testing::Chain;

    #[tokio::test(flavor = "multi_thread")]
    async fn queries_take_turns_and_give_up() {
        let limits =
            RpcLimits { heavy_concurrent_max: 1, turn_wait_max: Duration::from_millis(50), ..Default::default() };
        let chain = Chain::new(limits);
        let (release, wait) = mpsc::channel::<()>();
        let (started, running) = tokio::sync::oneshot::channel();
        let backend = chain.backend.clone();
        let first = tokio::spawn(async move {
            let query = move |_: &Backend| {
                started.send(()).expect("the test waits");
                wait.recv().map_err(|_| RpcError::Internal("the test ended"))
            };
            backend.compute(query).await
        });
        running.await.expect("the first query runs");
        let second = chain.backend.compute(|_| Ok(())).await.expect_err("the only turn is taken");
        assert_eq!(second.code(), -32005);
        // Reads, searches and sending have turns of their own.
        chain.backend.read(|_| Ok(())).await.expect("reads go on");
        chain.backend.search(|_| Ok(())).await.expect("searches go on");
        chain.backend.send(|_| Ok(())).await.expect("sending goes on");
        // A block that is kept needs no turn among the calls; one that is not does.
        let head = |_: &Backend| Ok(Some(0));
        chain.backend.read_block(head, |backend| backend.block_at(0)).await.expect("at hand");
        let unknown = |_: &Backend| Ok(Some(1));
        let second = chain.backend.read_block(unknown, |backend| backend.block_at(1)).await.expect_err("not at hand");
        assert_eq!(second.code(), -32005);
        release.send(()).expect("the first query waits");
        first.await.expect("no panic").expect("released");
        chain.backend.compute(|_| Ok(())).await.expect("the turn came back");
    }

    #[tokio::test]
    async fn a_panicking_query_is_an_error() {
        let chain = Chain::new(RpcLimits { heavy_concurrent_max: 1, ..Default::default() });
        let failed = chain.backend.compute(|_| -> Result<(), RpcError> { panic!("query") }).await;
        assert_eq!(failed.expect_err("panicked").code(), -32603);
        chain.backend.compute(|_| Ok(())).await.expect("the turn came back");
    }
}
