//! The first block of the hash device.
//!
//! Source: cryptsetup's `struct verity_sb` (`lib/verity/verity.c`), version 1.

use std::io::{Read, Seek, SeekFrom};

use uuid::Uuid;

use super::{BLOCK_BYTES, Salt, VerityError, layout::Layout};
use crate::{
    bytes::{array_at, put, u16_at, u32_at, u64_at},
    limits::SALT_BYTES_MAX,
};

/// Bytes of the structure. It has a block for itself.
const BYTES: usize = 512;
const SIGNATURE: &[u8; 8] = b"verity\0\0";
const VERSION: u32 = 1;
/// 0 was Chrome OS's.
const HASH_TYPE: u32 = 1;
const ALGORITHM: &[u8; 32] = b"sha256\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const BLOCK_SIZE: u32 = 4096;

const VERSION_AT: usize = 8;
const HASH_TYPE_AT: usize = 12;
const UUID_AT: usize = 16;
const ALGORITHM_AT: usize = 32;
const DATA_BLOCK_SIZE_AT: usize = 64;
const HASH_BLOCK_SIZE_AT: usize = 68;
const DATA_BLOCKS_AT: usize = 72;
const SALT_SIZE_AT: usize = 80;
const SALT_AT: usize = 88;

/// What a hash device says about itself.
///
/// The root hash does not vouch for it. A wrong salt leads to another root hash; a wrong number of data blocks need
/// not, since hash blocks can pass for data blocks: take that number from where the root hash is from, as [`verify`]
/// demands.
///
/// [`verify`]: super::verify
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// The hash device's UUID, which nothing here looks at.
    pub uuid: Uuid,
    /// Data blocks of 4,096 bytes.
    pub data_blocks: u64,
    /// What is hashed before every block.
    pub salt: Salt,
}

impl Superblock {
    /// Reads a hash device's, from its beginning.
    ///
    /// # Errors
    ///
    /// [`VerityError::NoSuperblock`], [`VerityError::Unsupported`], [`VerityError::DataBlocks`], [`VerityError::Salt`]
    /// and [`VerityError::Io`].
    pub fn read(hashes: &mut (impl Read + Seek)) -> Result<Self, VerityError> {
        let mut bytes = [0; BYTES];
        let read = hashes.seek(SeekFrom::Start(0)).and_then(|_| hashes.read_exact(&mut bytes));
        read.map_err(VerityError::io("read hash block", 0))?;
        Self::decode(&bytes)
    }

    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        put(&mut block, 0, SIGNATURE);
        put(&mut block, VERSION_AT, &VERSION.to_le_bytes());
        put(&mut block, HASH_TYPE_AT, &HASH_TYPE.to_le_bytes());
        // As its text is read, unlike a partition's GUID.
        put(&mut block, UUID_AT, self.uuid.as_bytes());
        put(&mut block, ALGORITHM_AT, ALGORITHM);
        put(&mut block, DATA_BLOCK_SIZE_AT, &BLOCK_SIZE.to_le_bytes());
        put(&mut block, HASH_BLOCK_SIZE_AT, &BLOCK_SIZE.to_le_bytes());
        put(&mut block, DATA_BLOCKS_AT, &self.data_blocks.to_le_bytes());
        let salt = self.salt.as_bytes();
        let salt_size = u16::try_from(salt.len()).expect("a salt has 256 bytes at most");
        put(&mut block, SALT_SIZE_AT, &salt_size.to_le_bytes());
        put(&mut block, SALT_AT, salt);
        block
    }

    fn decode(bytes: &[u8; BYTES]) -> Result<Self, VerityError> {
        if !bytes.starts_with(SIGNATURE) {
            return Err(VerityError::NoSuperblock);
        }
        supported("version", u32_at(bytes, VERSION_AT), VERSION, "1")?;
        supported("hash type", u32_at(bytes, HASH_TYPE_AT), HASH_TYPE, "1")?;
        let algorithm: [u8; 32] = array_at(bytes, ALGORITHM_AT);
        if algorithm != *ALGORITHM {
            let found = algorithm.escape_ascii().to_string();
            return Err(VerityError::Unsupported { field: "algorithm", found, supported: "sha256" });
        }
        supported("data block size", u32_at(bytes, DATA_BLOCK_SIZE_AT), BLOCK_SIZE, "4096")?;
        supported("hash block size", u32_at(bytes, HASH_BLOCK_SIZE_AT), BLOCK_SIZE, "4096")?;
        let data_blocks = u64_at(bytes, DATA_BLOCKS_AT);
        Layout::new(data_blocks)?;
        let salt_size = usize::from(u16_at(bytes, SALT_SIZE_AT));
        let salt = bytes[SALT_AT..SALT_AT + SALT_BYTES_MAX].get(..salt_size).ok_or(VerityError::Salt(salt_size))?;
        Ok(Self { uuid: Uuid::from_bytes(array_at(bytes, UUID_AT)), data_blocks, salt: Salt::new(salt)? })
    }
}

fn supported(field: &'static str, found: u32, expected: u32, supported: &'static str) -> Result<(), VerityError> {
    if found != expected {
        return Err(VerityError::Unsupported { field, found: found.to_string(), supported });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn superblock() -> Superblock {
        Superblock { uuid: Uuid::from_u128(0x1234 << 112), data_blocks: 300, salt: Salt::new(&[7; 256]).unwrap() }
    }

    fn read_changed(at: usize, value: &[u8]) -> Result<Superblock, VerityError> {
        let mut block = superblock().encode();
        put(&mut block, at, value);
        Superblock::read(&mut Cursor::new(block))
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        assert_eq!(Superblock::read(&mut Cursor::new(superblock().encode())).unwrap(), superblock());
        assert_eq!(superblock().encode()[16..18], [0x12, 0x34]);
    }

    #[test]
    fn other_formats_are_refused() {
        assert!(matches!(read_changed(0, b"V"), Err(VerityError::NoSuperblock)));
        for at in [VERSION_AT, HASH_TYPE_AT, ALGORITHM_AT, ALGORITHM_AT + 31, DATA_BLOCK_SIZE_AT, HASH_BLOCK_SIZE_AT] {
            assert!(matches!(read_changed(at, b"\x02"), Err(VerityError::Unsupported { .. })), "{at}");
        }
        assert!(matches!(read_changed(DATA_BLOCKS_AT, &[0; 8]), Err(VerityError::DataBlocks(0))));
        assert!(matches!(read_changed(DATA_BLOCKS_AT, &[255; 8]), Err(VerityError::DataBlocks(u64::MAX))));
        assert!(matches!(read_changed(SALT_SIZE_AT, &[1, 1]), Err(VerityError::Salt(257))));
        assert!(matches!(Superblock::read(&mut Cursor::new([0; 511])), Err(VerityError::Io { block: 0, .. })));
    }
}
