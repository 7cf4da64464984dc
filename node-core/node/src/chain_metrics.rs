//! How the box stands in its chain, read when Prometheus asks.

use std::{
    fmt,
    sync::{Arc, Weak},
};

use dolmen_consensus::Consensus;
use dolmen_pool::Pool;
use dolmen_store::Store;
use dolmen_types::{PublicKey, certificate::quorum};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

use crate::governance::Governance;

/// What they are read from.
pub(crate) struct ChainMetrics {
    pub(crate) identity: PublicKey,
    pub(crate) governance: Arc<Governance>,
    pub(crate) store: Arc<Store>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) consensus: Weak<Consensus>,
}

impl ChainMetrics {
    /// Registers them.
    pub(crate) fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl fmt::Debug for ChainMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainMetrics")
    }
}

impl Collector for ChainMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (record, head, pool) = (self.governance.current(), self.store.head(), self.pool.status());
        let voters = record.validators.len();
        let peers = self.consensus.upgrade().map(|consensus| consensus.peers()).unwrap_or_default();
        let connected = peers.iter().filter(|peer| peer.connected);
        let voting = connected.clone().filter(|peer| record.validator(&peer.public_key).is_some()).count();
        let is_voter = record.validator(&self.identity).is_some();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let large = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let gauges = [
            ("height", "Last finalized block applied", None, large(head.block.number())),
            (
                "head_time",
                "When that block was proposed, in seconds since 1970",
                Some(Unit::Seconds),
                large(head.block.timestamp_ms().unwrap_or(0) / 1000),
            ),
            ("epoch", "Epoch of the validators", None, large(record.epoch)),
            ("validators", "Boxes that vote in this epoch", None, number(voters)),
            ("quorum", "How many of them decide", None, number(quorum(voters))),
            ("validator", "Whether this box is one of them", None, i64::from(is_voter)),
            (
                "validators_connected",
                "Those that this box has a session with, itself counted if it votes",
                None,
                number(voting + usize::from(is_voter)),
            ),
            (
                "peers",
                "Boxes of the chain that are known, without this one",
                None,
                number(self.governance.peers().len()),
            ),
            ("peers_connected", "Those that this box has a session with", None, number(connected.count())),
            ("pool_pending", "Transactions that a block could take", None, number(pool.pending)),
            ("pool_queued", "Transactions that wait for an earlier one or for funds", None, number(pool.queued)),
            ("pool_size", "Encoded transactions of both kinds", Some(Unit::Bytes), number(pool.bytes)),
        ];
        for (name, help, unit, value) in gauges {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, unit.as_ref(), metric.metric_type())?)?;
        }
        Ok(())
    }
}
