//! A chain outside of a running box: files of blocks, backups, and the check of a database, down to each record.
//!
//! Nothing here trusts a file. What a file says is checked against the genesis file alone, by the certificates of the
//! blocks ([`LightClient`]) and by what their headers commit to: a body by `transactionsRoot`, receipts by
//! `receiptsRoot`, the state by `stateRoot`, the next epoch's record by `requestsHash`. So a file that somebody else
//! made, or that was stored with somebody else, is worth as much as one's own.
//!
//! | what | is |
//! |---|---|
//! | [`LightClient`], [`Follower`] | proof that blocks are final; no IO |
//! | [`export()`], [`import()`] | blocks with certificates in one file, and back into a database by executing them |
//! | [`backup()`], [`restore()`] | state, blocks and receipts in encrypted files, and a database from them |
//! | [`verify()`] | every record of a database, with what to do about each that is wrong |
//!
//! [`export()`] and [`backup()`] read the database of a running box; see [`dolmen_store::ReadOnly`] for why that is
//! safe.

mod backup;
mod blocks;
mod export;
mod files;
mod follow;
mod format;
mod import;
mod manifest;
mod replay;
mod restore;
mod seal;
mod source;
mod state_file;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;

use alloy_primitives::B256;
use dolmen_accel_api::BatchVerifier;
use dolmen_store::Origin;
use dolmen_types::{Epochs, Genesis};

pub use backup::{BackupError, backup};
pub use blocks::StreamError;
pub use dolmen_governance::{LightClient, LightError};
pub use export::{ExportError, Exported, export};
pub use follow::{FollowError, Follower};
pub use format::Fault;
pub use import::{ImportError, Imported, import};
pub use manifest::{Backup, BackupKind, DataContent, DataFile, Manifest, ManifestError};
pub use replay::ReplayError;
pub use restore::{RestoreError, Restored, restore};
pub use seal::{Identities, Recipients, SealError};
pub use source::SourceError;
pub use verify::{Finding, Report, Subject, VerifyError, verify};

/// The chain that files and databases are checked against.
pub struct Chain {
    genesis: Genesis,
    origin: Origin,
    verifier: Arc<dyn BatchVerifier>,
}

impl Chain {
    /// The chain of a genesis file, with what starts from it, and what checks signatures.
    pub fn new(genesis: Genesis, origin: Origin, verifier: Arc<dyn BatchVerifier>) -> Self {
        Self { genesis, origin, verifier }
    }

    /// Hash of block zero, the chain's identity.
    pub fn hash(&self) -> B256 {
        self.origin.block.hash()
    }

    /// Its settings.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What it starts from.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What checks signatures.
    pub const fn verifier(&self) -> &Arc<dyn BatchVerifier> {
        &self.verifier
    }

    /// How its blocks are divided into epochs.
    pub fn epochs(&self) -> Epochs {
        self.genesis.epochs()
    }

    /// A client that knows the validators of the genesis file.
    pub fn light_client(&self) -> LightClient {
        let validators = self.genesis.file().validators.iter().map(|validator| validator.public_key).collect();
        LightClient::new(self.hash(), self.epochs(), validators)
    }

    /// Largest encoded block in bytes.
    pub(crate) fn block_bytes_max(&self) -> usize {
        usize::try_from(self.genesis.file().block_bytes_max).unwrap_or(usize::MAX)
    }
}

/// How far a long task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is to do, 0 where that is not known.
    pub total: u64,
}

/// Told of progress, often.
pub type Watch<'a> = &'a mut dyn FnMut(Progress);
