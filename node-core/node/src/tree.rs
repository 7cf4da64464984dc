//! The finalized head and the executed blocks above it that may still be finalized.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::{Address, B256};
use dolmen_execution::BlockHashes;
use dolmen_pool::VerifiedTransaction;
use dolmen_store::{Executed, State, Store, StoreError};
use dolmen_types::Block;
use parking_lot::Mutex;

use crate::limits::{SPECULATIVE_BLOCKS_MAX, UNCOMMITTED_BLOCKS_MAX};

/// A block that this box executed, with its verified transactions.
pub(crate) struct Layer {
    pub(crate) executed: Executed,
    pub(crate) transactions: Vec<VerifiedTransaction>,
}

impl Layer {
    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.executed.block
    }
}

/// Executed blocks by hash. A layer's state shares all that it did not change with its parent's, and stands by itself: a
/// layer may go while its children stay. What must stay until the commit is how they are linked, since the EVM reads the
/// hashes of ancestors.
pub(crate) struct Tree {
    store: Arc<Store>,
    layers: Mutex<Layers>,
}

#[derive(Default)]
struct Layers {
    by_hash: HashMap<B256, Arc<Layer>>,
    /// In order of insertion, for the bound.
    order: VecDeque<B256>,
    /// Height and parent of every executed block above the head, by hash.
    links: HashMap<B256, (u64, B256)>,
}

impl Layers {
    /// The blocks from `hash` back to the head, newest first; `None` where they do not lead there.
    fn ancestors(&self, mut hash: B256, head: &Block) -> Option<Vec<(u64, B256)>> {
        let mut ancestors = Vec::new();
        while hash != head.hash() {
            let (number, parent) = *self.links.get(&hash)?;
            ancestors.push((number, hash));
            hash = parent;
        }
        Some(ancestors)
    }
}

/// A block to build on: its state, and what its unfinalized ancestors did.
pub(crate) struct Base {
    pub(crate) state: State,
    /// Next nonce of every sender in the unfinalized ancestors.
    pub(crate) used_nonces: HashMap<Address, u64>,
    pub(crate) hashes: AncestorHashes,
}

/// Hashes of unfinalized ancestors over those of the finalized chain.
pub(crate) struct AncestorHashes {
    recent: HashMap<u64, B256>,
    store: Arc<Store>,
}

impl BlockHashes for AncestorHashes {
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        match self.recent.get(&number) {
            Some(hash) => Ok(Some(*hash)),
            None => self.store.hash_of(number),
        }
    }
}

