//! Fetching the state of one block from other boxes, so that a new box need not execute the whole chain.
//!
//! The box trusts the genesis file alone. It names the validators of epoch zero, and from there one link for each epoch,
//! its last header with a certificate and the record of the next, leads to the validators of any other ([`Trust`]). They
//! have signed the last block of their epoch, and all else follows from that block's hash: its header names the root of
//! the state, each node of the state's tries names those below, an account names its code, and each header the one
//! before it. So every answer is checked by itself as it comes, and one that is wrong names its sender for sure:
//! [`Fault`].
//!
//! - [`Request`] and [`Response`] are the messages, [`Server`] answers them from a store and the states that it keeps
//!   ([`Pivots`](dolmen_store::snapshot::Pivots)), [`Gate`] bounds what a peer may cost.
//! - [`Client`] is told what happens and says what to do: no IO, no clock and no randomness in it, so that a simulated
//!   network replays each of its histories from a seed. What it wants written it hands out as
//!   [`Write`](dolmen_store::snapshot::Write)s.
//! - [`drive()`] runs a client on a [`SyncNetwork`] and a [`Filling`](dolmen_store::snapshot::Filling).
//!
//! # The way of a state
//!
//! The client asks for the part of the account trie at its root. A large one is answered with the node at its top,
//! which names the parts below; each is asked for in the same way, of any peer that keeps the state, until a part fits
//! into a message. Storages too large to come with their accounts are tries of their own and fetched alike. Code is
//! asked for by hash. When all that is there, the headers of the block and of the 256 before it are fetched, then these
//! blocks with their receipts, in chunks. What was written survives a restart, and also, where its hash is still right,
//! the change to a later block, when nobody keeps the first one's state any more.
//!
//! # What a peer can do
//!
//! | it | then |
//! |---|---|
//! | sends what does not hash to what it must, or no message at all | is banned, with a [`Fault`] that says what |
//! | says that a part is too large, or a storage, which is not | is banned when what is below is there |
//! | offers a block that the validators did not finalize, or a link that does not hold | is banned likewise |
//! | does not answer | is left alone for a while, ever longer; another one is asked |
//! | answers late | its answer is taken where it is still of use |
//! | sends what nobody asked for | nothing of it is read but the first nine bytes |
//! | does not keep the state, or lacks code or a block | is asked for what it has |
//! | does not give the links to the block that it offers | has offered nothing, for half a minute |

mod client;
mod drive;
mod fault;
pub mod limits;
mod message;
mod serve;
#[cfg(test)]
mod simulation;
mod trust;

pub use client::{Action, Client, ClientError, Event, PeerReport, Phase, Report, Settings};
pub use drive::{Checked, DriveError, Linked, NetworkEvent, PivotCheck, SyncNetwork, drive};
pub use fault::{BlockFault, Fault, Place};
pub use message::{DecodeError, Request, Response, is_request};
pub use serve::{Answer, Gate, Server};
pub use trust::Trust;
