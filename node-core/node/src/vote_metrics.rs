//! What became of this box's votes, read when Prometheus asks.

use std::{fmt, sync::Weak};

use dolmen_consensus::Consensus;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// Registers the metrics of the guard under `votes_`.
pub(crate) fn register(registry: &mut Registry, consensus: Weak<Consensus>) {
    registry.register_collector(Box::new(VoteMetrics(consensus)));
}

struct VoteMetrics(Weak<Consensus>);

impl fmt::Debug for VoteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VoteMetrics")
    }
}

impl Collector for VoteMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(votes) = self.0.upgrade().map(|consensus| consensus.votes()) else { return Ok(()) };
        let counters = [
            ("votes_signed", "Votes that were signed and logged", votes.signed),
            ("votes_conflicts", "Votes refused because they conflict with earlier ones", votes.conflicts),
            ("votes_failures", "Votes not signed for another reason: key, counter or disk, or too old", votes.failures),
        ];
        for (name, help, count) in counters {
            let metric = ConstCounter::new(count);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let fence = votes.fence.map_or(0, |fence| i64::try_from(fence.view).unwrap_or(i64::MAX));
        let gauges = [
            ("votes_fenced", "Whether votes are held back because another may have cast them", i64::from(votes.fenced)),
            ("votes_failing", "Whether the last vote was not signed", i64::from(votes.failing.is_some())),
            ("votes_fence_view", "The last view in which nothing is signed, 0 for none", fence),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
