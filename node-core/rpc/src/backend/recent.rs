//! Decoded blocks with their receipts and senders: the latest ones, which nearly all requests are about, and those
//! asked for last.

use std::sync::{Arc, OnceLock, Weak};

use alloy_primitives::{Address, B256};
use dolmen_types::{Block, Receipt};
use lru::LruCache;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{Backend, Finalized, RpcError};

/// A finalized block, its receipts, and its senders once someone needed them all.
#[derive(Debug)]
pub struct FinalizedBlock {
    block: Arc<Block>,
    receipts: Arc<Vec<Receipt>>,
    senders: OnceLock<Arc<Vec<Address>>>,
    bytes: usize,
}

impl FinalizedBlock {
    fn new(block: Arc<Block>, receipts: Arc<Vec<Receipt>>) -> Self {
        let transactions = block.transactions().len() * TRANSACTION_BYTES;
        let receipts_bytes = receipts.iter().map(receipt_bytes).sum::<usize>();
        let bytes = BLOCK_BYTES + block.encoded_len() + transactions + receipts_bytes;
        Self { block, receipts, senders: OnceLock::new(), bytes }
    }

    /// The block.
    pub const fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// One receipt a transaction, in order.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    pub(super) const fn shared_receipts(&self) -> &Arc<Vec<Receipt>> {
        &self.receipts
    }
}

/// Memory of a block beside its encoding: the decoded header, and what holds it all. Most blocks have few transactions, so
/// without it the bound would be a fifth of what they take.
const BLOCK_BYTES: usize = 2560;
/// Of each transaction beside its encoding.
const TRANSACTION_BYTES: usize = 512;

/// Memory that a receipt takes, roughly: its bloom filter and its logs.
fn receipt_bytes(receipt: &Receipt) -> usize {
    256 + receipt.logs().iter().map(|log| 128 + 32 * log.topics().len() + log.data.data.len()).sum::<usize>()
}

/// Blocks by height, bounded by their bytes; the one unused for longest goes first.
pub(crate) struct RecentBlocks {
    blocks: LruCache<u64, Arc<FinalizedBlock>>,
    bytes: usize,
    bytes_max: usize,
}

impl RecentBlocks {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { blocks: LruCache::unbounded(), bytes: 0, bytes_max }
    }

    pub(crate) fn get(&mut self, number: u64) -> Option<Arc<FinalizedBlock>> {
        self.blocks.get(&number).cloned()
    }

    fn insert(&mut self, block: Arc<FinalizedBlock>) {
        self.bytes += block.bytes;
        if let Some(old) = self.blocks.put(block.block.number(), block) {
            self.bytes -= old.bytes;
        }
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.blocks.pop_lru() else { break };
            self.bytes -= oldest.bytes;
        }
    }
}

