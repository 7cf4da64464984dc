//! `dolmen verify`: every record of a stopped box's database.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use dolmen_archive::{Report, Subject};

use crate::{
    archive::{self, Meter},
    config::BoxConfig,
};

/// Arguments of `dolmen verify`.
#[derive(Args)]
#[command(after_help = "Examples:\n  dolmen verify --config box.toml\n  \
    dolmen verify --config box.toml --json > findings.json\n\n\
    Exit status 0 says that nothing was found, 1 that something was.")]
pub(crate) struct VerifyArgs {
    /// The box's settings. The box should be stopped.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Checks the database; `false` where something was found.
pub(crate) fn verify(args: VerifyArgs) -> anyhow::Result<bool> {
    archive::raise_open_files();
    let config = BoxConfig::load(&args.config)?;
    let (chain, database) = (archive::chain(&config)?, archive::database(&config));
    let mut meter = Meter::new();
    let report = dolmen_archive::verify(&chain, &database, &mut |progress| meter.show(progress))?;
    drop(meter);
    let mut out = anstream::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&mut out, &report).context("cannot write to standard output")?;
    }
    Ok(report.is_clean())
}

fn print(out: &mut impl io::Write, report: &Report) -> io::Result<()> {
    let Report { findings, more, head, certified, first, floor, accounts, slots, written_meanwhile } = report;
    let mut subjects: BTreeMap<&str, Subject> = BTreeMap::new();
    for finding in findings {
        writeln!(out, "{}: {}: {}", finding.subject, finding.place, finding.what)?;
        subjects.insert(finding.subject.name(), finding.subject);
    }
    if *more > 0 {
        writeln!(out, "and {more} more")?;
    }
    for (name, subject) in &subjects {
        writeln!(out, "\n{name}\n  then  {}\n  do    {}", subject.consequence(), subject.remedy())?;
    }
    if *written_meanwhile {
        writeln!(out, "\na box wrote to the database meanwhile: stop it and verify again before you do anything")?;
    }
    if report.is_clean() {
        writeln!(out, "clean: blocks {first} to {head}, proven up to {certified}, states from block {floor} on")?;
        writeln!(out, "{accounts} accounts with {slots} slots")?;
    }
    Ok(())
}
