//! Taking transactions in.

use std::{sync::Arc, time::Duration};

use alloy_primitives::{Address, B256, Bytes};
use dolmen_pool::{AddError, Origin};
use dolmen_types::transaction;
use tokio::{sync::broadcast::error::RecvError, time::Instant};

use crate::{Backend, FinalizedBlock, RpcError};

impl Backend {
    /// Adds a signed transaction to the pool, from where it goes to the peers and into a block. Gives its hash.
    pub fn send_raw(&self, bytes: &[u8]) -> Result<B256, RpcError> {
        let transaction = transaction::decode(bytes)?;
        Ok(self.pool().add(transaction, Origin::Local, (self.parts.now_ms)())?.hash)
    }

    /// Adds a signed transaction and waits for its block (EIP-7966), `wait` at most. A transaction that the pool or
    /// the chain already has is waited for, too.
    pub async fn send_raw_sync(
        self: &Arc<Self>,
        bytes: Bytes,
        wait: Duration,
    ) -> Result<(Arc<FinalizedBlock>, usize), RpcError> {
        let deadline = Instant::now() + wait;
        // Subscribed first, so that no block is missed.
        let mut blocks = self.subscribe();
        let hash = self.read(move |backend| backend.send_or_find(&bytes)).await?;
        loop {
            if let Some(position) = self.read(move |backend| backend.position(&hash)).await? {
                return Ok(position);
            }
            match tokio::time::timeout_at(deadline, blocks.recv()).await {
                Ok(Ok(_) | Err(RecvError::Lagged(_))) => {}
                Ok(Err(RecvError::Closed)) => return Err(RpcError::Internal("the node is stopping")),
                Err(_) => return Err(RpcError::NotFinalizedInTime { hash, timeout_ms: wait.as_millis() }),
            }
        }
    }

    /// The nonce after an account's transactions that the pool can execute.
    pub fn pending_nonce(&self, address: &Address) -> u64 {
        self.pool().pending_nonce(address)
    }

    fn send_or_find(&self, bytes: &[u8]) -> Result<B256, RpcError> {
        let transaction = transaction::decode(bytes)?;
        let hash = *transaction.hash();
        if self.store().transaction(&hash)?.is_some() {
            return Ok(hash);
        }
        match self.pool().add(transaction, Origin::Local, (self.parts.now_ms)()) {
            Ok(_) | Err(AddError::AlreadyKnown) => Ok(hash),
            Err(error) => Err(error.into()),
        }
    }
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
}
