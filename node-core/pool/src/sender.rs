//! One sender's transactions in nonce order, and which of them are pending.

use std::{cmp::Reverse, collections::BTreeMap};

use alloy_primitives::{Address, B256, U256};

use crate::{
    AccountView, PoolConfig, VerifiedTransaction,
    index::{HeadKey, Index, QueuedKey, TailKey},
};

/// Where a transaction came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This box's RPC: it is announced to peers.
    Local,
    /// A peer's gossip: the peer announces it.
    Peer,
}

/// What became of an added transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Executable now.
    Pending,
    /// Waits for an earlier nonce.
    Queued,
}

/// A transaction was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its hash.
    pub hash: B256,
    /// Where it stands.
    pub placement: Placement,
    /// The transaction whose place it took.
    pub replaced: Option<B256>,
}

/// What an operation changed beyond what was asked for.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Newly pending.
    pub(crate) promoted: Vec<B256>,
    /// How many transactions left the pool.
    pub(crate) dropped: usize,
}

/// A transaction with what the pool notes about it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: VerifiedTransaction,
    /// Effective tip; constant, since the base fee is.
    pub(crate) tip: u128,
    pub(crate) cost: U256,
    /// Arrival, unique in the pool.
    pub(crate) sequence: u64,
    /// When it was queued last; meaningless while it is pending.
    pub(crate) queued_ms: u64,
}

/// A sender with at least one transaction.
///
/// The pending run is the nonces from `account.nonce` up to, not including, `pending_end`. Between two calls from
/// outside it is the longest run without a gap that the balance pays for; [`Self::settle`] makes it so.
#[derive(Debug)]
pub(crate) struct Sender {
    address: Address,
    account: AccountView,
    // Boxed: a tree node has room for eleven, and most senders have one transaction.
    entries: BTreeMap<u64, Box<Entry>>,
    pending_start: u64,
    pending_end: u64,
    pending_cost: U256,
    /// Encoded bytes of all transactions, and of the pending ones.
    bytes: usize,
    pending_bytes: usize,
    head: Option<HeadKey>,
    tail: Option<TailKey>,
}

impl Sender {
    pub(crate) fn new(address: Address, account: AccountView) -> Self {
        Self {
            address,
            account,
            entries: BTreeMap::new(),
            pending_start: account.nonce,
            pending_end: account.nonce,
            pending_cost: U256::ZERO,
            bytes: 0,
            pending_bytes: 0,
            head: None,
            tail: None,
        }
    }

    pub(crate) const fn account(&self) -> &AccountView {
        &self.account
    }

    pub(crate) const fn entries(&self) -> &BTreeMap<u64, Box<Entry>> {
        &self.entries
    }

    /// The nonce after the pending run.
    pub(crate) const fn pending_end(&self) -> u64 {
        self.pending_end
    }

    pub(crate) const fn pending_cost(&self) -> U256 {
        self.pending_cost
    }

    pub(crate) const fn is_pending(&self, nonce: u64) -> bool {
        nonce < self.pending_end
    }

    pub(crate) fn queued_len(&self) -> usize {
        self.entries.len() - self.pending_len()
    }

    /// Encoded bytes of its transactions.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Encoded bytes of its queued transactions.
    pub(crate) const fn queued_bytes(&self) -> usize {
        self.bytes - self.pending_bytes
    }

    pub(crate) fn pending_len(&self) -> usize {
        usize::try_from(self.pending_end - self.pending_start).expect("the run's transactions are in memory")
    }

    /// Takes a newer view of the account. Nonces never fall on a final chain, so a lower one is an older view.
    pub(crate) fn set_account(&mut self, account: AccountView) {
        if account.nonce >= self.account.nonce {
            self.account = account;
        }
    }

    /// Puts a transaction at its nonce; returns the hash of the one that was there. [`Self::settle`] must follow.
    pub(crate) fn put(&mut self, entry: Entry, index: &mut Index, changes: &mut Changes) -> Option<B256> {
        let nonce = entry.transaction.nonce();
        let old = self.entries.remove(&nonce);
        if let Some(old) = &old {
            self.forget(old, index);
        }
        if self.is_pending(nonce) {
            if let Some(old) = &old {
                self.pending_cost -= old.cost;
                self.pending_bytes -= old.transaction.encoded_len();
            }
            self.pending_cost = self.pending_cost.saturating_add(entry.cost);
            self.pending_bytes += entry.transaction.encoded_len();
            changes.promoted.push(entry.transaction.hash());
        } else {
            if let Some(old) = &old {
                index.queued.remove(&self.queued_key(old));
            }
            index.queued.insert(self.queued_key(&entry));
        }
        self.bytes += entry.transaction.encoded_len();
        index.add(&entry.transaction);
        self.entries.insert(nonce, Box::new(entry));
        old.map(|old| old.transaction.hash())
    }

