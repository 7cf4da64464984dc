//! GUID Partition Tables, as UEFI 2.10 §5.3 has them.
//!
//! ```text
//! block 0     protective MBR: tells old tools that the disk is in use
//! block 1     primary header: names the other copy, the array and its CRC-32, and has a CRC-32 itself
//! block 2     primary array: 128 entries of 128 bytes, one for each partition
//!             the partitions
//! last - n    backup array
//! last block  backup header
//! ```
//!
//! [`Gpt::read`] checks both copies and takes the backup where the primary is damaged; [`Gpt::write`] writes them so
//! that one is whole at any time. In between a [`Gpt`] is a value: no two of its partitions overlap or share a GUID,
//! and each lies where partitions may. [`Gpt::on`] moves it to another disk, [`Gpt::grow_last`] fills that disk, and
//! [`Gpt::keeping`] lays an image's table over a disk of which one partition stays.
//!
//! Types and attributes are those of UEFI and of the UAPI Group's Discoverable Partitions Specification.

mod attributes;
mod change;
mod entry;
mod error;
mod geometry;
mod header;
mod kind;
mod mbr;
mod name;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use attributes::Attributes;
pub use error::GptError;
pub use geometry::{ALIGNMENT, BlockSize, Geometry};
pub use kind::PartitionType;
pub use name::PartitionName;
pub use read::{Damage, Found, Part};
pub use table::{Gpt, Identity, Partition};
pub use uuid::Uuid;
