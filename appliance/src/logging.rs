//! Structured logs on standard error, and the latest of them in memory.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::IsTerminal as _,
    panic, thread,
};

use serde::{Deserialize, Serialize};
use tracing_subscriber::{EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use self::recent::Keeper;
pub(crate) use self::recent::{LogLevel, LogLine, LogPart, part};

mod recent;

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

/// The transport warns on every lost connection attempt to a box that is down, and the broadcast on every message of a
/// peer that does not decode; their own metrics count them. jsonrpsee warns on every body that it cannot read: any client could fill the disk with that, and its answer tells it already. The page's files are a line each at every start.
const DEFAULT_FILTER: &str = "info,commonware_p2p=error,commonware_consensus=warn,commonware_runtime=warn,commonware_storage=warn,commonware_resolver=error,commonware_stream=error,commonware_broadcast=error,jsonrpsee-server=error,memory_serve=warn";

/// Starts logging; `RUST_LOG` overrides what is logged. Once it has been started it stays as it is.
pub(crate) fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let out = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        // It would say on standard error that standard error takes no lines, as on a full disk, and panic over that.
        .log_internal_errors(false);
    let out = match format {
        LogFormat::Text => out.boxed(),
        LogFormat::Json => out.json().flatten_event(true).boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(Keeper).with(out).try_init();
    if started.is_ok() {
        log_panics();
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
