//! The seam between the node and whatever verifies signatures for it: a CPU now, a GPU, an FPGA or a card later.
//!
//! | what | is |
//! |---|---|
//! | [`BatchVerifier`] | jobs in, one verdict per job out, synchronous, buffers of the caller |
//! | [`Queue`] | the asynchronous form: single jobs in, batches formed by size or by time |
//! | [`Hasher`] | many messages, one digest each |
//! | [`KeyCache`] | what an engine prepares for a key that it expects to see again |
//! | [`Capabilities`], [`Counters`] | what an engine can do, and what it has done |
//! | [`self_test`] | known answers that every engine must give before it is used |
//!
//! Every engine accepts exactly the same signatures, or boxes with different hardware would split their chain. The
//! rules are written down with their sources at [`Algorithm`].
//!
//! This crate names no engine. It holds no secret: everything here is public data, and nothing is constant time.

mod algorithm;
mod capabilities;
mod counters;
mod error;
mod hasher;
mod job;
mod keys;
mod queue;
pub mod self_test;
mod verifier;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use capabilities::Capabilities;
pub use counters::{Counters, Snapshot};
pub use error::EngineError;
pub use hasher::{HashAlgorithm, Hasher};
pub use job::{Address, Message, RecoverJob, Verdict, VerifyJob};
pub use keys::{KeyCache, KeyCacheUsage};
pub use queue::{OwnedMessage, Pending, Queue, QueueConfig, QueueError, QueueSnapshot, Recovery, VerifyRequest};
pub use verifier::BatchVerifier;
