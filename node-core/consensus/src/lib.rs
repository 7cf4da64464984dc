//! Agreement on the next block among the boxes of a chain, and the blocks a box missed.
//!
//! The only crate that names commonware: `simplex` orders blocks (a Byzantine fault tolerant protocol for up to f of
//! 3f + 1 faulty boxes, two message delays to a notarization and three to finality), `marshal` keeps finalized blocks
//! and certificates, fetches missing ones from peers and delivers every finalized block once in order, and
//! `p2p::authenticated::lookup` carries it all over mutually authenticated connections.
//!
//! What the node must provide is [`Application`]. What it relies on:
//!
//! - A box votes to notarize a block only after [`Application::verify`] answered [`Verdict::Valid`], which includes
//!   executing it, so at least f + 1 honest boxes computed the state root of a notarized block. To finalize one, a box
//!   also votes where it saw the notarization before its own verdict, but never after [`Verdict::Invalid`].
//! - [`Application::finalized`] is called for every height in order, after marshal has the block on disk, and again
//!   after a restart for blocks whose call did not return: it must be idempotent.
//! - What the application has applied may be more than consensus stored, as when a state was fetched from other boxes
//!   ([`visit`]) or a backup was restored: then consensus goes on from a block that the application has (`floor.rs`).
//! - The validator set changes at the end of an epoch, a fixed number of blocks, to what the state after its last block
//!   says ([`Application::validators`]); how is written in `epochs.rs`.
//! - The signing namespace binds the chain (genesis hash), the epoch and the validator set, so a vote or a certificate
//!   of another chain or set never verifies here.
//!
//! Each channel (`network.rs`) has its own bounded mailbox and a quota. One connection carries them all, so a peer that
//! exceeds a quota delays its own later messages, and nobody else's. Blocks, which are work to decode, are taken from
//! the peers in turns (`fair.rs`).

mod adapter;
mod audience;
mod block;
mod engine;
mod epochs;
mod fair;
mod finality;
mod finalized;
mod floor;
mod guest;
mod hushed;
mod key;
mod member;
mod network;
mod scheme;
mod sets;
#[cfg(test)]
mod simulation;
mod split;
mod status;
mod tasks;

use std::{future::Future, net::SocketAddr, num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

use alloy_primitives::B256;
use bytes::Bytes;
use dolmen_accel_api::{Algorithm, BatchVerifier};
use dolmen_hsm_api::{LeaseCounter, Signer};
use dolmen_types::{Block, Certificate, PublicKey};

pub use dolmen_hsm_guard::{GuardError, GuardStatus};
pub use engine::{Consensus, release_votes, start};
pub use guest::{Guest, GuestEvent, visit};
pub use key::public_key;
pub use status::PeerStatus;

/// What the chain's application does for consensus. Methods run on consensus threads: long work belongs elsewhere.
pub trait Application: Clone + Send + Sync + 'static {
    /// Whether the state after the block with this hash is at hand.
    fn is_executed(&self, hash: &B256) -> bool;

    /// Executes blocks that a quorum notarized, oldest first, as far as it gets: ancestors of a later proposal.
    fn execute(&self, blocks: Vec<Arc<Block>>) -> impl Future<Output = ()> + Send;

    /// Builds a block on `lineage.parent`. Waits while there is nothing to propose and the chain allows waiting;
    /// `None` gives up this turn. May be dropped before it completes.
    fn propose(&self, lineage: Lineage) -> impl Future<Output = Option<Arc<Block>>> + Send;

    /// Judges a block that `proposer` built on `lineage.parent`. May be dropped before it completes.
    fn verify(&self, lineage: Lineage, block: Arc<Block>, proposer: PublicKey) -> impl Future<Output = Verdict> + Send;

    /// Applies a finalized block, with its certificate where it has one of its own; an epoch's last block has. Resolves
    /// when it is durable. Returns `false` when this box cannot go on.
    fn finalized(&self, block: Arc<Block>, certificate: Option<Certificate>) -> impl Future<Output = bool> + Send;

    /// Takes a gossip message from a peer, already bounded by [`Config::gossip_bytes_max`]. Must not block.
    fn gossip(&self, from: PublicKey, message: Bytes);

    /// Takes what a peer asks for on the channel of states, already bounded by [`Config::sync_bytes_max`]; what is to be
    /// answered is sent with [`Consensus::sync`]. Must not block.
    fn sync(&self, from: PublicKey, message: Bytes);

    /// Height of the last finalized block applied.
    fn height(&self) -> u64;

    /// A block that was applied, by its height; `None` where this box does not have it.
    fn block(&self, height: u64) -> Option<Arc<Block>>;

    /// The height of a block that was applied, by its hash; `None` where this box does not have it.
    fn height_of(&self, hash: &B256) -> Option<u64>;

    /// The certificate that a block which was applied has of its own, by its height.
    fn certificate(&self, height: u64) -> Option<Certificate>;

    /// The last block applied that has a certificate of its own, with that.
    fn certified(&self) -> Option<(Arc<Block>, Certificate)>;

    /// The boxes that vote in an epoch; `None` where its predecessor's last block is not applied yet. Never another
    /// answer than before.
    fn validators(&self, epoch: u64) -> Option<Vec<PublicKey>>;

    /// How long a proposer may stay silent in its turn in an epoch before the others move on; above the chain's longest
    /// wait for a transaction.
    fn leader_timeout(&self, epoch: u64) -> Duration;

    /// All boxes to be connected with after the last finalized block, this one and its own not among them: those that
    /// vote, will vote or voted a moment ago, and those that follow; those that vote first, in case that there is no room
    /// for all. The same one until it changes.
    fn peers(&self) -> Arc<[Peer]>;
}

