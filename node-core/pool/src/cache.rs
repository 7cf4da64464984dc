//! Verified transactions by hash, so that a signature is checked once: at admission, not again in each block.

use std::num::NonZeroUsize;

use alloy_primitives::{B256, map::FbBuildHasher};
use dolmen_types::Transaction;
use lru::LruCache;
use parking_lot::Mutex;
use rayon::prelude::*;

use crate::{VerifiedTransaction, VerifyError, verify};

/// From this many misses on, recovery (about 45 us each) is worth spreading over threads.
const PARALLEL_MIN: usize = 4;

/// Which transaction of a list does not verify, and why.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("transaction {index} of the list does not verify")]
pub struct VerifyAllError {
    /// Position in the list; the first one that fails.
    pub index: usize,
    /// Why.
    #[source]
    pub source: VerifyError,
}

/// The transactions verified last, bounded by count and by encoded bytes; the least recently used one goes first.
///
/// The key is the transaction hash. It is keccak256 of the whole encoding, signature included, so a hash cannot stand
/// for two signatures: whoever presents a cached hash gets the transaction that was verified under it.
pub struct SenderCache {
    chain_id: u64,
    capacity: usize,
    bytes_max: usize,
    entries: Mutex<Entries>,
}

struct Entries {
    by_hash: LruCache<B256, VerifiedTransaction, FbBuildHasher<32>>,
    bytes: usize,
}

impl SenderCache {
    /// An empty cache for the chain with this id, of at most `capacity` transactions and `bytes_max` encoded bytes.
    pub fn new(chain_id: u64, capacity: NonZeroUsize, bytes_max: usize) -> Self {
        // Unbounded inside, because there are two bounds to keep.
        let by_hash = LruCache::unbounded_with_hasher(FbBuildHasher::default());
        let entries = Mutex::new(Entries { by_hash, bytes: 0 });
        Self { chain_id, capacity: capacity.get(), bytes_max, entries }
    }

    /// The chain for which signatures are checked.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// How many transactions the cache holds.
    pub fn len(&self) -> usize {
        self.entries.lock().by_hash.len()
    }

    /// Whether the cache holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Verifies a list, in its order: cached ones are looked up under one lock, the others recovered in parallel
    /// where there are more than a few, then cached.
    ///
    /// Blocks the thread for about 45 us per miss and core.
    pub fn verify_all(&self, transactions: &[Transaction]) -> Result<Vec<VerifiedTransaction>, VerifyAllError> {
        let mut found: Vec<_> = {
            let mut entries = self.entries.lock();
            transactions.iter().map(|transaction| entries.by_hash.get(transaction.tx_hash()).cloned()).collect()
        };
        let misses: Vec<usize> = (0..found.len()).filter(|&index| found[index].is_none()).collect();
        let recover = |index: usize| {
            verify(transactions[index].clone(), self.chain_id).map_err(|source| VerifyAllError { index, source })
        };
        let verified: Vec<_> = if misses.len() < PARALLEL_MIN {
            misses.iter().map(|&index| recover(index)).collect()
        } else {
            misses.par_iter().map(|&index| recover(index)).collect()
        };
        // Collected before the first error is looked for, so that it is the first by position.
        let verified = verified.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.insert_all(&verified);
        for (index, transaction) in misses.into_iter().zip(verified) {
            found[index] = Some(transaction);
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The transaction with this hash, if it was verified lately.
    pub fn get(&self, hash: &B256) -> Option<VerifiedTransaction> {
        self.entries.lock().by_hash.get(hash).cloned()
    }

    /// Remembers transactions.
    pub(crate) fn insert_all(&self, transactions: &[VerifiedTransaction]) {
        let mut entries = self.entries.lock();
        for transaction in transactions {
            let len = transaction.encoded_len();
            if entries.by_hash.put(transaction.hash(), transaction.clone()).is_none() {
                entries.bytes += len;
            }
            while entries.by_hash.len() > self.capacity || entries.bytes > self.bytes_max {
                let Some((_, oldest)) = entries.by_hash.pop_lru() else { break };
                entries.bytes -= oldest.encoded_len();
            }
        }
    }
}
