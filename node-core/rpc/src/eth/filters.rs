//! Filters that callers poll: new logs, new blocks, new pending transactions.

use std::{collections::HashMap, sync::Arc};

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, FixedBytes, U128};
use alloy_rpc_types_eth::Log;
use dolmen_pool::PendingHashes;
use dolmen_store::LogLimit;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::logs::LogFilterJson;
use crate::{
    Backend, RpcError, RpcLimits,
    backend::{BlockRange, FoundLogs, LogCriteria, limit_error},
    methods::Methods,
};

/// Installed filters by id. One that is not polled for its lifetime is gone.
pub(crate) struct Filters {
    installed: Mutex<HashMap<U128, Installed>>,
    limits: RpcLimits,
}

struct Installed {
    kind: Kind,
    expires: Instant,
}

enum Kind {
    /// Logs of the blocks from `next` on.
    Logs { criteria: Arc<LogCriteria>, next: u64, _room: OwnedSemaphorePermit },
    /// Hashes of the blocks from `next` on.
    Blocks { next: u64 },
    /// Hashes of transactions that became executable.
    Pending(PendingHashes),
}

/// What a poll has to fetch, taken from the filter under the lock and fetched outside it.
enum Poll {
    Logs { criteria: Arc<LogCriteria>, from: u64, to: u64 },
    Blocks { from: u64, to: u64 },
    Pending(Result<Vec<B256>, RpcError>),
}

/// What a poll returns.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Changes {
    Logs(Vec<Log>),
    Hashes(Vec<B256>),
}

impl Filters {
    pub(crate) fn new(limits: RpcLimits) -> Self {
        Self { installed: Mutex::default(), limits }
    }

    fn install(&self, kind: Kind) -> Result<U128, RpcError> {
        let now = Instant::now();
        let mut installed = self.installed.lock();
        installed.retain(|_, filter| filter.expires > now);
        if installed.len() >= self.limits.filters_max {
            let most = self.limits.filters_max;
            return Err(RpcError::Limit(format!("{most} filters are installed; uninstall some or subscribe instead")));
        }
        // Not guessable, so that callers cannot poll each other's filters.
        let id = U128::from_be_bytes(FixedBytes::<16>::random().0);
        installed.insert(id, Installed { kind, expires: now + self.limits.filter_lifetime });
        Ok(id)
    }

    fn uninstall(&self, id: U128) -> bool {
        self.installed.lock().remove(&id).is_some_and(|filter| filter.expires > Instant::now())
    }

    /// Runs `take` on a filter and prolongs its life.
    fn touch<R>(&self, id: U128, take: impl FnOnce(&mut Kind) -> R) -> Result<R, RpcError> {
        let now = Instant::now();
        let mut installed = self.installed.lock();
        let filter = installed.get_mut(&id).filter(|filter| filter.expires > now).ok_or(RpcError::FilterNotFound)?;
        filter.expires = now + self.limits.filter_lifetime;
        Ok(take(&mut filter.kind))
    }

    /// What changed since the last poll, with the chain at height `head`.
    fn poll(&self, id: U128, head: u64) -> Result<Poll, RpcError> {
        let most = self.limits.logs_results_max;
        self.touch(id, |kind| match kind {
            Kind::Logs { criteria, next, .. } => {
                let from = *next;
                *next = (head + 1).max(from);
                Poll::Logs { criteria: criteria.clone(), from, to: head }
            }
            Kind::Blocks { next } => {
                let from = *next;
                // The rest comes with the next poll.
                let to = head.min(from.saturating_add(most as u64 - 1));
                *next = (to + 1).max(from);
                Poll::Blocks { from, to }
            }
            Kind::Pending(hashes) => Poll::Pending(drain(hashes, most)),
        })
    }

    /// A poll of blocks up to `to` did not get beyond `from`: the next one starts there.
    fn rewind(&self, id: U128, from: u64, to: u64) {
        let rewind = |kind: &mut Kind| match kind {
            Kind::Logs { next, .. } | Kind::Blocks { next } if *next == to + 1 => *next = from,
            _ => {}
        };
        // Fails only where the filter went meanwhile.
        let _ = self.touch(id, rewind);
    }
}

