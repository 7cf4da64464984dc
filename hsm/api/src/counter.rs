//! A memory beside the disk, which an old copy of the disk does not bring back.

use crate::KeyError;

/// How far a validator may vote until the counter is advanced again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// The counter's value when it was written.
    pub counter: u64,
    /// The last epoch that it covers.
    pub epoch: u64,
    /// The last view of that epoch that it covers.
    pub view: u64,
}

/// What a lease is for: a key and a chain. Each has a counter of its own.
pub type Scope = [u8; 32];

/// A counter that only goes up, and the lease that was written with it, for each scope. Calls block, some 50 ms on a TPM.
pub trait LeaseCounter: Send + Sync {
    /// The last lease written; none before the first. A counter that was stepped since, without a lease, counts as the
    /// lease's.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the device.
    fn read(&self, scope: &Scope) -> Result<Option<Lease>, KeyError>;

    /// Advances the counter by one, writes a lease up to this epoch and view, and returns it. A crash in between leaves
    /// the counter ahead of the last lease, never behind.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the device.
    fn advance(&self, scope: &Scope, epoch: u64, view: u64) -> Result<Lease, KeyError>;
}
