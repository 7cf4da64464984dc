//! Transactions in the order in which a block takes them.

use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    ops::Bound::{Excluded, Unbounded},
};

use alloy_primitives::{Address, map::AddressMap};
use parking_lot::Mutex;

use crate::{
    VerifiedTransaction,
    index::HeadKey,
    inner::Inner,
    sender::{Entry, head_key},
};

/// Executable transactions: the highest effective tip first, then the one that came first; within a sender by nonce.
///
/// Each step takes the pool's lock for well under a microsecond and does work that is logarithmic in the pool, so a
/// proposal costs what it takes, not what the pool holds. Between steps the pool may change. What is yielded stays
/// valid for the block being built: per sender the nonces are consecutive from the start, each once. What arrives
/// meanwhile may or may not be seen.
pub struct BestTransactions<'a> {
    pool: &'a Mutex<Inner>,
    /// The last entry of the pool's heads that was looked at.
    cursor: Option<HeadKey>,
    /// Senders that have been started, and how they go on.
    started: AddressMap<Walk>,
    /// The next transaction of each started sender.
    next: BinaryHeap<Candidate>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Walk {
    /// Up to the end of the pending run.
    Pending,
    /// Blocks that are not finalized used nonces that this pool has not seen, and so closed its gap.
    Consecutive,
    /// Not at all.
    Skipped,
}

struct Candidate {
    key: HeadKey,
    transaction: VerifiedTransaction,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // A binary heap yields the greatest: the least key.
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Candidate {}

impl<'a> BestTransactions<'a> {
    /// Starts each sender in `used` at its nonce there, if that is beyond its account's, the others at their account's.
    pub(crate) fn new(pool: &'a Mutex<Inner>, used: impl IntoIterator<Item = (Address, u64)>) -> Self {
        let mut best = Self { pool, cursor: None, started: AddressMap::default(), next: BinaryHeap::new() };
        let inner = pool.lock();
        for (address, used) in used {
            let Some(sender) = inner.senders.get(&address) else { continue };
            let start = used.max(sender.account().nonce);
            let walk = if start > sender.pending_end() { Walk::Consecutive } else { Walk::Pending };
            best.started.insert(address, walk);
            best.push(&inner, address, start, walk);
        }
        drop(inner);
        best
    }

    /// Yields no further transaction of this sender: one that it sent cannot go into the block, so later ones cannot.
    pub fn skip_sender(&mut self, sender: Address) {
        self.started.insert(sender, Walk::Skipped);
    }

    /// Pushes the sender's transaction at `nonce`, if the walk reaches it.
    fn push(&mut self, inner: &Inner, address: Address, nonce: u64, walk: Walk) {
        let Some(sender) = inner.senders.get(&address) else { return };
        let reachable = match walk {
            Walk::Pending => sender.is_pending(nonce),
            Walk::Consecutive => true,
            Walk::Skipped => false,
        };
        if let Some(entry) = sender.entries().get(&nonce).filter(|_| reachable) {
            self.next.push(candidate(address, entry));
        }
    }

    /// The best first transaction of a sender that is not started.
    fn head(&mut self, inner: &Inner) -> Option<Candidate> {
        loop {
            let after = self.cursor.map_or(Unbounded, Excluded);
            let key = *inner.index.heads.range((after, Unbounded)).next()?;
            if !self.started.contains_key(&key.sender) {
                let (_, entry) = inner.senders.get(&key.sender)?.entries().first_key_value()?;
                return Some(candidate(key.sender, entry));
            }
            self.cursor = Some(key);
        }
    }
}

impl Iterator for BestTransactions<'_> {
    type Item = VerifiedTransaction;

    fn next(&mut self) -> Option<VerifiedTransaction> {
        let pool = self.pool;
        let inner = pool.lock();
        // Senders skipped since they were pushed.
        while self.next.peek().is_some_and(|next| self.started.get(&next.key.sender) == Some(&Walk::Skipped)) {
            self.next.pop();
        }
        let best = match self.head(&inner) {
            Some(head) if self.next.peek().is_none_or(|next| head.key < next.key) => {
                self.cursor = Some(head.key);
                self.started.insert(head.key.sender, Walk::Pending);
                head
            }
            _ => self.next.pop()?,
        };
        let sender = best.key.sender;
        let walk = self.started.get(&sender).copied().unwrap_or(Walk::Pending);
        // An accepted nonce is below 2^64 - 1.
        self.push(&inner, sender, best.transaction.nonce() + 1, walk);
        Some(best.transaction)
    }
}

fn candidate(sender: Address, entry: &Entry) -> Candidate {
    Candidate { key: head_key(sender, entry), transaction: entry.transaction.clone() }
}