impl Backend {
    /// Keeps every block that the node announces, until the node or the backend is gone.
    pub(super) async fn follow(backend: Weak<Self>, mut events: broadcast::Receiver<Arc<Finalized>>) {
        loop {
            match events.recv().await {
                Ok(finalized) => {
                    let Some(backend) = backend.upgrade() else { return };
                    backend.remember(&finalized);
                }
                // Those blocks are read from the database when asked for.
                Err(RecvError::Lagged(_)) => match backend.upgrade() {
                    Some(backend) => backend.waiting.lose(),
                    None => return,
                },
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn remember(&self, finalized: &Finalized) {
        let block = FinalizedBlock::new(finalized.block.clone(), finalized.receipts.clone());
        let block = FinalizedBlock { senders: OnceLock::from(finalized.senders.clone()), ..block };
        let block = Arc::new(block);
        self.recent.lock().insert(block.clone());
        self.waiting.resolve(&block);
    }

    /// Whether the block at a height, with its receipts, is kept decoded.
    pub(super) fn is_kept(&self, number: u64) -> bool {
        self.recent.lock().get(number).is_some() || self.head().block.number() == number
    }

    /// The finalized block at a height with its receipts, `None` above the head.
    pub fn finalized(&self, number: u64) -> Result<Option<Arc<FinalizedBlock>>, RpcError> {
        // A commit writes a block before it makes it the head: until then it is none, receipts and all.
        if number > self.head().block.number() {
            return Ok(None);
        }
        if let Some(block) = self.recent.lock().get(number) {
            return Ok(Some(block));
        }
        let Some(block) = self.block_at(number)? else { return Ok(None) };
        let receipts = self.store().receipts(number)?.unwrap_or_default();
        if receipts.len() != block.transactions().len() {
            tracing::error!(number, receipts = receipts.len(), "a finalized block lacks receipts in the database");
            return Err(RpcError::Internal("the receipts of a block are missing"));
        }
        let block = Arc::new(FinalizedBlock::new(block, Arc::new(receipts)));
        self.recent.lock().insert(block.clone());
        Ok(Some(block))
    }

    /// The senders of a block's transactions, in order.
    pub fn senders(&self, block: &FinalizedBlock) -> Result<Arc<Vec<Address>>, RpcError> {
        if let Some(senders) = block.senders.get() {
            return Ok(senders.clone());
        }
        let verified = self.verified.verify_all(block.block.transactions(), &[])?;
        let senders = Arc::new(verified.iter().map(dolmen_pool::VerifiedTransaction::sender).collect::<Vec<_>>());
        Ok(block.senders.get_or_init(|| senders).clone())
    }

    /// The sender of one transaction of a block.
    pub fn sender(&self, block: &FinalizedBlock, index: usize) -> Result<Address, RpcError> {
        if let Some(senders) = block.senders.get() {
            return Ok(senders[index]);
        }
        Ok(self.verified.verify_all(&block.block.transactions()[index..=index], &[])?[0].sender())
    }

    /// Height of a finalized transaction's block.
    pub fn height_of(&self, hash: &B256) -> Result<Option<u64>, RpcError> {
        Ok(self.store().transaction(hash)?.map(|position| position.number))
    }

    /// Where a finalized transaction stands: its block and its place in it.
    pub fn position(&self, hash: &B256) -> Result<Option<(Arc<FinalizedBlock>, usize)>, RpcError> {
        let Some(position) = self.store().transaction(hash)? else { return Ok(None) };
        let Some(block) = self.finalized(position.number)? else { return Ok(None) };
        match usize::try_from(position.index) {
            Ok(index) if index < block.receipts.len() => Ok(Some((block, index))),
            _ => Err(RpcError::Internal("a stored transaction position is outside its block")),
        }
    }
}

#[cfg(test)]
mod tests {
    use dolmen_types::block::{BlockRules, Proposal, next_header};

    use super::*;

    fn block(number: u64) -> Arc<FinalizedBlock> {
        let parent = alloy_consensus::Header { number: number - 1, ..Default::default() };
        let header = next_header(
            &parent,
            B256::ZERO,
            Proposal { timestamp_ms: number, beneficiary: Address::ZERO },
            BlockRules::of(&parent),
        );
        Arc::new(FinalizedBlock::new(Arc::new(Block::seal(header, vec![])), Arc::default()))
    }

    #[test]
    fn the_least_used_blocks_go_first() {
        let bytes = block(1).bytes;
        let mut recent = RecentBlocks::new(bytes * 3 + 8);
        (1..=3).for_each(|number| recent.insert(block(number)));
        assert!(recent.get(1).is_some());
        recent.insert(block(4));
        assert!(recent.get(2).is_none());
        assert!([1, 3, 4].iter().all(|number| recent.get(*number).is_some()));
        // The same block again takes no more room.
        recent.insert(block(4));
        assert!([1, 3, 4].iter().all(|number| recent.get(*number).is_some()));
    }

    #[tokio::test]
    async fn a_block_above_the_head_is_none_even_where_it_is_known() {
        let chain = crate::testing::Chain::new(Default::default());
        let early = block(1);
        let finalized = Finalized {
            block: early.block().clone(),
            receipts: early.shared_receipts().clone(),
            senders: Arc::default(),
        };
        chain.backend.remember(&finalized);
        assert!(chain.backend.finalized(1).unwrap().is_none());
        assert!(chain.backend.block_at(1).unwrap().is_none());
        let committed = chain.commit(&[]);
        let found = chain.backend.block_at(1).unwrap().expect("the head");
        assert_eq!(found.hash(), committed.hash());
    }

    #[test]
    fn a_block_above_the_bound_is_not_kept() {
        let mut recent = RecentBlocks::new(10);
        recent.insert(block(1));
        assert!(recent.get(1).is_none());
        assert_eq!(recent.bytes, 0);
    }
}