/// The hashes that are ready, about `most` of them; an error where some were lost before the poll.
fn drain(hashes: &mut PendingHashes, most: usize) -> Result<Vec<B256>, RpcError> {
    let mut ready = Vec::new();
    while ready.len() < most
        && let Some(batch) = hashes.try_recv()
    {
        ready.extend_from_slice(&batch);
    }
    match hashes.take_missed() {
        0 => Ok(ready),
        missed => Err(RpcError::MissedTransactions(missed)),
    }
}

pub(super) fn register(methods: &mut Methods, filters: &Arc<Filters>) {
    register_installing(methods, filters);
    let of = filters.clone();
    methods.add("eth_getFilterChanges", 1, move |backend: Arc<Backend>, args| {
        let filters = of.clone();
        async move { changes(&backend, &filters, args.required(0)?).await }
    });
    let of = filters.clone();
    methods.add("eth_getFilterLogs", 1, move |backend: Arc<Backend>, args| {
        let filters = of.clone();
        async move {
            let criteria = filters.touch(args.required(0)?, |kind| match kind {
                Kind::Logs { criteria, .. } => Ok(criteria.clone()),
                _ => Err(RpcError::FilterNotFound),
            })??;
            backend.search(move |backend| backend.filter_logs(&criteria)).await
        }
    });
    let of = filters.clone();
    methods.add("eth_uninstallFilter", 1, move |_, args| {
        let filters = of.clone();
        async move { Ok(filters.uninstall(args.required(0)?)) }
    });
}

fn register_installing(methods: &mut Methods, filters: &Arc<Filters>) {
    let of = filters.clone();
    methods.add("eth_newFilter", 1, move |backend: Arc<Backend>, args| {
        let filters = of.clone();
        async move {
            let criteria = args.required::<LogFilterJson>(0)?.into_criteria(backend.limits())?;
            if matches!(criteria.range, BlockRange::Hash(_)) {
                let reason = "a filter for one block never changes; use eth_getLogs with blockHash";
                return Err(RpcError::InvalidParams(reason.to_owned()));
            }
            let next = backend.head().block.number() + 1;
            let _room = backend.hold_filter(&criteria.filter)?;
            filters.install(Kind::Logs { criteria: Arc::new(criteria), next, _room })
        }
    });
    let of = filters.clone();
    methods.add("eth_newBlockFilter", 0, move |backend: Arc<Backend>, _| {
        let filters = of.clone();
        async move { filters.install(Kind::Blocks { next: backend.head().block.number() + 1 }) }
    });
    let of = filters.clone();
    methods.add("eth_newPendingTransactionFilter", 1, move |backend: Arc<Backend>, _| {
        let filters = of.clone();
        async move { filters.install(Kind::Pending(backend.pool().subscribe())) }
    });
}

async fn changes(backend: &Arc<Backend>, filters: &Filters, id: U128) -> Result<Changes, RpcError> {
    match filters.poll(id, backend.head().block.number())? {
        Poll::Pending(hashes) => hashes.map(Changes::Hashes),
        Poll::Logs { from, to, .. } | Poll::Blocks { from, to } if from > to => Ok(Changes::Hashes(Vec::new())),
        Poll::Logs { criteria, from, to } => {
            let query = move |backend: &Backend| new_logs(backend, &criteria, from, to);
            let found = backend.search(query).await.inspect_err(|_| filters.rewind(id, from, to))?;
            match found.stopped {
                None => Ok(Changes::Logs(found.logs)),
                // The blocks that were searched; the rest comes with the next poll.
                Some((stopped, _)) if stopped > from => {
                    filters.rewind(id, stopped, to);
                    Ok(Changes::Logs(found.logs))
                }
                Some((stopped, limit)) => {
                    // A block that alone has too much would stop every poll: this one says so, the next goes on after
                    // it. Where time ran out the same block may do next time.
                    let next = if limit == LogLimit::Bytes { stopped + 1 } else { from };
                    filters.rewind(id, next, to);
                    Err(limit_error(backend.limits(), limit, from, stopped))
                }
            }
        }
        Poll::Blocks { from, to } => {
            let query = move |backend: &Backend| {
                (from..=to)
                    .filter_map(|number| backend.store().hash_of(number).map_err(RpcError::from).transpose())
                    .collect()
            };
            let hashes = backend.read(query).await.inspect_err(|_| filters.rewind(id, from, to))?;
            Ok(Changes::Hashes(hashes))
        }
    }
}

