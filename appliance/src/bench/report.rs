//! The result: as a table for people, as JSON for programs.

use std::{
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::Context as _;
use serde::Serialize;

use super::machine::Machine;

/// How this program was built; figures of a debug build say nothing about speed.
pub(super) const PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

/// What a run measured. Keys and units are part of the interface: programs compare results of versions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Version of this program.
    pub(super) version: &'static str,
    /// `release` or `debug`; figures of a debug build say nothing about speed.
    pub(super) profile: &'static str,
    /// Boxes of the chain that vote, all on this machine. What is said of boxes is said of these alone.
    pub(super) boxes: usize,
    /// Boxes that follow the chain without a vote, on this machine too.
    pub(super) followers: usize,
    /// What checked signatures in the boxes.
    pub(super) accel: &'static str,
    /// `transfer` or `erc20`.
    pub(super) workload: &'static str,
    /// Length of the measured window.
    pub(super) seconds: f64,
    /// Transactions sent per second, where it was fixed.
    pub(super) rate: Option<u32>,
    /// Accounts that sent.
    pub(super) accounts: usize,
    /// Unfinalized transactions at most, where no rate was fixed.
    pub(super) in_flight: Option<usize>,
    /// Finalized transactions per second in the window.
    pub(super) tps: f64,
    /// Gas of finalized transactions per second.
    pub(super) gas_per_second: f64,
    /// Finalized transactions in the window.
    pub(super) transactions: usize,
    /// Blocks with transactions in the window.
    pub(super) blocks: usize,
    /// Transactions that were refused, failed or are missing, in the whole run.
    pub(super) failed: u64,
    /// From a block's proposal to its durable commit, over all boxes and blocks with transactions.
    pub(super) finality_ms: Percentiles,
    /// Blocks behind `finality_ms`, each counted on each box.
    pub(super) finality_samples: usize,
    /// Blocks that a box fetched later instead of voting, which have no such time.
    pub(super) finality_missing: usize,
    /// From when a transaction was due at the client to when the client saw its block finalized.
    pub(super) client_ms: Percentiles,
    /// Epochs that began in the window.
    pub(super) epochs: usize,
    /// From a block's finality at the first box to the next one's, within an epoch.
    pub(super) interval_ms: Percentiles,
    /// The same from an epoch's last block to the next one's first.
    pub(super) first_of_epoch_ms: Percentiles,
    /// The window's blocks, with or without transactions.
    #[serde(flatten)]
    pub(super) block_cost: BlockCost,
    /// The window beside others without followers, where there are followers.
    pub(super) comparison: Option<Comparison>,
    /// CPU time, user and system, of a box for each transaction; the mean of the boxes.
    pub(super) cpu_us_per_tx_per_box: f64,
    /// The same for each box.
    pub(super) cpu_us_per_tx_by_box: Vec<f64>,
    /// The same for the load generator, which signs nothing in the window.
    pub(super) client_cpu_us_per_tx: f64,
    /// The largest resident memory that a box ever had, in units of 10^6 bytes.
    pub(super) rss_mb_max: f64,
    /// The largest resident memory of a box at the start of the window.
    pub(super) rss_mb_start: f64,
    /// Where it was measured.
    pub(super) machine: Machine,
}

/// The blocks of a window, with or without transactions, and what they took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct BlockCost {
    /// How many a second.
    pub(super) blocks_per_second: f64,
    /// CPU time, user and system, of a box for each; the mean of the boxes that vote.
    pub(super) cpu_us_per_block_per_box: f64,
}

/// What followers took, and the boxes that vote with and without them.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Comparison {
    /// CPU time, user and system, of a follower for each block; the mean of the followers.
    pub(super) cpu_us_per_block_per_follower: f64,
    /// How many blocks the slowest follower was behind when the window ended.
    pub(super) behind_blocks_max: u64,
    /// Block up to which every follower had the chain after the load.
    pub(super) height: u64,
    /// The same load before there were followers, and after they had stopped.
    pub(super) without: [BlockCost; 2],
    /// `cpu_us_per_block_per_box` with followers, relative to the mean without them.
    pub(super) cpu_ratio: f64,
}

/// The median and the 99th percentile, by nearest rank, in milliseconds; `null` without samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Percentiles {
    /// Median.
    pub(super) p50: Option<f64>,
    /// 99th percentile.
    pub(super) p99: Option<f64>,
}

impl Percentiles {
    /// The percentiles of `samples`.
    pub(super) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let rank = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100);
            samples.get(rank.saturating_sub(1)).copied().map(round)
        };
        Self { p50: rank(50), p99: rank(99) }
    }
}

/// Rounded to three decimals, which is finer than anything measured here.
pub(super) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// In units of 10^6.
pub(super) fn megabytes(bytes: u64) -> f64 {
    round(bytes as f64 / 1_000_000.0)
}

/// Writes a result as JSON.
pub(super) fn write_json(report: &impl Serialize, path: &Path) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    std::fs::write(path, json).with_context(|| format!("write the result to {}", path.display()))
}

