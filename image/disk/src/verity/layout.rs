//! Which block of the hash device holds which hashes.

use super::{VerityError, root::DIGEST_BYTES};
use crate::limits::DATA_BLOCKS_MAX;

/// Bytes of a data block and of a hash block.
pub const BLOCK_BYTES: usize = 4096;
/// Hashes in a hash block.
pub(super) const HASHES: u64 = HASHES_LEN as u64;
/// The same, as the length of an array.
pub(super) const HASHES_LEN: usize = BLOCK_BYTES / DIGEST_BYTES;

/// Bytes of the hash device for so many data blocks of 4,096 bytes: the superblock's and the tree's, some 0.8 % of the
/// data.
///
/// # Errors
///
/// [`VerityError::DataBlocks`] for none, and for more than 2^40.
pub fn hash_device_bytes(data_blocks: u64) -> Result<u64, VerityError> {
    Ok(Layout::new(data_blocks)?.hash_blocks * BLOCK_BYTES as u64)
}

/// Where a tree's levels are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The first block of each level, from 0 for the hashes of data. One data block needs no level.
    pub(super) levels: Vec<u64>,
    /// Blocks of the hash device.
    pub(super) hash_blocks: u64,
}

impl Layout {
    pub(super) fn new(data_blocks: u64) -> Result<Self, VerityError> {
        if data_blocks == 0 || data_blocks > DATA_BLOCKS_MAX {
            return Err(VerityError::DataBlocks(data_blocks));
        }
        let mut sizes = Vec::new();
        let mut blocks = data_blocks;
        while blocks > 1 {
            blocks = blocks.div_ceil(HASHES);
            sizes.push(blocks);
        }
        // The superblock is block 0; the topmost level follows.
        let mut hash_blocks = 1;
        let mut levels: Vec<u64> = Vec::with_capacity(sizes.len());
        for size in sizes.iter().rev() {
            levels.push(hash_blocks);
            hash_blocks += size;
        }
        levels.reverse();
        Ok(Self { levels, hash_blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_lie_from_the_top_down() {
        let layout = |blocks| Layout::new(blocks).unwrap();
        assert_eq!(layout(1), Layout { levels: vec![], hash_blocks: 1 });
        assert_eq!(layout(2), Layout { levels: vec![1], hash_blocks: 2 });
        assert_eq!(layout(128), Layout { levels: vec![1], hash_blocks: 2 });
        assert_eq!(layout(129), Layout { levels: vec![2, 1], hash_blocks: 4 });
        assert_eq!(layout(16_384), Layout { levels: vec![2, 1], hash_blocks: 130 });
        assert_eq!(layout(16_385), Layout { levels: vec![4, 2, 1], hash_blocks: 133 });
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(hash_device_bytes(1).unwrap(), 4096);
        assert_eq!(hash_device_bytes(129).unwrap(), 4 * 4096);
        assert_eq!(Layout::new(DATA_BLOCKS_MAX).unwrap().levels.len(), 6);
        for blocks in [0, DATA_BLOCKS_MAX + 1, u64::MAX] {
            assert!(matches!(hash_device_bytes(blocks), Err(VerityError::DataBlocks(found)) if found == blocks));
        }
    }
}
