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

/// Executed blocks by hash. A layer's state shares all that it did not change with its parent's.
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
        let mut base = Base {
            state: match layers.by_hash.get(&parent.hash()) {
                Some(layer) => layer.executed.state.clone(),
                None if head.block.hash() == parent.hash() => head.state.clone(),
                None => return None,
            },
            used_nonces: HashMap::new(),
            hashes: AncestorHashes { recent: HashMap::new(), store: self.store.clone() },
        };
        let mut hash = parent.hash();
        while let Some(layer) = layers.by_hash.get(&hash).filter(|layer| layer.block().number() > head.block.number()) {
            base.hashes.recent.insert(layer.block().number(), hash);
            for transaction in &layer.transactions {
                let next = base.used_nonces.entry(transaction.sender()).or_default();
                *next = (*next).max(transaction.nonce() + 1);
            }
            hash = layer.block().header().parent_hash;
        }
        Some(base)
    }

    /// Forgets every block up to a finalized height: they are in the store or will never be.
    pub(crate) fn finalize(&self, height: u64) {
        let mut layers = self.layers.lock();
        layers.by_hash.retain(|_, layer| layer.block().number() > height);
        let Layers { by_hash, order } = &mut *layers;
        order.retain(|hash| by_hash.contains_key(hash));
    }

    pub(crate) fn len(&self) -> usize {
        self.layers.lock().by_hash.len()
    }
}
