//! `dolmen bench sign`, `verify`, `recover`, `hash` and `cipher`: our engines beside the libraries of others.
//!
//! | file | does |
//! |---|---|
//! | `args.rs` | the command lines |
//! | `jobs.rs` | signatures to check, with bad ones planted |
//! | `signatures.rs`, `messages.rs` | what each operation runs, and which answers are right |
//! | `curve.rs` | our engines at every size of a batch, in seconds, for the box's page |
//! | `race.rs` | runs implementations in turn, in short slices, and compares every answer |
//! | `energy.rs`, `samples.rs` | RAPL, latencies |
//! | `result.rs` | the figures |
//! | `table.rs`, `csv.rs`, `html.rs`, `plot.rs` | the figures for people |
//!
//! A figure whose answers were not all compared does not exist: the first wrong answer ends the run.

mod args;
mod csv;
mod curve;
mod energy;
mod html;
mod jobs;
mod messages;
mod plot;
mod race;
mod result;
mod samples;
mod signatures;
mod table;

use std::{fs::OpenOptions, io::Write as _, path::Path, time::Duration};

use anyhow::Context as _;

use self::{
    args::distinct,
    energy::Rapl,
    jobs::Seed,
    race::{Check, Contender, Race},
    result::{Entrant, Report, Setting},
};
pub(crate) use self::{
    args::{CipherArgs, Common, HashArgs, RecoverArgs, SignArgs, VerifyArgs},
    curve::{Curve, curve},
};
use super::{machine::Machine, report::Progress};

/// `dolmen bench verify`.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<()> {
    let mut session = Session::start("verify", &args.common)?;
    signatures::verify(args, &mut session)?;
    session.finish()
}

/// `dolmen bench recover`.
pub(crate) fn recover(args: &RecoverArgs) -> anyhow::Result<()> {
    let mut session = Session::start("recover", &args.common)?;
    signatures::recover(args, &mut session)?;
    session.finish()
}

/// `dolmen bench sign`.
pub(crate) fn sign(args: &SignArgs) -> anyhow::Result<()> {
    let mut session = Session::start("sign", &args.common)?;
    signatures::sign(args, &mut session)?;
    session.finish()
}

/// `dolmen bench hash`.
pub(crate) fn hash(args: &HashArgs) -> anyhow::Result<()> {
    let mut session = Session::start("hash", &args.common)?;
    messages::hash(args, &mut session)?;
    session.finish()
}

/// `dolmen bench cipher`.
pub(crate) fn cipher(args: &CipherArgs) -> anyhow::Result<()> {
    let mut session = Session::start("cipher", &args.common)?;
    messages::cipher(args, &mut session)?;
    session.finish()
}

/// Implementations that run beside each other, in the order of their turns.
struct Team<'a, T> {
    entrants: Vec<Entrant>,
    contenders: Vec<Contender<'a, T>>,
}

impl<'a, T> Team<'a, T> {
    fn new() -> Self {
        Self { entrants: Vec::new(), contenders: Vec::new() }
    }

    fn push(&mut self, entrant: Entrant, one_by_one: bool, call: race::Call<'a, T>) {
        let name = entrant.described.label();
        self.entrants.push(entrant);
        self.contenders.push(Contender { name, one_by_one, call });
    }
}

/// What a team is given to do.
struct Task<'a, T> {
    alg: &'static str,
    /// As in [`Setting`].
    keys: Option<usize>,
    size: Option<usize>,
    /// Jobs in each set, at least the largest batch.
    jobs: usize,
    /// As in [`Race`].
    planted: bool,
    blank: T,
    check: &'a Check<'a, T>,
}

/// A run of the command.
struct Session<'a> {
    common: &'a Common,
    report: Report,
    rapl: Option<Rapl>,
    progress: Progress,
}

impl<'a> Session<'a> {
    fn start(op: &'static str, common: &'a Common) -> anyhow::Result<Self> {
        for path in [&common.json, &common.csv, &common.html].into_iter().flatten().filter(|path| !is_stdout(path)) {
            // Now, not after minutes of measuring; what is in the file stays until there is something better.
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("open {}", path.display()))?;
        }
        let (rapl, energy) = match Rapl::open() {
            Ok(rapl) => (Some(rapl), "the whole processor package's, read from RAPL".to_owned()),
            Err(reason) => (None, reason),
        };
        let report = Report::new(op, common, Machine::read(), energy);
        Ok(Self { common, report, rapl, progress: Progress::new() })
    }

    fn seed(&self) -> Seed {
        Seed(self.common.seed)
    }

    /// The largest batch.
    fn batch_max(&self) -> usize {
        distinct(&self.common.batch).into_iter().max().unwrap_or(1)
    }

    fn say(&self, what: String) {
        self.progress.say(what);
    }

    /// Adds what a reader has to know, once.
    fn note(&mut self, note: String) {
        if !self.report.notes.contains(&note) {
            self.report.notes.push(note);
        }
    }

    /// Runs a team at every batch size and number of threads.
    fn races<T: Clone + Send + Sync>(&mut self, team: &Team<'_, T>, task: &Task<'_, T>) -> anyhow::Result<()> {
        for batch in distinct(&self.common.batch) {
            for threads in distinct(&self.common.threads) {
                let Task { alg, keys, size, .. } = *task;
                let setting = Setting { alg, op: self.report.op, keys, size, batch, threads };
                self.say(format!("measuring {} {alg}: batch {batch}, threads {threads}", setting.op));
                let race = Race {
                    subject: format!("{} {alg}", setting.op),
                    jobs: task.jobs,
                    planted: task.planted,
                    batch,
                    threads,
                    duration: Duration::from_secs_f64(self.common.seconds),
                    blank: task.blank.clone(),
                    check: task.check,
                };
                let tallies = race.run(&team.contenders, self.rapl.as_ref())?;
                self.report.add(&setting, &team.entrants, tallies);
            }
        }
        Ok(())
    }

    /// Prints and writes the figures.
    fn finish(self) -> anyhow::Result<()> {
        let Self { common, mut report, progress, .. } = self;
        drop(progress);
        report.load_average_end = Machine::read().load_average;
        if report.profile == "debug" {
            report.notes.push("These figures are of a debug build and say nothing about speed.".to_owned());
        }
        let write = |path: &Path, text: String| {
            std::fs::write(path, text).with_context(|| format!("write the figures to {}", path.display()))
        };
        let json = serde_json::to_string_pretty(&report)? + "\n";
        match &common.json {
            Some(path) if is_stdout(path) => std::io::stdout().write_all(json.as_bytes())?,
            json_path => {
                anstream::print!("{}", table::table(&report));
                json_path.as_ref().map(|path| write(path, json)).transpose()?;
            }
        }
        common.csv.as_ref().map(|path| write(path, csv::csv(&report))).transpose()?;
        common.html.as_ref().map(|path| write(path, html::html(&report))).transpose()?;
        Ok(())
    }
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests;
