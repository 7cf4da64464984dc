//! What can go wrong with a key, and what to do then.

use std::{io, path::PathBuf};

use dolmen_accel_api::Algorithm;

use crate::{Domain, KeyUri};

/// Why a key cannot be made, found or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No such key.
    #[error("there is no key {0}; `dolmen keys list` shows what there is, `dolmen keys create` makes one")]
    NotFound(KeyUri),
    /// A key must not be overwritten.
    #[error("there is a key {0} already; choose another name, or delete it if nothing needs it any more")]
    Exists(KeyUri),
    /// Another backend's name.
    #[error("{uri} is not a key of {store}; name one as {example}")]
    Foreign {
        /// The name.
        uri: KeyUri,
        /// What was asked.
        store: &'static str,
        /// A name that would fit.
        example: &'static str,
    },
    /// The device has no such algorithm.
    #[error("{store} does not sign with {algorithm}; it does with {offered}")]
    Algorithm {
        /// What was asked.
        store: &'static str,
        /// The algorithm.
        algorithm: Algorithm,
        /// Those that there are.
        offered: &'static str,
    },
    /// The key was not made for this.
    #[error("the key {uri} may not sign for {domain}, only for {allowed}; use a key that was made for it")]
    Domain {
        /// The key.
        uri: KeyUri,
        /// What it was to sign for.
        domain: Domain,
        /// What it may sign for.
        allowed: crate::Domains,
    },
    /// A passphrase or PIN that opens nothing.
    #[error("the passphrase in {source_file} does not open the key {uri}, or the key's file was changed")]
    WrongPassphrase {
        /// The key.
        uri: KeyUri,
        /// Where the passphrase is from.
        source_file: PathBuf,
    },
    /// The library gave up.
    #[error("the key {0} gave no signature; check the machine's memory, and restart the box")]
    Failed(KeyUri),
    /// Reading or writing failed.
    #[error("{path}: cannot {operation}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Others can read a secret.
    #[error("{path} has mode {mode:o}; run `chmod go= {path}`")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that no version of this program wrote.
    #[error("{path} is damaged: {reason}; restore it from a backup, or make a new key and have it admitted")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
