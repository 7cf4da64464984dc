//! Admission and the transaction pool.
//!
//! A transaction takes one way: [`Transaction`](dolmen_types::Transaction) (unchecked) -> [`Pool::add`] or
//! [`SenderCache::verify_all`] -> [`VerifiedTransaction`] (signature checked, sender known) -> [`Pool::best_after`] ->
//! a block -> [`Pool::finalized`]. Only this crate constructs a [`VerifiedTransaction`].
//!
//! Rules of the pool, per sender:
//!
//! - *Pending* (executable) is the longest run of nonces that starts at the account's finalized nonce, has no gap and
//!   that the finalized balance pays for in full (fee cap * gas limit + value, summed). Everything else is *queued*.
//! - A replacement pays at least `price_bump_percent` more on both fee cap and tip cap.
//! - A full pool makes room by dropping the last transaction of some sender, so that it never opens a gap: queued ones
//!   first, then the lowest effective tip, and only for a newcomer that is worth more.
//! - Only queued transactions expire, as in Geth.
//! - A delegated account (EIP-7702), or one that a transaction here would delegate, has one executable transaction, for
//!   others can make it spend. An account with more than one transaction cannot be delegated from here. As in Geth.
//!
//! Error messages are Geth's, word for word where Geth has one, because wallets and libraries match on them.
//!
//! No clock is read here: the caller passes the time in milliseconds of any clock that does not go back.

mod admission;
mod best;
mod cache;
mod config;
mod error;
mod events;
mod evict;
pub mod gossip;
mod index;
mod inner;
mod intrinsic;
mod outgoing;
mod pool;
mod sender;
mod signatures;
mod state;
mod verified;

#[cfg(test)]
mod tests;

pub use best::BestTransactions;
pub use cache::{SenderCache, VerifyAllError};
pub use config::{ConfigError, PoolConfig};
pub use error::AddError;
pub use events::PendingHashes;
pub use intrinsic::{IntrinsicGas, intrinsic_gas};
pub use pool::{Pool, PoolStatus, SenderContent};
pub use sender::{Added, Origin, Placement};
pub use signatures::{RecoveryError, Signatures};
pub use state::{AccountView, StateSource};
pub use verified::{VerifiedTransaction, VerifyError};
