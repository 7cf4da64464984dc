//! Block 0, which tells tools that know no GUID tables that the disk is in use. UEFI 2.10 §5.2.3.

use super::{Geometry, GptError, geometry::PRIMARY_LBA};
use crate::bytes::{put, u32_at};

/// Where the four records are, the type in each of them, and the block where its partition begins.
const RECORDS: usize = 446;
const RECORD_BYTES: usize = 16;
const TYPE: usize = 4;
const FIRST_LBA: usize = 8;
/// The type of the record that covers the disk.
const PROTECTIVE: u8 = 0xee;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];
const SIGNATURE_AT: usize = 510;

/// Block 0 of a disk. There is no code in it: UEFI starts none.
pub(super) fn encode(disk: Geometry) -> Vec<u8> {
    let mut block = disk.block_size().zeros();
    // Not bootable; begins at block 1, in cylinders the second sector; ends beyond what cylinders can say.
    put(&mut block, RECORDS, &[0, 0x00, 0x02, 0x00, PROTECTIVE, 0xff, 0xff, 0xff]);
    let blocks = u32::try_from(disk.blocks() - PRIMARY_LBA).unwrap_or(u32::MAX);
    put(&mut block, RECORDS + FIRST_LBA, &1_u32.to_le_bytes());
    put(&mut block, RECORDS + FIRST_LBA + 4, &blocks.to_le_bytes());
    put(&mut block, SIGNATURE_AT, &SIGNATURE);
    block
}

/// Whether block 0 protects the disk. How many blocks it says the disk has does not matter: it is right only until an
/// image is written to a larger disk.
///
/// # Errors
///
/// [`GptError::LegacyMbr`] where it partitions the disk itself, [`GptError::Mbr`] where it does neither.
pub(super) fn check(block: &[u8]) -> Result<(), GptError> {
    if block[SIGNATURE_AT..][..2] != SIGNATURE {
        return Err(GptError::Mbr("its signature is missing"));
    }
    let (records, _) = block[RECORDS..SIGNATURE_AT].as_chunks::<RECORD_BYTES>();
    let mut used = records.iter().filter(|record| record[TYPE] != 0);
    if records.iter().all(|record| record[TYPE] != PROTECTIVE) {
        return Err(used.next().map_or(GptError::Mbr("it has no record"), |_| GptError::LegacyMbr));
    }
    match (used.next(), used.next()) {
        (Some(record), None) if u64::from(u32_at(record, FIRST_LBA)) == PRIMARY_LBA => Ok(()),
        _ => Err(GptError::Mbr("it has other records than the one that covers the disk")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpt::BlockSize;

    #[test]
    fn the_record_covers_the_disk_as_far_as_it_can() {
        let block = encode(Geometry::new(BlockSize::Bytes512, 2 << 40).unwrap());
        assert_eq!(block.len(), 512);
        assert_eq!(block[446..462], *b"\x00\x00\x02\x00\xee\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff");
        let block = encode(Geometry::new(BlockSize::Bytes4096, 1 << 30).unwrap());
        assert_eq!((block.len(), &block[454..462]), (4096, &b"\x01\x00\x00\x00\xff\xff\x03\x00"[..]));
        check(&block).unwrap();
    }

    #[test]
    fn what_protects_nothing_is_told_from_a_legacy_mbr() {
        let mut block = encode(Geometry::new(BlockSize::Bytes512, 1 << 30).unwrap());
        block[RECORDS + FIRST_LBA] = 2;
        assert!(matches!(check(&block), Err(GptError::Mbr(_))));
        block[RECORDS + FIRST_LBA] = 1;
        block[RECORDS + RECORD_BYTES + TYPE] = 0x83;
        assert!(matches!(check(&block), Err(GptError::Mbr(_))));
        block[RECORDS + TYPE] = 0;
        assert!(matches!(check(&block), Err(GptError::LegacyMbr)));
        block[RECORDS + RECORD_BYTES + TYPE] = 0;
        assert!(matches!(check(&block), Err(GptError::Mbr(_))));
        assert!(matches!(check(&[0; 512]), Err(GptError::Mbr(_))));
    }
}
