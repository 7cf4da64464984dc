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
    /// Bytes that are no secret key.
    #[error("these bytes are no secret key of {0}; take the 32 bytes that its maker wrote")]
    Secret(Algorithm),
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
    /// The device or its library is not there.
    #[error("{device} is not there: {reason}; connect it or mend its setting, nothing is signed until it is back")]
    Absent {
        /// What was looked for, as the configuration names it.
        device: String,
        /// What was found instead.
        reason: String,
    },
    /// The device takes no PIN any more, or not now.
    #[error("{device} is locked after wrong PINs or failed authorisations; {next}")]
    Locked {
        /// The device.
        device: String,
        /// How to unlock it.
        next: &'static str,
    },
    /// The device refused the PIN.
    #[error(
        "{device} refuses the PIN in {source_file}; put the right one there before you try again, since devices lock \
         themselves after some wrong ones"
    )]
    WrongPin {
        /// The device.
        device: String,
        /// Where the PIN is from.
        source_file: PathBuf,
    },
    /// Nobody said where the PIN is.
    #[error("{device} asks for a PIN; name a file of mode 0600 that holds it: pin-source=file:/path in the key's name")]
    NoPin {
        /// The device.
        device: String,
    },
    /// The state of the box is not what the secret was sealed to.
    #[error("the policy of {what} does not hold: {reason}")]
    Policy {
        /// What was to be used.
        what: String,
        /// What does not hold, and what to do.
        reason: String,
    },
    /// The device forgot who we are.
    #[error("{device} closed the session in the middle of an operation: {reason}; the next operation opens another")]
    SessionLost {
        /// The device.
        device: String,
        /// What the device said.
        reason: String,
    },
    /// No room for another key.
    #[error("{device} has no room for another key; delete one that nothing needs, or take another device")]
    Full {
        /// The device.
        device: String,
    },
    /// What this kind of store cannot do at all.
    #[error("{store} cannot {operation}; {next}")]
    Unsupported {
        /// What was asked.
        store: &'static str,
        /// The operation.
        operation: &'static str,
        /// What to do instead.
        next: &'static str,
    },
    /// The device signs, but not as the algorithm says.
    #[error("{device} failed the self-test of {uri}: {reason}")]
    SelfTest {
        /// The device.
        device: String,
        /// The key.
        uri: KeyUri,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Anything else that a device reports.
    #[error("{device} cannot {operation}: {reason}; see the device's manual for this code")]
    Device {
        /// The device.
        device: String,
        /// What was being done.
        operation: &'static str,
        /// The device's own code and words.
        reason: String,
    },
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

impl KeyError {
    /// Whether the device may be back by itself, so that trying again later is worth it.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Absent { .. } | Self::SessionLost { .. } | Self::Device { .. })
    }
}
