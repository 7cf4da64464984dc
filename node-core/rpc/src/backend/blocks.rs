//! Blocks, transactions and state by block parameter.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use dolmen_pool::VerifiedTransaction;
use dolmen_store::{Account, AccountProof, Head, StateReader};
use dolmen_types::{Block, Transaction};

use crate::{Backend, FinalizedBlock, RpcError};

/// Where a transaction was found.
#[derive(Clone, Debug)]
pub enum FoundTransaction {
    /// In a finalized block.
    Finalized {
        /// The block.
        block: Arc<FinalizedBlock>,
        /// Its place in the block.
        index: usize,
        /// Who sent it.
        sender: Address,
    },
    /// In the pool.
    Pooled(VerifiedTransaction),
}

impl FoundTransaction {
    /// The transaction.
    pub fn transaction(&self) -> &Transaction {
        match self {
            Self::Finalized { block, index, .. } => &block.block().transactions()[*index],
            Self::Pooled(verified) => verified.transaction(),
        }
    }
}

impl Backend {
    /// The last finalized block and its state.
    pub fn head(&self) -> Arc<Head> {
        self.store().head()
    }

    /// Height of the block that a parameter names, `None` where there is none. `latest`, `safe`, `finalized` and
    /// `pending` are the head: a finalized block is final, and nothing newer has been executed.
    pub fn number_of(&self, id: BlockId) -> Result<Option<u64>, RpcError> {
        let head = self.head();
        let latest = head.block.number();
        Ok(match id {
            BlockId::Number(BlockNumberOrTag::Number(number)) => (number <= latest).then_some(number),
            BlockId::Number(BlockNumberOrTag::Earliest) => Some(0),
            BlockId::Number(_) => Some(latest),
            BlockId::Hash(hash) if hash.block_hash == head.block.hash() => Some(latest),
            // Every stored block is finalized, so `requireCanonical` always holds.
            BlockId::Hash(hash) => self.store().number_of(&hash.block_hash)?.filter(|number| *number <= latest),
        })
    }

    /// The block that a parameter names.
    pub fn block(&self, id: BlockId) -> Result<Option<Arc<Block>>, RpcError> {
        match self.number_of(id)? {
            Some(number) => self.block_at(number),
            None => Ok(None),
        }
    }

    /// The block at a height.
    pub fn block_at(&self, number: u64) -> Result<Option<Arc<Block>>, RpcError> {
        let head = self.head();
        if head.block.number() == number {
            return Ok(Some(head.block.clone()));
        }
        if number > head.block.number() {
            return Ok(None);
        }
        if let Some(recent) = self.recent.lock().get(number) {
            return Ok(Some(recent.block().clone()));
        }
        Ok(self.store().block(number)?.map(Arc::new))
    }

    /// The block that a parameter names, with its receipts.
    pub fn finalized_block(&self, id: BlockId) -> Result<Option<Arc<FinalizedBlock>>, RpcError> {
        match self.number_of(id)? {
            Some(number) => self.finalized(number),
            None => Ok(None),
        }
    }

    /// The header that a parameter names and its hash.
    pub fn header(&self, id: BlockId) -> Result<Option<(Header, B256)>, RpcError> {
        let Some(number) = self.number_of(id)? else { return Ok(None) };
        let head = self.head();
        if head.block.number() == number {
            return Ok(Some((head.block.header().clone(), head.block.hash())));
        }
        Ok(self.store().header(number)?.map(|header| {
            let hash = header.hash_slow();
            (header, hash)
        }))
    }

    /// A transaction of a finalized block or of the pool.
    pub fn transaction(&self, hash: &B256) -> Result<Option<FoundTransaction>, RpcError> {
        if let Some((block, index)) = self.position(hash)? {
            return self.transaction_in(block, index);
        }
        if let Some(pooled) = self.pool().get(hash) {
            return Ok(Some(FoundTransaction::Pooled(pooled)));
        }
        // It may have gone from the pool into a block between the two looks.
        match self.position(hash)? {
            Some((block, index)) => self.transaction_in(block, index),
            None => Ok(None),
        }
    }

