//! `eth_getLogs`: finding logs by address and topics through the bloom filters of the blocks that have any.

use std::collections::HashSet;

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

use crate::{
    Store, StoreError,
    db::{cf, damaged, height_key, read_height},
};

/// Which logs to find.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// Any of these addresses; empty: every address.
    pub addresses: HashSet<Address>,
    /// For each place any of these topics; empty: every topic. At most four places.
    pub topics: Vec<HashSet<B256>>,
}

/// A log and where it stands.
#[derive(Clone, Debug)]
pub struct LogMatch {
    /// The log.
    pub log: Log,
    /// Height of its block.
    pub number: u64,
    /// Place of its transaction in the block.
    pub transaction_index: u32,
    /// Place of the log in the block.
    pub log_index: u32,
}

/// Why a search for logs was given up.
#[derive(Debug, thiserror::Error)]
pub enum LogQueryError {
    /// More results than allowed.
    #[error("query returned more than {0} results; narrow the block range or the filter")]
    TooManyResults(usize),
    /// More blocks to look into than allowed.
    #[error("query looks into more than {0} blocks with logs; narrow the block range")]
    TooManyBlocks(usize),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LogFilter {
    /// Whether a log passes.
    pub fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && topics.len() >= self.topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }

    /// Whether a block with this bloom filter may hold a log that passes.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self.topics.iter().all(|any| any.is_empty() || any.iter().any(|topic| has(topic.as_slice())))
    }
}

impl Store {
    /// Logs of the blocks `from..=to` that pass the filter, in chain order, looking into at most `blocks_max` blocks
    /// that have logs and returning at most `results_max` of them.
    pub fn logs(
        &self,
        filter: &LogFilter,
        from: u64,
        to: u64,
        blocks_max: usize,
        results_max: usize,
    ) -> Result<Vec<LogMatch>, LogQueryError> {
        let mut results = Vec::new();
        for (visited, entry) in self.db.scan(cf::BLOOMS, &height_key(from)).enumerate() {
            let (key, bloom) = entry?;
            let number = read_height(&key, "bloom")?;
            if number > to {
                break;
            }
            if visited >= blocks_max {
                return Err(LogQueryError::TooManyBlocks(blocks_max));
            }
            let bloom = Bloom::try_from(&*bloom).map_err(|_| damaged("bloom", &key))?;
            if filter.may_match(&bloom) {
                self.matching_logs(filter, number, &mut results)?;
            }
            if results.len() > results_max {
                return Err(LogQueryError::TooManyResults(results_max));
            }
        }
        Ok(results)
    }

    fn matching_logs(&self, filter: &LogFilter, number: u64, out: &mut Vec<LogMatch>) -> Result<(), StoreError> {
        let receipts = self.receipts(number)?.ok_or_else(|| damaged("receipts", &height_key(number)))?;
        let mut log_index = 0;
        for (transaction_index, receipt) in (0_u32..).zip(&receipts) {
            for log in receipt.logs() {
                if filter.matches(log) {
                    out.push(LogMatch { log: log.clone(), number, transaction_index, log_index });
                }
                log_index += 1;
            }
        }
        Ok(())
    }
}
