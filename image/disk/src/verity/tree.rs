//! Building a tree from the bottom up, in one pass over the data.

use std::io::{Read, Seek, SeekFrom, Write};

use super::{
    BLOCK_BYTES, RootHash, Salt, Superblock, VerityError,
    layout::{HASHES, HASHES_LEN, Layout},
    root::DIGEST_BYTES,
    salt::Hasher,
};
use crate::bytes::put;

/// Writes the hash device of the data that `data` gives from where it stands on: `superblock.data_blocks` blocks of
/// 4,096 bytes. The hash device is written from its beginning, [`hash_device_bytes`](super::hash_device_bytes) of them,
/// the superblock last.
///
/// `progress` is called after every 512 KiB of data with the number of data blocks that are done.
///
/// # Errors
///
/// [`VerityError::DataBlocks`], and [`VerityError::Io`], also where the data are shorter.
pub fn format(
    data: &mut impl Read,
    hashes: &mut (impl Write + Seek),
    superblock: &Superblock,
    progress: &mut dyn FnMut(u64),
) -> Result<RootHash, VerityError> {
    let mut write = |block: u64, bytes: &[u8; BLOCK_BYTES]| {
        let at = SeekFrom::Start(block * BLOCK_BYTES as u64);
        hashes.seek(at).and_then(|_| hashes.write_all(bytes)).map_err(VerityError::io("write hash block", block))
    };
    let root = build(data, superblock.data_blocks, &superblock.salt, &mut write, progress)?;
    write(0, &superblock.encode())?;
    hashes.flush().map_err(VerityError::io("write hash block", 0))?;
    Ok(root)
}

/// The root hash alone, with `data` and `progress` as [`format()`] has them.
///
/// # Errors
///
/// As [`format()`].
pub fn root_hash(
    data: &mut impl Read,
    data_blocks: u64,
    salt: &Salt,
    progress: &mut dyn FnMut(u64),
) -> Result<RootHash, VerityError> {
    build(data, data_blocks, salt, &mut |_, _| Ok(()), progress)
}

/// Takes a hash block's place on the hash device and its bytes.
type Store<'a> = dyn FnMut(u64, &[u8; BLOCK_BYTES]) -> Result<(), VerityError> + 'a;

fn build(
    data: &mut impl Read,
    data_blocks: u64,
    salt: &Salt,
    store: &mut Store<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<RootHash, VerityError> {
    let hasher = Hasher::new(salt);
    let mut levels: Vec<Level> = Layout::new(data_blocks)?.levels.into_iter().map(Level::new).collect();
    let mut root = None;
    let mut add = |digest: [u8; DIGEST_BYTES], last: bool| {
        // A full block goes up as a hash; at the end of the data one that is not full does too.
        let mut digest = digest;
        for level in &mut levels {
            level.add(&digest);
            if !level.is_full() && !last {
                return Ok(());
            }
            digest = level.close(&hasher, store)?;
        }
        root = Some(RootHash::from_bytes(digest));
        Ok(())
    };
    read_blocks(data, data_blocks, progress, |block, bytes| add(hasher.hash(bytes), block + 1 == data_blocks))?;
    // The last block has closed every level.
    root.ok_or(VerityError::DataBlocks(data_blocks))
}

/// Reads `data_blocks` blocks and gives each, with its number, to `each`.
pub(super) fn read_blocks(
    data: &mut impl Read,
    data_blocks: u64,
    progress: &mut dyn FnMut(u64),
    mut each: impl FnMut(u64, &[u8; BLOCK_BYTES]) -> Result<(), VerityError>,
) -> Result<(), VerityError> {
    // As many at once as one hash block is for: 512 KiB.
    let mut buffer = vec![[0; BLOCK_BYTES]; HASHES_LEN];
    let mut done = 0;
    while done < data_blocks {
        let count = (data_blocks - done).min(HASHES);
        let blocks = &mut buffer[..count as usize];
        data.read_exact(blocks.as_flattened_mut()).map_err(VerityError::io("read the data from block", done))?;
        (done..).zip(&*blocks).try_for_each(|(block, bytes)| each(block, bytes))?;
        done += count;
        progress(done);
    }
    Ok(())
}

/// The block of a level that is being filled.
struct Level {
    /// Its place on the hash device.
    place: u64,
    block: Box<[u8; BLOCK_BYTES]>,
    /// Bytes of it that are filled.
    filled: usize,
}

impl Level {
    fn new(place: u64) -> Self {
        Self { place, block: Box::new([0; BLOCK_BYTES]), filled: 0 }
    }

    fn add(&mut self, digest: &[u8; DIGEST_BYTES]) {
        put(&mut self.block[..], self.filled, digest);
        self.filled += DIGEST_BYTES;
    }

    fn is_full(&self) -> bool {
        self.filled == BLOCK_BYTES
    }

    /// Stores the block, begins the next one with zeros, and gives the hash.
    fn close(&mut self, hasher: &Hasher, store: &mut Store<'_>) -> Result<[u8; DIGEST_BYTES], VerityError> {
        store(self.place, &self.block)?;
        let digest = hasher.hash(&self.block[..]);
        self.place += 1;
        self.block.fill(0);
        self.filled = 0;
        Ok(digest)
    }
}
