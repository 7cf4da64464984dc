//! What a run found. Keys and units are part of the interface: programs compare results of versions.

use serde::Serialize;

use super::{
    args::Common,
    race::{SLICE, Tally},
};
use crate::{
    backends::{Backend, Library},
    bench::{machine::Machine, report::round},
};

/// The `impl` of Dolmen's own engines.
pub(super) const OURS: &str = "dolmen";

/// A whole run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Version of this program.
    pub(super) version: &'static str,
    /// `release` or `debug`; figures of a debug build say nothing about speed.
    pub(super) profile: &'static str,
    /// The Rust toolchain that the source is pinned to.
    pub(super) toolchain: String,
    /// `sign`, `verify`, `recover`, `hash` or `cipher`.
    pub(super) op: &'static str,
    /// Where keys and messages come from.
    pub(super) seed: u64,
    /// How long each implementation ran for a figure.
    pub(super) seconds: f64,
    /// How long it ran before the next had its turn.
    pub(super) slice_ms: u64,
    /// Where it was measured.
    pub(super) machine: Machine,
    /// Average number of runnable processes in the last minute, this program among them.
    pub(super) load_average_end: f64,
    /// How energy was measured, or why it was not.
    pub(super) energy: String,
    /// Who took part.
    pub(super) implementations: Vec<Described>,
    /// What a reader has to know about these figures.
    pub(super) notes: Vec<String>,
    /// One for each implementation and setting.
    pub(super) results: Vec<Row>,
}

/// An implementation that took part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Described {
    #[serde(rename = "impl")]
    pub(super) name: String,
    /// Only Dolmen's own engines have one.
    pub(super) backend: Option<&'static str>,
    pub(super) version: String,
    /// The code paths that it chose.
    pub(super) description: String,
}

impl Described {
    /// An engine of ours.
    pub(super) fn ours(backend: Backend, description: String) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { name: OURS.to_owned(), backend: Some(backend.name()), version, description }
    }

    /// A library of others.
    pub(super) fn library(library: Library) -> Self {
        let (name, version) = (library.name().to_owned(), library.version());
        Self { name, backend: None, version, description: String::new() }
    }

    /// The name for people.
    pub(super) fn label(&self) -> String {
        label(&self.name, self.backend)
    }
}

fn label(name: &str, backend: Option<&str>) -> String {
    backend.map_or_else(|| name.to_owned(), |backend| format!("{name} {backend}"))
}

/// A figure of an implementation, every answer of which was checked.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) alg: &'static str,
    pub(super) op: &'static str,
    #[serde(rename = "impl")]
    pub(super) name: String,
    /// Only Dolmen's own engines have one.
    pub(super) backend: Option<&'static str>,
    /// Whether keys came again, and those that take keys in advance had them.
    pub(super) known_keys: bool,
    /// Keys that came again; 0 for fresh ones, and where there are none.
    pub(super) keys: usize,
    /// Bytes of a message, where that was set.
    pub(super) size: Option<usize>,
    /// Operations in a call.
    pub(super) batch: usize,
    /// Threads that called at the same time.
    pub(super) threads: usize,
    /// Operations a second of CPU time.
    pub(super) ops_per_cpu_s: f64,
    /// Operations a second, of all threads.
    pub(super) ops_per_s: f64,
    /// Operations a second of CPU time in calls with one bad signature in eight.
    pub(super) planted_ops_per_cpu_s: Option<f64>,
    /// Microseconds of a call.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Answers that were checked.
    pub(super) verified: u64,
    /// Those among them for jobs that were spoilt on purpose.
    pub(super) spoilt: u64,
    /// How much `ops_per_cpu_s` differed between slices: the middle half's range, relative to the median.
    pub(super) spread: f64,
    /// `ops_per_cpu_s` relative to the best of the others' implementations; none where there are no others.
    pub(super) ratio_to_best_peer: Option<f64>,
    /// Keys that it prepared, memory for them, and how long it took to fill it.
    pub(super) prepared_keys: Option<usize>,
    pub(super) table_bytes: Option<usize>,
    pub(super) prepare_ms: Option<f64>,
    /// Energy of the whole processor package, in microjoules for each operation.
    pub(super) uj_per_op: Option<f64>,
}

/// What all implementations of a figure have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) alg: &'static str,
    pub(super) op: &'static str,
    pub(super) keys: Option<usize>,
    pub(super) size: Option<usize>,
    pub(super) batch: usize,
    pub(super) threads: usize,
}

