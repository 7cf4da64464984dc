//! Starting a node: opens the store, wires the pipeline to consensus and RPC, and reports on it.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY};
use dolmen_accel_api::{BatchVerifier, QueueConfig};
use dolmen_consensus::{Consensus, ConsensusError, GuardStatus, Peer, PeerStatus};
use dolmen_execution::{Executor, OriginError, Permissions, origin};
use dolmen_governance::{EpochRecord, Parameters, Permission};
use dolmen_hsm_api::{LeaseCounter, Signer};
use dolmen_pool::{AccountView, Pool, PoolConfig, PoolStatus, SenderCache, Signatures, StateSource};
use dolmen_rpc::{AllowedHosts, Backend, BackendParts, RpcLimits, RpcServer, SyncSource, SyncStatus};
use dolmen_store::{Closing, Head, Options, Origin, StateReader as _, Store, StoreError, snapshot::Pivots};
use dolmen_sync::{DriveError, Server};
use dolmen_types::{Genesis, PublicKey};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    chain_metrics::ChainMetrics,
    gossip,
    governance::Governance,
    join::{self, StartFrom},
    limits,
    metrics::Metrics,
    pipeline::{Handle, Pipeline},
    serve, signature_metrics,
    tree::Tree,
    vote_metrics,
    worker::Worker,
};

