//! How far boxes are that join, as they tell it themselves.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::ensure;
use tokio::time::Instant;

use super::super::{layout::Place, process::Processes, watch::Page};
use crate::pledge::{Report, Trouble};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// A box on its way.
pub(super) struct Joining {
    pub(super) place: Place,
    pub(super) serial_number: String,
    pub(super) organisation: &'static str,
    page: Page,
    phase: String,
    refused: Option<Trouble>,
    votes: bool,
}

impl Joining {
    pub(super) fn new(place: Place, serial_number: String, organisation: &'static str) -> Self {
        let page = Page::new(&place);
        Self { place, serial_number, organisation, page, phase: String::new(), refused: None, votes: false }
    }

    /// What is new about it.
    async fn look(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        if let Some(report) = Report::load(&self.place.directory) {
            if report.phase != self.phase {
                news.push(report.phase.clone());
                self.phase = report.phase;
            }
            if let Some(refusal) = report.refusal.filter(|refusal| Some(refusal) != self.refused.as_ref()) {
                news.push(format!("refused: {} ({})", refusal.message, refusal.code));
                self.refused = Some(refusal);
            }
        }
        if !self.votes && self.page.votes().await {
            self.votes = true;
            news.push("votes".to_owned());
        }
        news
    }
}

/// Shows how boxes join, until all of them vote, and for this long where they need nobody for it.
pub(super) async fn watch(
    mut joining: Vec<&mut Joining>,
    dir: &Path,
    within: Option<Duration>,
    processes: &mut Processes,
) -> anyhow::Result<()> {
    let (begin, count) = (Instant::now(), joining.len());
    let live = std::io::stderr().is_terminal();
    loop {
        let now = begin.elapsed().as_secs_f64();
        for one in &mut joining {
            for new in one.look().await {
                anstream::println!("{now:7.1} s  {} of {:5}  {new}", one.serial_number, one.organisation);
            }
        }
        std::io::stdout().flush()?;
        let votes = joining.iter().filter(|one| one.votes).count();
        if votes == count {
            return Ok(());
        }
        if live {
            anstream::eprint!("\r\x1b[2K{now:7.1} s  {votes} of {count} vote\r");
        }
        let dead = processes.dead();
        ensure!(dead.is_empty(), "{} stopped; see its log in {}", dead.join(", "), dir.display());
        ensure!(
            within.is_none_or(|within| begin.elapsed() < within),
            "{votes} of {count} boxes vote after {now:.0} s; see their logs in {}",
            dir.display()
        );
        tokio::time::sleep(LOOK).await;
    }
}
