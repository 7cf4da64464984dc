//! The check of a database, record by record.
//!
//! Every record follows from others: hashes from headers, bodies and receipts from their roots, the state from the
//! head's `stateRoot`, earlier states from theirs, the records of epochs from `requestsHash`, certificates from the
//! validators' keys. So one record that was changed, lost or added is found; what is not found is in the list at
//! [`verify`].
//!
//! | part | checks |
//! |---|---|
//! | `tables` | that every table file can be read, and that every record is one of those that belong there |
//! | `blocks` | headers, bodies, receipts, blooms, indexes, certificates, records of epochs |
//! | `state` | accounts, slots, code, and the root of all |
//! | `history` | that what blocks replaced leads back to the root of each block whose state is kept |

mod blocks;
mod finding;
mod history;
mod state;
mod tables;

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use alloy_consensus::Header;
use alloy_primitives::B256;
use dolmen_store::{Family, ReadOnly, StoreError};
use serde::Serialize;

use crate::{Chain, Progress, Watch};

use finding::Findings;
pub use finding::{Finding, Subject};
use tables::Tally;

/// Why a database could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is none, or one of another version of the format.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is another chain's.
    #[error(
        "the database is of the chain with genesis {found}, the genesis file gives {expected}; use its own settings"
    )]
    OtherChain {
        /// Genesis hash in the database.
        found: B256,
        /// The chain's.
        expected: B256,
    },
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What is wrong, at most a thousand of it.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more: u64,
    /// Height of the last block.
    pub head: u64,
    /// Height of the last block with a certificate that holds. Those above are held together by their hashes alone
    /// until the next certificate.
    pub certified: u64,
    /// Height of the first block above block zero: 1, unless the database was filled from other boxes.
    pub first: u64,
    /// Lowest height whose state is kept.
    pub floor: u64,
    /// Accounts in the state.
    pub accounts: u64,
    /// Slots in the state.
    pub slots: u64,
    /// Whether a box wrote to the database meanwhile, so that findings may be no faults.
    pub written_meanwhile: bool,
}

impl Report {
    /// Whether nothing was found.
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Checks every record of the database in `path`, which no box should be running on. Takes the memory that a box takes
/// for the state, and the time to read the database twice.
///
/// Not found, because nothing says otherwise: a certificate that is missing where the block is not its epoch's last
/// one, code that no account has, records of kinds that this program does not know, and blocks at the end that are gone
/// with all that belongs to them. A database that was filled from other boxes has no blocks below some height, but what
/// proves each earlier epoch's last block, and of those that it was filled with no other certificates: what is missing
/// there is no fault.
pub fn verify(chain: &Chain, path: &Path, watch: Watch<'_>) -> Result<Report, VerifyError> {
    let mut findings = Findings::default();
    let database = match ReadOnly::open(path) {
        Ok(database) => database,
        Err(error @ (StoreError::NoDatabase(_) | StoreError::Filling(_) | StoreError::Version { .. })) => {
            return Err(error.into());
        }
        Err(error) => {
            findings.add(Subject::Files, path.display(), causes(&error));
            let (findings, more) = findings.into_parts();
            return Ok(Report { findings, more, ..Report::default() });
        }
    };
    let began = database.head().ok();
    let mut audit = Audit {
        chain,
        database: &database,
        head: 0,
        floor: 0,
        first: 1,
        findings,
        tallies: HashMap::new(),
        codes: HashSet::new(),
        watch,
    };
    audit.check_meta()?;
    audit.check_tables();
    let certified = audit.check_blocks();
    let (rewind, accounts, slots) = audit.check_state();
    audit.check_history(rewind);
    let (head, first, floor) = (audit.head, audit.first, audit.floor);
    let (findings, more) = audit.findings.into_parts();
    let written_meanwhile = began != ReadOnly::open(path).and_then(|database| database.head()).ok();
    Ok(Report { findings, more, head, certified, first, floor, accounts, slots, written_meanwhile })
}

/// A check in progress.
struct Audit<'a> {
    chain: &'a Chain,
    database: &'a ReadOnly,
    /// Height of the last block, as headers and records of it agree best.
    head: u64,
    /// Lowest height whose state is kept, likewise.
    floor: u64,
    /// Height of the first block above block zero: 1, unless the database was filled from other boxes.
    first: u64,
    findings: Findings,
    tallies: HashMap<Family, Tally>,
    /// Hashes of the code that is there and right.
    codes: HashSet<B256>,
    watch: Watch<'a>,
}

