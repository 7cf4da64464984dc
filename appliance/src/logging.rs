//! Structured logs on standard error, the latest of them in memory, and what leaves the box of both: lines to a syslog
//! server, traces to a collector.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal as _,
    panic, thread,
};

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::recent::Keeper;
pub(crate) use self::{
    recent::{LogLevel, LogLine, LogPart, part},
    syslog::SyslogServer,
    traces::{Collector, Traces},
};

mod recent;
mod syslog;
mod traces;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs: the part `[log]` of box.toml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// `text` or `json`.
    pub(crate) format: LogFormat,
    /// Where the lines go as well, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) syslog: Option<SyslogServer>,
}

/// The transport warns on every lost connection attempt to a box that is down, and the broadcast on every message of a
/// peer that does not decode; their own metrics count them. jsonrpsee warns on every body that it cannot read: any client could fill the disk with that, and its answer tells it already. The page's files are a line each at every start. What becomes of traces is said once, where it changes.
const DEFAULT_FILTER: &str = "info,commonware_p2p=error,commonware_consensus=warn,commonware_runtime=warn,commonware_storage=warn,commonware_resolver=error,commonware_stream=error,commonware_broadcast=error,jsonrpsee-server=error,memory_serve=warn,opentelemetry=off,opentelemetry_sdk=off,opentelemetry_otlp=off";

/// What a box sends elsewhere, as long as this is there.
#[derive(Default)]
pub(crate) struct Outlets {
    traces: Option<traces::Provider>,
}

impl Outlets {
    /// Sends what is left, for some seconds at most.
    pub(crate) fn close(self) {
        if let Some(traces) = self.traces {
            traces.close();
        }
    }
}

/// Starts logging; `RUST_LOG` overrides what is logged. Once it has been started it stays as it is.
pub(crate) fn init(format: LogFormat) {
    start(&Log { format, syslog: None }, &Traces::default(), "");
}

/// The same for a box of a name, which may send lines and traces elsewhere.
pub(crate) fn start(log: &Log, traces: &Traces, name: &str) -> Outlets {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let out = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would say on standard error that standard error takes no lines, as on a full disk, and panic over that.
        .log_internal_errors(false);
    let out = match log.format {
        LogFormat::Text => out.boxed(),
        LogFormat::Json => out.json().flatten_event(true).boxed(),
    };
    let (lines, sending) = apart(log.syslog.as_ref().map(|server| syslog::start(server.clone(), name)));
    let collector = traces.endpoint.as_ref();
    let (provider, tracing) = apart(collector.map(|collector| traces::start(collector, traces.ratio, name)));
    let spans = provider.as_ref().map(traces::Provider::layer);
    let written = Keeper::new(lines).and_then(out).with_filter(filter);
    let started = tracing_subscriber::registry().with(written).with(spans).try_init();
    if started.is_ok() {
        log_panics();
    }
    // A box that cannot say what it does still does it.
    if let Some(error) = sending {
        tracing::error!(error = format!("{error:#}"), "the log is not sent to the syslog server");
    }
    if let Some(error) = tracing {
        tracing::error!(error = format!("{error:#}"), "no traces are sent");
    }
    Outlets { traces: provider }
}

/// What was started, or why it was not.
fn apart<T>(started: Option<anyhow::Result<T>>) -> (Option<T>, Option<anyhow::Error>) {
    match started.transpose() {
        Ok(part) => (part, None),
        Err(error) => (None, Some(error)),
    }
}

/// Makes a panic a line of the log like the others, with the calls that led to it where `RUST_BACKTRACE` asks for them.
/// The library of consensus panics where it can neither read nor write what it stores.
fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let (backtrace, thread) = (Backtrace::capture(), thread::current());
        let calls = (backtrace.status() == BacktraceStatus::Captured).then_some(&backtrace);
        tracing::error!(
            cause = panic.payload_as_str(),
            thread = thread.name(),
            location = panic.location().map(tracing::field::display),
            backtrace = calls.map(tracing::field::display),
            "a part of the box panicked"
        );
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_filter_is_one() {
        let filter = DEFAULT_FILTER.parse::<EnvFilter>().unwrap().to_string();
        assert!(filter.contains("jsonrpsee-server=error"), "{filter}");
    }
}
