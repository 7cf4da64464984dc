//! Ethereum JSON-RPC over HTTP and WebSocket, on one port.
//!
//! A request goes one way: [`RpcServer`] (connections, HTTP, hosts, CORS) -> middleware (unknown methods, batches,
//! metrics) -> a method in `eth`, `debug`, `dolmen`, `net_web3_txpool` or `pubsub`, which reads the arguments ->
//! [`Backend`], which answers -> the method again, which writes the answer as JSON. Other interfaces stand on
//! [`Backend`], too.
//!
//! Finality is immediate: `latest`, `safe`, `finalized` and `pending` name the same block, and no log is ever removed.
//! Error codes and messages are Geth's where Geth has them, since wallets and libraries match on them.
//!
//! [`RpcLimits`] holds every bound.

mod backend;
mod connection;
mod convert;
mod debug;
mod dolmen;
mod error;
mod eth;
mod http;
mod limits;
mod methods;
mod middleware;
mod net_web3_txpool;
mod params;
mod pubsub;
mod server;
#[cfg(test)]
mod testing;

pub use backend::{
    Backend, BackendParts, BlockCertificate, BlockRange, CallRequest, Epoch, Finalized, FinalizedBlock,
    FoundTransaction, GovernanceState, HeaderOverrides, LogCriteria, SyncSource, SyncStatus, locate, matching_logs,
};
pub use error::{RpcError, revert_reason};
pub use http::AllowedHosts;
pub use limits::RpcLimits;
pub use server::RpcServer;
