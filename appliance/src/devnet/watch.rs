//! What all boxes report, in one line.

use std::{fmt, path::PathBuf, sync::OnceLock, time::Duration};

use serde::Deserialize;

use super::layout::Place;
use crate::http;

/// Asks every box for its status.
pub(super) struct Watcher(Vec<Page>);

/// The page of a box.
pub(super) struct Page {
    url: String,
    /// What the box makes at its first start.
    certificate: PathBuf,
    token: PathBuf,
    client: OnceLock<reqwest::Client>,
}

/// A block as the status lists it.
#[derive(Clone, Deserialize)]
struct Counted {
    number: u64,
    timestamp_ms: u64,
    transactions: u64,
}

#[derive(Deserialize)]
struct Status {
    role: String,
    height: u64,
    finality_ms: Finality,
    recent_blocks: Vec<Counted>,
}

#[derive(Deserialize)]
struct Finality {
    p50: Option<f64>,
    p99: Option<f64>,
}

/// One look at all boxes.
#[derive(Default)]
pub(super) struct Line {
    /// Boxes that answered and finalized a block since they started.
    pub(super) finalizing: usize,
    boxes: usize,
    height_min: u64,
    height_max: u64,
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    tps: f64,
}

impl Watcher {
    pub(super) fn new(places: &[Place]) -> Self {
        Self(places.iter().map(Page::new).collect())
    }

    pub(super) async fn poll(&self) -> Line {
        let asked = self.0.iter().map(Page::ask);
        let answers: Vec<Status> = futures::future::join_all(asked).await.into_iter().flatten().collect();
        let mut line = Line { boxes: self.0.len(), ..Line::default() };
        line.finalizing = answers.iter().filter(|status| !status.recent_blocks.is_empty()).count();
        line.height_min = answers.iter().map(|status| status.height).min().unwrap_or(0);
        line.height_max = answers.iter().map(|status| status.height).max().unwrap_or(0);
        if let Some(first) = answers.into_iter().next() {
            line.p50_ms = first.finality_ms.p50;
            line.p99_ms = first.finality_ms.p99;
            line.tps = transactions_per_second(&first.recent_blocks);
        }
        line
    }
}

impl Page {
    pub(super) fn new(place: &Place) -> Self {
        Self {
            url: format!("{}api/v1/status", place.ui_url()),
            certificate: place.certificate(),
            token: place.token(),
            client: OnceLock::new(),
        }
    }

    /// Whether the box votes, and has seen a block finalized since it started.
    pub(super) async fn votes(&self) -> bool {
        self.ask().await.is_some_and(|status| status.role == "validator" && !status.recent_blocks.is_empty())
    }

    /// The status; none while the box does not answer, or has no certificate yet.
    async fn ask(&self) -> Option<Status> {
        if self.client.get().is_none() {
            let builder = reqwest::Client::builder().timeout(Duration::from_secs(2));
            let client =
                http::trusting(builder, &self.certificate).and_then(|client| http::showing(client, &self.token));
            let client = client.ok()?.build().ok()?;
            // Another look at the same box may have been faster.
            let _ = self.client.set(client);
        }
        let response = self.client.get()?.get(&self.url).send().await.ok()?;
        response.json().await.ok()
    }
}

/// Over the blocks listed, newest first.
fn transactions_per_second(blocks: &[Counted]) -> f64 {
    let (Some(newest), Some(oldest)) = (blocks.first(), blocks.last()) else { return 0.0 };
    let elapsed_ms = newest.timestamp_ms.saturating_sub(oldest.timestamp_ms);
    let transactions: u64 =
        blocks.iter().filter(|block| block.number > oldest.number).map(|block| block.transactions).sum();
    if elapsed_ms == 0 { 0.0 } else { transactions as f64 * 1000.0 / elapsed_ms as f64 }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finalizing, boxes, height_min, height_max, p50_ms, p99_ms, tps } = self;
        write!(f, "{finalizing}/{boxes} boxes  height {height_max}")?;
        if height_min != height_max {
            write!(f, " (slowest {height_min})")?;
        }
        if let (Some(p50), Some(p99)) = (p50_ms, p99_ms) {
            write!(f, "  finality p50 {p50:.0} ms p99 {p99:.0} ms")?;
        }
        write!(f, "  {tps:.0} tx/s")
    }
}