    /// Takes a transaction out; pending ones after it become queued. [`Self::settle`] must follow.
    pub(crate) fn take(&mut self, nonce: u64, now_ms: u64, index: &mut Index) -> Option<VerifiedTransaction> {
        if !self.entries.contains_key(&nonce) {
            return None;
        }
        while self.is_pending(nonce) {
            self.demote_last(now_ms, index);
        }
        let entry = self.entries.remove(&nonce)?;
        index.queued.remove(&self.queued_key(&entry));
        self.forget(&entry, index);
        Some(entry.transaction)
    }

    /// Restores the rules: no used nonce, the longest affordable run is pending, the queue within its bounds.
    pub(crate) fn settle(&mut self, now_ms: u64, config: &PoolConfig, index: &mut Index, changes: &mut Changes) {
        self.drop_unusable(index, changes);
        while self.pending_cost > self.account.balance && self.pending_end > self.pending_start {
            self.demote_last(now_ms, index);
        }
        self.promote(index, changes);
        while self.queued_len() > config.queued_per_sender_max
            || self.queued_bytes() > config.queued_per_sender_bytes_max
        {
            let Some((_, entry)) = self.entries.pop_last() else { break };
            index.queued.remove(&self.queued_key(&entry));
            self.forget(&entry, index);
            changes.dropped += 1;
        }
        self.reindex(index);
    }

    /// Drops used nonces, and everything where the account may not send any more (EIP-3607).
    fn drop_unusable(&mut self, index: &mut Index, changes: &mut Changes) {
        while let Some(first) = self.entries.first_entry() {
            if *first.key() >= self.account.nonce && !self.account.has_code {
                break;
            }
            let (nonce, entry) = first.remove_entry();
            if self.is_pending(nonce) {
                self.pending_start = nonce + 1;
                self.pending_cost -= entry.cost;
                self.pending_bytes -= entry.transaction.encoded_len();
            } else {
                index.queued.remove(&self.queued_key(&entry));
            }
            self.forget(&entry, index);
            changes.dropped += 1;
        }
        self.pending_start = self.account.nonce;
        // The run is empty where the account overtook it or may not send.
        if self.pending_end < self.account.nonce || self.account.has_code {
            self.pending_end = self.account.nonce;
        }
    }

    fn demote_last(&mut self, now_ms: u64, index: &mut Index) {
        self.pending_end -= 1;
        let entry = self.entries.get_mut(&self.pending_end).expect("the pending run has no gap");
        entry.queued_ms = now_ms;
        self.pending_cost -= entry.cost;
        self.pending_bytes -= entry.transaction.encoded_len();
        index.queued.insert(queued_key(self.address, entry));
    }

    fn promote(&mut self, index: &mut Index, changes: &mut Changes) {
        while let Some(entry) = self.entries.get(&self.pending_end) {
            let affordable = |cost: &U256| *cost <= self.account.balance;
            let Some(cost) = self.pending_cost.checked_add(entry.cost).filter(affordable) else { break };
            index.queued.remove(&queued_key(self.address, entry));
            changes.promoted.push(entry.transaction.hash());
            self.pending_cost = cost;
            self.pending_bytes += entry.transaction.encoded_len();
            self.pending_end += 1;
        }
    }

    /// Takes an entry that left `entries` out of the counts of all.
    fn forget(&mut self, entry: &Entry, index: &mut Index) {
        self.bytes -= entry.transaction.encoded_len();
        index.forget(&entry.transaction);
    }

    fn reindex(&mut self, index: &mut Index) {
        let first = self.entries.first_key_value().filter(|(nonce, _)| self.is_pending(**nonce));
        let head = first.map(|(_, entry)| head_key(self.address, entry));
        let tail = self.entries.last_key_value().map(|(_, entry)| self.tail_key(entry));
        Index::replace(&mut index.heads, &mut self.head, head);
        Index::replace(&mut index.tails, &mut self.tail, tail);
    }

    /// Where `entry` would stand for eviction, were it the sender's last.
    pub(crate) fn tail_key(&self, entry: &Entry) -> TailKey {
        let nonce = entry.transaction.nonce();
        TailKey {
            pending: self.is_pending(nonce),
            tip: entry.tip,
            sequence: Reverse(entry.sequence),
            sender: self.address,
            nonce,
        }
    }

    fn queued_key(&self, entry: &Entry) -> QueuedKey {
        queued_key(self.address, entry)
    }
}

pub(crate) fn head_key(sender: Address, entry: &Entry) -> HeadKey {
    HeadKey { tip: Reverse(entry.tip), sequence: entry.sequence, sender }
}

fn queued_key(sender: Address, entry: &Entry) -> QueuedKey {
    QueuedKey { since_ms: entry.queued_ms, sequence: entry.sequence, sender, nonce: entry.transaction.nonce() }
}