impl Audit<'_> {
    /// The version, the chain, and the heights of head and floor, which all else depends on.
    fn check_meta(&mut self) -> Result<(), VerifyError> {
        match self.database.version() {
            Ok(Some(_)) => {}
            Ok(None) => self.findings.add(Subject::Meta, "version", "the record is missing"),
            Err(error) => self.findings.add(Subject::Meta, "version", causes(&error)),
        }
        let expected = self.chain.hash();
        let found = self.database.genesis_hash();
        if found.as_ref().ok() != Some(&expected) {
            // Where block zero is right, it is the record that is wrong, not the chain.
            let zero = self.database.header(0).ok().flatten().map(|header| header.hash_slow());
            match (found, zero) {
                (Ok(found), zero) if zero != Some(expected) => {
                    return Err(VerifyError::OtherChain { found, expected });
                }
                (Ok(found), _) => {
                    self.findings.add(Subject::Meta, "genesis", format!("it says {found}, block zero is {expected}"));
                }
                (Err(error), _) => self.findings.add(Subject::Meta, "genesis", causes(&error)),
            }
        }
        self.find_head();
        self.find_floor();
        self.find_first();
        Ok(())
    }

    /// The record of the head, unless the headers contradict it: then where they end.
    fn find_head(&mut self) {
        let said = self.database.head();
        let mut last: Option<u64> = None;
        let mut run_ends: Option<u64> = None;
        let from = said.as_ref().copied().unwrap_or(0);
        // Only what is beyond the head is of interest, and where there is no record of it, all.
        for record in self.database.scan(Family::Headers, &from.to_be_bytes()) {
            let Ok((key, _)) = record else { break };
            let Some(height) = height_of(&key) else { continue };
            if run_ends.map_or(height == from, |end| end.checked_add(1) == Some(height)) {
                run_ends = Some(height);
            }
            last = Some(height);
        }
        match (&said, run_ends) {
            (Ok(head), Some(end)) if *head == end => {}
            (Ok(head), Some(end)) => {
                self.findings.add(Subject::Meta, "head", format!("it says {head}, but there are blocks up to {end}"));
            }
            (Ok(head), None) => {
                self.findings.add(Subject::Meta, "head", format!("it says {head}, but there is no such block"));
            }
            (Err(error), _) => self.findings.add(Subject::Meta, "head", causes(error)),
        }
        self.head = run_ends.or(last).unwrap_or_else(|| self.last_below(from));
    }

    /// The highest header below a height, by halving: nearly all of them are there.
    fn last_below(&self, above: u64) -> u64 {
        let (mut low, mut high) = (0, above);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            let there = self.database.get(Family::Headers, &middle.to_be_bytes());
            if there.is_ok_and(|header| header.is_some()) { low = middle } else { high = middle - 1 }
        }
        low
    }

    /// The record of the floor, unless the lists of changes contradict it: then where they begin.
    fn find_floor(&mut self) {
        let said = self.database.floor();
        let floor = match &said {
            Ok(floor) if *floor <= self.head => *floor,
            Ok(floor) => {
                let what = format!("it says {floor}, which is above the last block, {}", self.head);
                self.findings.add(Subject::Meta, "floor", what);
                self.head
            }
            Err(error) => {
                self.findings.add(Subject::Meta, "floor", causes(error));
                0
            }
        };
        let next = self.database.scan(Family::Changes, &floor.saturating_add(1).to_be_bytes()).next();
        let first = match next {
            Some(Ok((key, _))) => height_of(&key).filter(|first| *first <= self.head),
            _ => None,
        };
        self.floor = first.map_or(self.head, |first| first - 1);
        if self.floor != floor && said.is_ok_and(|said| said == floor) {
            let what = format!(
                "it says {floor}, but the lists of changes go back to block {} alone",
                self.floor.saturating_add(1)
            );
            self.findings.add(Subject::Meta, "floor", what);
        }
    }

    /// Where blocks begin. A body that alone is missing has its receipts left; headers there are of earlier blocks too.
    fn find_first(&mut self) {
        let families = [Family::Bodies, Family::Receipts];
        let first = families.into_iter().filter_map(|family| {
            let (key, _) = self.database.scan(family, &1_u64.to_be_bytes()).next()?.ok()?;
            height_of(&key)
        });
        self.first = first.min().unwrap_or(1);
    }

    /// A header, without any check; `None` also where it cannot be read.
    fn header(&self, number: u64) -> Option<Header> {
        self.database.header(number).ok().flatten()
    }

    /// Reads a record; what keeps it from being read is a finding, and `Err`.
    fn read(&mut self, family: Family, key: &[u8], place: &str) -> Result<Option<Vec<u8>>, Unreadable> {
        self.database.get(family, key).map_err(|error| {
            self.findings.add(Subject::Files, format!("{} of {place}", family.name()), causes(&error));
            Unreadable
        })
    }

    /// How many records of a family there are beyond so many; 0 where not all of them could be read.
    fn surplus(&self, family: Family, expected: u64) -> u64 {
        self.tallies.get(&family).filter(|tally| tally.whole).map_or(0, |tally| tally.records.saturating_sub(expected))
    }

    fn progress(&mut self, step: &'static str, done: u64, total: u64) {
        const REPORT: u64 = 1024;
        if done.is_multiple_of(REPORT) || done == total {
            (self.watch)(Progress { step, done, total });
        }
    }
}

/// A record that the disk does not give back; said already.
struct Unreadable;

/// The height in a key of 8 bytes.
fn height_of(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_be_bytes)
}

/// An error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
