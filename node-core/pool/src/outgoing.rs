//! Local transactions on their way to peers: a bounded queue, and a schedule for announcing again what stays.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::B256;

use crate::{
    PoolConfig, VerifiedTransaction,
    gossip::{GossipLimits, item_len, message_len},
};

/// How often one transaction is announced. The wait doubles, so with 5 s the last time is after about 10 minutes:
/// a peer that was away for longer gets transactions in blocks.
const ANNOUNCEMENTS_MAX: u32 = 8;

/// A transaction to announce.
#[derive(Clone, Debug)]
pub(crate) struct Announcement {
    pub(crate) transaction: VerifiedTransaction,
    /// How often it was announced before.
    times: u32,
}

/// The queue and the schedule.
#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: VecDeque<Announcement>,
    queue_max: usize,
    /// What to announce again, by due time and a number that keeps keys apart.
    again: BTreeMap<(u64, u64), (B256, u32)>,
    again_max: usize,
    again_after_ms: u64,
    next_number: u64,
    /// How many found the schedule full since this was last asked.
    refused: u64,
}

impl Outgoing {
    pub(crate) fn new(config: &PoolConfig) -> Self {
        Self {
            queue: VecDeque::new(),
            queue_max: config.outgoing_max,
            again: BTreeMap::new(),
            again_max: config.transactions_max,
            again_after_ms: config.rebroadcast_after_ms,
            next_number: 0,
            refused: 0,
        }
    }

    /// Queues a new local transaction. Where the queue is full it is only scheduled: the rebroadcast announces it.
    pub(crate) fn push(&mut self, transaction: VerifiedTransaction, now_ms: u64) {
        if self.queue.len() < self.queue_max {
            self.queue.push_back(Announcement { transaction, times: 0 });
        } else {
            self.schedule(transaction.hash(), 0, now_ms);
        }
    }

    /// Takes what fits in one message.
    pub(crate) fn take(&mut self, limits: &GossipLimits) -> Vec<Announcement> {
        let (mut batch, mut payload_len) = (Vec::new(), 0);
        while let Some(next) = self.queue.front() {
            let len = payload_len + item_len(&next.transaction);
            if message_len(len) > limits.message_bytes_max || batch.len() == limits.transactions_max {
                if !batch.is_empty() {
                    break;
                }
                // It fits in no message: the limits contradict the pool's.
                tracing::warn!(hash = %next.transaction.hash(), "transaction larger than a gossip message");
                self.queue.pop_front();
                continue;
            }
            payload_len = len;
            batch.extend(self.queue.pop_front());
        }
        batch
    }

    /// Notes that these were announced now.
    pub(crate) fn announced(&mut self, batch: &[Announcement], now_ms: u64) {
        for Announcement { transaction, times } in batch {
            self.schedule(transaction.hash(), times + 1, now_ms);
        }
    }

    /// Takes one that is due again: its hash, and how often it was announced.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<(B256, u32)> {
        self.again.first_entry().filter(|first| first.key().0 <= now_ms).map(|first| first.remove())
    }

    /// Queues a transaction that was due again.
    pub(crate) fn push_again(&mut self, transaction: VerifiedTransaction, times: u32, now_ms: u64) {
        if self.queue.len() < self.queue_max {
            self.queue.push_back(Announcement { transaction, times });
        } else {
            self.schedule(transaction.hash(), times, now_ms);
        }
    }

    /// How many found the schedule full since this was last asked.
    pub(crate) const fn take_refused(&mut self) -> u64 {
        std::mem::replace(&mut self.refused, 0)
    }

    fn schedule(&mut self, hash: B256, times: u32, now_ms: u64) {
        if times >= ANNOUNCEMENTS_MAX {
            return;
        }
        if self.again.len() >= self.again_max {
            self.refused += 1;
            return;
        }
        // 5 s, then 10 s, 20 s and so on.
        let wait_ms = self.again_after_ms.saturating_mul(1 << times.saturating_sub(1));
        self.again.insert((now_ms.saturating_add(wait_ms), self.next_number), (hash, times));
        self.next_number += 1;
    }
}
