//! What a box knows of its chain, on disk and in memory.
//!
//! RocksDB holds the finalized chain: headers, bodies and receipts, of all blocks or for a configured depth, the flat
//! state by hashed key, and for another depth the values that each block replaced. The keccak trie over the state (`trie`) lives in memory and is rebuilt
//! from the flat state at start-up, where its root must equal the head's `stateRoot`: recovery after a crash and a
//! check of all accounts and slots (not of their code, which is only named by its hash) are the same step. One
//! [`Store::commit`] is one atomic, synced `WriteBatch`.
//!
//! Accounts and slots of the latest state are read from memory, code from the disk; a [`State`] is a version of the
//! trie that costs nothing to keep.

mod audit;
mod chain;
mod code;
mod db;
mod history;
mod load;
mod logs;
pub mod snapshot;
mod state;
mod store;
mod trie;

#[cfg(feature = "damage")]
pub use audit::damage;
pub use audit::{AccountWithSlots, Family, ReadOnly, Record, Rewind, StateRecord};
pub use chain::TransactionPosition;
pub use db::Closing;
pub use history::PROOF_DEPTH_MAX;
pub use load::{LoadError, Loader, StateHasher};
pub use logs::{LogFilter, LogLimit, LogLimits, LogMatch, LogPage};
pub use state::{Account, AccountChange, AccountProof, SlotChange, State, StateDiff, StateReader};
pub use store::{Executed, Head, Options, Origin, Store};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// RocksDB refused: the cause is in the source.
    #[error("database {operation} failed in {path}; check free space and permissions there")]
    Database {
        /// What was being done.
        operation: &'static str,
        /// The database's directory.
        path: std::path::PathBuf,
        /// RocksDB's own error.
        #[source]
        source: rocksdb::Error,
    },
    /// RocksDB cannot read what it wrote: the cause, in the source, names the file.
    #[error("the database in {path} is damaged: {operation} failed; restore this box from its peers or a backup")]
    Corrupt {
        /// What was being done.
        operation: &'static str,
        /// The database's directory.
        path: std::path::PathBuf,
        /// RocksDB's own error.
        #[source]
        source: rocksdb::Error,
    },
    /// There is no such directory.
    #[error("there is no database in {0}; give the settings of a box that has run")]
    NoDatabase(std::path::PathBuf),
    /// Another process has the database open.
    #[error("the database in {0} is in use by another process; stop it or choose another data_dir")]
    Locked(std::path::PathBuf),
    /// Written by another version of the format.
    #[error("the database has format version {found}, this program reads {expected}; use the matching release")]
    Version {
        /// Version in the database.
        found: u32,
        /// Version that this program writes.
        expected: u32,
    },
    /// The database belongs to another chain.
    #[error(
        "the database belongs to the chain with genesis {found}, but the genesis file gives {expected}; use its own data_dir"
    )]
    OtherChain {
        /// Genesis hash in the database.
        found: alloy_primitives::B256,
        /// Genesis hash of the configured file.
        expected: alloy_primitives::B256,
    },
    /// The state of a block is being fetched into it.
    #[error(
        "the database in {0} is being filled from other boxes and is not whole: let the box go on with it while they can be reached, or remove the directory to begin again"
    )]
    Filling(std::path::PathBuf),
    /// It holds a chain, and a state is fetched only where there is none.
    #[error("the database in {0} holds a chain, which a state from other boxes would overwrite; use another data_dir")]
    HasChain(std::path::PathBuf),
    /// A record cannot be decoded or is missing where the format requires it.
    #[error("the database is damaged: {what} at {key}; restore this box from its peers or a backup")]
    Damaged {
        /// The kind of record.
        what: &'static str,
        /// Where.
        key: String,
    },
    /// The state on disk does not hash to the head's state root.
    #[error(
        "the database is damaged: the state at height {height} hashes to {found}, the header says {expected}; restore this box from its peers or a backup"
    )]
    StateRoot {
        /// Head's height.
        height: u64,
        /// Root of the state found.
        found: alloy_primitives::B256,
        /// Root in the header.
        expected: alloy_primitives::B256,
    },
    /// A block that does not follow the head.
    #[error("block {number} ({hash}) does not follow the head {head}")]
    NotNext {
        /// The block's height.
        number: u64,
        /// The block's hash.
        hash: alloy_primitives::B256,
        /// Height of the head.
        head: u64,
    },
    /// The height is above the head.
    #[error("block {number} is not known; the head is {head}")]
    UnknownBlock {
        /// The height asked for.
        number: u64,
        /// Height of the head.
        head: u64,
    },
    /// State that old is no longer kept.
    #[error("state at block {number} is no longer kept: this box keeps it from block {floor} (history.depth)")]
    Pruned {
        /// The height asked for.
        number: u64,
        /// Lowest height whose state is kept.
        floor: u64,
    },
    /// A block that this box never had, or has no more.
    #[error(
        "block {number} is not kept: this box has blocks from {first} on, because it started from the state of a later one \
         or keeps no more (history.blocks); ask a box that keeps all"
    )]
    NoBlock {
        /// The height asked for.
        number: u64,
        /// Height of the first block above block zero.
        first: u64,
    },
    /// Rebuilding the trie that far back would take too long.
    #[error(
        "proofs undo at most {max} {what}; block {number} is further back (the head is {head}): ask for a later one"
    )]
    ProofTooOld {
        /// The height asked for.
        number: u64,
        /// Height of the head.
        head: u64,
        /// How much is undone at most.
        max: u64,
        /// Of what: blocks, or what they changed.
        what: &'static str,
    },
}
