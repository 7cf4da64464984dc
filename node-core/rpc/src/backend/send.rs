//! Taking transactions in.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes};
use dolmen_pool::{AddError, Origin};
use dolmen_types::transaction;
use tokio::time::{Instant, timeout_at};

use super::waiting::{Position, Wait};
use crate::{Backend, FinalizedBlock, RpcError};

impl Backend {
    /// Adds a signed transaction to the pool, from where it goes to the peers and into a block. Gives its hash.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<B256, RpcError> {
        let transaction = transaction::decode(bytes)?;
        Ok(self.pool().add(transaction, Origin::Local, (self.parts.now_ms)())?.hash)
    }

    /// Adds many, whose signatures are checked together; one result for each, in order.
    pub fn send_raw_all(&self, raw: &[Bytes]) -> Vec<Result<B256, RpcError>> {
        let mut transactions = Vec::with_capacity(raw.len());
        let decoded: Vec<_> = raw
            .iter()
            .map(|bytes| transaction::decode(bytes).map(|transaction| transactions.push((transaction, None))))
            .collect();
        let mut added = self.pool().add_batch(transactions, Origin::Local, (self.parts.now_ms)()).into_iter();
        let mut next_added = || added.next().expect("one result for each transaction");
        decoded.into_iter().map(|decoded| Ok(decoded.map(|()| next_added())??.hash)).collect()
    }

    /// Adds a signed transaction and waits for its block (EIP-7966), `wait` at most. A transaction that the pool or
    /// the chain already has is waited for, too.
    pub async fn send_raw_sync(
        self: &Arc<Self>,
        bytes: Bytes,
        wait: Duration,
    ) -> Result<(Arc<FinalizedBlock>, usize), RpcError> {
        let deadline = Instant::now() + wait;
        let (hash, mut next) = self.send(move |backend| backend.send_and_wait(&bytes)).await?;
        // The transaction is taken: whatever happens from here on, the caller gets its hash.
        let given_up = || RpcError::NotFinalizedInTime { hash, timeout_ms: wait.as_millis() };
        loop {
            let mut waiting = match next {
                Next::Found(position) => return Ok(position),
                Next::Wait(waiting) => waiting,
            };
            match timeout_at(deadline, waiting.position()).await {
                Ok(Some(position)) => return Ok(position),
                Ok(None) => {
                    let again = self.read(move |backend| backend.look_or_wait(hash));
                    next = timeout_at(deadline, again).await.map_err(|_| given_up())?.map_err(|_| given_up())?;
                }
                Err(_) => return Err(given_up()),
            }
        }
    }

    /// The nonce after an account's transactions that the pool can execute.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        self.pool().pending_nonce(address)
    }

    fn send_and_wait(&self, bytes: &[u8]) -> Result<(B256, Next), RpcError> {
        let transaction = transaction::decode(bytes)?;
        let hash = *transaction.hash();
        // Before all looks, so that no block is missed.
        let waiting = self.waiting.wait_for(hash);
        if self.store().transaction(&hash)?.is_none() {
            match self.pool().add(transaction, Origin::Local, (self.parts.now_ms)()) {
                Ok(_) | Err(AddError::AlreadyKnown) => {}
                // It may have been finalized between the look and the pool.
                Err(error) if self.store().transaction(&hash)?.is_none() => return Err(error.into()),
                Err(_) => {}
            }
        }
        Ok((hash, self.look(hash, waiting)?))
    }

    fn look_or_wait(&self, hash: B256) -> Result<Next, RpcError> {
        let waiting = self.waiting.wait_for(hash);
        self.look(hash, waiting)
    }

    fn look(&self, hash: B256, waiting: Wait) -> Result<Next, RpcError> {
        Ok(self.position(&hash)?.map_or(Next::Wait(waiting), Next::Found))
    }
}

/// What is to be done about a transaction that was sent.
enum Next {
    Found(Position),
    Wait(Wait),
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip2718::Encodable2718 as _;

    use super::*;
    use crate::testing::Chain;

    #[tokio::test]
    async fn waits_for_the_block() {
        let chain = Chain::new(Default::default());
        let transfer = chain.transfer(0, 5);
        let raw = Bytes::from(transfer.encoded_2718());
        let backend = chain.backend.clone();
        let waiting = tokio::spawn(async move { backend.send_raw_sync(raw, Duration::from_secs(10)).await });
        while chain.backend.pool().status().pending == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        chain.commit(&[]);
        chain.commit(std::slice::from_ref(&transfer));
        let (block, index) = waiting.await.unwrap().expect("finalized");
        assert_eq!((block.block().number(), index), (2, 0));
        // Once more: it is in the chain already.
        let raw = Bytes::from(transfer.encoded_2718());
        let again = chain.backend.send_raw_sync(raw, Duration::from_secs(10)).await.expect("known");
        assert_eq!(again.0.block().number(), 2);
    }

    #[tokio::test]
    async fn gives_up_in_time_with_the_hash() {
        let chain = Chain::new(Default::default());
        let transfer = chain.transfer(0, 5);
        let raw = Bytes::from(transfer.encoded_2718());
        let error = chain.backend.send_raw_sync(raw, Duration::from_millis(20)).await.expect_err("no block");
        assert!(matches!(error, RpcError::NotFinalizedInTime { hash, .. } if hash == *transfer.hash()));
        assert_eq!(error.code(), 4);
    }

    #[tokio::test]
    async fn a_busy_node_still_answers_what_it_took() {
        let limits = crate::RpcLimits { reads_concurrent_max: 1, heavy_concurrent_max: 1, ..Default::default() };
        let chain = Chain::new(limits);
        let (_reads, _heavy) = (chain.backend.reads.acquire().await, chain.backend.heavy.acquire().await);
        let transfer = chain.transfer(0, 5);
        let raw = Bytes::from(transfer.encoded_2718());
        let backend = chain.backend.clone();
        let waiting = tokio::spawn(async move { backend.send_raw_sync(raw, Duration::from_secs(10)).await });
        while chain.backend.pool().status().pending == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let block = chain.commit(std::slice::from_ref(&transfer));
        let (found, index) = waiting.await.unwrap().expect("told by the block itself");
        assert_eq!((found.block().hash(), index), (block.hash(), 0));
    }
}
