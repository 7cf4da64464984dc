//! Log searches, and logs with their place in the chain.

use std::collections::HashSet;

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Log as RawLog};
use alloy_rpc_types_eth::Log;
use dolmen_store::LogFilter;
use dolmen_types::{Block, Receipt};
use tokio::sync::OwnedSemaphorePermit;

use crate::{Backend, RpcError};

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

impl Backend {
    /// Room for a filter that stays, because it is polled or subscribed to; given back when dropped.
    pub fn hold_filter(&self, filter: &LogFilter) -> Result<OwnedSemaphorePermit, RpcError> {
        let values = filter.addresses.len() + filter.topics.iter().map(HashSet::len).sum::<usize>();
        let values = u32::try_from(values).unwrap_or(u32::MAX);
        self.filter_values.clone().try_acquire_many_owned(values).map_err(|_| {
            let most = self.limits().filter_values_max;
            RpcError::Limit(format!("filters and log subscriptions hold {most} addresses and topics; end some first"))
        })
    }

    /// Logs that meet the criteria, in chain order.
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
        self.logs_between(&criteria.filter, from, to)
    }

    /// Logs of the blocks `from..=to` that pass the filter; blocks above the head have none.
    pub fn logs_between(&self, filter: &LogFilter, from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let limits = self.limits();
        let found = self.store().logs(filter, from, to, limits.logs_blocks_max, limits.logs_results_max)?;
        let mut logs = Vec::with_capacity(found.len());
        let mut found = found.into_iter().peekable();
        while let Some(number) = found.peek().map(|log| log.number) {
            let block = self.block_at(number)?.ok_or(RpcError::HeaderNotFound)?;
            while let Some(one) = found.next_if(|log| log.number == number) {
                let index = usize::try_from(one.transaction_index).unwrap_or(usize::MAX);
                if index >= block.transactions().len() {
                    return Err(RpcError::Internal("a receipt has no transaction"));
                }
                logs.push(locate(&block, index, one.log_index.into(), one.log));
            }
        }
        Ok(logs)
    }
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

/// The logs of one block that pass the filter.
pub fn matching_logs(block: &Block, receipts: &[Receipt], filter: &LogFilter) -> Vec<Log> {
    if block.header().logs_bloom.is_zero() || !filter.may_match(&block.header().logs_bloom) {
        return Vec::new();
    }
    let logs =
        receipts.iter().enumerate().flat_map(|(index, receipt)| receipt.logs().iter().map(move |log| (index, log)));
    let located = (0_u64..).zip(logs).filter(|(_, (_, log))| filter.matches(log));
    located.map(|(log_index, (index, log))| locate(block, index, log_index, log.clone())).collect()
}
