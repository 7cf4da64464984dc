//! The header of either copy. UEFI 2.10 §5.3.2, Table 5.5.

use crc::{CRC_32_ISO_HDLC, Crc};
use uuid::Uuid;

use super::{BlockSize, GptError};
use crate::bytes::{array_at, put, u32_at, u64_at};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// `EFI PART`.
const SIGNATURE: &[u8; 8] = b"EFI PART";
/// 1.0.
const REVISION: u32 = 0x0001_0000;
/// Bytes of a header as it is written. Larger ones are read; what follows is reserved.
const HEADER_BYTES: u32 = 92;

const REVISION_AT: usize = 8;
const HEADER_SIZE: usize = 12;
const HEADER_CRC32: usize = 16;
const MY_LBA: usize = 24;
const ALTERNATE_LBA: usize = 32;
const FIRST_USABLE_LBA: usize = 40;
const LAST_USABLE_LBA: usize = 48;
const DISK_GUID: usize = 56;
const PARTITION_ENTRY_LBA: usize = 72;
const NUMBER_OF_PARTITION_ENTRIES: usize = 80;
const SIZE_OF_PARTITION_ENTRY: usize = 84;
const PARTITION_ENTRY_ARRAY_CRC32: usize = 88;

/// The fields that differ from disk to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The block of this header.
    pub(super) my_lba: u64,
    /// The block of the other one.
    pub(super) alternate_lba: u64,
    /// The first block for partitions.
    pub(super) first_usable_lba: u64,
    /// The last block for partitions.
    pub(super) last_usable_lba: u64,
    /// The disk's unique GUID.
    pub(super) disk_guid: Uuid,
    /// The first block of this copy's array.
    pub(super) entries_lba: u64,
    /// Entries of the array, used or not.
    pub(super) entries: u32,
    /// Bytes of an entry.
    pub(super) entry_bytes: u32,
    /// CRC-32 of the array.
    pub(super) entries_crc: u32,
}

impl Header {
    /// The block that holds it.
    pub(super) fn encode(&self, block_size: BlockSize) -> Vec<u8> {
        let mut block = block_size.zeros();
        put(&mut block, 0, SIGNATURE);
        put(&mut block, REVISION_AT, &REVISION.to_le_bytes());
        put(&mut block, HEADER_SIZE, &HEADER_BYTES.to_le_bytes());
        put(&mut block, MY_LBA, &self.my_lba.to_le_bytes());
        put(&mut block, ALTERNATE_LBA, &self.alternate_lba.to_le_bytes());
        put(&mut block, FIRST_USABLE_LBA, &self.first_usable_lba.to_le_bytes());
        put(&mut block, LAST_USABLE_LBA, &self.last_usable_lba.to_le_bytes());
        put(&mut block, DISK_GUID, &self.disk_guid.to_bytes_le());
        put(&mut block, PARTITION_ENTRY_LBA, &self.entries_lba.to_le_bytes());
        put(&mut block, NUMBER_OF_PARTITION_ENTRIES, &self.entries.to_le_bytes());
        put(&mut block, SIZE_OF_PARTITION_ENTRY, &self.entry_bytes.to_le_bytes());
        put(&mut block, PARTITION_ENTRY_ARRAY_CRC32, &self.entries_crc.to_le_bytes());
        let crc = crc32(&block[..HEADER_BYTES as usize]);
        put(&mut block, HEADER_CRC32, &crc.to_le_bytes());
        block
    }

