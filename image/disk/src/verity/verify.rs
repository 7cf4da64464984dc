//! Checking a device against the root hash.

use std::io::{Read, Seek, SeekFrom};

use super::{
    BLOCK_BYTES, RootHash, Superblock, VerityError,
    layout::{HASHES, Layout},
    root::DIGEST_BYTES,
    salt::Hasher,
    tree::read_blocks,
};
use crate::bytes::array_at;

/// Checks every data block and every hash block, and stops at the first that is not as it was. `root` and `data_blocks`
/// must come from where nobody could change them; all else, superblock and hashes too, may be anybody's.
///
/// `data` is read from where it stands on, the hash device from its beginning. `progress` is called after every 512 KiB
/// of data with the number of data blocks that are right.
///
/// # Errors
///
/// [`VerityError::DataBlock`] and [`VerityError::HashBlock`] name the block, [`VerityError::RootHash`] says that the
/// tree is another one's or its topmost block was changed; [`VerityError::OtherDevice`], [`VerityError::Io`], and what
/// [`Superblock::read`] says.
pub fn verify(
    data: &mut impl Read,
    hashes: &mut (impl Read + Seek),
    data_blocks: u64,
    root: &RootHash,
    progress: &mut dyn FnMut(u64),
) -> Result<(), VerityError> {
    let superblock = Superblock::read(hashes)?;
    if superblock.data_blocks != data_blocks {
        return Err(VerityError::OtherDevice { found: superblock.data_blocks, expected: data_blocks });
    }
    let hasher = Hasher::new(&superblock.salt);
    let levels = Layout::new(data_blocks)?.levels.into_iter().map(Level::new).collect();
    let mut path = Path { hasher: &hasher, hashes, root, levels };
    read_blocks(data, data_blocks, progress, |block, bytes| {
        let expected = path.digest_of(block)?;
        let computed = hasher.hash(bytes);
        match expected {
            // A single block, which the root hash is of.
            None => check_root(root, computed),
            Some(expected) if expected != computed => Err(VerityError::DataBlock { block }),
            Some(_) => Ok(()),
        }
    })
}

/// The hash blocks from the root down to the data block that is checked, each right by the one above it.
struct Path<'a, H> {
    hasher: &'a Hasher,
    hashes: &'a mut H,
    root: &'a RootHash,
    /// From 0 for the hashes of data.
    levels: Vec<Level>,
}

/// The hash block of one level.
struct Level {
    /// The place of the level's first block on the hash device.
    place: u64,
    /// Which of the level's blocks is here. None before the first.
    index: Option<u64>,
    block: Box<[u8; BLOCK_BYTES]>,
}

impl<H: Read + Seek> Path<'_, H> {
    /// The hash that a data block must have, or none where there are no hash blocks.
    fn digest_of(&mut self, data_block: u64) -> Result<Option<[u8; DIGEST_BYTES]>, VerityError> {
        let mut expected = None;
        // From the top down: a block is looked at only after the one that vouches for it. Level n has one hash for
        // every 128^n data blocks.
        let mut span = HASHES.pow(u32::try_from(self.levels.len()).expect("a tree has at most six levels"));
        for level in (0..self.levels.len()).rev() {
            let index = data_block / span;
            if self.levels[level].index != Some(index) {
                self.load(level, index, expected)?;
            }
            span /= HASHES;
            expected = Some(self.levels[level].digest(data_block / span));
        }
        Ok(expected)
    }

    /// Reads a hash block and checks it against the hash above it, or the root hash.
    fn load(&mut self, number: usize, index: u64, expected: Option<[u8; DIGEST_BYTES]>) -> Result<(), VerityError> {
        let level = &mut self.levels[number];
        let block = level.place + index;
        let at = SeekFrom::Start(block * BLOCK_BYTES as u64);
        let read = self.hashes.seek(at).and_then(|_| self.hashes.read_exact(&mut level.block[..]));
        read.map_err(VerityError::io("read hash block", block))?;
        let computed = self.hasher.hash(&level.block[..]);
        match expected {
            None => check_root(self.root, computed)?,
            Some(expected) if expected != computed => return Err(VerityError::HashBlock { block, level: number }),
            Some(_) => {}
        }
        level.index = Some(index);
        Ok(())
    }
}

impl Level {
    fn new(place: u64) -> Self {
        Self { place, index: None, block: Box::new([0; BLOCK_BYTES]) }
    }

    /// The hash of a block of the level below, or of the data.
    fn digest(&self, below: u64) -> [u8; DIGEST_BYTES] {
        array_at(&self.block[..], (below % HASHES) as usize * DIGEST_BYTES)
    }
}

fn check_root(expected: &RootHash, computed: [u8; DIGEST_BYTES]) -> Result<(), VerityError> {
    let computed = RootHash::from_bytes(computed);
    if computed != *expected {
        return Err(VerityError::RootHash { expected: *expected, computed });
    }
    Ok(())
}
