//! The result: three joins beside each other.

use serde::Serialize;

use super::fill::Fill;
use crate::bench::{
    SyncArgs,
    machine::Machine,
    report::{PROFILE, heading, print_rows, round},
};

/// What was measured. Keys and units are part of the interface: programs compare results of versions.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Version of this program.
    version: &'static str,
    /// `release` or `debug`; figures of a debug build say nothing about speed.
    profile: &'static str,
    /// Boxes of the chain, all on this machine, beside the one that joins.
    boxes: u32,
    /// What checked signatures in the boxes.
    accel: &'static str,
    /// Blocks of an epoch.
    epoch_blocks: u64,
    /// Accounts that the chain was given.
    accounts: u32,
    /// Transactions that made them.
    fill_transactions: usize,
    /// Blocks that these took.
    fill_blocks: u64,
    /// How long that took.
    fill_seconds: f64,
    /// Transfers sent per second while boxes joined.
    rate: u32,
    /// How often the second box was to be killed.
    interruptions: u32,
    /// CPU time of a block on each box of the chain while nobody joined.
    cpu_us_per_block_per_box: f64,
    /// From a snapshot, from a snapshot with interruptions, by executing all blocks.
    joins: [Join; 3],
    /// What executing all blocks takes, relative to a snapshot without interruptions.
    replay_to_snapshot: Ratios,
    /// Where it was measured.
    machine: Machine,
}

/// What a box took to join, from its first start until it was two blocks behind the others at most, and answered. MB are
/// 10^6 bytes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Join {
    /// `snapshot`, `interrupted` or `replay`.
    pub(super) name: String,
    /// Starts: one more than it was killed.
    pub(super) starts: u32,
    /// Starts that went on with a part of a state.
    pub(super) resumed: u32,
    /// Blocks whose state it began to fetch: more than one where the chain moved on before it had it.
    pub(super) states: u32,
    /// Block from which on it executed: that of the state, or zero.
    pub(super) state_height: u64,
    /// Block at which it had caught up.
    pub(super) height: u64,
    /// Time.
    pub(super) seconds: f64,
    /// Time until it had a state to go on from.
    pub(super) state_seconds: f64,
    /// CPU time, user and system.
    pub(super) cpu_seconds: f64,
    /// The largest resident memory.
    pub(super) rss_mb_max: f64,
    /// What the others sent it of a state.
    pub(super) state_mb: f64,
    /// What it received after that, of blocks and all else.
    pub(super) blocks_mb: f64,
    /// Its files in the end.
    pub(super) disk_mb: f64,
    /// CPU time of a block on each box of the chain meanwhile.
    pub(super) cpu_us_per_block_per_box: f64,
}

/// Relations of figures; `null` where one has no value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Ratios {
    seconds: Option<f64>,
    cpu_seconds: Option<f64>,
    rss_mb_max: Option<f64>,
    received_mb: Option<f64>,
    disk_mb: Option<f64>,
}

fn received_mb(join: &Join) -> f64 {
    join.state_mb + join.blocks_mb
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| round(part / whole))
}

impl Report {
    /// Puts the figures together. `joins` are in the order of [`Report::joins`].
    pub(super) fn new(
        args: &SyncArgs,
        fill: &Fill,
        cpu_us_per_block_per_box: f64,
        joins: [Join; 3],
        machine: Machine,
    ) -> Self {
        let [snapshot, _, replay] = &joins;
        let of = |figure: fn(&Join) -> f64| ratio(figure(replay), figure(snapshot));
        let replay_to_snapshot = Ratios {
            seconds: of(|join| join.seconds),
            cpu_seconds: of(|join| join.cpu_seconds),
            rss_mb_max: of(|join| join.rss_mb_max),
            received_mb: of(received_mb),
            disk_mb: of(|join| join.disk_mb),
        };
        Self {
            version: env!("CARGO_PKG_VERSION"),
            profile: PROFILE,
            boxes: args.devnet.boxes,
            accel: args.devnet.accel.name(),
            epoch_blocks: args.devnet.epoch_blocks,
            accounts: fill.accounts,
            fill_transactions: fill.transactions,
            fill_blocks: fill.blocks,
            fill_seconds: round(fill.seconds),
            rate: args.rate,
            interruptions: args.interruptions,
            cpu_us_per_block_per_box,
            joins,
            replay_to_snapshot,
            machine,
        }
    }

    /// Prints the result as a table.
    pub(super) fn print(&self) {
        let mut rows = heading(&self.machine);
        rows.extend(self.rows());
        print_rows(rows);
        for line in self.table() {
            anstream::println!("{line}");
        }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let (accel, epoch, interrupted) = (self.accel, self.epoch_blocks, &self.joins[1]);
        let boxes = format!("{} boxes on this machine, signatures: {accel}, epochs of {epoch} blocks", self.boxes);
        vec![
            ("chain", boxes),
            (
                "accounts",
                format!(
                    "{}, made by {} transactions in {} blocks and {:.1} s",
                    self.accounts, self.fill_transactions, self.fill_blocks, self.fill_seconds
                ),
            ),
            ("load", format!("{} transfers sent per second while boxes joined", self.rate)),
            (
                "interrupted",
                format!(
                    "killed {} times, went on with a part {} times, began {} states",
                    interrupted.starts - 1,
                    interrupted.resumed,
                    interrupted.states
                ),
            ),
            ("serving", format!("{:.0} us of CPU a block and box while nobody joined", self.cpu_us_per_block_per_box)),
        ]
    }

    fn table(&self) -> Vec<String> {
        let figures: [Figure; 9] = [
            ("time, s", |join| join.seconds),
            ("of it until it has a state, s", |join| join.state_seconds),
            ("CPU time, s", |join| join.cpu_seconds),
            ("memory at most, MB", |join| join.rss_mb_max),
            ("received of a state, MB", |join| join.state_mb),
            ("received of blocks, MB", |join| join.blocks_mb),
            ("files, MB", |join| join.disk_mb),
            ("blocks executed", |join| join.height.saturating_sub(join.state_height) as f64),
            ("others' CPU a block and box, us", |join| join.cpu_us_per_block_per_box),
        ];
        let [snapshot, interrupted, replay] = &self.joins;
        let names = [snapshot, interrupted, replay].map(|join| join.name.clone());
        let mut lines = vec![line("", names, "replay / snapshot")];
        for (name, figure) in figures {
            let values = [snapshot, interrupted, replay].map(figure);
            let ratio = ratio(values[2], values[0]).map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            lines.push(line(name, values.map(|value| format!("{value:.1}")), &ratio));
        }
        lines
    }
}

/// A row's name, and what it shows of a join.
type Figure = (&'static str, fn(&Join) -> f64);

fn line(name: &str, [snapshot, interrupted, replay]: [String; 3], ratio: &str) -> String {
    format!("{name:<32} {snapshot:>12} {interrupted:>12} {replay:>12} {ratio:>18}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_has_no_ratio() {
        assert_eq!(ratio(3.0, 2.0), Some(1.5));
        assert_eq!(ratio(0.0, 2.0), Some(0.0));
        assert_eq!(ratio(3.0, 0.0), None);
    }
}
