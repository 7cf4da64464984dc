//! Making room in a full pool.

use std::{cmp::Reverse, collections::BinaryHeap};

use alloy_primitives::Address;

use crate::{index::TailKey, inner::Inner};

/// Most transactions that one newcomer may push out: a large one must not cost the pool hundreds of small ones.
pub(crate) const VICTIMS_MAX: usize = 16;

/// A transaction that wants room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newcomer {
    pub(crate) sender: Address,
    /// It would be executable.
    pub(crate) pending: bool,
    pub(crate) tip: u128,
}

/// What must be freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shortage {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Newcomer {
    /// Whether it is worth more: an executable transaction outranks every queued one, since on a chain without fees
    /// nothing else would ever move a queue out of the way; among equals the higher effective tip wins.
    fn outranks(&self, victim: &TailKey) -> bool {
        (self.pending, self.tip) > (victim.pending, victim.tip)
    }
}

impl Inner {
    /// Chooses what to drop for `newcomer`: always the last transaction that some sender has left, the least worthy
    /// first. `None` where what would have to go is not worth less, or is too much. Drops nothing itself.
    pub(crate) fn victims(&self, newcomer: Newcomer, shortage: Shortage) -> Option<Vec<(Address, u64)>> {
        let mut chosen = Vec::new();
        let mut freed = Shortage { count: 0, bytes: 0 };
        let mut tails = self.index.tails.iter().copied().peekable();
        // What comes up when a sender's last transaction is chosen: the one before it.
        let mut uncovered = BinaryHeap::<Reverse<TailKey>>::new();
        while freed.count < shortage.count || freed.bytes < shortage.bytes {
            let from_uncovered = match (uncovered.peek(), tails.peek()) {
                (Some(Reverse(left)), Some(right)) => left < right,
                (left, _) => left.is_some(),
            };
            let victim = if from_uncovered { uncovered.pop().map(|Reverse(key)| key) } else { tails.next() }?;
            // Not its own sender's: that could leave a gap before the newcomer.
            if victim.sender == newcomer.sender {
                continue;
            }
            if !newcomer.outranks(&victim) || chosen.len() == VICTIMS_MAX {
                return None;
            }
            let sender = self.senders.get(&victim.sender)?;
            freed.count += 1;
            freed.bytes += sender.entries().get(&victim.nonce)?.transaction.encoded_len();
            chosen.push((victim.sender, victim.nonce));
            if let Some((_, previous)) = sender.entries().range(..victim.nonce).next_back() {
                uncovered.push(Reverse(sender.tail_key(previous)));
            }
        }
        Some(chosen)
    }
}
