//! Traces: what a box did for a request or a block, and how long each part took, sent to a collector of OpenTelemetry
//! (OTLP over HTTP, protobuf). Nothing is sent where no collector is named.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter as Exporter},
};
use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter, registry::LookupSpan};

/// Where OTLP takes traces over HTTP, below the collector's address (OTLP specification, OTLP/HTTP).
const PATH: &str = "v1/traces";
/// How long a collector may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a stopping box waits until what is left has been sent.
const CLOSE_MAX: Duration = Duration::from_secs(2);
/// Spans that wait to be sent; what comes then is dropped.
const QUEUE_MAX: usize = 8192;
/// Spans that are sent at once.
const BATCH_MAX: usize = 1024;
/// The crate of consensus, which says how far a block is.
const CONSENSUS: &str = "commonware_consensus";

/// Traces: the part `[traces]` of box.toml.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traces {
    /// The collector; without one there are no traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<Collector>,
    /// Which part of all requests and blocks is traced, 0 to 1.
    pub(crate) ratio: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, ratio: 1.0 }
    }
}

impl Traces {
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!((0.0..=1.0).contains(&self.ratio), "traces.ratio is {}; it is from 0 to 1", self.ratio);
        Ok(())
    }
}

/// The address of a collector, as in `http://10.0.0.5:4318`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collector(Url);

/// Why an address is no collector's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no collector of traces; write it like http://10.0.0.5:4318, without a path")]
pub(crate) struct NoCollector(String);

impl FromStr for Collector {
    type Err = NoCollector;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no = || NoCollector(text.to_owned());
        let url: Url = text.parse().map_err(|_| no())?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            // It would stand in files and answers that are no place for one.
            && url.password().is_none()
            && url.username().is_empty();
        if plain { Ok(Self(url)) } else { Err(no()) }
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Serialize for Collector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Collector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What makes traces and sends them.
pub(super) struct Provider(SdkTracerProvider);

/// Begins to send.
pub(super) fn start(collector: &Collector, ratio: f64, name: &str) -> anyhow::Result<Provider> {
    let url = collector.0.join(PATH).context("the collector's address takes no path")?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(url.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(ANSWER_MAX)
        .build()
        .context("there is no client for it")?;
    let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE_MAX).with_max_export_batch_size(BATCH_MAX);
    let told = Told { inner: exporter, collector: collector.to_string(), failing: AtomicBool::new(false) };
    let processor = BatchSpanProcessor::builder(told).with_batch_config(queue.build()).build();
    let about = [
        KeyValue::new("service.name", "dolmen"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", name.to_owned()),
    ];
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(sampler)
        .with_resource(Resource::builder_empty().with_attributes(about).build());
    Ok(Provider(provider.build()))
}

impl Provider {
    /// What takes the spans of this program: its own, and those of consensus that say how far a block is.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let wanted = filter::filter_fn(|metadata| {
            let target = metadata.target();
            let own = target == "dolmen" || target.starts_with("dolmen_") || target.starts_with("dolmen::");
            let consensus = target.starts_with(CONSENSUS) && *metadata.level() <= Level::INFO;
            metadata.is_span() && (own || consensus)
        });
        // Without it, every line of every library would be looked at.
        let wanted = wanted.with_max_level_hint(LevelFilter::DEBUG);
        let tracer = self.0.tracer("dolmen");
        tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false).with_filter(wanted)
    }

    /// Sends what is left.
    pub(super) fn close(self) {
        if let Err(error) = self.0.shutdown_with_timeout(CLOSE_MAX) {
            tracing::info!(%error, "the last traces were not sent");
        }
    }
}

/// An exporter that says in the log when its collector stops taking traces, and when it takes them again.
#[derive(Debug)]
struct Told<E> {
    inner: E,
    collector: String,
    failing: AtomicBool,
}

impl<E: Exporter> Exporter for Told<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.inner.export(batch).await;
        let collector = &self.collector;
        match &result {
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%collector, %error, "the collector takes no traces; they are dropped until it does");
            }
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(%collector, "the collector takes traces again");
            }
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_address_without_a_path_or_a_secret() {
        for (text, shown) in [
            ("http://10.0.0.5:4318", "http://10.0.0.5:4318"),
            ("https://otel.example.org/", "https://otel.example.org"),
            ("http://[2001:db8::5]:4318", "http://[2001:db8::5]:4318"),
        ] {
            assert_eq!(text.parse::<Collector>().unwrap().to_string(), shown);
        }
        for wrong in [
            "",
            "10.0.0.5:4318",
            "ftp://10.0.0.5",
            "http://10.0.0.5:4318/v1/traces",
            "http://a:b@10.0.0.5",
            "http://a@10.0.0.5",
            "http://10.0.0.5/?a=b",
            "http://10.0.0.5/#a",
            "http://",
            "http://10.0.0.5:99999",
        ] {
            assert!(wrong.parse::<Collector>().is_err(), "{wrong}");
        }
        let wrong = Traces { ratio: 1.5, ..Traces::default() };
        assert!(wrong.check().is_err() && Traces::default().check().is_ok());
    }
}
