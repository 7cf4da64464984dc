//! What the command prints: Geth's JSON array, or lines for people.

use std::{
    error::Error,
    io::{self, Write},
};

use alloy_primitives::B256;
use serde::Serialize;

use super::fixture::Case;

/// Outcome of one case, in the names and the order of Geth's `StatetestResult`.
#[derive(Debug, Serialize)]
pub(super) struct CaseResult {
    name: String,
    pass: bool,
    /// Root of the post-state; absent if nothing was executed.
    #[serde(rename = "stateRoot", skip_serializing_if = "Option::is_none")]
    state_root: Option<B256>,
    fork: String,
    /// Why the case failed; empty if it passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    /// Indexes of data, gas limit and value; Geth does not print them.
    #[serde(skip)]
    indexes: [usize; 3],
}

impl CaseResult {
    /// The result of `case`: passed if there is no `failure`.
    pub(super) fn new(case: &Case<'_>, state_root: Option<B256>, failure: Option<String>) -> Self {
        let indexes = &case.test.indexes;
        Self {
            name: case.name.to_owned(),
            pass: failure.is_none(),
            state_root,
            fork: case.fork.to_owned(),
            error: failure.unwrap_or_default(),
            indexes: [indexes.data, indexes.gas, indexes.value],
        }
    }

    /// Whether the outcome was the expected one.
    pub(super) const fn passed(&self) -> bool {
        self.pass
    }
}

/// Writes the JSON array, indented by two spaces.
pub(super) fn write_json(out: &mut impl Write, results: &[CaseResult]) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, results)?;
    writeln!(out)
}

/// Writes one line per case and a summary. `broken` counts the paths that could not be run.
pub(super) fn write_lines(out: &mut impl Write, results: &[CaseResult], broken: usize) -> io::Result<()> {
    for CaseResult { name, pass, fork, error, indexes: [data, gas, value], .. } in results {
        let verdict = if *pass { "PASS" } else { "FAIL" };
        write!(out, "{verdict} {name} [{fork}, data {data}, gas {gas}, value {value}]")?;
        writeln!(out, "{}{error}", if error.is_empty() { "" } else { ": " })?;
    }
    let passed = results.iter().filter(|result| result.pass).count();
    writeln!(out, "{passed} passed, {} failed, {broken} path(s) not run", results.len() - passed)
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
