//! News for the proposer and for subscribers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use alloy_primitives::B256;
use tokio::sync::{
    broadcast::{
        self,
        error::{RecvError, TryRecvError},
    },
    watch,
};

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
        PendingHashes { hashes: self.hashes.subscribe(), lagged: Arc::clone(&self.lagged), missed: 0 }
    }

    pub(crate) fn lagged(&self) -> u64 {
        self.lagged.load(Ordering::Relaxed)
    }
}

/// Hashes of transactions as they become executable, for `newPendingTransactions`. A subscriber that falls more than
/// 1,024 batches behind loses the oldest and learns of it from [`Self::take_missed`];
/// [`Pool::lagged_batches`](crate::Pool::lagged_batches) counts the losses of all.
#[derive(Debug)]
pub struct PendingHashes {
    hashes: broadcast::Receiver<Arc<[B256]>>,
    lagged: Arc<AtomicU64>,
    missed: u64,
}

impl PendingHashes {
    /// The next batch; `None` once the pool is gone, or where batches were missed before it. Cancel safe.
    pub async fn recv(&mut self) -> Option<Arc<[B256]>> {
        match self.hashes.recv().await {
            Ok(batch) => Some(batch),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(batches)) => self.miss(batches),
        }
    }

    /// The next batch if there is one already; `None` as with [`Self::recv`], too. Unlike a poll of that it always sees
    /// what is there: tokio's budget of a task does not count.
    pub fn try_recv(&mut self) -> Option<Arc<[B256]>> {
        match self.hashes.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
            Err(TryRecvError::Lagged(batches)) => self.miss(batches),
        }
    }

    /// How many batches were missed since this was last asked. The next batch is the oldest that is left.
    pub const fn take_missed(&mut self) -> u64 {
        std::mem::replace(&mut self.missed, 0)
    }

    fn miss(&mut self, batches: u64) -> Option<Arc<[B256]>> {
        self.missed += batches;
        self.lagged.fetch_add(batches, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_what_it_missed() {
        let events = Events::new();
        let mut hashes = events.hashes();
        for index in 0..PENDING_HASHES_BATCHES + 3 {
            events.publish(1, vec![B256::with_last_byte(u8::try_from(index % 256).unwrap())]);
        }
        assert!(hashes.recv().await.is_none());
        assert_eq!((hashes.take_missed(), hashes.take_missed(), events.lagged()), (3, 0, 3));
        assert_eq!(hashes.recv().await.unwrap()[..], [B256::with_last_byte(3)]);
        drop(events);
        for _ in 1..PENDING_HASHES_BATCHES {
            assert!(hashes.try_recv().is_some());
        }
        assert!(hashes.try_recv().is_none() && hashes.recv().await.is_none());
        assert_eq!(hashes.take_missed(), 0);
    }

    /// Beyond the 128 operations after which tokio makes a task yield.
    #[tokio::test]
    async fn all_that_is_there_is_taken_without_waiting() {
        let events = Events::new();
        let mut hashes = events.hashes();
        (0..200).for_each(|_| events.publish(1, vec![B256::ZERO]));
        assert_eq!(std::iter::from_fn(|| hashes.try_recv()).count(), 200);
        assert_eq!(hashes.take_missed(), 0);
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