/// Where a block stands: its parent, and the parent's ancestors that are not executed yet, oldest first; the parent is
/// the last of them unless it is executed.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The parent block.
    pub parent: Arc<Block>,
    /// What to execute first.
    pub missing: Vec<Arc<Block>>,
}

/// An application's judgement of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Follows every rule.
    Valid,
    /// Breaks a rule, for good and for every honest box.
    Invalid,
    /// This box cannot tell: it does not vote, and says nothing against the block.
    Abstain,
}

/// A box that this box may talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its key.
    pub public_key: PublicKey,
    /// Where it listens; connections from elsewhere with the right key are accepted too.
    pub address: SocketAddr,
}

/// Everything consensus needs to know.
pub struct Config {
    /// This box's Ed25519 key, which authenticates it to the others and signs its votes.
    pub key: Arc<dyn Signer>,
    /// The log of votes; a file of this key and chain alone.
    pub vote_log: PathBuf,
    /// Whether this box has blocks beyond the genesis: then it had a log of votes too.
    pub has_blocks: bool,
    /// What keeps an old copy of that log from voting, where the box has it.
    pub vote_counter: Option<Arc<dyn LeaseCounter>>,
    /// Checks the votes.
    pub engine: Arc<dyn BatchVerifier>,
    /// Block zero of the chain.
    pub genesis: Arc<Block>,
    /// Blocks of an epoch, see [`Application::validators`].
    pub epoch_blocks: NonZeroU64,
    /// Where to listen for peers.
    pub listen: SocketAddr,
    /// Directory for journals, certificates and blocks in transit.
    pub directory: PathBuf,
    /// Largest encoded block.
    pub block_bytes_max: usize,
    /// Largest gossip message.
    pub gossip_bytes_max: usize,
    /// Largest message of the channel of states.
    pub sync_bytes_max: usize,
    /// Threads of the consensus runtime.
    pub threads: usize,
}

/// Why consensus could not start.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// A key in the configuration is not an Ed25519 public key.
    #[error("{0} is not an Ed25519 public key; check the genesis file's validators and the peers in box.toml")]
    PublicKey(PublicKey),
    /// The box's key is of another kind.
    #[error(
        "the key {uri} is of {algorithm}, the chain's votes are Ed25519; make one with `dolmen keys create soft:NAME \
         --algorithm ed25519 --for vote,transport` and name it as keys.consensus in box.toml"
    )]
    KeyAlgorithm {
        /// The key.
        uri: String,
        /// Its algorithm.
        algorithm: Algorithm,
    },
    /// The log of votes cannot be used.
    #[error("the log of votes")]
    Guard(#[from] GuardError),
    /// The same key twice.
    #[error(
        "two validators or peers share one public key; check the genesis file's validators and the peers in box.toml"
    )]
    DuplicateKey,
    /// The consensus thread could not be started.
    #[error("could not start the consensus thread")]
    Thread(#[source] std::io::Error),
    /// The listening address is taken or not ours.
    #[error("cannot listen for peers on {address}; choose another p2p.listen in box.toml")]
    Listen {
        /// `p2p.listen`.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
}
