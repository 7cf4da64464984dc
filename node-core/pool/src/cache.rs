//! Verified transactions by hash, so that a signature is checked once: at admission, not again in each block.

use std::{num::NonZeroUsize, sync::Arc};

use alloy_primitives::{Address, B256, map::FbBuildHasher};
use dolmen_types::Transaction;
use lru::LruCache;
use parking_lot::Mutex;

use crate::{Signatures, VerifiedTransaction, VerifyError, verified};

/// Which transaction of a list does not verify, and why.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("transaction {index} of the list does not verify")]
pub struct VerifyAllError {
    /// Position in the list; there may be others.
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
    signatures: Arc<Signatures>,
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
    pub fn new(chain_id: u64, signatures: Arc<Signatures>, capacity: NonZeroUsize, bytes_max: usize) -> Self {
        // Unbounded inside, because there are two bounds to keep.
        let by_hash = LruCache::unbounded_with_hasher(FbBuildHasher::default());
        let entries = Mutex::new(Entries { by_hash, bytes: 0 });
        Self { chain_id, signatures, capacity: capacity.get(), bytes_max, entries }
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

    /// What recovers signers.
    pub const fn signatures(&self) -> &Arc<Signatures> {
        &self.signatures
    }

    /// Verifies a list, in its order: cached ones are looked up under one lock, the signers of the others recovered in
    /// one batch, then cached. `hints` says who signed each, as far as it goes; a wrong one costs time, nothing else.
    ///
    /// Blocks the thread for some 6 us per miss and core with a right hint for a key that signs often, else about 35 us.
    pub fn verify_all(
        &self,
        transactions: &[Transaction],
        hints: &[Address],
    ) -> Result<Vec<VerifiedTransaction>, VerifyAllError> {
        let mut found: Vec<_> = {
            let mut entries = self.entries.lock();
            transactions.iter().map(|transaction| entries.by_hash.get(transaction.tx_hash()).cloned()).collect()
        };
        let misses: Vec<usize> = (0..found.len()).filter(|&index| found[index].is_none()).collect();
        let mut jobs = Vec::with_capacity(misses.len());
        for &index in &misses {
            let job = verified::sender_job(&transactions[index], self.chain_id, hints.get(index).copied());
            jobs.push(job.map_err(|source| VerifyAllError { index, source })?);
        }
        // After the senders' jobs those of all authorizations, of which there are few.
        let authorities: Vec<Vec<_>> = misses
            .iter()
            .map(|&index| verified::authority_jobs(&transactions[index], self.chain_id).collect())
            .collect();
        jobs.extend(authorities.iter().flatten().flatten());
        let first = misses.first().copied().unwrap_or(0);
        let signers = self
            .signatures
            .recover_all(&jobs)
            .map_err(|error| VerifyAllError { index: first, source: error.into() })?;
        let (senders, signers) = signers.split_at(misses.len());
        let mut signers = signers.iter().copied();
        let mut verified = Vec::with_capacity(misses.len());
        for ((&index, sender), jobs) in misses.iter().zip(senders).zip(authorities) {
            let sender = sender.ok_or(VerifyAllError { index, source: VerifyError::Signature })?;
            let authorities = jobs.iter().map(|job| job.and_then(|_| signers.next().flatten())).collect();
            verified.push(verified::complete(transactions[index].clone(), sender, authorities));
        }
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
