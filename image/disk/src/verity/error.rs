//! What is wrong with a device, its hashes, or what is asked of them.

use std::io;

use super::RootHash;

/// Why there is no hash tree, or why a device is not what its root hash says.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// A device gave an error, or ended too early.
    #[error("cannot {operation} {block}; look for errors of the disk in the kernel's log, and write the image again")]
    Io {
        /// What was being done, and with what.
        operation: &'static str,
        /// The block of 4,096 bytes.
        block: u64,
        /// The device's error.
        #[source]
        source: io::Error,
    },
    /// A device that no tree is for.
    #[error("{0} data blocks can have no hash tree; give the number of 4096-byte blocks, 1 to 2^40")]
    DataBlocks(u64),
    /// A salt that no superblock holds.
    #[error("a salt of {0} bytes does not fit; take 256 bytes at most, 32 as a rule")]
    Salt(usize),
    /// No hash in hexadecimal digits.
    #[error("{0:?} is no root hash; give 64 hexadecimal digits")]
    RootHashDigits(String),

    /// No hash device.
    #[error("there is no verity superblock; look whether this is the hash device, and write the image again")]
    NoSuperblock,
    /// A format that is not built here.
    #[error("the superblock's {field} is {found}, not {supported}; build the image anew with this version's tool")]
    Unsupported {
        /// The superblock's field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it would have to say.
        supported: &'static str,
    },
    /// Hashes of another device.
    #[error("the superblock is for {found} data blocks, not for {expected}; write data and hashes of one image")]
    OtherDevice {
        /// What it says.
        found: u64,
        /// What the caller knows.
        expected: u64,
    },

    /// The topmost hashes are not those that the root hash stands for.
    #[error("the root hash is {computed}, not {expected}; this is another image, or a changed one: write it again")]
    RootHash {
        /// What the caller trusts.
        expected: RootHash,
        /// Of what is on the device.
        computed: RootHash,
    },
    /// A hash block is not what it was.
    #[error("hash block {block} was changed (level {level} of the tree); write the image again")]
    HashBlock {
        /// The block of the hash device, of 4,096 bytes; the superblock is 0.
        block: u64,
        /// Its level, from 0 for those that hash data.
        level: usize,
    },
    /// A data block is not what it was.
    #[error("data block {block} was changed; write the image again")]
    DataBlock {
        /// The block of the data device, of 4,096 bytes.
        block: u64,
    },
}

impl VerityError {
    pub(super) fn io(operation: &'static str, block: u64) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, block, source }
    }
}
