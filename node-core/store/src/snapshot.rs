//! The state after one block, cut into parts that are each proven by themselves: what a box with an empty database
//! takes from the others, instead of executing every block since block zero.
//!
//! # Parts
//!
//! A part of a trie is all its leaves whose keys begin with a [`Prefix`] at which one of its nodes begins. That node's
//! hash commits to exactly these leaves, and stands in the node above; the root's hash is the header's `stateRoot`, or
//! stands in an account. So a part is built and hashed on its own, in any order and from any box, and a wrong one is
//! told for sure: the state needs nothing but a header to be trusted.
//!
//! [`State::account_range`](crate::State::account_range) and [`State::storage_range`](crate::State::storage_range) give a part out, or, where it is larger than
//! [`RangeLimits::bytes`], the node at its top, which [`split()`] checks and cuts into the parts below. What comes back
//! is checked by [`accounts_hash`] and [`slots_hash`].
//!
//! An account's slots come with it where they are few ([`RangeLimits::inline_slots`]); their root is then not sent but
//! follows from them. A larger storage is named by its root and is a trie of its own.
//!
//! # A database being filled
//!
//! [`Filling`] is a database into which checked parts are written, and [`Progress`] is what it has: which parts, by
//! prefix and hash, and of which block. Each change of a `Progress` yields the [`Write`] that makes it durable together
//! with the data, in one synced batch. After a kill at any moment the two are one, and what was fetched is not fetched
//! again, though the block be another: a part whose hash is still right is still right.
//!
//! Such a database is marked, and [`Store::open`](crate::Store::open) refuses it until [`Progress::finish`] is written.
//! Then it is like any other, but that it has no blocks and no history before those that were fetched.

mod blocks;
mod filling;
mod pivots;
mod progress;
mod range;
mod records;
mod split;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

use alloy_primitives::{B256, U256};
use alloy_rlp::{BufMut, Decodable, EMPTY_LIST_CODE, EMPTY_STRING_CODE, Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::EMPTY_ROOT_HASH;

use crate::Account;

pub use crate::trie::{NodeError, Prefix};
pub use blocks::StoredBlock;
pub use filling::{Contents, Filling};
pub use pivots::{PIVOTS_KEPT, Pivot, Pivots};
pub use progress::{Held, Progress};
pub use range::{Excerpt, RangeError, accounts_hash, slots_hash};
pub use split::{Part, Split, SplitError, split};
pub use write::Write;

/// How large a part may be, and which storages come with their accounts. All boxes of a chain must have the same: what
/// is beyond them is told from a lie by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeLimits {
    /// Encoded bytes of a part's leaves. A part of one leaf may be larger.
    pub bytes: usize,
    /// The slots of an account with so many or fewer are part of its leaf.
    pub inline_slots: usize,
}

impl RangeLimits {
    /// Half a MiB, which is some 5,000 accounts or 7,000 slots: hashed in 10 ms, and a second on a line of 4 Mbit/s. An
    /// account with 256 slots takes 18 KiB of it at most.
    pub const STANDARD: Self = Self { bytes: 512 << 10, inline_slots: 256 };
}

/// One of the tries of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrieId {
    /// That of the accounts.
    Accounts,
    /// That of the slots of the account with this hashed key.
    Storage(B256),
}

/// A slot as a leaf of its trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Slot {
    /// keccak256 of its number.
    pub key: B256,
    /// Its value, which is not zero.
    pub value: U256,
}

/// An account as a leaf of its trie.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct AccountEntry {
    /// keccak256 of its address.
    pub key: B256,
    /// The account.
    pub account: Account,
    /// Its storage.
    pub storage: StorageEntry,
}

/// The storage of an account in a part of the account trie. In RLP a list, or a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageEntry {
    /// All its slots in ascending order of key; there may be none.
    Slots(Vec<Slot>),
    /// The root of one with more slots than [`RangeLimits::inline_slots`].
    Large(B256),
}

impl Encodable for StorageEntry {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Slots(slots) => slots.encode(out),
            Self::Large(root) => root.encode(out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Slots(slots) => slots.length(),
            Self::Large(root) => root.length(),
        }
    }
}

impl Decodable for StorageEntry {
    fn decode(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        if bytes.first().is_some_and(|first| *first >= EMPTY_LIST_CODE) {
            return Vec::decode(bytes).map(Self::Slots);
        }
        let root = B256::decode(bytes)?;
        if root == EMPTY_ROOT_HASH {
            Err(alloy_rlp::Error::Custom("no slots as a large storage"))
        } else {
            Ok(Self::Large(root))
        }
    }
}

impl Encodable for TrieId {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Accounts => out.put_u8(EMPTY_STRING_CODE),
            Self::Storage(account) => account.encode(out),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Accounts => 1,
            Self::Storage(account) => account.length(),
        }
    }
}

impl Decodable for TrieId {
    fn decode(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        if let Some(rest) = bytes.strip_prefix(&[EMPTY_STRING_CODE]) {
            *bytes = rest;
            return Ok(Self::Accounts);
        }
        B256::decode(bytes).map(Self::Storage)
    }
}

impl fmt::Display for TrieId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accounts => f.write_str("the account trie"),
            Self::Storage(account) => write!(f, "the storage of account {account}"),
        }
    }
}