    /// The transaction at a place in a block.
    pub fn transaction_in(
        &self,
        block: Arc<FinalizedBlock>,
        index: usize,
    ) -> Result<Option<FoundTransaction>, RpcError> {
        if index >= block.block().transactions().len() {
            return Ok(None);
        }
        let sender = self.sender(&block, index)?;
        Ok(Some(FoundTransaction::Finalized { block, index, sender }))
    }

    /// The state after the block that a parameter names, with that block's header.
    pub fn state(&self, id: BlockId) -> Result<(Header, Box<dyn StateReader>), RpcError> {
        let number = self.number_of(id)?.ok_or(RpcError::HeaderNotFound)?;
        let head = self.head();
        if head.block.number() == number {
            return Ok((head.block.header().clone(), Box::new(head.state.clone())));
        }
        let header = self.store().header(number)?.ok_or(RpcError::HeaderNotFound)?;
        Ok((header, self.store().state_at(number)?))
    }

    /// An account after the block that a parameter names; an absent one is the default.
    pub fn account(&self, address: &Address, id: BlockId) -> Result<Account, RpcError> {
        Ok(self.state(id)?.1.account(address)?.unwrap_or_default())
    }

    /// An account's code.
    pub fn code(&self, address: &Address, id: BlockId) -> Result<Bytes, RpcError> {
        let (_, state) = self.state(id)?;
        match state.account(address)? {
            Some(account) if account.code_hash != KECCAK256_EMPTY => {
                Ok(state.code(&account.code_hash)?.unwrap_or_default())
            }
            _ => Ok(Bytes::new()),
        }
    }

    /// A slot of an account.
    pub fn storage(&self, address: &Address, slot: &U256, id: BlockId) -> Result<U256, RpcError> {
        Ok(self.state(id)?.1.storage(address, slot)?)
    }

    /// Merkle proofs of an account and slots of it (EIP-1186).
    pub fn proof(&self, address: &Address, slots: &[U256], id: BlockId) -> Result<AccountProof, RpcError> {
        let number = self.number_of(id)?.ok_or(RpcError::HeaderNotFound)?;
        Ok(self.store().trie_at(number)?.proof(address, slots))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Chain;

    #[tokio::test]
    async fn tags_name_the_head() {
        let chain = Chain::new(Default::default());
        chain.commit(&[]);
        chain.commit(&[]);
        let backend = &chain.backend;
        for id in [BlockId::latest(), BlockId::safe(), BlockId::finalized(), BlockId::pending(), BlockId::number(2)] {
            assert_eq!(backend.number_of(id).unwrap(), Some(2), "{id}");
        }
        assert_eq!(backend.number_of(BlockId::earliest()).unwrap(), Some(0));
        assert_eq!(backend.number_of(BlockId::number(3)).unwrap(), None);
        let hash = backend.store().hash_of(1).unwrap().unwrap();
        assert_eq!(backend.number_of(BlockId::hash_canonical(hash)).unwrap(), Some(1));
        assert_eq!(backend.number_of(BlockId::hash(B256::repeat_byte(1))).unwrap(), None);
    }

    #[tokio::test]
    async fn a_transaction_moves_from_the_pool_to_a_block() {
        let chain = Chain::new(Default::default());
        let transfer = chain.transfer(0, 1);
        let hash = *transfer.hash();
        assert!(chain.backend.transaction(&hash).unwrap().is_none());
        chain.pool_add(transfer.clone());
        let found = chain.backend.transaction(&hash).unwrap().expect("in the pool");
        assert!(matches!(found, FoundTransaction::Pooled(_)));
        chain.commit(std::slice::from_ref(&transfer));
        let found = chain.backend.transaction(&hash).unwrap().expect("in a block");
        let FoundTransaction::Finalized { block, index, sender } = found else { panic!("still pooled") };
        assert_eq!((block.block().number(), index, sender), (1, 0, chain.sender()));
    }
}
