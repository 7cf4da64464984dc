//! What a node counts and measures: for Prometheus, for the web page and for `dolmen bench`.

use std::collections::VecDeque;

use parking_lot::Mutex;
use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use serde::Serialize;

use crate::{
    limits::{FINALITY_SAMPLES, RECENT_BLOCKS},
    tree::Layer,
};

/// Bucket bounds in seconds, for work that takes from 0.1 ms to a few seconds.
const SECONDS: [f64; 14] = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Counters of the pipeline.
pub struct Metrics {
    pub(crate) speculative_blocks: Gauge,
    pub(crate) transactions: Counter,
    pub(crate) gas: Counter,
    pub(crate) invalid_blocks: Counter,
    pub(crate) gossip_dropped: Counter,
    pub(crate) gossip_invalid: Counter,
    pub(crate) sync_answers: Counter,
    pub(crate) sync_bytes: Counter,
    pub(crate) finality_seconds: Histogram,
    pub(crate) build_seconds: Histogram,
    pub(crate) verify_seconds: Histogram,
    pub(crate) commit_seconds: Histogram,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Recent {
    finality_ms: VecDeque<f64>,
    blocks: VecDeque<BlockSummary>,
}

/// A finalized block in a line.
#[derive(Clone, Debug, Serialize)]
pub struct BlockSummary {
    /// Height.
    pub number: u64,
    /// Hash.
    pub hash: alloy_primitives::B256,
    /// Proposal time, Unix milliseconds.
    pub timestamp_ms: u64,
    /// How many transactions.
    pub transactions: usize,
    /// Gas used.
    pub gas_used: u64,
    /// Gas it could have used.
    pub gas_limit: u64,
    /// Encoded bytes.
    pub size: usize,
    /// Name of the validator that proposed it.
    pub proposer: String,
    /// From proposal to this box's durable commit; `null` for a block fetched later.
    pub finality_ms: Option<f64>,
}

/// Percentiles of the time from proposal to durable commit.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Finality {
    /// Median, milliseconds; `null` without samples.
    pub p50: Option<f64>,
    /// 99th percentile, milliseconds.
    pub p99: Option<f64>,
    /// Samples behind them, the latest ones.
    pub samples: usize,
}

/// A block this much older than its commit was fetched while catching up: it says nothing about finality.
const LIVE_MS_MAX: u64 = 10_000;

impl Metrics {
    /// Creates the metrics and registers them under `dolmen_`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            speculative_blocks: Gauge::default(),
            transactions: Counter::default(),
            gas: Counter::default(),
            invalid_blocks: Counter::default(),
            gossip_dropped: Counter::default(),
            gossip_invalid: Counter::default(),
            sync_answers: Counter::default(),
            sync_bytes: Counter::default(),
            finality_seconds: Histogram::new(SECONDS),
            build_seconds: Histogram::new(SECONDS),
            verify_seconds: Histogram::new(SECONDS),
            commit_seconds: Histogram::new(SECONDS),
            recent: Mutex::default(),
        };
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("speculative_blocks", "Executed blocks not finalized yet", self.speculative_blocks.clone());
        registry.register(
            "transactions",
            "Transactions in finalized blocks since the start",
            self.transactions.clone(),
        );
        registry.register("gas", "Gas used by finalized blocks since the start", self.gas.clone());
        registry.register("invalid_blocks", "Proposed blocks that this box rejected", self.invalid_blocks.clone());
        registry.register(
            "gossip_dropped",
            "Gossip messages dropped for want of room, or from a box that sent an invalid one",
            self.gossip_dropped.clone(),
        );
        registry.register(
            "gossip_invalid",
            "Gossip messages that do not decode or hold an invalid signature",
            self.gossip_invalid.clone(),
        );
        registry.register("sync_answers", "Answers to boxes that fetch a state", self.sync_answers.clone());
        registry.register_with_unit("sync_sent", "Bytes of those answers", Unit::Bytes, self.sync_bytes.clone());
        let mut seconds = |name, help, histogram: &Histogram| {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        };
        seconds("finality", "From a block's proposal to its durable commit here", &self.finality_seconds);
        seconds("block_build", "Building and executing a block to propose", &self.build_seconds);
        seconds("block_verify", "Verifying and executing a proposed block", &self.verify_seconds);
        seconds("block_commit", "Writing a finalized block, synced", &self.commit_seconds);
    }

    /// Counts a block that was just committed.
    pub(crate) fn finalized(&self, layer: &Layer, proposer: String, now_ms: u64, speculative: usize) {
        let block = layer.block();
        self.speculative_blocks.set(i64::try_from(speculative).unwrap_or(i64::MAX));
        self.transactions.inc_by(block.transactions().len() as u64);
        self.gas.inc_by(block.header().gas_used);
        let timestamp_ms = block.timestamp_ms().unwrap_or(0);
        let elapsed_ms = now_ms.saturating_sub(timestamp_ms);
        // Milliseconds below 2^53 are exact in a float.
        let finality_ms = (elapsed_ms < LIVE_MS_MAX).then_some(elapsed_ms as f64);
        let summary = BlockSummary {
            number: block.number(),
            hash: block.hash(),
            timestamp_ms,
            transactions: block.transactions().len(),
            gas_used: block.header().gas_used,
            gas_limit: block.header().gas_limit,
            size: block.encoded_len(),
            proposer,
            finality_ms,
        };
        let mut recent = self.recent.lock();
        push_bounded(&mut recent.blocks, summary, RECENT_BLOCKS);
        if let Some(finality_ms) = finality_ms {
            self.finality_seconds.observe(finality_ms / 1000.0);
            push_bounded(&mut recent.finality_ms, finality_ms, FINALITY_SAMPLES);
        }
    }

    /// The latest blocks, newest first.
    pub fn recent_blocks(&self) -> Vec<BlockSummary> {
        self.recent.lock().blocks.iter().rev().cloned().collect()
    }

    /// One of the latest blocks.
    pub fn recent_block(&self, number: u64) -> Option<BlockSummary> {
        self.recent.lock().blocks.iter().rev().find(|block| block.number == number).cloned()
    }

    /// Percentiles over the latest blocks.
    pub fn finality(&self) -> Finality {
        let mut samples: Vec<f64> = self.recent.lock().finality_ms.iter().copied().collect();
        samples.sort_unstable_by(f64::total_cmp);
        Finality { p50: percentile(&samples, 50), p99: percentile(&samples, 99), samples: samples.len() }
    }
}

/// Nearest-rank percentile of sorted samples.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, max: usize) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_rank() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&samples, 50), Some(50.0));
        assert_eq!(percentile(&samples, 99), Some(99.0));
        assert_eq!(percentile(&samples[..1], 99), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
