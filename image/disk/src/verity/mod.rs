//! Hash trees of dm-verity: a root hash of 32 bytes vouches for every block of a device.
//!
//! Format 1 with SHA-256 and blocks of 4,096 bytes, as `veritysetup format` writes it and the kernel's
//! `Documentation/admin-guide/device-mapper/verity.rst` describes it: each data block is hashed, salt first; 128 hashes
//! make a hash block, the last one filled up with zeros; hash blocks are hashed likewise, level by level, until one
//! block is left, whose hash is the root hash. The hash device holds a superblock and then the levels, the topmost
//! first.
//!
//! [`format()`] writes such a device, [`root_hash`] only computes, and [`verify`] checks a device and names the first
//! block that is not as it was. All three read in one pass, in less than 1 MiB of memory however large the device is.
//!
//! One thread does it all. A core of a server hashes some 1.5 GB a second with the SHA extensions, which are used where
//! there are any, and 0.35 GB without.

mod error;
mod layout;
mod root;
mod salt;
mod superblock;
#[cfg(test)]
mod tests;
mod tree;
mod verify;

pub use error::VerityError;
pub use layout::{BLOCK_BYTES, hash_device_bytes};
pub use root::RootHash;
pub use salt::Salt;
pub use superblock::Superblock;
pub use tree::{format, root_hash};
pub use verify::verify;