/// The logs of the new blocks `from..=to`, as far as they are in the filter's own range and the limits allow.
fn new_logs(backend: &Backend, criteria: &LogCriteria, from: u64, to: u64) -> Result<FoundLogs, RpcError> {
    let (mut first, mut last) = (from, to);
    if let BlockRange::Range { from, to } = criteria.range {
        if let Some(BlockNumberOrTag::Number(number)) = from {
            first = first.max(number);
        }
        if let Some(BlockNumberOrTag::Number(number)) = to {
            last = last.min(number);
        }
    }
    if first > last { Ok(FoundLogs::default()) } else { backend.logs_between(&criteria.filter, first, last) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{Chain, LOGGER};

    fn filters(filters_max: usize) -> Filters {
        Filters::new(RpcLimits { filters_max, logs_results_max: 2, ..Default::default() })
    }

    #[tokio::test(start_paused = true)]
    async fn filters_expire_unless_polled() {
        let filters = filters(2);
        let (polled, left) =
            (filters.install(Kind::Blocks { next: 1 }).unwrap(), filters.install(Kind::Blocks { next: 1 }).unwrap());
        let full = filters.install(Kind::Blocks { next: 1 }).expect_err("two at most");
        assert_eq!(full.code(), -32005);
        tokio::time::advance(Duration::from_secs(200)).await;
        filters.poll(polled, 0).expect("alive");
        tokio::time::advance(Duration::from_secs(200)).await;
        filters.poll(polled, 0).expect("polled in time");
        assert!(matches!(filters.poll(left, 0), Err(RpcError::FilterNotFound)));
        // The expired one makes room.
        filters.install(Kind::Blocks { next: 1 }).expect("room");
        assert!(filters.uninstall(polled));
        assert!(!filters.uninstall(polled));
        assert!(!filters.uninstall(left));
    }

    #[test]
    fn a_failed_poll_is_repeated_and_a_long_one_split() {
        let filters = filters(2);
        let id = filters.install(Kind::Blocks { next: 5 }).unwrap();
        let poll = |head| match filters.poll(id, head).unwrap() {
            Poll::Blocks { from, to } => (from, to),
            _ => panic!("a block filter"),
        };
        assert_eq!(poll(4), (5, 4));
        assert_eq!(poll(8), (5, 6));
        assert_eq!(poll(8), (7, 8));
        filters.rewind(id, 7, 8);
        assert_eq!(poll(8), (7, 8));
        assert_eq!(poll(8), (9, 8));
    }

    #[tokio::test]
    async fn changes_of_each_kind() {
        let chain = Chain::new(Default::default());
        let filters = Filters::new(Default::default());
        let head = chain.backend.head().block.number();
        let criteria: LogFilterJson = serde_json::from_value(serde_json::json!({"address": LOGGER})).unwrap();
        let criteria = Arc::new(criteria.into_criteria(chain.backend.limits()).unwrap());
        let _room = chain.backend.hold_filter(&criteria.filter).unwrap();
        let logs = filters.install(Kind::Logs { criteria, next: head + 1, _room }).unwrap();
        let blocks = filters.install(Kind::Blocks { next: head + 1 }).unwrap();
        let pending = filters.install(Kind::Pending(chain.backend.pool().subscribe())).unwrap();
        let call = chain.log(0, B256::repeat_byte(5));
        chain.pool_add(call.clone());
        let block = chain.commit(std::slice::from_ref(&call));
        let poll = async |id| serde_json::to_value(changes(&chain.backend, &filters, id).await.unwrap()).unwrap();
        assert_eq!(poll(blocks).await, serde_json::json!([block.hash()]));
        assert_eq!(poll(pending).await, serde_json::json!([call.hash()]));
        let found = poll(logs).await;
        assert_eq!(found[0]["topics"], serde_json::json!([B256::repeat_byte(5)]));
        assert_eq!(found[0]["transactionHash"], serde_json::json!(call.hash()));
        for id in [logs, blocks, pending] {
            assert_eq!(poll(id).await, serde_json::json!([]));
        }
    }
    async fn log_filter(chain: &Chain, filters: &Filters) -> U128 {
        let criteria: LogFilterJson = serde_json::from_value(serde_json::json!({"address": LOGGER})).unwrap();
        let criteria = Arc::new(criteria.into_criteria(chain.backend.limits()).unwrap());
        let _room = chain.backend.hold_filter(&criteria.filter).unwrap();
        let next = chain.backend.head().block.number() + 1;
        filters.install(Kind::Logs { criteria, next, _room }).unwrap()
    }

    /// Numbers of the blocks whose logs a poll gives.
    async fn numbers(chain: &Chain, filters: &Filters, id: U128) -> Result<Vec<u64>, RpcError> {
        match changes(&chain.backend, filters, id).await? {
            Changes::Logs(logs) => Ok(logs.iter().filter_map(|log| log.block_number).collect()),
            Changes::Hashes(hashes) => Ok(hashes.iter().map(|_| 0).collect()),
        }
    }

    #[tokio::test]
    async fn a_poll_that_finds_too_much_gives_whole_blocks_and_goes_on() {
        let limits = RpcLimits { logs_results_max: 3, ..Default::default() };
        let chain = Chain::new(limits);
        let filters = Filters::new(limits);
        let id = log_filter(&chain, &filters).await;
        for block in 0..3 {
            chain.commit(&[chain.log(2 * block, B256::ZERO), chain.log(2 * block + 1, B256::ZERO)]);
        }
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.extend(numbers(&chain, &filters, id).await.expect("whole blocks"));
        }
        assert_eq!(seen, [1, 1, 2, 2, 3, 3]);
    }

    #[tokio::test]
    async fn a_block_that_is_too_large_is_reported_once() {
        let limits = RpcLimits { logs_bytes_max: 100, ..Default::default() };
        let chain = Chain::new(limits);
        let filters = Filters::new(limits);
        let id = log_filter(&chain, &filters).await;
        chain.commit(&[chain.log(0, B256::ZERO), chain.log(1, B256::ZERO)]);
        chain.commit(&[chain.log(2, B256::ZERO)]);
        let error = numbers(&chain, &filters, id).await.expect_err("168 bytes");
        assert!(error.code() == -32005 && error.to_string().contains("in block 0x1"), "{error}");
        assert_eq!(numbers(&chain, &filters, id).await.expect("the next block"), [2]);
    }

    #[tokio::test]
    async fn every_pending_transaction_is_in_one_poll_or_said_to_be_lost() {
        let chain = Chain::new(Default::default());
        let filters = Filters::new(Default::default());
        let id = filters.install(Kind::Pending(chain.backend.pool().subscribe())).unwrap();
        let hashes = (0..200).map(|nonce| {
            let transfer = chain.transfer(nonce, 1);
            chain.pool_add(transfer.clone());
            *transfer.hash()
        });
        let hashes: Vec<_> = hashes.collect();
        let poll = async || match changes(&chain.backend, &filters, id).await {
            Ok(Changes::Hashes(hashes)) => Ok(hashes),
            Ok(Changes::Logs(_)) => panic!("hashes"),
            Err(error) => Err(error),
        };
        assert_eq!(poll().await.expect("none lost"), hashes);
        // Beyond the 1,024 announcements that the pool keeps.
        (200..1230).for_each(|nonce| chain.pool_add(chain.transfer(nonce, 1)));
        let lost = poll().await.expect_err("six are gone");
        assert!(lost.code() == -32000 && lost.to_string().starts_with("6 announcements"), "{lost}");
        assert_eq!(poll().await.expect("the rest").len(), 1024);
    }
}
