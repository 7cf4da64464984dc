//! Keeps a validator from ever signing two votes that conflict.
//!
//! A [`Guard`] stands between consensus and the key that signs votes, wherever that key lives. It writes each vote and
//! its signature to a log and has the disk confirm it before it lets the signature go; so after any crash it knows what
//! it has signed. It then
//!
//! - gives the same signature for the same vote, also where the key's algorithm would make another;
//! - refuses a vote that conflicts with an earlier one, and says with which;
//! - refuses votes of rounds that it has forgotten.
//!
//! A log that is old, because the disk was copied or a snapshot restored, would know too little. Against that, each log
//! is stamped with a counter that the disk does not hold ([`LeaseCounter`](dolmen_hsm_api::LeaseCounter), a TPM's NV
//! counter): it goes up at each start and each time that the log's lease of views ends. Whoever opens a log whose stamp
//! is not the counter's knows that another has voted since, up to the end of the counter's lease at most, and signs
//! nothing up to there: it is fenced until the chain has passed the lease. A log with damaged records is treated alike.
//!
//! What the counter cannot tell apart is a crash and a copy from the middle of the lease that the crash ended. There
//! the chain helps: [`Guard::observe`] is told of each vote of this key that others hold, and one that the log does not
//! have fences it too. Without a counter this is all there is, so an administrator must not start old copies.
//!
//! `vote.rs` has the rules, `record.rs` the bytes, `log.rs` the file's order of writes, `guard.rs` the lease and the
//! lock, `disk.rs` the file. What conflicts is what simplex calls a fault: two notarizations or two finalizations in a
//! view, and a finalization beside a nullification.

mod disk;
mod error;
mod guard;
mod log;
mod record;
mod vote;

pub use error::GuardError;
pub use guard::{Guard, GuardConfig, GuardStatus, Span};
pub use vote::{Kind, Round, Vote};
