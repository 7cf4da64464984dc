//! How large a disk is, and where on it the two copies of the table lie.

use std::ops::Range;

use super::{GptError, entry::ENTRY_BYTES};
use crate::limits::PARTITIONS_MAX;

/// Bytes that partitions begin and end at: 1 MiB, as all tools have it, a multiple of any drive's own blocks.
///
/// A disk with 1 MiB more at each end than its partitions need has room for both copies of the table.
pub const ALIGNMENT: u64 = 1 << 20;

/// Where the primary header is. The MBR is before it, its array after it.
pub(super) const PRIMARY_LBA: u64 = 1;

/// Bytes of a logical block, in which a table counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockSize {
    /// Disk images, and most drives.
    Bytes512,
    /// Drives that are "4K native".
    Bytes4096,
}

impl BlockSize {
    /// As a number.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Bytes512 => 512,
            Self::Bytes4096 => 4096,
        }
    }

    /// A block of zeros.
    pub(super) fn zeros(self) -> Vec<u8> {
        match self {
            Self::Bytes512 => vec![0; 512],
            Self::Bytes4096 => vec![0; 4096],
        }
    }

    /// Blocks of an array as it is written: 16 KiB, the least that §5.3.1 allows.
    pub(super) const fn array_blocks(self) -> u64 {
        (PARTITIONS_MAX as u64 * ENTRY_BYTES as u64) / self.bytes()
    }
}

/// From what the kernel says (`logical_block_size`).
impl TryFrom<u64> for BlockSize {
    type Error = GptError;

    fn try_from(bytes: u64) -> Result<Self, GptError> {
        match bytes {
            512 => Ok(Self::Bytes512),
            4096 => Ok(Self::Bytes4096),
            other => Err(GptError::BlockSize(other)),
        }
    }
}

/// The size of a disk, with room for a table and a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    block_size: BlockSize,
    blocks: u64,
}

impl Geometry {
    /// Of a disk with so many bytes. Those after the last whole block count for nothing.
    ///
    /// # Errors
    ///
    /// [`GptError::DiskTooSmall`] for one that has no room for a partition.
    pub fn new(block_size: BlockSize, bytes: u64) -> Result<Self, GptError> {
        // MBR, two headers, two arrays and one block between them.
        let needed = (4 + 2 * block_size.array_blocks()) * block_size.bytes();
        if bytes < needed {
            return Err(GptError::DiskTooSmall { bytes, needed });
        }
        Ok(Self { block_size, blocks: bytes / block_size.bytes() })
    }

    /// Bytes of a block.
    #[must_use]
    pub const fn block_size(self) -> BlockSize {
        self.block_size
    }

    /// Blocks of the disk.
    #[must_use]
    pub const fn blocks(self) -> u64 {
        self.blocks
    }

    /// Bytes of the disk.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.blocks * self.block_size.bytes()
    }

    /// Where the first partition may begin: block 34, or 6 where blocks have 4,096 bytes.
    #[must_use]
    pub const fn first_usable_lba(self) -> u64 {
        self.array_lba(PRIMARY_LBA) + self.block_size.array_blocks()
    }

    /// The last block that a partition may have.
    #[must_use]
    pub const fn last_usable_lba(self) -> u64 {
        self.array_lba(self.backup_lba()) - 1
    }

    /// Where the backup header is: at the very end.
    #[must_use]
    pub const fn backup_lba(self) -> u64 {
        self.blocks - 1
    }

    /// Where the array is written that belongs to the header at `header_lba`.
    pub(super) const fn array_lba(self, header_lba: u64) -> u64 {
        if header_lba == PRIMARY_LBA { PRIMARY_LBA + 1 } else { header_lba - self.block_size.array_blocks() }
    }

    /// The bytes of blocks. Blocks beyond all disks end at the largest number.
    pub(super) const fn bytes_of(self, first_lba: u64, last_lba: u64) -> Range<u64> {
        let block = self.block_size.bytes();
        first_lba.saturating_mul(block)..last_lba.saturating_add(1).saturating_mul(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_lie_where_the_specification_has_them() {
        let disk = Geometry::new(BlockSize::Bytes512, 100 * 512 + 511).unwrap();
        assert_eq!((disk.blocks(), disk.bytes()), (100, 51_200));
        assert_eq!((disk.first_usable_lba(), disk.last_usable_lba(), disk.backup_lba()), (34, 66, 99));
        assert_eq!((disk.array_lba(1), disk.array_lba(99)), (2, 67));
        let disk = Geometry::new(BlockSize::Bytes4096, 100 * 4096).unwrap();
        assert_eq!((disk.first_usable_lba(), disk.last_usable_lba(), disk.backup_lba()), (6, 94, 99));
    }

    #[test]
    fn the_smallest_disk_has_one_usable_block() {
        for (size, blocks) in [(BlockSize::Bytes512, 68), (BlockSize::Bytes4096, 12)] {
            let disk = Geometry::new(size, blocks * size.bytes()).unwrap();
            assert_eq!(disk.first_usable_lba(), disk.last_usable_lba());
            let error = Geometry::new(size, blocks * size.bytes() - 1).unwrap_err();
            assert!(matches!(error, GptError::DiskTooSmall { .. }), "{error}");
        }
        // Nor does the largest number overflow anything.
        let disk = Geometry::new(BlockSize::Bytes512, u64::MAX).unwrap();
        assert_eq!(disk.bytes_of(disk.backup_lba(), disk.backup_lba()).end, u64::MAX - 511);
    }

    #[test]
    fn other_blocks_are_refused() {
        for size in [BlockSize::Bytes512, BlockSize::Bytes4096] {
            assert_eq!(BlockSize::try_from(size.bytes()).unwrap(), size);
        }
        assert!(matches!(BlockSize::try_from(520), Err(GptError::BlockSize(520))));
    }
}