/// What every result begins with: what was measured, and on what.
pub(super) fn heading(machine: &Machine) -> Vec<(&'static str, String)> {
    vec![
        ("program", format!("dolmen {}, {PROFILE} build", env!("CARGO_PKG_VERSION"))),
        ("machine", format!("{}, {} cores, {} MiB", machine.cpu, machine.cores, machine.memory_mib)),
        ("", format!("Linux {}, {}, load average {:.2}", machine.kernel, machine.filesystem, machine.load_average)),
    ]
}

/// Prints names with their values.
pub(super) fn print_rows(rows: Vec<(&'static str, String)>) {
    for (name, value) in rows {
        anstream::println!("{name:<12} {value}");
    }
}

impl Report {
    /// Prints the result as a table.
    pub(super) fn print(&self) {
        let mut rows = heading(&self.machine);
        rows.extend(self.rows());
        print_rows(rows);
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let load = match (self.rate, self.in_flight) {
            (Some(rate), _) => format!("{rate} transactions sent per second"),
            (None, in_flight) => format!("at saturation, {} transactions in flight", in_flight.unwrap_or(0)),
        };
        let pair = |Percentiles { p50, p99 }: Percentiles| {
            let ms = |value: Option<f64>| value.map_or("unknown".to_owned(), |ms| format!("{ms:.1} ms"));
            format!("p50 {}, p99 {}", ms(p50), ms(p99))
        };
        let chain = format!("{} boxes and {} followers on this machine", self.boxes, self.followers);
        let BlockCost { blocks_per_second, cpu_us_per_block_per_box } = self.block_cost;
        let mut rows = vec![
            ("chain", format!("{chain}, signatures: {}", self.accel)),
            ("load", format!("{} from {} accounts, {load}", self.workload, self.accounts)),
            (
                "window",
                format!(
                    "{:.1} s: {} transactions in {} blocks, {blocks_per_second:.1} blocks/s with the empty ones",
                    self.seconds, self.transactions, self.blocks
                ),
            ),
            ("throughput", format!("{:.0} transactions/s, {:.1} Mgas/s", self.tps, self.gas_per_second / 1_000_000.0)),
            ("finality", format!("{}, proposal to durable commit", pair(self.finality_ms))),
            ("client", format!("{}, sent to seen finalized", pair(self.client_ms))),
            ("intervals", format!("{}, from one finalized block to the next", pair(self.interval_ms))),
            ("epochs", format!("{} began; their first blocks after {}", self.epochs, pair(self.first_of_epoch_ms))),
            (
                "CPU time",
                format!(
                    "{:.1} us a transaction and box, {cpu_us_per_block_per_box:.0} us a block and box; load generator \
                     {:.1} us a transaction",
                    self.cpu_us_per_tx_per_box, self.client_cpu_us_per_tx
                ),
            ),
            (
                "memory",
                format!("at most {:.0} MB a box, {:.0} MB at the window's start", self.rss_mb_max, self.rss_mb_start),
            ),
            ("failed", self.failed.to_string()),
        ];
        rows.extend(self.comparison.iter().flat_map(Comparison::rows));
        rows
    }
}

impl Comparison {
    fn rows(&self) -> [(&'static str, String); 2] {
        let [before, after] = self.without;
        [
            (
                "followers",
                format!(
                    "{:.0} us of CPU a block and follower; at most {} blocks behind at the window's end, then all had \
                     block {}",
                    self.cpu_us_per_block_per_follower, self.behind_blocks_max, self.height
                ),
            ),
            (
                "without them",
                format!(
                    "{:.0} us of CPU a block and box before at {:.1} blocks/s, {:.0} us after at {:.1} blocks/s; with \
                     them {:.3} times the mean",
                    before.cpu_us_per_block_per_box,
                    before.blocks_per_second,
                    after.cpu_us_per_block_per_box,
                    after.blocks_per_second,
                    self.cpu_ratio
                ),
            ),
        ]
    }
}

/// A line that says what goes on, on standard error where that is a terminal.
pub(super) struct Progress {
    terminal: bool,
}

impl Progress {
    /// Finds out whether anyone looks.
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal() }
    }

    /// Replaces the line.
    pub(super) fn say(&self, text: String) {
        if self.terminal {
            // A closed terminal is no reason to stop measuring.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.say(String::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        assert_eq!(Percentiles::of(vec![]), Percentiles::default());
        assert_eq!(Percentiles::of(vec![3.0]), Percentiles { p50: Some(3.0), p99: Some(3.0) });
        let hundred = (1..=100).rev().map(f64::from).collect();
        assert_eq!(Percentiles::of(hundred), Percentiles { p50: Some(50.0), p99: Some(99.0) });
        assert_eq!(Percentiles::of(vec![2.0, 1.0, 9.0]), Percentiles { p50: Some(2.0), p99: Some(9.0) });
    }
}
