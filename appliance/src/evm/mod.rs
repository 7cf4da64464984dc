//! `dolmen evm`: Ethereum's public EVM tests on the EVM that the node executes blocks with.
//!
//! `dolmen evm statetest PATH...` runs GeneralStateTests, the JSON format of ethereum/tests and of the fixtures that
//! execution-spec-tests fills. One file holds several tests; one test holds, per fork, several cases. A case picks one
//! data, one gas limit and one value out of the test's lists, runs that single transaction on the test's pre-state and
//! compares the state root and the hash of the logs with the fixture's. The report is the JSON array that Geth's
//! `evm statetest` prints, so that tools written for Geth read it.
//!
//! Data goes one way: `files` finds the fixtures -> `fixture` parses and filters one -> `transaction` builds the
//! transaction of a case -> `statetest` executes and judges it (`root` hashes the outcome) -> `report` prints.

mod files;
mod fixture;
mod report;
mod root;
mod statetest;
mod transaction;

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use rayon::prelude::*;

use self::{
    fixture::{Fixture, FixtureError, Selection},
    report::CaseResult,
};

/// Subcommands of `dolmen evm`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum EvmCommand {
    /// Run Ethereum's GeneralStateTests and print the JSON report that Geth's `evm statetest` prints.
    Statetest(StatetestArgs),
}

/// Arguments of `dolmen evm statetest`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dolmen evm statetest --human tests/fixtures/statetests/pass\n  \
    dolmen evm statetest --fork Osaka --run gasLimitCap GeneralStateTests > report.json")]
pub(crate) struct StatetestArgs {
    /// State test files, or directories that are searched for *.json files, subdirectories included.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Run only cases of this fork, named as in the fixtures (for example Cancun); can be given several times.
    #[arg(long = "fork", value_name = "NAME")]
    forks: Vec<String>,
    /// Run only tests whose name contains this text.
    #[arg(long = "run", value_name = "TEXT")]
    run: Option<String>,
    /// Print one line per case and a summary instead of JSON.
    #[arg(long)]
    human: bool,
}

/// Runs a subcommand of `dolmen evm`, and says whether everything that it ran passed.
pub(crate) fn evm(command: EvmCommand) -> anyhow::Result<bool> {
    match command {
        EvmCommand::Statetest(args) => statetest(args),
    }
}

/// Runs the state tests that `args` names, prints the report to standard output, and says whether all of it passed.
///
/// A path that cannot be read or a file that is not a state test is reported on standard error by name and reason; the
/// other files still run, and the answer is then `false`.
///
/// # Errors
///
/// If no case at all was selected although every file was readable, since a run of nothing proves nothing, or if
/// standard output cannot be written.
pub(crate) fn statetest(args: StatetestArgs) -> anyhow::Result<bool> {
    let selection = Selection::new(args.forks, args.run);
    let found = files::collect(&args.paths);
    let outcomes: Vec<_> = found.files.par_iter().map(|path| run_file(path, &selection)).collect();

    let mut broken = found.errors;
    let mut results = Vec::new();
    for (path, outcome) in found.files.iter().zip(outcomes) {
        match outcome {
            Ok(of_file) => results.extend(of_file),
            Err(error) => broken.push(format!("{}: {}", path.display(), report::chain(&error))),
        }
    }
    for error in &broken {
        writeln!(io::stderr().lock(), "error: {error}").context("cannot write to standard error")?;
    }
    if results.is_empty() && broken.is_empty() {
        anyhow::bail!("no test case in {} file(s) matches {selection}: nothing was run", found.files.len());
    }

    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = if args.human {
        report::write_lines(&mut out, &results, broken.len())
    } else {
        report::write_json(&mut out, &results)
    };
    printed.and_then(|()| out.flush()).context("cannot write the report to standard output")?;
    Ok(broken.is_empty() && results.iter().all(CaseResult::passed))
}

/// Runs the selected cases of one file, in the order of test name, fork name, index.
fn run_file(path: &Path, selection: &Selection) -> Result<Vec<CaseResult>, FixtureError> {
    let fixture = Fixture::read(path)?;
    Ok(fixture.cases(selection).map(|case| statetest::run(&case)).collect())
}
