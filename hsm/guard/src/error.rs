//! Why a vote is not signed.

use std::{io, path::PathBuf};

use dolmen_hsm_api::KeyError;

use crate::{Kind, Round};

/// Why a vote is not signed, or a guard not opened.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It would be a fault.
    #[error(
        "a vote to {kind} in {round} conflicts with an earlier vote to {earlier} there; nothing was signed. Another box \
         may use this key, or consensus lost its journal: look at what else runs with this key before you start it again"
    )]
    Conflict {
        /// When.
        round: Round,
        /// What was to be signed.
        kind: Kind,
        /// What was signed before.
        earlier: Kind,
    },
    /// The guard has forgotten what it signed then.
    #[error("{round} is too old to vote in: votes up to {floor} are no longer remembered")]
    Forgotten {
        /// When.
        round: Round,
        /// The last round that is forgotten.
        floor: Round,
    },
    /// Another may have signed up to there.
    #[error(
        "votes up to {until} may have been signed by another copy of this disk, or their records are lost; the box votes \
         again when the chain has passed that"
    )]
    Fenced {
        /// The last round in which nothing is signed.
        until: Round,
    },
    /// Two processes.
    #[error("{path}, or a copy of it, is in use by another process; stop the box that uses it first")]
    InUse {
        /// The log.
        path: PathBuf,
    },
    /// A log of another key or chain.
    #[error("{path} belongs to another key or another chain; give each key and chain a log of its own")]
    Foreign {
        /// The log.
        path: PathBuf,
    },
    /// Neither header can be read or a part of the file is gone, and no counter says how far the log had got.
    #[error(
        "{path} is damaged at its beginning or cut short, and nothing says any more what it has signed; move it away, and \
         the box makes another and votes again when the chain has gone on for a while"
    )]
    Damaged {
        /// The log.
        path: PathBuf,
    },
    /// The log was stamped with a counter, and now there is to be none.
    #[error(
        "{path} is stamped with a TPM's counter, which keys.vote_counter in box.toml no longer names; name it again, or \
         run `dolmen keys release-votes` if no other copy of this file can be in use"
    )]
    Uncounted {
        /// The log.
        path: PathBuf,
    },
    /// The counter that stamped the log is gone.
    #[error(
        "the counter that stamped {path} is not there any more: the TPM was cleared or is another; run `dolmen keys \
         release-votes` if no other copy of this file can be in use"
    )]
    CounterGone {
        /// The log.
        path: PathBuf,
    },
    /// Reading or writing failed. Nothing was signed.
    #[error("{path}: cannot {operation}; no vote is signed without its record")]
    Io {
        /// The log.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The key does not sign.
    #[error("the key gives no signature")]
    Key(#[source] KeyError),
    /// The counter does not count.
    #[error("the counter that stamps the log of votes fails")]
    Counter(#[source] KeyError),
}
