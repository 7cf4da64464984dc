//! Tables that nobody meant: any valid one, and ones whose fields hold anything under right checksums.

use crc::{CRC_32_ISO_HDLC, Crc};
use dolmen_image_disk::gpt::{
    Attributes, BlockSize, Geometry, Gpt, GptError, Identity, Partition, PartitionName, PartitionType, Uuid,
};
use proptest::{collection, prelude::*, sample};

use crate::support::{Disk, MIB, SIZES, image};

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Numbers at which decoders go wrong.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        sample::select(vec![0, 1, 2, 3, 33, 34, 35, 91, 92, 128, 512, 4096, 4097]),
        // Around the ends of a disk of 16 MiB, in blocks of either size.
        (0..70_u64).prop_map(|back| 32_768 - back),
        (0..15_u64).prop_map(|back| 4096 - back),
        sample::select(vec![u64::from(u32::MAX), 1 << 32, 1 << 55, 1 << 63, u64::MAX - 1, u64::MAX]),
        any::<u64>(),
    ]
}

/// A field of a header: where it is and how many bytes it has.
fn field() -> impl Strategy<Value = (usize, usize)> {
    let fields = vec![(8, 4), (12, 4), (24, 8), (32, 8), (40, 8), (48, 8), (56, 8), (72, 8), (80, 4), (84, 4), (88, 4)];
    sample::select(fields)
}