impl Tree {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, layers: Mutex::default() }
    }

    pub(crate) fn contains(&self, hash: &B256) -> bool {
        self.layers.lock().by_hash.contains_key(hash) || self.store.head().block.hash() == *hash
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<Arc<Layer>> {
        self.layers.lock().by_hash.get(hash).cloned()
    }

    /// Keeps an executed block; beyond the bound the oldest goes, which would have to be executed again.
    pub(crate) fn insert(&self, layer: Arc<Layer>) {
        let hash = layer.block().hash();
        let mut layers = self.layers.lock();
        if layers.links.len() >= UNCOMMITTED_BLOCKS_MAX {
            return;
        }
        layers.links.insert(hash, (layer.block().number(), layer.block().header().parent_hash));
        if layers.by_hash.insert(hash, layer).is_none() {
            layers.order.push_back(hash);
        }
        while layers.by_hash.len() > SPECULATIVE_BLOCKS_MAX {
            let Some(oldest) = layers.order.pop_front() else { break };
            layers.by_hash.remove(&oldest);
        }
    }

    /// What to build on or execute after the block `parent`; `None` where its state is not at hand.
    pub(crate) fn base(&self, parent: &Block) -> Option<Base> {
        // The layers first: a block finalized in between is then found in either place, with the same state.
        let layers = self.layers.lock();
        let head = self.store.head();
        let state = match layers.by_hash.get(&parent.hash()) {
            Some(layer) => layer.executed.state.clone(),
            None if head.block.hash() == parent.hash() => head.state.clone(),
            None => return None,
        };
        let ancestors = layers.ancestors(parent.hash(), &head.block)?;
        let mut used_nonces: HashMap<Address, u64> = HashMap::new();
        for layer in ancestors.iter().filter_map(|(_, hash)| layers.by_hash.get(hash)) {
            for transaction in &layer.transactions {
                let next = used_nonces.entry(transaction.sender()).or_default();
                *next = (*next).max(transaction.nonce() + 1);
            }
        }
        let hashes = AncestorHashes { recent: ancestors.into_iter().collect(), store: self.store.clone() };
        Some(Base { state, used_nonces, hashes })
    }

    /// Forgets every block up to a finalized height: they are in the store or will never be.
    pub(crate) fn finalize(&self, height: u64) {
        let mut layers = self.layers.lock();
        layers.by_hash.retain(|_, layer| layer.block().number() > height);
        let Layers { by_hash, order, links } = &mut *layers;
        order.retain(|hash| by_hash.contains_key(hash));
        links.retain(|_, (number, _)| *number > height);
    }

    pub(crate) fn len(&self) -> usize {
        self.layers.lock().by_hash.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use dolmen_execution::{BlockLimits, Executor, Transactions};
    use dolmen_store::Options;
    use dolmen_types::{
        Genesis, PublicKey, Validator,
        block::{Proposal, next_header},
        genesis::GenesisFile,
    };

    use super::*;

    struct Nothing;

    impl Transactions for Nothing {
        fn next(&mut self) -> Option<VerifiedTransaction> {
            None
        }

        fn skip_sender(&mut self, _: Address) {}
    }

    fn store(path: &std::path::Path) -> Arc<Store> {
        let validator = Validator { name: "a".into(), public_key: PublicKey([1; 32]), fee_recipient: Address::ZERO };
        let genesis: Genesis = GenesisFile {
            chain_id: 1,
            timestamp_ms: 1_790_000_000_000,
            gas_limit: 30_000_000,
            base_fee_per_gas: 1,
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            block_bytes_max: 1 << 20,
            validators: vec![validator],
            accounts: Default::default(),
        }
        .try_into()
        .unwrap();
        Arc::new(Store::open(path, &genesis, Options { history_depth: 10.try_into().unwrap() }).unwrap())
    }

    /// An empty block on `parent`, at one of two times so that siblings differ.
    fn child(tree: &Tree, parent: &Block, later: bool) -> Arc<Layer> {
        let base = tree.base(parent).expect("the parent leads to the head");
        let proposal = Proposal {
            timestamp_ms: parent.timestamp_ms().unwrap() + 1 + u64::from(later),
            beneficiary: Address::ZERO,
        };
        let header = next_header(parent.header(), parent.hash(), proposal);
        let limits = BlockLimits { bytes_max: 1 << 20, deadline: Instant::now() + Duration::from_secs(60) };
        let built = Executor::new(1).build(&base.state, &base.hashes, header, &mut Nothing, limits).unwrap();
        Arc::new(Layer { executed: built.executed, transactions: built.transactions })
    }

    /// More uncommitted blocks than layers are kept: `BLOCKHASH` must still see all of them, or boxes would disagree.
    #[test]
    fn hashes_of_uncommitted_ancestors_outlive_their_layers() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(store(dir.path()));
        let mut hashes = vec![tree.store.head().block.hash()];
        let mut tip = tree.store.head().block.clone();
        for _ in 0..SPECULATIVE_BLOCKS_MAX + 20 {
            let layer = child(&tree, &tip, false);
            tip = layer.block().clone();
            hashes.push(tip.hash());
            tree.insert(layer);
        }
        assert_eq!(tree.len(), SPECULATIVE_BLOCKS_MAX);
        assert!(!tree.contains(&hashes[1]), "the oldest layer is gone");
        let base = tree.base(&tip).unwrap();
        for (number, hash) in (0..).zip(&hashes) {
            assert_eq!(base.hashes.block_hash(number).unwrap(), Some(*hash), "block {number}");
        }
    }

    #[test]
    fn a_block_that_does_not_lead_to_the_head_has_no_base() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(store(dir.path()));
        let genesis = tree.store.head().block.clone();
        let (left, right) = (child(&tree, &genesis, false), child(&tree, &genesis, true));
        tree.insert(left.clone());
        tree.insert(right.clone());
        let grandchild = child(&tree, right.block(), false);
        tree.insert(grandchild.clone());
        tree.store.commit(&left.executed).unwrap();
        assert!(tree.base(left.block()).is_some());
        assert!(tree.base(right.block()).is_none(), "its sibling was finalized");
        tree.finalize(1);
        assert!(tree.base(grandchild.block()).is_none());
    }
}
