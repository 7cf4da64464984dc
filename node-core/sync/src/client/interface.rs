//! What a client is told, and what it says.

use alloy_primitives::B256;
use bytes::Bytes;
use dolmen_store::snapshot::{Pivot, RangeLimits, Write};
use dolmen_types::PublicKey;

use crate::fault::Fault;

/// What a client is told once.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The id of its first request. Those after it must not be ids of an earlier start's requests, whose answers may
    /// still be on their way: Unix time in microseconds will do.
    pub first_id: u64,
    /// The chain's largest encoded block.
    pub block_bytes_max: usize,
    /// How a state is cut; the same on all boxes.
    pub limits: RangeLimits,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A peer can be reached.
    Connected(PublicKey),
    /// It cannot be reached any more.
    Gone(PublicKey),
    /// A message of a peer that is not a request.
    Message {
        /// The peer.
        from: PublicKey,
        /// The message.
        message: Bytes,
    },
    /// A block is the chain's: its certificate was checked, and that it commits to the record.
    Trusted(Box<Pivot>),
    /// A block that a peer offers could not be checked: it is of this epoch, and the last one whose validators are known
    /// is an earlier one. The peer is asked for the links from there.
    Unlinked {
        /// The peer.
        peer: PublicKey,
        /// The epoch whose validators are known.
        known: u64,
        /// The block's.
        epoch: u64,
    },
    /// Links were checked, and written where they hold: now the validators of this epoch are known.
    Linked {
        /// The epoch.
        epoch: u64,
    },
    /// What a peer offered, or a link of it, turned out to be a lie.
    Caught {
        /// The peer.
        peer: PublicKey,
        /// What it did.
        fault: Fault,
    },
    /// Nothing, but time has passed. Needed once a second or so.
    Tick,
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Action {
    /// Write this, before any later one; where that fails the client is of no use any more.
    Write(Write),
    /// Send a message to a peer. It may get lost.
    Send {
        /// The peer.
        to: PublicKey,
        /// The message.
        message: Bytes,
    },
    /// Have nothing to do with a peer any more. The client does not.
    Ban {
        /// The peer.
        peer: PublicKey,
        /// What it did.
        fault: Fault,
    },
    /// A peer keeps the state of this block, which it says is the chain's: answer with [`Event::Trusted`],
    /// [`Event::Unlinked`] or [`Event::Caught`].
    Offered {
        /// The peer.
        peer: PublicKey,
        /// The block.
        pivot: Box<Pivot>,
    },
    /// A peer says that these are links of the chain: check one after the other, write those that hold, and answer with
    /// [`Event::Linked`], and [`Event::Caught`] where one does not hold.
    Links {
        /// The peer.
        peer: PublicKey,
        /// The links.
        links: Vec<Pivot>,
    },
    /// All is written: the database can be closed and opened as a chain's.
    Done,
    /// It cannot be done.
    Failed(ClientError),
}

/// Why a state cannot be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The block that was to be trusted is of another chain.
    #[error(
        "the block {pivot} at height {height} follows from block zero {found}, but the genesis file gives {expected}; check that this box and the others have the same genesis file"
    )]
    OtherChain {
        /// Its hash.
        pivot: B256,
        /// Its height.
        height: u64,
        /// The block zero that it follows from.
        found: B256,
        /// That of this box's chain.
        expected: B256,
    },
}