    /// From the block at `lba`: a header with the right CRC that says that it is this one. The other fields may hold
    /// anything.
    pub(super) fn decode(block: &[u8], lba: u64) -> Result<Self, GptError> {
        if !block.starts_with(SIGNATURE) {
            return Err(GptError::NoHeader { lba });
        }
        let size = u32_at(block, HEADER_SIZE);
        let header = block.get(..size as usize).filter(|_| size >= HEADER_BYTES);
        let mut header = header.ok_or(GptError::Header { field: "HeaderSize", found: size.into() })?.to_vec();
        let stated = u32_at(&header, HEADER_CRC32);
        header[HEADER_CRC32..HEADER_CRC32 + 4].fill(0);
        check_crc("header", stated, &header)?;
        let revision = u32_at(&header, REVISION_AT);
        if revision != REVISION {
            return Err(GptError::Header { field: "Revision", found: revision.into() });
        }
        let my_lba = u64_at(&header, MY_LBA);
        if my_lba != lba {
            return Err(GptError::Header { field: "MyLBA", found: my_lba });
        }
        Ok(Self {
            my_lba,
            alternate_lba: u64_at(&header, ALTERNATE_LBA),
            first_usable_lba: u64_at(&header, FIRST_USABLE_LBA),
            last_usable_lba: u64_at(&header, LAST_USABLE_LBA),
            disk_guid: Uuid::from_bytes_le(array_at(&header, DISK_GUID)),
            entries_lba: u64_at(&header, PARTITION_ENTRY_LBA),
            entries: u32_at(&header, NUMBER_OF_PARTITION_ENTRIES),
            entry_bytes: u32_at(&header, SIZE_OF_PARTITION_ENTRY),
            entries_crc: u32_at(&header, PARTITION_ENTRY_ARRAY_CRC32),
        })
    }
}

/// The CRC-32 of ISO 3309, as in Ethernet.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

pub(super) fn check_crc(what: &'static str, stated: u32, bytes: &[u8]) -> Result<(), GptError> {
    let computed = crc32(bytes);
    if computed != stated {
        return Err(GptError::Crc { what, stated, computed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        my_lba: 1,
        alternate_lba: 2,
        first_usable_lba: 3,
        last_usable_lba: 4,
        disk_guid: Uuid::from_u128(5),
        entries_lba: 6,
        entries: 7,
        entry_bytes: 8,
        entries_crc: 9,
    };

    #[test]
    fn the_crc_is_that_of_everybody() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_header_is_read_as_it_was_written() {
        for size in [BlockSize::Bytes512, BlockSize::Bytes4096] {
            assert_eq!(Header::decode(&HEADER.encode(size), 1).unwrap(), HEADER);
        }
    }

    #[test]
    fn no_bit_of_it_may_change() {
        for bit in 0..8 * HEADER_BYTES as usize {
            let mut block = HEADER.encode(BlockSize::Bytes512);
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::decode(&block, 1).is_err(), "bit {bit}");
        }
        assert!(matches!(
            Header::decode(&HEADER.encode(BlockSize::Bytes512), 2),
            Err(GptError::Header { field: "MyLBA", .. })
        ));
    }

    #[test]
    fn sizes_and_revisions_are_checked_whatever_the_crc_says() {
        for (at, value, field) in [
            (HEADER_SIZE, 91, "HeaderSize"),
            (HEADER_SIZE, 513, "HeaderSize"),
            (HEADER_SIZE, u32::MAX, "HeaderSize"),
            (REVISION_AT, 0x0002_0000, "Revision"),
        ] {
            let mut block = HEADER.encode(BlockSize::Bytes512);
            put(&mut block, at, &value.to_le_bytes());
            put(&mut block, HEADER_CRC32, &[0; 4]);
            let crc = crc32(&block[..HEADER_BYTES as usize]);
            put(&mut block, HEADER_CRC32, &crc.to_le_bytes());
            let error = Header::decode(&block, 1).unwrap_err();
            assert!(matches!(error, GptError::Header { field: found, .. } if found == field), "{error}");
        }
        // A header may be larger than it is written here.
        let mut block = HEADER.encode(BlockSize::Bytes512);
        put(&mut block, HEADER_SIZE, &512_u32.to_le_bytes());
        put(&mut block, HEADER_CRC32, &[0; 4]);
        let crc = crc32(&block);
        put(&mut block, HEADER_CRC32, &crc.to_le_bytes());
        assert_eq!(Header::decode(&block, 1).unwrap(), HEADER);
    }
}
