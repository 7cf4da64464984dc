//! Structured logs on standard error.

use std::io::IsTerminal as _;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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
/// peer that does not decode; their own metrics count them. jsonrpsee warns on every body that it cannot read: any client could fill the disk with that, and its answer tells it already.
const DEFAULT_FILTER: &str = "info,commonware_p2p=error,commonware_consensus=warn,commonware_runtime=warn,commonware_storage=warn,commonware_resolver=error,commonware_stream=error,commonware_broadcast=error,jsonrpsee-server=error";

/// Starts logging; `RUST_LOG` overrides what is logged.
pub(crate) fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
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
