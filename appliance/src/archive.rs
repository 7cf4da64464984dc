//! What the commands on a chain's files have in common: the chain that settings name, and progress on a terminal.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use dolmen_archive::{Chain, Progress};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::{
    backends::Backend,
    config::{BoxConfig, load_genesis},
};

/// Between two looks of the line of progress: a person sees no more.
const REFRESH: Duration = Duration::from_millis(200);

/// The chain of a box, and the engine that checks its signatures.
pub(crate) fn chain(config: &BoxConfig) -> anyhow::Result<Chain> {
    let genesis = load_genesis(&config.genesis)?;
    let origin = dolmen_execution::origin(&genesis)
        .with_context(|| format!("{} gives no block zero", config.genesis.display()))?;
    Ok(Chain::new(genesis, origin, Backend::Cpu.node_engine()?))
}

/// Where a box has its database.
pub(crate) fn database(config: &BoxConfig) -> PathBuf {
    config.data_dir.join("db")
}

/// Lets the process open as many files as the system allows it: reading beside a running box takes one for each table.
pub(crate) fn raise_open_files() {
    // Where that is refused the database says so, if it needs more.
    let _ = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
}

/// A line of progress on standard error, where that is a terminal.
pub(crate) struct Meter {
    live: bool,
    /// When the line was last written, and what it was about.
    shown: Option<(Instant, &'static str)>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { live: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows how far a task is.
    pub(crate) fn show(&mut self, progress: Progress) {
        let Progress { step, done, total } = progress;
        let is_due = |(at, of): (Instant, &str)| of != step || done == total || at.elapsed() >= REFRESH;
        if !self.live || !self.shown.is_none_or(is_due) {
            return;
        }
        self.shown = Some((Instant::now(), step));
        match total {
            0 => anstream::eprint!("\r\x1b[2K{step}: {done}"),
            total => {
                let percent = u128::from(done) * 100 / u128::from(total);
                anstream::eprint!("\r\x1b[2K{step}: {done} of {total} ({percent} %)");
            }
        }
    }
}

impl Drop for Meter {
    /// Takes the line away, so that what follows begins on an empty one.
    fn drop(&mut self) {
        if self.live && self.shown.is_some() {
            anstream::eprint!("\r\x1b[2K");
        }
    }
}
