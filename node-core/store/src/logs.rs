//! `eth_getLogs`: finding logs by address and topics through the bloom filters of the blocks that have any.

use std::{collections::HashSet, time::Instant};

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log, keccak256};
use dolmen_types::receipt;

use crate::{
    Store, StoreError,
    db::{cf, damaged, height_key, read_height},
};

/// Which logs to find. The default finds every log.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    addresses: HashSet<Address>,
    topics: Vec<HashSet<B256>>,
    /// keccak of each address, which is what a bloom filter is asked for.
    address_hashes: Vec<B256>,
    /// The same for the topics, by place.
    topic_hashes: Vec<Vec<B256>>,
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

/// Bounds of one search.
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// Blocks with logs whose bloom filters are asked.
    pub blocks_max: usize,
    /// Logs returned, in whole blocks: the first block with results may hold more.
    pub results_max: usize,
    /// Bytes of the addresses, topics and data returned. No block, not even the first, brings more.
    pub bytes_max: usize,
    /// When to stop.
    pub deadline: Instant,
}

/// What stopped a search before its last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLimit {
    /// [`LogLimits::blocks_max`].
    Blocks,
    /// [`LogLimits::results_max`].
    Results,
    /// [`LogLimits::bytes_max`].
    Bytes,
    /// [`LogLimits::deadline`].
    Time,
}

/// Logs of whole blocks in chain order.
#[derive(Clone, Debug, Default)]
pub struct LogPage {
    /// The logs found.
    pub logs: Vec<LogMatch>,
    /// Where the search stopped early: the first block that is not in `logs`, and why.
    pub stopped: Option<(u64, LogLimit)>,
}

impl LogFilter {
    /// `addresses`: any of these, empty for every address. `topics`: for each place any of these, empty for every
    /// topic.
    pub fn new(addresses: HashSet<Address>, topics: Vec<HashSet<B256>>) -> Self {
        let address_hashes = addresses.iter().map(keccak256).collect();
        let topic_hashes = topics.iter().map(|any| any.iter().map(keccak256).collect()).collect();
        Self { addresses, topics, address_hashes, topic_hashes }
    }

    /// How many addresses and topics it holds.
    pub fn values(&self) -> usize {
        self.addresses.len() + self.topics.iter().map(HashSet::len).sum::<usize>()
    }

    /// Whether a log passes.
    pub fn matches(&self, log: &Log) -> bool {
        let topics = log.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && topics.len() >= self.topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }

    /// Whether a block with this bloom filter may hold a log that passes.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has_any = |hashes: &[B256]| {
            hashes.is_empty() || hashes.iter().any(|hash| bloom.contains_input(BloomInput::Hash(*hash)))
        };
        has_any(&self.address_hashes) && self.topic_hashes.iter().all(|any| has_any(any))
    }
}

impl Store {
    /// Logs of the blocks `from..=to` that pass the filter, in chain order, as far as the limits allow. Blocks above
    /// the head have none, nor has block zero. Fails where this box does not have all of these blocks.
    pub fn logs(&self, filter: &LogFilter, from: u64, to: u64, limits: &LogLimits) -> Result<LogPage, StoreError> {
        let to = to.min(self.head().block.number());
        let (number, first) = (from.max(1), self.first_block());
        if number < first && number <= to {
            return Err(StoreError::NoBlock { number, first });
        }
        let mut page = LogPage::default();
        let mut bytes_left = limits.bytes_max;
        for (looked_at, entry) in self.db.scan(cf::BLOOMS, &height_key(from)).enumerate() {
            let (key, bloom) = entry?;
            let number = read_height(&key, "bloom")?;
            if number > to {
                break;
            }
            if looked_at >= limits.blocks_max {
                page.stopped = Some((number, LogLimit::Blocks));
                break;
            }
            if Instant::now() >= limits.deadline {
                page.stopped = Some((number, LogLimit::Time));
                break;
            }
            let bloom = Bloom::try_from(&*bloom).map_err(|_| damaged("bloom", &key))?;
            if !filter.may_match(&bloom) {
                continue;
            }
            let Some(found) = self.matching_logs(filter, number, &mut bytes_left)? else {
                page.stopped = Some((number, LogLimit::Bytes));
                break;
            };
            if !found.is_empty() && !page.logs.is_empty() && page.logs.len() + found.len() > limits.results_max {
                page.stopped = Some((number, LogLimit::Results));
                break;
            }
            page.logs.extend(found);
        }
        Ok(page)
    }

    /// The logs of one block that pass, taken off `bytes_left`; `None` where they are more than that.
    fn matching_logs(
        &self,
        filter: &LogFilter,
        number: u64,
        bytes_left: &mut usize,
    ) -> Result<Option<Vec<LogMatch>>, StoreError> {
        let key = height_key(number);
        let Some(receipts) = self.db.get(cf::RECEIPTS, &key)? else {
            // They may be pruned just now.
            let first = self.first_block();
            let is_gone = number < first;
            return Err(if is_gone { StoreError::NoBlock { number, first } } else { damaged("receipts", &key) });
        };
        let receipts = receipt::decode_logs(&receipts).map_err(|_| damaged("receipts", &key))?;
        let mut found = Vec::new();
        let mut log_index = 0;
        for (transaction_index, logs) in (0_u32..).zip(receipts) {
            for log in logs {
                if filter.matches(&log) {
                    let Some(left) = bytes_left.checked_sub(size(&log)) else { return Ok(None) };
                    *bytes_left = left;
                    found.push(LogMatch { log, number, transaction_index, log_index });
                }
                log_index += 1;
            }
        }
        Ok(Some(found))
    }
}

/// Bytes of a log's address, topics and data.
fn size(log: &Log) -> usize {
    Address::len_bytes() + log.topics().len() * B256::len_bytes() + log.data.data.len()
}
