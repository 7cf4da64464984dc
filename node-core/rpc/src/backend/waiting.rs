//! Who waits for a transaction's block.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::B256;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::FinalizedBlock;

/// A finalized transaction: its block and its place in it.
pub(super) type Position = (Arc<FinalizedBlock>, usize);

/// The waiting requests by transaction, so that a block costs each of them nothing that it does not concern. Bounded by
/// the requests in progress.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<HashMap<B256, Vec<oneshot::Sender<Position>>>>);

/// One request's wait; it ends with the value.
#[derive(Debug)]
pub(super) struct Wait {
    waiting: Arc<Waiting>,
    hash: B256,
    position: oneshot::Receiver<Position>,
}

impl Waiting {
    pub(super) fn wait_for(self: &Arc<Self>, hash: B256) -> Wait {
        let (found, position) = oneshot::channel();
        self.0.lock().entry(hash).or_default().push(found);
        Wait { waiting: self.clone(), hash, position }
    }

    /// Answers those who wait for a transaction of this block.
    pub(super) fn resolve(&self, block: &Arc<FinalizedBlock>) {
        let mut waiting = self.0.lock();
        if waiting.is_empty() {
            return;
        }
        for (index, transaction) in block.block().transactions().iter().enumerate() {
            for found in waiting.remove(transaction.hash()).into_iter().flatten() {
                // Fails only where the request was given up meanwhile.
                let _ = found.send((block.clone(), index));
            }
        }
    }

    /// Blocks went by unseen: all have to look for themselves and wait anew.
    pub(super) fn lose(&self) {
        self.0.lock().clear();
    }
}

impl Wait {
    /// The position; `None` where blocks were missed, among them maybe the one.
    pub(super) async fn position(&mut self) -> Option<Position> {
        (&mut self.position).await.ok()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.position.close();
        let mut waiting = self.waiting.0.lock();
        if let Some(others) = waiting.get_mut(&self.hash) {
            others.retain(|other| !other.is_closed());
            if others.is_empty() {
                waiting.remove(&self.hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_and_who_gave_up_leaves_nothing() {
        let waiting = Arc::new(Waiting::default());
        let (mut lost, gone) = (waiting.wait_for(B256::ZERO), waiting.wait_for(B256::ZERO));
        drop(gone);
        assert_eq!(waiting.0.lock()[&B256::ZERO].len(), 1);
        waiting.lose();
        assert!(lost.position().await.is_none());
        let again = waiting.wait_for(B256::ZERO);
        drop((lost, again));
        assert!(waiting.0.lock().is_empty());
    }
}