/// What a node needs to run.
pub struct NodeConfig {
    /// The chain.
    pub genesis: Genesis,
    /// This box's Ed25519 key, which authenticates it to the others and signs its votes.
    pub key: Arc<dyn Signer>,
    /// The log of votes; a file of this key and chain alone, better beside the key than in `data_dir`.
    pub vote_log: PathBuf,
    /// What keeps an old copy of that log from voting, where the box has it.
    pub vote_counter: Option<Arc<dyn LeaseCounter>>,
    /// Checks all signatures.
    pub engine: Arc<dyn BatchVerifier>,
    /// Where the database and the consensus journals live.
    pub data_dir: PathBuf,
    /// How a box without a chain gets one.
    pub start_from: StartFrom,
    /// How much of the past it keeps.
    pub history: Options,
    /// Where to listen for peers.
    pub p2p_listen: SocketAddr,
    /// The other boxes.
    pub peers: Vec<Peer>,
    /// Where to serve JSON-RPC over HTTP and WebSocket.
    pub rpc_listen: SocketAddr,
    /// Names of this box that JSON-RPC requests may have as their host, beside `localhost` and IP addresses; `*` is any.
    pub rpc_hosts: Vec<String>,
    /// Version string for `web3_clientVersion`.
    pub client_version: String,
}

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis file gives no chain.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Consensus and the transport.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
    /// The state of a block was to be fetched from other boxes.
    #[error("the state could not be fetched from the other boxes")]
    Join(#[from] DriveError),
    /// The pool's settings.
    #[error(transparent)]
    Pool(#[from] dolmen_pool::ConfigError),
    /// The RPC server.
    #[error("cannot serve JSON-RPC on {address}; choose another rpc.listen in box.toml")]
    Rpc {
        /// `rpc.listen`.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A thread or directory could not be created.
    #[error("cannot prepare the node: {0}")]
    System(#[from] std::io::Error),
}

/// A running node. End it with [`Self::stop`].
pub struct Node {
    pipeline: Arc<Pipeline>,
    registry: Mutex<Registry>,
    rpc_address: SocketAddr,
    started: Instant,
    sync: Arc<Sync>,
    running: Mutex<Option<Running>>,
}

/// What [`Node::stop`] ends. Consensus is held here and by the tasks alone, so that it ends there.
struct Running {
    consensus: Arc<Consensus>,
    rpc: RpcServer,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node on the current tokio runtime.
    pub async fn start(config: NodeConfig) -> Result<Self, NodeError> {
        std::fs::create_dir_all(&config.data_dir)?;
        let settings = config.genesis.file().clone();
        let origin = origin(&config.genesis)?;
        join::fill(&config, &origin).await?;
        let store = Arc::new(Store::open(&config.data_dir.join("db"), &origin, config.history)?);
        let mut registry = Registry::with_prefix("dolmen");
        let metrics = Arc::new(Metrics::new(&mut registry));
        let epochs = config.genesis.epochs();
        let executor = Arc::new(Executor::new(settings.chain_id, epochs));
        let identity = dolmen_consensus::public_key(&*config.key)?;
        let governance =
            Arc::new(Governance::new(store.clone(), executor.clone(), epochs, identity, config.peers.clone())?);
        let signatures = Arc::new(Signatures::start(config.engine.clone(), QueueConfig::default()));
        signature_metrics::register(&mut registry, signatures.clone());
        let senders = Arc::new(SenderCache::new(
            settings.chain_id,
            signatures,
            limits::SENDER_CACHE_ENTRIES,
            limits::SENDER_CACHE_BYTES,
        ));
        let Parameters { gas_limit, base_fee_per_gas, .. } = governance.current().parameters;
        let pool_config = PoolConfig::for_chain(settings.chain_id, base_fee_per_gas, gas_limit);
        let pool = Arc::new(Pool::new(pool_config, Arc::new(LatestState(store.clone())), senders.clone())?);
        let (events, _) = broadcast::channel(limits::EVENTS);
        let (gossip_in, gossip_messages) = mpsc::channel(limits::GOSSIP_IN_QUEUE);
        let (sync_in, sync_requests) = mpsc::channel(limits::SYNC_QUEUE);
        let pivots = Arc::new(Pivots::new(epochs));
        pivots.restore(&store)?;
        let pipeline = Arc::new(Pipeline {
            identity,
            governance: governance.clone(),
            tree: Tree::new(store.clone()),
            store: store.clone(),
            pool: pool.clone(),
            executor: executor.clone(),
            senders,
            events: events.clone(),
            gossip_in,
            sync_in,
            pivots: pivots.clone(),
            metrics: metrics.clone(),
            execution: Worker::start("execution", limits::EXECUTION_QUEUE)?,
            commits: Worker::start("commit", limits::EXECUTION_QUEUE)?,
            block_bytes_max: settings.block_bytes_max as usize,
        });
        let has_blocks = store.head().block.number() > 0;
        let consensus = Arc::new(dolmen_consensus::start(
            consensus_config(&config, &origin, has_blocks),
            Handle(pipeline.clone()),
        )?);
        let chain_metrics = ChainMetrics {
            identity,
            governance: governance.clone(),
            store: store.clone(),
            pool: pool.clone(),
            consensus: Arc::downgrade(&consensus),
        };
        let states = Server::new(store.clone(), pivots);
        let sync = Arc::new(Sync {
            started_at: store.head().block.number(),
            governance,
            store: store.clone(),
            consensus: Arc::downgrade(&consensus),
        });
        let backend = Backend::start(BackendParts {
            store,
            pool: pool.clone(),
            executor,
            chain_id: settings.chain_id,
            epochs,
            client_version: config.client_version,
            events,
            sync: sync.clone(),
            now_ms: Arc::new(gossip::pool_ms),
            limits: RpcLimits::default(),
        });
        let serve = |source| NodeError::Rpc { address: config.rpc_listen, source };
        let listener = TcpListener::bind(config.rpc_listen).map_err(serve)?;
        let hosts = AllowedHosts::new(config.rpc_hosts);
        vote_metrics::register(&mut registry, Arc::downgrade(&consensus));
        chain_metrics.register(&mut registry);
        let rpc = RpcServer::start_for(hosts, listener, backend, &mut registry).map_err(serve)?;
        let tasks = vec![
            tokio::spawn(gossip::announce(pool.clone(), consensus.clone())),
            tokio::spawn(gossip::upkeep(pool.clone())),
            tokio::spawn(gossip::receive(gossip_messages, pool, metrics.clone())),
            tokio::spawn(serve::answer(sync_requests, states, consensus.clone(), metrics)),
        ];
        Ok(Self {
            pipeline,
            registry: Mutex::new(registry),
            rpc_address: rpc.address(),
            started: Instant::now(),
            sync,
            running: Mutex::new(Some(Running { consensus, rpc, tasks })),
        })
    }

    /// Answers what JSON-RPC requests are in progress, then ends consensus; does nothing the second time. Whoever still
    /// holds the node can read its state. What was finalized is on disk either way.
    pub async fn stop(&self) {
        let running = self.running.lock().take();
        let Some(Running { consensus, rpc, tasks }) = running else { return };
        if !rpc.shutdown(limits::RPC_GRACE).await {
            tracing::warn!("some JSON-RPC requests were cut off");
        }
        for task in tasks {
            task.abort();
            // Only then is its handle of consensus gone.
            let _ = task.await;
        }
        let (ended, end) = oneshot::channel();
        // Not one of the runtime's blocking threads: the process would wait for those, however long that takes.
        let stopping = thread::Builder::new().name("stop".to_owned()).spawn(move || {
            // The last handle, but for those of questions being answered: joins the thread of consensus.
            drop(consensus);
            let _ = ended.send(());
        });
        if let Err(error) = stopping {
            tracing::warn!(%error, "no thread for stopping: consensus was stopped without a bound on the time");
        } else if tokio::time::timeout(limits::CONSENSUS_GRACE, end).await.is_err() {
            tracing::warn!("consensus did not stop in time and ends with the process");
        }
    }

    /// Tells when the database is closed: some time after this is dropped, as threads end on their own.
    pub fn closing(&self) -> Closing {
        self.pipeline.store.closing()
    }

    /// Where JSON-RPC is served, with the port that was bound.
    pub const fn rpc_address(&self) -> SocketAddr {
        self.rpc_address
    }

    /// The last finalized block and state.
    pub fn head(&self) -> Arc<Head> {
        self.pipeline.store.head()
    }

    /// Hash of block zero.
    pub fn genesis_hash(&self) -> Result<B256, StoreError> {
        self.pipeline.store.genesis_hash()
    }

    /// This box's key.
    pub fn public_key(&self) -> PublicKey {
        self.pipeline.identity
    }

    /// What holds for the next block: who votes on it, and what it obeys.
    pub fn epoch(&self) -> Arc<EpochRecord> {
        self.pipeline.governance.current()
    }

    /// The other boxes of the chain, and where they are.
    pub fn known_boxes(&self) -> Arc<[Peer]> {
        self.pipeline.governance.peers()
    }

    /// What was last heard of each peer.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.sync.heard()
    }

    /// Counts and recent blocks.
    pub fn metrics(&self) -> &Metrics {
        &self.pipeline.metrics
    }

    /// What waits for a block.
    pub fn pool_status(&self) -> PoolStatus {
        self.pipeline.pool.status()
    }

    /// Finalized blocks from now on.
    pub fn events(&self) -> broadcast::Receiver<Arc<dolmen_rpc::Finalized>> {
        self.pipeline.events.subscribe()
    }

    /// Whether this box is behind its peers.
    pub fn syncing(&self) -> Option<SyncStatus> {
        self.sync.status()
    }

    /// Whether consensus still runs; where it does not, the process must be restarted.
    pub fn is_running(&self) -> bool {
        self.sync.consensus.upgrade().is_some_and(|consensus| consensus.is_running())
    }

    /// What became of this box's votes; none once the node has stopped.
    pub fn votes(&self) -> Option<GuardStatus> {
        self.sync.consensus.upgrade().map(|consensus| consensus.votes())
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// All metrics in the Prometheus text format: ours, then those of the consensus runtime.
    pub fn encode_metrics(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry.lock()).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        // Each encoding ends with the end marker, which may stand only once.
        let own = text.trim_end().trim_end_matches("# EOF");
        let theirs =
            self.sync.consensus.upgrade().map_or_else(|| "# EOF\n".to_owned(), |consensus| consensus.metrics());
        format!("{own}{theirs}")
    }
}

/// Takes away what keeps a stopped box from voting: see [`dolmen_consensus::release_votes`].
pub fn release_votes(
    key: &dyn Signer,
    log: &Path,
    counter: Option<Arc<dyn LeaseCounter>>,
    genesis: &Genesis,
    data_dir: &Path,
) -> Result<(), NodeError> {
    // The database says which chain this is, and that the box does not run.
    let store = Store::open(&data_dir.join("db"), &origin(genesis)?, Options::ARCHIVE)?;
    let hash = store.genesis_hash()?;
    Ok(dolmen_consensus::release_votes(key, log, counter, &hash).map_err(ConsensusError::from)?)
}

pub(crate) fn consensus_config(config: &NodeConfig, origin: &Origin, has_blocks: bool) -> dolmen_consensus::Config {
    dolmen_consensus::Config {
        key: config.key.clone(),
        vote_log: config.vote_log.clone(),
        has_blocks,
        vote_counter: config.vote_counter.clone(),
        engine: config.engine.clone(),
        genesis: Arc::new(origin.block.clone()),
        epoch_blocks: config.genesis.epochs().blocks(),
        listen: config.p2p_listen,
        directory: config.data_dir.join("consensus"),
        block_bytes_max: config.genesis.file().block_bytes_max as usize,
        gossip_bytes_max: limits::GOSSIP.message_bytes_max,
        sync_bytes_max: dolmen_sync::limits::MESSAGE_BYTES_MAX,
        threads: limits::CONSENSUS_THREADS,
    }
}

/// The latest finalized state as the pool reads it.
struct LatestState(Arc<Store>);

impl StateSource for LatestState {
    fn account(&self, address: &Address) -> AccountView {
        let state = &self.0.head().state;
        let lacks = |permission| Permissions::of(state)?.lacks(address, permission);
        // Who builds the block asks again.
        let lacks = |permission| lacks(permission).unwrap_or(false);
        let (may_not_send, may_not_deploy) = (lacks(Permission::Send), lacks(Permission::Deploy));
        let Ok(Some(account)) = state.account(address) else {
            return AccountView { may_not_send, may_not_deploy, ..AccountView::default() };
        };
        // Only a delegation (EIP-7702) may send: its code is the 23-byte designator.
        let is_contract = account.code_hash != KECCAK256_EMPTY;
        let delegated =
            is_contract && state.code(&account.code_hash).ok().flatten().is_some_and(|code| is_delegation(&code));
        AccountView {
            nonce: account.nonce,
            balance: account.balance,
            has_code: is_contract && !delegated,
            delegated,
            may_not_send,
            may_not_deploy,
        }
    }
}

/// Whether code is an EIP-7702 delegation designator.
fn is_delegation(code: &[u8]) -> bool {
    code.len() == 23 && code.starts_with(&[0xef, 0x01, 0x00])
}

/// How far this box is, against what its peers say.
struct Sync {
    started_at: u64,
    governance: Arc<Governance>,
    store: Arc<Store>,
    consensus: Weak<Consensus>,
}

impl Sync {
    /// What was last heard of each peer; nothing once consensus has ended.
    fn heard(&self) -> Vec<PeerStatus> {
        self.consensus.upgrade().map(|consensus| consensus.peers()).unwrap_or_default()
    }
}

impl SyncSource for Sync {
    fn status(&self) -> Option<SyncStatus> {
        let current_block = self.store.head().block.number();
        let peers = self.heard();
        let record = self.governance.current();
        // How many of those that vote may lie: the f of 3f + 1.
        let faulty_max = record.validators.len().saturating_sub(1) / 3;
        let heard = peers.iter().filter(|peer| peer.connected && record.validator(&peer.public_key).is_some());
        let mut heights: Vec<u64> = heard.map(|peer| peer.height).collect();
        heights.sort_unstable_by_key(|height| std::cmp::Reverse(*height));
        // At least one honest box claims this height or a higher one, whatever the faulty ones say.
        let highest_block = heights.get(faulty_max).copied().unwrap_or(0);
        (highest_block > current_block + limits::SYNCING_BLOCKS).then_some(SyncStatus {
            starting_block: self.started_at,
            current_block,
            highest_block,
        })
    }

    fn peers(&self) -> usize {
        self.heard().iter().filter(|peer| peer.connected).count()
    }
}
