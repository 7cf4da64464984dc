//! What can go wrong with a journal.

use std::{fmt, io, path::PathBuf};

use crate::{LineHash, limits::LINE_BYTES_MAX};

/// Why a journal is not opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be had.
    #[error("cannot open the journal {path}; check that its directory is there and that this user may write to it")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process writes to it.
    #[error("the journal {0} is open in another process; end that one, or use another journal")]
    Locked(PathBuf),
    /// The disk does not give it back.
    #[error("cannot read the journal {path}; check its disk")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line is not what was written.
    #[error(
        "line {line} of the journal {path} is damaged: {damage}; restore the file from a backup that a later line's hash \
         agrees with, or move it away and begin another"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The record has another form than this program's.
    #[error("line {line} of the journal {path} has no record of this program; use the version that wrote it, or newer")]
    Record {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// A record that is none in JSON.
    #[error("the record cannot be written as JSON; report this")]
    Encode(#[source] serde_json::Error),
    /// A record that no reader would take.
    #[error("the record makes a line of {0} bytes, {LINE_BYTES_MAX} at most can be; it was not written")]
    LineBytes(usize),
    /// No room by our own bound.
    #[error("the journal {path} has {bytes} bytes and takes no more; archive it and begin another")]
    Full {
        /// The file.
        path: PathBuf,
        /// How long it is.
        bytes: u64,
    },
    /// The disk did not take it. Part of the line may be there.
    #[error("cannot write to the journal {path}; check that its disk has room and is sound, then start again")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A write failed before, so that nobody knows how the file ends.
    #[error("the journal {0} takes nothing since a write failed; start again once its disk is sound")]
    Broken(PathBuf),
    /// Somebody else changed the file.
    #[error(
        "the journal {path} ends with line {found}, written were {expected}; find out who changes it besides this process"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Lines that are there.
        found: u64,
        /// Lines that this process knows.
        expected: u64,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Longer than any.
    Bytes,
    /// It does not end with its sum.
    NoSum,
    /// Its sum is another than it says.
    Sum,
    /// Its sum is right, and it is no entry.
    Form(String),
    /// Another number than its place.
    Number(u64),
    /// It does not follow the line before it.
    Prev {
        /// What it says.
        found: LineHash,
        /// The line before it.
        expected: LineHash,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => write!(f, "it has more than {LINE_BYTES_MAX} bytes"),
            Self::NoSum => f.write_str("it does not end with a sum"),
            Self::Sum => f.write_str("its sum is not that of its bytes"),
            Self::Form(what) => write!(f, "it is no entry ({what})"),
            Self::Number(number) => write!(f, "it says to be line {number}"),
            Self::Prev { found, expected } => {
                write!(f, "it follows a line with the hash {found}, and the line before it has {expected}")
            }
        }
    }
}
