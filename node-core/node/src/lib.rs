//! One node of a chain: the pipeline and everything it is wired to. Start reading in `pipeline.rs`.

mod chain_metrics;
mod gossip;
mod governance;
mod join;
pub mod limits;
mod metrics;
mod node;
mod pipeline;
mod serve;
mod signature_metrics;
mod tree;
mod vote_metrics;
mod worker;

pub use dolmen_consensus::{GuardStatus, Peer, PeerStatus, public_key};
pub use dolmen_execution::{OriginError, origin};
pub use dolmen_pool::PoolStatus;
pub use dolmen_rpc::{Finalized, SyncStatus};
pub use dolmen_store::Closing;
pub use join::StartFrom;
pub use metrics::{BlockSummary, Finality, Metrics};
pub use node::release_votes;
pub use node::{Node, NodeConfig, NodeError};
