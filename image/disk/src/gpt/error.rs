//! What is wrong with a table, or with what is asked of one.

use std::io;

use uuid::Uuid;

use super::PartitionName;

/// Why there is no table, or not this one.
#[derive(Debug, thiserror::Error)]
pub enum GptError {
    /// The disk gave an error.
    #[error("cannot {operation}; look for errors of the disk in the kernel's log, and replace it if there are any")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The disk's error.
        #[source]
        source: io::Error,
    },
    /// Blocks that no table counts in.
    #[error(
        "blocks of {0} bytes are not supported, only 512 and 4096; format the drive to one of them, or use another"
    )]
    BlockSize(u64),
    /// No room.
    #[error("the disk has {bytes} bytes and {needed} are needed; use a larger one")]
    DiskTooSmall {
        /// What it has.
        bytes: u64,
        /// What the table and its partitions need.
        needed: u64,
    },

    /// A disk of an older kind, whose GUID table, if it has one, is not in use.
    #[error("the disk is partitioned by a legacy MBR; save what is on it and install without keeping data")]
    LegacyMbr,
    /// An MBR that protects nothing.
    #[error("the protective MBR is damaged: {0}; write the table again")]
    Mbr(&'static str),
    /// No header here.
    #[error("block {lba} holds no header of a GUID partition table; write the table again if there was one")]
    NoHeader {
        /// The block.
        lba: u64,
    },
    /// Bits have changed.
    #[error("the CRC-32 of the {what} is {computed:#010x}, {stated:#010x} is stated; write the table again")]
    Crc {
        /// The header or the array.
        what: &'static str,
        /// By the header.
        stated: u32,
        /// Of what is there.
        computed: u32,
    },
    /// A header that contradicts itself or the disk.
    #[error("{field} of the header is {found}, which cannot be here; write the table again")]
    Header {
        /// The field, as UEFI 2.10 Table 5.5 names it.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// Whole copies, but of two tables.
    #[error("the backup is of another table than the primary, which counts; write the table again")]
    CopiesDiffer,
    /// No copy can be used.
    #[error(
        "the disk has no usable partition table, and the backup has none either ({backup}); restore it with gdisk, or \
         install without keeping data"
    )]
    BothDamaged {
        /// What is wrong with the primary.
        #[source]
        primary: Box<GptError>,
        /// What is wrong with the backup.
        backup: Box<GptError>,
    },

    /// A number that no partition can have.
    #[error("partition number {0} is taken or not between 1 and 128; choose a free one")]
    Number(u32),
    /// A partition where none can be.
    #[error(
        "partition {number} is to cover the blocks {first_lba} to {last_lba}, usable are {first_usable_lba} to \
         {last_usable_lba}; move it or make it smaller"
    )]
    Range {
        /// The partition.
        number: u32,
        /// Its first block.
        first_lba: u64,
        /// Its last block.
        last_lba: u64,
        /// The first block for partitions.
        first_usable_lba: u64,
        /// The last block for partitions.
        last_usable_lba: u64,
    },
    /// Blocks of two.
    #[error("the partitions {number} and {other} overlap; move one of them")]
    Overlap {
        /// One partition.
        number: u32,
        /// The other one.
        other: u32,
    },
    /// Partitions that could be taken for one another.
    #[error("the partitions {number} and {other} have the same unique GUID {guid}; give one of them another")]
    SameGuid {
        /// One partition.
        number: u32,
        /// The other one.
        other: u32,
        /// Of both.
        guid: Uuid,
    },
    /// The GUID of an unused entry.
    #[error("partition {0} has no type or no unique GUID; give it both")]
    NilGuid(u32),
    /// No name of a partition.
    #[error("{0:?} is no partition name; take one of 36 UTF-16 units at most, without NUL")]
    Name(String),
    /// Not aligned to the new disk's blocks.
    #[error(
        "partition {number} does not begin and end at whole blocks of {block_size} bytes; align it to 1 MiB, or use a \
         disk with smaller blocks"
    )]
    Unaligned {
        /// The partition.
        number: u32,
        /// Bytes of a block there.
        block_size: u64,
    },

    /// Nobody has this name.
    #[error("there is no partition {0:?}; install without keeping data if none is expected")]
    NotFound(String),
    /// Several have it.
    #[error("the partitions {number} and {other} are both named {name:?}; rename the one that is not meant")]
    Ambiguous {
        /// One partition.
        number: u32,
        /// The other one.
        other: u32,
        /// Of both.
        name: PartitionName,
    },
    /// The disk counts otherwise than its table.
    #[error("the table counts in blocks of {table} bytes, its disk in {disk}; read it with the disk's block size")]
    OtherBlocks {
        /// The table's.
        table: u64,
        /// The disk's.
        disk: u64,
    },
    /// A partition with the right name and another purpose.
    #[error(
        "the disk's partition {name:?} has the type {found}, the image's {expected}; rename it if it is another, or \
         install without keeping data"
    )]
    KeptType {
        /// Of both.
        name: PartitionName,
        /// By the disk.
        found: Uuid,
        /// By the image.
        expected: Uuid,
    },
    /// What is to stay is where something new goes.
    #[error(
        "the partition {name:?}, which is to be kept, overlaps the place of the image's partition {number}; save its \
         data and install without keeping them"
    )]
    KeptOverlaps {
        /// The one to keep.
        name: PartitionName,
        /// The image's.
        number: u32,
    },
}

impl GptError {
    pub(super) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }
}
