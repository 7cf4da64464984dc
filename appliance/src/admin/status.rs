//! What the box says of itself, to the page and to programs.

use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{B256, hex};
use dolmen_hsm_api::Signer;
use dolmen_node::{BlockSummary, Finality};
use dolmen_types::PublicKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Page, alarms::Alarm};
use crate::pledge::Report;

/// The box in short.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// What people call the box.
    name: String,
    /// Of its software.
    version: &'static str,
    /// Of EIP-155.
    chain_id: u64,
    /// The chain's first block.
    #[schema(value_type = String)]
    genesis_hash: B256,
    /// `validator` or `follower`, in this epoch.
    role: &'static str,
    /// Its latest block.
    height: u64,
    /// That block's hash.
    #[schema(value_type = String)]
    head_hash: B256,
    /// How old that block is, by the box's clock.
    head_age_ms: u64,
    /// Whether it fetches blocks that others have.
    syncing: bool,
    /// The other boxes.
    peers: Vec<PeerView>,
    /// Of the validators.
    epoch: u64,
    /// How many vote.
    validators: usize,
    /// How many of them decide.
    quorum: usize,
    finality_ms: FinalityView,
    pool: PoolView,
    /// Since its program started.
    uptime_s: u64,
    /// Where it serves JSON-RPC.
    rpc_url: String,
    /// What somebody must see to.
    alarms: Vec<Alarm>,
    /// How it stands with its registrar; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning: Option<Report>,
    /// Its keys.
    keys: Vec<KeyView>,
    /// The latest blocks, newest first; not in events.
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_blocks: Option<Vec<BlockView>>,
}

/// A key of the box.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// What it signs: `consensus`, `tls` or `api`.
    #[serde(rename = "use")]
    pub(super) used_for: &'static str,
    /// Where it is, without what opens it.
    pub(super) uri: String,
    /// Of its signatures.
    pub(super) algorithm: &'static str,
    /// `device` where it never leaves one, else `memory`.
    #[serde(rename = "in")]
    pub(super) place: &'static str,
    /// Its public half.
    pub(super) public_key: String,
}

impl KeyView {
    pub(super) fn new(used_for: &'static str, key: &dyn Signer) -> Self {
        Self {
            used_for,
            // Where libraries and PINs lie is nobody's business here.
            uri: key.uri().to_string().split('?').next().unwrap_or_default().to_owned(),
            algorithm: key.algorithm().name(),
            place: key.residence().name(),
            public_key: hex::encode(key.public_key()),
        }
    }
}

/// Another box.
#[derive(Serialize, ToSchema)]
pub(super) struct PeerView {
    /// By the chain; empty for a box that does not vote.
    name: String,
    /// By which boxes know each other.
    #[schema(value_type = String)]
    public_key: PublicKey,
    /// Where this box looks for it; empty where the chain does not say.
    address: String,
    /// Whether there is a session with it.
    connected: bool,
    /// `validator` or `follower`, in this epoch.
    role: &'static str,
    /// What it says of itself.
    height: u64,
}

/// Transactions that wait.
#[derive(Serialize, ToSchema)]
pub(super) struct PoolView {
    /// Those that a block could take now.
    pending: usize,
    /// Those that wait for one before them.
    queued: usize,
    /// What all of them take.
    bytes: usize,
}

/// Percentiles of the time from proposal to durable commit, in milliseconds.
#[derive(Serialize, ToSchema)]
pub(super) struct FinalityView {
    /// The median; none before the first block.
    p50: Option<f64>,
    /// All but one in a hundred.
    p99: Option<f64>,
    /// Blocks behind them, the latest ones.
    samples: usize,
}

impl From<Finality> for FinalityView {
    fn from(Finality { p50, p99, samples }: Finality) -> Self {
        Self { p50, p99, samples }
    }
}

/// A finalized block in a line.
#[derive(Serialize, ToSchema)]
pub(super) struct BlockView {
    /// Its height.
    number: u64,
    /// Of its header.
    #[schema(value_type = String)]
    hash: B256,
    /// Proposal time, Unix milliseconds.
    timestamp_ms: u64,
    /// How many.
    transactions: usize,
    /// By its transactions.
    gas_used: u64,
    /// For its transactions.
    gas_limit: u64,
    /// Encoded bytes.
    size: usize,
    /// Name of the validator that proposed it.
    proposer: String,
    /// From proposal to this box's durable commit; none for a block fetched later.
    finality_ms: Option<f64>,
}

impl From<BlockSummary> for BlockView {
    fn from(block: BlockSummary) -> Self {
        let BlockSummary { number, hash, timestamp_ms, transactions, gas_used, gas_limit, size, proposer, finality_ms } =
            block;
        Self { number, hash, timestamp_ms, transactions, gas_used, gas_limit, size, proposer, finality_ms }
    }
}

impl Page {
    fn role(&self, key: &PublicKey) -> &'static str {
        if self.node.epoch().validator(key).is_some() { "validator" } else { "follower" }
    }

    pub(super) fn status(&self, with_blocks: bool) -> Status {
        let head = self.node.head();
        let pool = self.node.pool_status();
        let epoch = self.node.epoch();
        let validators = epoch.validators.len();
        Status {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            chain_id: self.chain_id,
            genesis_hash: self.genesis_hash,
            role: self.role(&self.node.public_key()),
            height: head.block.number(),
            head_hash: head.block.hash(),
            head_age_ms: self.head_age_ms(),
            syncing: self.node.syncing().is_some(),
            peers: self.peers(),
            epoch: epoch.epoch,
            validators,
            // n = 3f + 1 boxes agree by n - f.
            quorum: validators - (validators - 1) / 3,
            finality_ms: self.node.metrics().finality().into(),
            pool: PoolView { pending: pool.pending, queued: pool.queued, bytes: pool.bytes },
            uptime_s: self.node.uptime().as_secs(),
            rpc_url: format!("http://{}", self.node.rpc_address()),
            alarms: self.alarms(),
            provisioning: self.provisioning(),
            keys: self.keys.clone(),
            recent_blocks: with_blocks
                .then(|| self.node.metrics().recent_blocks().into_iter().map(BlockView::from).collect()),
        }
    }

    /// How the box stands with its registrar, where it has one.
    pub(super) fn provisioning(&self) -> Option<Report> {
        self.told.provisioning.as_ref()?.borrow().clone()
    }

    fn peers(&self) -> Vec<PeerView> {
        let (epoch, known) = (self.node.epoch(), self.node.known_boxes());
        let view = |peer: dolmen_node::PeerStatus| {
            let name = epoch.validator(&peer.public_key).map(|validator| validator.name.clone());
            let address = known.iter().find(|known| known.public_key == peer.public_key);
            PeerView {
                name: name.unwrap_or_default(),
                public_key: peer.public_key,
                address: address.map(|known| known.address.to_string()).unwrap_or_default(),
                connected: peer.connected,
                role: self.role(&peer.public_key),
                height: peer.height,
            }
        };
        self.node.peers().into_iter().map(view).collect()
    }

    pub(super) fn head_age_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head_ms = self.node.head().block.timestamp_ms().unwrap_or(0);
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(head_ms)
    }
}
