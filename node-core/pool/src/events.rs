//! News for the proposer and for subscribers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::B256;
use tokio::sync::{broadcast, watch};

/// Batches of hashes that a slow subscriber may fall behind; each batch is what one operation made executable.
const PENDING_HASHES_BATCHES: usize = 1024;

/// Sends what the pool's operations changed; called outside the pool's lock.
#[derive(Debug)]
pub(crate) struct Events {
    activity: watch::Sender<u64>,
    hashes: broadcast::Sender<Arc<[B256]>>,
    lagged: Arc<AtomicU64>,
}

impl Events {
    pub(crate) fn new() -> Self {
        let (hashes, _) = broadcast::channel(PENDING_HASHES_BATCHES);
        Self { activity: watch::Sender::new(0), hashes, lagged: Arc::default() }
    }

    /// Tells the proposer that there are `added` new transactions, and subscribers which ones became executable.
    pub(crate) fn publish(&self, added: usize, promoted: Vec<B256>) {
        let news = added.max(promoted.len());
        if news > 0 {
            self.activity.send_modify(|count| *count = count.wrapping_add(news as u64));
        }
        if !promoted.is_empty() && self.hashes.receiver_count() > 0 {
            // Fails only where the last subscriber left meanwhile.
            let _ = self.hashes.send(promoted.into());
        }
    }

    pub(crate) fn activity(&self) -> watch::Receiver<u64> {
        self.activity.subscribe()
    }

    pub(crate) fn hashes(&self) -> PendingHashes {
        PendingHashes { hashes: self.hashes.subscribe(), lagged: Arc::clone(&self.lagged) }
    }

    pub(crate) fn lagged(&self) -> u64 {
        self.lagged.load(Ordering::Relaxed)
    }
}

/// Hashes of transactions as they become executable, for `newPendingTransactions`. A subscriber that falls more than
/// 1,024 batches behind loses the oldest; [`Pool::lagged_batches`](crate::Pool::lagged_batches) counts the losses.
#[derive(Debug)]
pub struct PendingHashes {
    hashes: broadcast::Receiver<Arc<[B256]>>,
    lagged: Arc<AtomicU64>,
}

impl PendingHashes {
    /// The next batch; `None` once the pool is gone. Cancel safe.
    pub async fn recv(&mut self) -> Option<Arc<[B256]>> {
        loop {
            match self.hashes.recv().await {
                Ok(batch) => return Some(batch),
                Err(broadcast::error::RecvError::Closed) => return None,
                Err(broadcast::error::RecvError::Lagged(batches)) => {
                    self.lagged.fetch_add(batches, Ordering::Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_oldest_and_is_counted() {
        let events = Events::new();
        let mut hashes = events.hashes();
        for index in 0..PENDING_HASHES_BATCHES + 3 {
            events.publish(1, vec![B256::with_last_byte(u8::try_from(index % 256).unwrap())]);
        }
        assert_eq!(hashes.recv().await.unwrap()[..], [B256::with_last_byte(3)]);
        assert_eq!(events.lagged(), 3);
        drop(events);
        for _ in 1..PENDING_HASHES_BATCHES {
            assert!(hashes.recv().await.is_some());
        }
        assert!(hashes.recv().await.is_none());
    }

    #[tokio::test]
    async fn activity_wakes_for_every_addition() {
        let events = Events::new();
        let mut activity = events.activity();
        assert!(!activity.has_changed().unwrap());
        events.publish(0, vec![]);
        assert!(!activity.has_changed().unwrap());
        events.publish(1, vec![]);
        activity.changed().await.unwrap();
        assert_eq!(*activity.borrow_and_update(), 1);
        events.publish(0, vec![B256::ZERO; 2]);
        assert_eq!(*activity.borrow_and_update(), 3);
    }
}