/// What an engine holds for known keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prepared {
    pub(super) keys: usize,
    pub(super) bytes: usize,
    pub(super) ms: f64,
}

/// Who a figure is of.
#[derive(Clone, Debug)]
pub(super) struct Entrant {
    pub(super) described: Described,
    pub(super) prepared: Option<Prepared>,
}

impl Entrant {
    /// Without keys.
    pub(super) fn of(described: Described) -> Self {
        Self { described, prepared: None }
    }
}

impl Report {
    pub(super) fn new(op: &'static str, common: &Common, machine: Machine, energy: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" },
            toolchain: toolchain(),
            op,
            seed: common.seed,
            seconds: common.seconds,
            slice_ms: u64::try_from(SLICE.as_millis()).unwrap_or(u64::MAX),
            machine,
            load_average_end: 0.0,
            energy,
            implementations: Vec::new(),
            notes: Vec::new(),
            results: Vec::new(),
        }
    }

    /// Adds the figures of one race.
    pub(super) fn add(&mut self, setting: &Setting, entrants: &[Entrant], tallies: Vec<Tally>) {
        let peers = entrants.iter().zip(&tallies).filter(|(entrant, _)| entrant.described.backend.is_none());
        let best = peers.map(|(_, tally)| tally.ops_per_cpu_s).max_by(f64::total_cmp);
        for (Entrant { described, prepared }, tally) in entrants.iter().zip(tallies) {
            if !self.implementations.contains(described) {
                self.implementations.push(described.clone());
            }
            self.results.push(Row {
                alg: setting.alg,
                op: setting.op,
                name: described.name.clone(),
                backend: described.backend,
                known_keys: setting.keys.is_some_and(|keys| keys > 0),
                keys: setting.keys.unwrap_or(0),
                size: setting.size,
                batch: setting.batch,
                threads: setting.threads,
                ops_per_cpu_s: round(tally.ops_per_cpu_s),
                ops_per_s: round(tally.ops_per_s),
                planted_ops_per_cpu_s: tally.planted_ops_per_cpu_s.map(round),
                p50_us: round(tally.p50_us),
                p99_us: round(tally.p99_us),
                verified: tally.verified,
                spoilt: tally.spoilt,
                spread: round(tally.spread),
                ratio_to_best_peer: best.map(|best| round(tally.ops_per_cpu_s / best)),
                prepared_keys: prepared.map(|prepared| prepared.keys),
                table_bytes: prepared.map(|prepared| prepared.bytes),
                prepare_ms: prepared.map(|prepared| round(prepared.ms)),
                uj_per_op: tally.uj_per_op.map(round),
            });
        }
    }

    /// The figures by what was run: rows of one race stand together.
    pub(super) fn races(&self) -> impl Iterator<Item = &[Row]> {
        self.results.chunk_by(Row::same_race)
    }

    /// Version of an implementation.
    pub(super) fn version_of(&self, row: &Row) -> &str {
        let same = |described: &&Described| described.name == row.name && described.backend == row.backend;
        self.implementations.iter().find(same).map_or("", |described| &described.version)
    }
}

impl Row {
    /// The implementation's name for people.
    pub(super) fn label(&self) -> String {
        label(&self.name, self.backend)
    }

    fn setting(&self) -> (&str, &str, bool, usize, Option<usize>, usize, usize) {
        (self.op, self.alg, self.known_keys, self.keys, self.size, self.batch, self.threads)
    }

    fn same_race(&self, other: &Self) -> bool {
        self.setting() == other.setting()
    }

    /// Bytes a second of CPU time, in units of 10^6, where messages have a size.
    pub(super) fn megabytes_per_cpu_s(&self) -> Option<f64> {
        self.size.map(|size| self.ops_per_cpu_s * size as f64 / 1e6)
    }

    /// The keys in words; empty where the operation has none.
    pub(super) fn keys_in_words(&self) -> String {
        match (self.op, self.keys) {
            ("hash" | "cipher", _) => String::new(),
            ("recover", 0) => "no hints".to_owned(),
            ("recover", keys) => format!("hints, {keys} known senders"),
            ("sign", keys) => format!("{keys} keys"),
            (_, 0) => "unknown keys".to_owned(),
            (_, keys) => format!("{keys} known keys"),
        }
    }
}

/// The channel in `rust-toolchain.toml`.
fn toolchain() -> String {
    let file = include_str!("../../../../rust-toolchain.toml");
    let channel = file.lines().find_map(|line| line.strip_prefix("channel")?.split('"').nth(1));
    format!("Rust {}", channel.unwrap_or("of an unknown version"))
}
