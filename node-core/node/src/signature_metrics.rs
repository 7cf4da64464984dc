//! What the signature engine and the queue in front of it count, read when Prometheus asks.

use std::{fmt, sync::Arc, time::Duration};

use dolmen_pool::Signatures;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Registers the metrics of the engine under `signature_`.
pub(crate) fn register(registry: &mut Registry, signatures: Arc<Signatures>) {
    registry.register_collector(Box::new(SignatureMetrics(signatures)));
}

struct SignatureMetrics(Arc<Signatures>);

impl fmt::Debug for SignatureMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureMetrics")
    }
}

impl Collector for SignatureMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let engine = self.0.engine();
        let done = engine.counters().snapshot();
        let keys = engine.keys().usage();
        let queue = self.0.queue();
        let counters = [
            ("signature_batches", "Batches that the signature engine checked", done.batches),
            ("signature_verdicts", "Signatures in them; over the batches, their mean size", done.verdicts),
            ("signature_refused", "Signatures that did not hold", done.refused),
            ("signature_key_hits", "Signatures by a key with a table", done.key_hits),
            ("signature_key_misses", "Signatures by a key without one", done.key_misses),
            ("signature_wrong_hints", "Sender hints that were wrong", done.hints_wrong),
            ("signature_keys_prepared", "Tables made for keys", done.keys_prepared),
            ("signature_keys_evicted", "Tables given up for those of other keys", done.keys_evicted),
            ("signature_queue_batches", "Batches of single signatures from JSON-RPC", queue.batches),
            ("signature_queue_jobs", "Signatures in them", queue.jobs),
            ("signature_queue_full", "Signatures refused because too many waited", queue.full),
        ];
        for (name, help, count) in counters {
            let metric = ConstCounter::new(count);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        let seconds = [
            ("signature_busy", "Time spent on batches; over the verdicts, the cost of each", done.busy_ns),
            ("signature_queue_wait", "Time that single signatures waited; over the jobs, the mean", queue.waited_ns),
        ];
        for (name, help, nanoseconds) in seconds {
            let metric = ConstCounter::new(Duration::from_nanos(nanoseconds).as_secs_f64());
            metric.encode(encoder.encode_descriptor(name, help, Some(&Unit::Seconds), metric.metric_type())?)?;
        }
        let gauges = [
            ("signature_keys", "Keys with a table", keys.keys),
            ("signature_key_bytes", "Bytes of their tables", keys.bytes),
        ];
        for (name, help, value) in gauges {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
