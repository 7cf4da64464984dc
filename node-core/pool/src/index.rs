//! The pool's indices across senders, so that no operation walks the pool.

use std::{cmp::Reverse, collections::BTreeSet};

use alloy_primitives::{
    Address,
    map::{AddressMap, B256Map},
};

use crate::VerifiedTransaction;

/// Order of a sender's first pending transaction: highest effective tip first, then the one that came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HeadKey {
    pub(crate) tip: Reverse<u128>,
    /// Arrival, unique in the pool.
    pub(crate) sequence: u64,
    pub(crate) sender: Address,
}

/// Order of a sender's last transaction for eviction: queued before pending, then the lowest effective tip, then the
/// one that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TailKey {
    pub(crate) pending: bool,
    pub(crate) tip: u128,
    pub(crate) sequence: Reverse<u64>,
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
}

/// Order of a queued transaction for expiry: the one that is queued for longest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueuedKey {
    pub(crate) since_ms: u64,
    pub(crate) sequence: u64,
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
}

/// What the pool knows beside each sender's transactions.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Every transaction's place.
    pub(crate) by_hash: B256Map<(Address, u64)>,
    /// One entry for each sender with pending transactions.
    pub(crate) heads: BTreeSet<HeadKey>,
    /// One entry for each sender.
    pub(crate) tails: BTreeSet<TailKey>,
    /// Every queued transaction.
    pub(crate) queued: BTreeSet<QueuedKey>,
    /// How many EIP-7702 authorizations of each account the transactions carry.
    pub(crate) authorities: AddressMap<usize>,
    /// Encoded bytes of every transaction.
    pub(crate) bytes: usize,
}

impl Index {
    /// Transactions in the pool.
    pub(crate) fn len(&self) -> usize {
        self.by_hash.len()
    }

    /// Puts a sender's key in the place of its old one.
    pub(crate) fn replace<K: Ord + Copy>(set: &mut BTreeSet<K>, slot: &mut Option<K>, new: Option<K>) {
        if *slot == new {
            return;
        }
        if let Some(old) = slot {
            set.remove(old);
        }
        if let Some(key) = new {
            set.insert(key);
        }
        *slot = new;
    }

    /// Notes a transaction's place, size and authorities.
    pub(crate) fn add(&mut self, transaction: &VerifiedTransaction) {
        self.by_hash.insert(transaction.hash(), (transaction.sender(), transaction.nonce()));
        self.bytes += transaction.encoded_len();
        for authority in transaction.authorities().iter().flatten() {
            *self.authorities.entry(*authority).or_default() += 1;
        }
    }

    /// Forgets what [`Self::add`] noted.
    pub(crate) fn forget(&mut self, transaction: &VerifiedTransaction) {
        if self.by_hash.remove(&transaction.hash()).is_none() {
            return;
        }
        self.bytes -= transaction.encoded_len();
        for authority in transaction.authorities().iter().flatten() {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
    }
}
