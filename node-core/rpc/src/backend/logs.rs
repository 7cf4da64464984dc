//! Log searches, and logs with their place in the chain.

use std::time::Instant;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Log as RawLog};
use alloy_rpc_types_eth::Log;
use dolmen_store::{LogFilter, LogLimit, LogLimits};
use dolmen_types::{Block, Receipt};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Backend, RpcError, RpcLimits};

/// Which blocks to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRange {
    /// From one block to another, both included; `latest` where not given.
    Range {
        /// First block.
        from: Option<BlockNumberOrTag>,
        /// Last block.
        to: Option<BlockNumberOrTag>,
    },
    /// One block.
    Hash(B256),
}

/// Which logs of which blocks.
#[derive(Clone, Debug)]
pub struct LogCriteria {
    /// The blocks.
    pub range: BlockRange,
    /// The logs.
    pub filter: LogFilter,
}

/// Logs of whole blocks in chain order.
#[derive(Debug, Default)]
pub(crate) struct FoundLogs {
    pub(crate) logs: Vec<Log>,
    /// Where the search stopped early: the first block that is not in `logs`, and why.
    pub(crate) stopped: Option<(u64, LogLimit)>,
}

impl Backend {
    /// Room for a filter that stays, because it is polled or subscribed to; given back when dropped.
    pub fn hold_filter(&self, filter: &LogFilter) -> Result<OwnedSemaphorePermit, RpcError> {
        // One for the filter itself, which is compared even if it is empty.
        let values = u32::try_from(filter.values().max(1)).unwrap_or(u32::MAX);
        self.filter_values.clone().try_acquire_many_owned(values).map_err(|_| {
            let most = self.limits().filter_values_max;
            RpcError::Limit(format!("filters and log subscriptions hold {most} addresses and topics; end some first"))
        })
    }

    /// Logs that meet the criteria, in chain order: all of them, or an error that says which limit they exceed.
    pub fn logs(&self, criteria: &LogCriteria) -> Result<Vec<Log>, RpcError> {
        let head = self.head().block.number();
        let (from, to) = match criteria.range {
            BlockRange::Hash(hash) => {
                let number = self.number_of(BlockId::hash(hash))?.ok_or(RpcError::UnknownBlock)?;
                (number, number)
            }
            BlockRange::Range { from, to } => (tag_number(from, head), tag_number(to, head)),
        };
        if from > to {
            return Err(RpcError::InvalidParams("invalid block range params".to_owned()));
        }
        // An empty answer would be taken for one about blocks that do not exist yet.
        if to > head {
            return Err(RpcError::InvalidParams("block range extends beyond current head block".to_owned()));
        }
        self.all_logs(&criteria.filter, from, to)
    }

    /// Logs that an installed filter finds by now: its range may end, or even begin, above the head.
    pub fn filter_logs(&self, criteria: &LogCriteria) -> Result<Vec<Log>, RpcError> {
        let BlockRange::Range { from, to } = criteria.range else { return self.logs(criteria) };
        let head = self.head().block.number();
        let (from, to) = (tag_number(from, head), tag_number(to, head).min(head));
        if from > to { Ok(Vec::new()) } else { self.all_logs(&criteria.filter, from, to) }
    }

    fn all_logs(&self, filter: &LogFilter, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let FoundLogs { logs, stopped } = self.logs_between(filter, from, to)?;
        match stopped {
            None => Ok(logs),
            Some((stopped, limit)) => Err(limit_error(self.limits(), limit, from, stopped)),
        }
    }

    /// Logs of the blocks `from..=to` that pass the filter, as far as the limits allow. Above the head are none.
    pub(crate) fn logs_between(&self, filter: &LogFilter, from: u64, to: u64) -> Result<FoundLogs, RpcError> {
        let limits = self.limits();
        let limits = LogLimits {
            blocks_max: limits.logs_blocks_max,
            results_max: limits.logs_results_max,
            bytes_max: limits.logs_bytes_max,
            deadline: Instant::now() + limits.logs_time_max,
        };
        let page = self.store().logs(filter, from, to, &limits)?;
        let mut found = FoundLogs { logs: Vec::with_capacity(page.logs.len()), stopped: page.stopped };
        let mut matches = page.logs.into_iter().peekable();
        while let Some(number) = matches.peek().map(|log| log.number) {
            // Each block is decoded for the hashes of its transactions, which takes time, too.
            if !found.logs.is_empty() && Instant::now() > limits.deadline {
                found.stopped = Some((number, LogLimit::Time));
                break;
            }
            let block = self.block_at(number)?.ok_or(RpcError::HeaderNotFound)?;
            while let Some(one) = matches.next_if(|log| log.number == number) {
                let index = usize::try_from(one.transaction_index).unwrap_or(usize::MAX);
                if index >= block.transactions().len() {
                    return Err(RpcError::Internal("a receipt has no transaction"));
                }
                found.logs.push(locate(&block, index, one.log_index.into(), one.log));
            }
        }
        Ok(found)
    }
}