/// Makes the checksums of a header right, and with `array` those of 16 KiB after it or before it.
fn seal(disk: &mut Disk, block_size: BlockSize, header_lba: u64, array: bool) {
    let block = block_size.bytes();
    let mut header = disk.get(header_lba * block, 512);
    if array {
        let at = if header_lba == 1 { 2 * block } else { header_lba * block - (16 << 10) };
        let crc = CRC.checksum(&disk.get(at, 16 << 10));
        header[88..92].copy_from_slice(&crc.to_le_bytes());
    }
    let size = u16::from_le_bytes([header[12], header[13]]);
    let size = usize::from(size).clamp(92, 512);
    header[16..20].fill(0);
    let crc = CRC.checksum(&header[..size]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
    disk.put(header_lba * block, &header);
}

/// Reads it and does everything that is done with a table. What is read can be written and read again.
fn use_table(disk: &Disk, block_size: BlockSize) -> Result<(), TestCaseError> {
    let Ok(found) = Gpt::read(&mut disk.clone(), block_size) else { return Ok(()) };
    let table = found.table;
    let mut again = disk.clone();
    again.put_table(&table);
    prop_assert_eq!(again.table(block_size).ok(), Some(table.clone()));
    for size in SIZES {
        for bytes in [MIB, 16 * MIB, 1 << 40, u64::MAX] {
            let geometry = Geometry::new(size, bytes).expect("room for a table");
            let _ = image(BlockSize::Bytes512, 16).keeping("data", &table, geometry);
            if let Ok(mut moved) = table.on(geometry) {
                moved.grow_last();
                let last = moved.partitions().last().cloned();
                let _ = last.map(|last| moved.append(Identity { guid: Uuid::max(), ..last.identity }, bytes / 2));
            }
        }
    }
    Ok(())
}

fn identities() -> impl Strategy<Value = Identity> {
    (any::<u128>(), any::<u128>(), any::<u64>(), "\\PC{0,18}").prop_map(|(kind, guid, bits, name)| Identity {
        kind: PartitionType::from_guid(Uuid::from_u128(kind)),
        guid: Uuid::from_u128(guid),
        attributes: Attributes::from_bits(bits),
        name: PartitionName::new(&name).expect("36 units at most"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// On disks of all sizes. Partitions that the table refuses are left out.
    #[test]
    fn what_is_written_is_read(
        block_size in sample::select(SIZES.to_vec()),
        bytes in (20..64_u32, any::<u64>()).prop_map(|(bits, bytes)| bytes >> (64 - bits) | 1 << 19),
        disk_guid in any::<u128>(),
        partitions in collection::vec((0..140_u32, any::<u64>(), any::<u64>(), identities()), 0..40),
    ) {
        let mut table = Gpt::new(Geometry::new(block_size, bytes).unwrap(), Uuid::from_u128(disk_guid));
        for (number, first, length, identity) in partitions {
            let first_lba = first % table.geometry().blocks();
            let last_lba = first_lba.saturating_add(length % (table.geometry().blocks() / 16));
            let _ = table.insert(Partition { number, first_lba, last_lba, identity });
        }
        let disk = Disk::with(&table, bytes);
        prop_assert_eq!(disk.table(block_size).unwrap(), table);
        use_table(&disk, block_size)?;
    }

    /// Both copies alike, so that neither is there to help.
    #[test]
    fn headers_with_anything_in_them(
        block_size in sample::select(SIZES.to_vec()),
        changes in collection::vec((field(), number(), any::<bool>()), 1..4),
    ) {
        let table = image(block_size, 16);
        let mut disk = Disk::with(&table, 16 * MIB);
        let backup = table.geometry().backup_lba();
        for ((at, count), value, both) in changes {
            for lba in if both { vec![1, backup] } else { vec![1] } {
                disk.put(lba * block_size.bytes() + at as u64, &value.to_le_bytes()[..count]);
            }
        }
        seal(&mut disk, block_size, 1, false);
        seal(&mut disk, block_size, backup, false);
        use_table(&disk, block_size)?;
    }

    #[test]
    fn entries_with_anything_in_them(
        block_size in sample::select(SIZES.to_vec()),
        entries in collection::vec((0..128_u64, 0..16_u64, number()), 1..12),
    ) {
        let table = image(block_size, 16);
        let mut disk = Disk::with(&table, 16 * MIB);
        let (block, backup) = (block_size.bytes(), table.geometry().backup_lba());
        for (number, word, value) in entries {
            for array in [2 * block, backup * block - (16 << 10)] {
                // Mostly the six that are in use.
                let number = if number % 4 == 0 { number } else { number % 6 };
                disk.put(array + number * 128 + word * 8, &value.to_le_bytes());
            }
        }
        seal(&mut disk, block_size, 1, true);
        seal(&mut disk, block_size, backup, true);
        use_table(&disk, block_size)?;
    }

    #[test]
    fn random_bytes(
        block_size in sample::select(SIZES.to_vec()),
        bytes in collection::vec(any::<u8>(), 0..2000),
        at in 0..20_000_u64,
        end in any::<bool>(),
    ) {
        let mut disk = Disk::with(&image(block_size, 16), 16 * MIB);
        let at = if end { 16 * MIB - at - 2000 } else { at };
        disk.put(at, &bytes);
        use_table(&disk, block_size)?;
    }
}

/// The primary's error where there is no backup, and 8 bytes of the header have another value.
fn refused(at: u64, value: u64) -> GptError {
    let mut disk = Disk::with(&image(BlockSize::Bytes512, 16), 16 * MIB);
    disk.put(512 + at, &value.to_le_bytes());
    seal(&mut disk, BlockSize::Bytes512, 1, false);
    disk.put(16 * MIB - 512, &[0; 512]);
    match disk.table(BlockSize::Bytes512) {
        Err(GptError::BothDamaged { primary, .. }) => *primary,
        other => panic!("{at} {value}: {other:?}"),
    }
}

#[test]
fn what_lies_where_it_must_not_is_named() {
    // The backup is block 32,767; of its table 32 blocks are before it. Counts and sizes are two fields of 4 bytes.
    let array = |entries: u64, bytes: u64| entries | bytes << 32;
    for (at, name, values) in [
        (32, "AlternateLBA", vec![0, 1, 66, 32_768, u64::MAX]),
        (40, "FirstUsableLBA", vec![0, 2, 33]),
        (48, "LastUsableLBA", vec![33, 32_735, 32_767, u64::MAX]),
        (72, "PartitionEntryLBA", vec![0, 1, 3, 40, 32_735, u64::MAX]),
        (80, "NumberOfPartitionEntries", vec![array(0, 128), array(1025, 128), array(u32::MAX.into(), 128)]),
        (80, "SizeOfPartitionEntry", vec![array(128, 0), array(128, 64), array(32, 384), array(4, 8192)]),
    ] {
        for value in values {
            let error = refused(at, value);
            assert!(matches!(error, GptError::Header { field, .. } if field == name), "{value}: {error}");
        }
    }
    // Within the disk's usable blocks, but not within those that the header allows.
    for (at, value) in [(40, 2049), (48, 24_574)] {
        let error = refused(at, value);
        assert!(matches!(error, GptError::Range { .. }), "{value}: {error}");
    }
}

/// Otherwise the tests above would change tables whose changes no one sees.
#[test]
fn sealed_tables_are_read() {
    for block_size in SIZES {
        let table = image(block_size, 16);
        let mut disk = Disk::with(&table, 16 * MIB);
        let (block, backup) = (block_size.bytes(), table.geometry().backup_lba());
        for (header, array) in [(1, 2 * block), (backup, backup * block - (16 << 10))] {
            disk.put(header * block + 56, &[5; 16]);
            disk.put(array + 16, &[7; 16]);
            seal(&mut disk, block_size, header, true);
        }
        let found = Gpt::read(&mut disk, block_size).unwrap();
        assert!(found.damage.is_empty());
        assert_eq!(found.table.disk_guid(), Uuid::from_bytes([5; 16]));
        assert_eq!(found.table.by_guid(Uuid::from_bytes([7; 16])).unwrap().number, 1);
    }
}
