//! What a peer did that no correct box does.

use std::fmt;

use alloy_primitives::B256;
use dolmen_governance::LightError;
use dolmen_store::snapshot::{Prefix, RangeError, SplitError, TrieId};
use dolmen_types::BlockError;

use crate::DecodeError;

/// A part of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Height of the block after which it is the state.
    pub height: u64,
    /// The trie.
    pub trie: TrieId,
    /// What the part's keys begin with.
    pub prefix: Prefix,
    /// Its hash, as the node above it says.
    pub expected: B256,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { height, trie, prefix, expected } = self;
        let of = if *prefix == Prefix::ROOT { "" } else { "prefix " };
        write!(f, "{of}{prefix} of {trie} at block {height}, which must hash to {expected}")
    }
}

/// Why a peer is banned. It shows that the peer lies or is broken: nothing that the network does to messages, and no
/// other peer, can make an honest one look so.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Leaves that are not the part's.
    #[error("sent for {place}, leaves that hash to {found}")]
    Range {
        /// The part.
        place: Box<Place>,
        /// The hash of what came.
        found: B256,
    },
    /// Leaves that are no part's.
    #[error("sent for {place}, what is no part of a trie")]
    Leaves {
        /// The part.
        place: Box<Place>,
        /// What is wrong.
        #[source]
        source: RangeError,
    },
    /// A node that is not the part's top.
    #[error("sent for {place}, a node that is not at its top")]
    Node {
        /// The part.
        place: Box<Place>,
        /// What is wrong.
        #[source]
        source: SplitError,
    },
    /// One leaf is never too large.
    #[error("said that {place}, is too large for a message, but it is one leaf")]
    OneLeaf {
        /// The part.
        place: Box<Place>,
    },
    /// A part that it would not send, although it could.
    #[error("said that {place}, is too large for a message, but its leaves have {bytes} bytes, of {max} at most")]
    NotTooLarge {
        /// The part.
        place: Box<Place>,
        /// Bytes of its leaves.
        bytes: usize,
        /// The most that fit.
        max: usize,
    },
    /// Slots that it left out, although they are few.
    #[error("left out the storage of account {account} at block {height}, which has only {slots} slots")]
    LeftOut {
        /// Height of the block.
        height: u64,
        /// The account's hashed key.
        account: B256,
        /// How many slots there are.
        slots: usize,
    },
    /// More or fewer of something than was asked for.
    #[error("sent {found} {what}, asked for {asked}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many were asked for.
        asked: usize,
        /// How many came.
        found: usize,
    },
    /// Other code.
    #[error("sent code that hashes to {found}, asked for {expected}")]
    Code {
        /// What was asked for.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// A header that is not the chain's.
    #[error("sent as the header of block {height} one that hashes to {found}, the one after it says {expected}")]
    Header {
        /// Its height.
        height: u64,
        /// What the header after it says.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// A block that is not the chain's.
    #[error("sent a wrong block {height} ({hash})")]
    Block {
        /// Its height.
        height: u64,
        /// Its hash.
        hash: B256,
        /// What is wrong.
        #[source]
        source: Box<BlockFault>,
    },
    /// A block that is not the chain's, or not its epoch's last.
    #[error("sent block {height} as the last of its epoch, which it does not prove")]
    Link {
        /// Its height.
        height: u64,
        /// What is wrong.
        #[source]
        source: Box<LightError>,
    },
    /// Another block than the chain's.
    #[error("sent block {height} as the last of its epoch with the hash {found}, the chain's is {expected}")]
    OtherLink {
        /// Its height.
        height: u64,
        /// The chain's hash there, as was proven before.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// Bytes that are no message.
    #[error("sent what is no message")]
    Malformed(#[source] DecodeError),
    /// An answer to something else.
    #[error("answered something else when it was asked for {asked}")]
    OtherKind {
        /// What it was asked for.
        asked: &'static str,
    },
}

/// What is wrong with a block, or with its receipts.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockFault {
    /// More bytes than the chain allows, or another number of them in each message.
    #[error("it is said to have {bytes} bytes, at most {max} can be right")]
    Length {
        /// How many.
        bytes: u64,
        /// The most.
        max: u64,
    },
    /// Not the two lists that it consists of.
    #[error("it is not a block and its receipts")]
    Form(#[source] alloy_rlp::Error),
    /// No block.
    #[error("it is no block")]
    Block(#[source] BlockError),
    /// Another block.
    #[error("it hashes to {0}")]
    Hash(B256),
    /// Another number of receipts than transactions.
    #[error("there are {receipts} receipts of {transactions} transactions")]
    Receipts {
        /// How many transactions.
        transactions: usize,
        /// How many receipts.
        receipts: usize,
    },
    /// Receipts that are not the block's.
    #[error("its receipts have the root {found}, the header says {expected}")]
    ReceiptsRoot {
        /// What the header says.
        expected: B256,
        /// What they have.
        found: B256,
    },
}