/// Why a search from block `from` on stopped before block `stopped`.
pub(crate) fn limit_error(limits: &RpcLimits, limit: LogLimit, from: u64, stopped: u64) -> RpcError {
    let what = match limit {
        LogLimit::Blocks => format!("looks into more than {} blocks with logs", limits.logs_blocks_max),
        LogLimit::Results => format!("returned more than {} results", limits.logs_results_max),
        LogLimit::Bytes => format!("returned more than {} bytes of logs", limits.logs_bytes_max),
        LogLimit::Time => format!("took more than {} ms", limits.logs_time_max.as_millis()),
    };
    RpcError::Limit(match stopped.checked_sub(1).filter(|last| *last >= from) {
        Some(last) => format!("query {what}; narrow the block range, such as to {from:#x} - {last:#x}, or the filter"),
        None => format!("query {what} in block {from:#x}; narrow the filter by address or topics"),
    })
}

fn tag_number(tag: Option<BlockNumberOrTag>, head: u64) -> u64 {
    match tag {
        Some(BlockNumberOrTag::Number(number)) => number,
        Some(BlockNumberOrTag::Earliest) => 0,
        _ => head,
    }
}

/// A log with its place: of which transaction of the block, and which log of the block.
pub fn locate(block: &Block, transaction_index: usize, log_index: u64, log: RawLog) -> Log {
    Log {
        inner: log,
        block_hash: Some(block.hash()),
        block_number: Some(block.number()),
        block_timestamp: Some(block.header().timestamp),
        transaction_hash: Some(*block.transactions()[transaction_index].hash()),
        transaction_index: Some(transaction_index as u64),
        log_index: Some(log_index),
        removed: false,
    }
}

/// The logs of one block that pass the filter. Each is looked for when it is asked for; `None` stands for one that does
/// not pass, so that whoever asks can let others run in between.
pub fn matching_logs<'a>(
    block: &'a Block,
    receipts: &'a [Receipt],
    filter: &'a LogFilter,
) -> impl Iterator<Item = Option<Log>> + Send + 'a {
    let bloom = &block.header().logs_bloom;
    let receipts: &'a [Receipt] = if bloom.is_zero() || !filter.may_match(bloom) { &[] } else { receipts };
    let logs =
        receipts.iter().enumerate().flat_map(|(index, receipt)| receipt.logs().iter().map(move |log| (index, log)));
    (0_u64..)
        .zip(logs)
        .map(move |(log_index, (index, log))| filter.matches(log).then(|| locate(block, index, log_index, log.clone())))
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use super::*;
    use crate::testing::{Chain, LOGGER};

    fn from_zero(chain: &Chain) -> Result<Vec<Log>, RpcError> {
        let filter = LogFilter::new(HashSet::from([LOGGER]), Vec::new());
        let range = BlockRange::Range { from: Some(BlockNumberOrTag::Earliest), to: None };
        chain.backend.logs(&LogCriteria { range, filter })
    }

    fn reason(limits: RpcLimits) -> String {
        let chain = Chain::new(limits);
        for nonce in 0..4 {
            chain.commit(&[chain.log(nonce, B256::repeat_byte(1))]);
        }
        let error = from_zero(&chain).expect_err("too much");
        assert_eq!(error.code(), -32005);
        error.to_string()
    }

    #[tokio::test]
    async fn every_limit_of_a_search_is_named() {
        let blocks = reason(RpcLimits { logs_blocks_max: 2, ..Default::default() });
        assert!(blocks.contains("more than 2 blocks") && blocks.contains("narrow the block range"), "{blocks}");
        assert!(reason(RpcLimits { logs_results_max: 2, ..Default::default() }).contains("more than 2 results"));
        assert!(reason(RpcLimits { logs_time_max: Duration::ZERO, ..Default::default() }).contains("more than 0 ms"));
        // A log of one topic and one word takes 20 + 32 + 32 bytes: two blocks fit, and the message says so.
        let bytes = reason(RpcLimits { logs_bytes_max: 200, ..Default::default() });
        assert!(bytes.contains("more than 200 bytes") && bytes.contains("0x0 - 0x2"), "{bytes}");
        let one = reason(RpcLimits { logs_bytes_max: 10, ..Default::default() });
        assert!(one.contains("more than 10 bytes"), "{one}");
        let chain = Chain::new(RpcLimits { logs_results_max: 1, ..Default::default() });
        chain.commit(&[chain.log(0, B256::ZERO), chain.log(1, B256::ZERO)]);
        assert_eq!(from_zero(&chain).expect("one block is whole").len(), 2);
    }

    #[tokio::test]
    async fn logs_of_a_block_one_at_a_time() {
        let chain = Chain::new(Default::default());
        let logs: Vec<_> = (1..=3).map(|byte| chain.log(u64::from(byte) - 1, B256::repeat_byte(byte))).collect();
        chain.commit(&logs);
        let found = chain.backend.finalized(1).unwrap().expect("committed");
        let second = LogFilter::new(HashSet::new(), vec![HashSet::from([B256::repeat_byte(2)])]);
        let all: Vec<_> = matching_logs(found.block(), found.receipts(), &second).collect();
        assert_eq!(all.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(all[1].as_ref().and_then(|log| log.log_index), Some(1));
        let none = LogFilter::new(HashSet::from([alloy_primitives::Address::repeat_byte(9)]), Vec::new());
        assert_eq!(matching_logs(found.block(), found.receipts(), &none).count(), 0, "its bloom filter says so");
    }
}
