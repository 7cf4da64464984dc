//! What a box counts, from its `/metrics`.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use anyhow::Context as _;

use crate::http;

/// Longest wait for an answer: boxes under full load answer within a second.
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// A box's metrics.
pub(super) struct Metrics {
    /// Made when first asked: the box writes its certificate when it starts.
    http: OnceLock<reqwest::Client>,
    certificate: PathBuf,
    url: String,
    /// The box's name, for error messages.
    name: String,
}

impl Metrics {
    /// Those at `url`; `certificate` is the box's.
    pub(super) fn new(name: &str, url: &str, certificate: PathBuf) -> Self {
        Self { http: OnceLock::new(), certificate, url: url.to_owned(), name: name.to_owned() }
    }

    fn client(&self) -> anyhow::Result<&reqwest::Client> {
        if self.http.get().is_none() {
            let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_MAX);
            // Another question to the same box may have been faster.
            let _ = self.http.set(http::trusting(client, &self.certificate)?.build()?);
        }
        self.http.get().context("it was set")
    }

    /// The value of a counter without labels.
    pub(super) async fn counter(&self, counter: &str) -> anyhow::Result<u64> {
        let response = self.client()?.get(&self.url).send().await.and_then(reqwest::Response::error_for_status);
        let response = response.with_context(|| format!("ask {} for its metrics", self.name))?;
        let text = response.text().await.with_context(|| format!("read the metrics of {}", self.name))?;
        value(&text, counter).with_context(|| format!("{} has no counter `{counter}` in its metrics", self.name))
    }
}

fn value(text: &str, counter: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '))?;
    value.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "# TYPE a counter\na_total_more 1\na_total{x=\"y\"} 2\na_total 30\n# EOF\n";
        assert_eq!(value(text, "a_total"), Some(30));
        assert_eq!(value(text, "a"), None);
        assert_eq!(value(text, "b_total"), None);
    }
}
