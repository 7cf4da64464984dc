//! Single operations of a node. Names are `operation/key=value`.
//!
//! Fixtures are made when the first benchmark that needs them runs, so that a filter on the names pays for its own.

use std::{
    cell::OnceCell,
    hint::black_box,
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, U256};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use dolmen_benches::{Blocks, CHAIN_ID, PopulatedState, Senders, Workload, signatures};
use dolmen_pool::{AccountView, Origin, Pool, PoolConfig, SenderCache, StateSource};
use dolmen_types::{Block, transaction};

/// Where databases go: on the disk of the build output, because a temporary folder may lie in memory.
const DIR: &str = env!("CARGO_TARGET_TMPDIR");
/// Transactions in a block: what a chain at some thousand a second puts into one.
const BLOCK_TXS: usize = 1000;
/// Blocks committed one after the other before the database is made anew.
const COMMITS: usize = 16;

/// The blocks of each workload, built once.
#[derive(Default)]
struct Fixtures {
    transfer: OnceCell<Blocks>,
    erc20: OnceCell<Blocks>,
}

impl Fixtures {
    fn blocks(&self, workload: Workload) -> &Blocks {
        let cell = match workload {
            Workload::Transfer => &self.transfer,
            Workload::Erc20 => &self.erc20,
        };
        cell.get_or_init(|| Blocks::new(Path::new(DIR), workload, COMMITS, BLOCK_TXS))
    }
}

/// A block of transfers to bytes, and back with every check that needs no state.
fn codec(criterion: &mut Criterion, fixtures: &Fixtures) {
    let blocks = || fixtures.blocks(Workload::Transfer);
    let mut group = criterion.benchmark_group("codec-encode");
    group.throughput(Throughput::Elements(BLOCK_TXS as u64));
    group.bench_function(format!("block={BLOCK_TXS}"), |bencher| {
        let block = &blocks().measured().next().expect("there are blocks").block;
        bencher.iter_batched_ref(
            || Block::from_parts(block.header().clone(), &block.encode_body()).expect("a block"),
            |block| block.encoded().len(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
    let mut group = criterion.benchmark_group("codec-decode");
    group.throughput(Throughput::Elements(BLOCK_TXS as u64));
    group.bench_function(format!("block={BLOCK_TXS}"), |bencher| {
        let bytes = blocks().measured().next().expect("there are blocks").block.encoded();
        bencher.iter(|| Block::decode(bytes, bytes.len()).expect("a block"));
    });
    group.finish();
}

/// Every account exists and can pay.
struct Rich;

impl StateSource for Rich {
    fn account(&self, _: &Address) -> AccountView {
        AccountView { balance: U256::MAX, ..AccountView::default() }
    }
}

/// Decoding, checking and pooling transactions that were never seen, on all processors.
fn admission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission");
    group.sample_size(20);
    for count in [64, 1024] {
        let raw = OnceCell::new();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("batch={count}"), |bencher| {
            let raw = raw.get_or_init(|| Senders::new(256).raw_transfers(count));
            let fresh = || {
                let cache =
                    SenderCache::new(CHAIN_ID, signatures(), NonZeroUsize::MIN.saturating_add(count), usize::MAX);
                let config = PoolConfig::for_chain(CHAIN_ID, 0, 30_000_000);
                Pool::new(config, Arc::new(Rich), Arc::new(cache)).expect("the default bounds agree")
            };
            let add = |pool: Pool| {
                let decode = |raw: &Vec<u8>| (transaction::decode(raw).expect("a transaction"), None);
                let added = pool.add_batch(raw.iter().map(decode).collect(), Origin::Local, 0);
                assert!(added.iter().all(Result::is_ok));
                // Returned, so that dropping it is not measured.
                pool
            };
            bencher.iter_batched(fresh, add, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Executing a block as a proposer does, state root included.
fn execution(criterion: &mut Criterion, fixtures: &Fixtures) {
    let mut group = criterion.benchmark_group("execution");
    group.throughput(Throughput::Elements(BLOCK_TXS as u64)).sample_size(20);
    for workload in Workload::ALL {
        group.bench_function(format!("workload={}/txs={BLOCK_TXS}", workload.name()), |bencher| {
            let blocks = fixtures.blocks(workload);
            let (parent, state, queue) = blocks.first();
            let build = |mut queue| blocks.build(&parent, &state, &mut queue);
            bencher.iter_batched(|| queue.clone(), build, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Changing accounts of a large state, and the new state root.
fn mpt(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mpt");
    group.sample_size(20);
    for (accounts, name) in [(100_000, "100k"), (1_000_000, "1M")] {
        let state = OnceCell::new();
        for count in [100, 1000] {
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("update={count}/accounts={name}"), |bencher| {
                let state = state.get_or_init(|| PopulatedState::new(Path::new(DIR), accounts));
                let diff = state.changes(count);
                bencher.iter(|| black_box(state.state().apply(&diff, 1).root()));
            });
        }
    }
    group.finish();
}

/// Writing a finalized block with its receipts and state, synced to the disk.
fn commit(criterion: &mut Criterion, fixtures: &Fixtures) {
    let mut group = criterion.benchmark_group("commit");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(BLOCK_TXS as u64));
    for workload in Workload::ALL {
        group.bench_function(format!("workload={}/txs={BLOCK_TXS}", workload.name()), |bencher| {
            let blocks = fixtures.blocks(workload);
            bencher.iter_custom(|iterations| commits(blocks, iterations));
        });
    }
    group.finish();
}

/// Time of that many commits, over as many databases as it takes.
fn commits(blocks: &Blocks, iterations: u64) -> Duration {
    let (mut left, mut total) = (iterations, Duration::ZERO);
    while left > 0 {
        let (_dir, store) = blocks.fresh_store();
        for executed in blocks.measured() {
            if left == 0 {
                break;
            }
            let start = Instant::now();
            store.commit(executed, None).expect("the next block");
            total += start.elapsed();
            left -= 1;
        }
    }
    total
}

/// All of them, on shared fixtures, whose databases are removed in the end.
fn node(criterion: &mut Criterion) {
    let fixtures = Fixtures::default();
    codec(criterion, &fixtures);
    admission(criterion);
    execution(criterion, &fixtures);
    mpt(criterion);
    commit(criterion, &fixtures);
}

// Short, so that all of them together take less than two minutes; Criterion's options lengthen it.
criterion_group! {
    name = operations;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = node
}
criterion_main!(operations);
