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

use crate::limits::SPECULATIVE_BLOCKS_MAX;

/// Ancestors that the EVM may ask the hash of (`BLOCKHASH`).
const HASHES: usize = 256;

/// A block that this box executed, with its verified transactions.
pub(crate) struct Layer {
    pub(crate) executed: Executed,
    pub(crate) transactions: Vec<VerifiedTransaction>,
    /// Hashes of the ancestors that were not committed when it was executed, newest first, [`HASHES`] at most.
    pub(crate) ancestors: Arc<[B256]>,
}

impl Layer {
    pub(crate) fn block(&self) -> &Arc<Block> {
        &self.executed.block
    }
}

/// Executed blocks by hash. A layer's state shares all that it did not change with its parent's, and stands by itself: a
/// layer may go while its children stay.
pub(crate) struct Tree {
    store: Arc<Store>,
    layers: Mutex<Layers>,
}

#[derive(Default)]
struct Layers {
    by_hash: HashMap<B256, Arc<Layer>>,
    /// In order of insertion, for the bound.
    order: VecDeque<B256>,
}

/// A block to build on: its state, and the uncommitted blocks that lead to it.
pub(crate) struct Base {
    pub(crate) state: State,
    pub(crate) hashes: AncestorHashes,
}

/// Hashes of uncommitted ancestors over those of the finalized chain.
pub(crate) struct AncestorHashes {
    /// The child's height.
    height: u64,
    /// The parent's hash first, see [`Layer::ancestors`].
    pub(crate) uncommitted: Arc<[B256]>,
    store: Arc<Store>,
}

impl BlockHashes for AncestorHashes {
    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let back = self.height.checked_sub(number + 1).and_then(|back| usize::try_from(back).ok());
        match back.and_then(|back| self.uncommitted.get(back)) {
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
        let layer = self.get(&parent.hash());
        let head = self.store.head();
        let (state, uncommitted) = match layer {
            Some(layer) => {
                let ancestors = layer.ancestors.iter().take(HASHES - 1);
                (layer.executed.state.clone(), std::iter::once(&parent.hash()).chain(ancestors).copied().collect())
            }
            None if head.block.hash() == parent.hash() => (head.state.clone(), Arc::default()),
            None => return None,
        };
        let hashes = AncestorHashes { height: parent.number() + 1, uncommitted, store: self.store.clone() };
        Some(Base { state, hashes })
    }

    /// Next nonce of every sender in those of the blocks that are still here, which are the uncommitted ones.
    pub(crate) fn used_nonces(&self, blocks: &[B256]) -> HashMap<Address, u64> {
        let layers: Vec<_> = {
            let layers = self.layers.lock();
            blocks.iter().filter_map(|hash| layers.by_hash.get(hash).cloned()).collect()
        };
        let mut used: HashMap<Address, u64> = HashMap::new();
        for transaction in layers.iter().flat_map(|layer| &layer.transactions) {
            let next = used.entry(transaction.sender()).or_default();
            *next = (*next).max(transaction.nonce() + 1);
        }
        used
    }

    /// Forgets every block up to a finalized one, and those beside it: they are in the store or will never be.
    pub(crate) fn finalize(&self, finalized: &Block) {
        let mut layers = self.layers.lock();
        layers.by_hash.retain(|_, layer| {
            let above = layer.block().number().saturating_sub(finalized.number());
            let at = usize::try_from(above).ok().and_then(|above| above.checked_sub(1));
            at.is_some_and(|at| layer.ancestors.get(at).is_none_or(|ancestor| *ancestor == finalized.hash()))
        });
        let Layers { by_hash, order } = &mut *layers;
        order.retain(|hash| by_hash.contains_key(hash));
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
        Epochs, Genesis, Validator,
        block::{BlockRules, Proposal, next_header},
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
        // RFC 8032, section 7.1, test 1.
        let public_key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap();
        let validator = Validator {
            name: "a".into(),
            public_key,
            fee_recipient: Address::repeat_byte(0xfe),
            organisation: None,
            endpoint: None,
        };
        let genesis: Genesis = GenesisFile {
            chain_id: 1,
            timestamp_ms: 1_790_000_000_000,
            gas_limit: 30_000_000,
            base_fee_per_gas: 1,
            block_interval_min_ms: 1,
            block_interval_max_ms: 10,
            block_bytes_max: 1 << 20,
            validators: vec![validator],
            governance: Default::default(),
            accounts: Default::default(),
        }
        .try_into()
        .unwrap();
        Arc::new(
            Store::open(path, &dolmen_store::Origin::of_accounts(&genesis), Options::history(10.try_into().unwrap()))
                .unwrap(),
        )
    }

    /// An empty block on `parent`, at one of two times so that siblings differ.
    fn child(tree: &Tree, parent: &Block, later: bool) -> Arc<Layer> {
        let base = tree.base(parent).expect("the parent leads to the head");
        let proposal = Proposal {
            timestamp_ms: parent.timestamp_ms().unwrap() + 1 + u64::from(later),
            beneficiary: Address::ZERO,
        };
        let header = next_header(parent.header(), parent.hash(), proposal, BlockRules::of(parent.header()));
        let limits = BlockLimits { bytes_max: 1 << 20, deadline: Instant::now() + Duration::from_secs(60) };
        let built =
            Executor::new(1, Epochs::ENDLESS).build(&base.state, &base.hashes, header, &mut Nothing, limits).unwrap();
        Arc::new(Layer {
            executed: built.executed,
            transactions: built.transactions,
            ancestors: base.hashes.uncommitted,
        })
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
    fn finality_ends_the_blocks_beside_it_with_all_that_follow() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::new(store(dir.path()));
        let genesis = tree.store.head().block.clone();
        let (left, right) = (child(&tree, &genesis, false), child(&tree, &genesis, true));
        tree.insert(left.clone());
        tree.insert(right.clone());
        let (after_left, after_right) = (child(&tree, left.block(), false), child(&tree, right.block(), false));
        tree.insert(after_left.clone());
        tree.insert(after_right.clone());
        tree.store.commit(&left.executed, None).unwrap();
        tree.finalize(left.block());
        assert!(tree.base(left.block()).is_some(), "the head");
        assert!(tree.base(after_left.block()).is_some());
        assert!(tree.base(right.block()).is_none(), "its sibling was finalized");
        assert!(tree.base(after_right.block()).is_none());
        assert_eq!(tree.len(), 1);
    }
}
