//! Tables in memory: what they refuse, and what becomes of damaged, moved and merged ones.

use std::io::Cursor;

use sha2::{Digest, Sha256};

use super::*;

const MIB: u64 = 1 << 20;
const SIZES: [BlockSize; 2] = [BlockSize::Bytes512, BlockSize::Bytes4096];

fn disk(block_size: BlockSize, mib: u64) -> Geometry {
    Geometry::new(block_size, mib * MIB).unwrap()
}

fn guid(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn identity(kind: PartitionType, number: u8, name: &str) -> Identity {
    Identity { kind, guid: guid(number), attributes: Attributes::NONE, name: PartitionName::new(name).unwrap() }
}

/// 16 MiB with an ESP of 2, a root of 3 with its hashes in 1, and data in 2.
fn image(block_size: BlockSize) -> Gpt {
    let mut table = Gpt::new(disk(block_size, 16), guid(99));
    let root = Identity { attributes: Attributes::READ_ONLY, ..identity(PartitionType::ROOT_X86_64, 2, "root_1") };
    table.append(identity(PartitionType::ESP, 1, "esp"), 2 * MIB).unwrap();
    table.append(root, 3 * MIB).unwrap();
    table.append(identity(PartitionType::ROOT_X86_64_VERITY, 3, "verity_1"), MIB).unwrap();
    table.append(identity(PartitionType::LINUX_DATA, 4, "data"), 2 * MIB).unwrap();
    table
}

fn written(table: &Gpt) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(table.geometry().bytes()).unwrap()];
    table.write(&mut Cursor::new(&mut bytes[..]), |_| Ok(())).unwrap();
    bytes
}

fn read(bytes: &[u8], block_size: BlockSize) -> Result<Found, GptError> {
    Gpt::read(&mut Cursor::new(bytes), block_size)
}

fn damaged(found: &Found) -> Vec<Part> {
    found.damage.iter().map(|damage| damage.part).collect()
}

fn mib(table: &Gpt) -> Vec<(u32, u64, u64)> {
    let bytes = |partition| table.bytes_of(partition);
    table.partitions().iter().map(|one| (one.number, bytes(one).start / MIB, bytes(one).end / MIB)).collect()
}

#[test]
fn partitions_are_appended_at_whole_mebibytes() {
    for block_size in SIZES {
        let mut table = image(block_size);
        assert_eq!(mib(&table), [(1, 1, 3), (2, 3, 6), (3, 6, 7), (4, 7, 9)]);
        let odd = table.append(identity(PartitionType::VAR, 5, "var"), MIB + 1).unwrap();
        assert_eq!((odd.number, odd.first_lba), (5, 9 * MIB / block_size.bytes()));
        assert_eq!(mib(&table)[4], (5, 9, 11));
        for bytes in [5 * MIB, u64::MAX - MIB, u64::MAX] {
            let error = table.append(identity(PartitionType::VAR, 6, "more"), bytes).unwrap_err();
            assert!(matches!(error, GptError::DiskTooSmall { .. }), "{error}");
        }
        table.append(identity(PartitionType::VAR, 6, "rest"), 4 * MIB).unwrap();
    }
    let mut largest = Gpt::new(Geometry::new(BlockSize::Bytes512, u64::MAX).unwrap(), guid(1));
    largest.append(identity(PartitionType::VAR, 1, "nearly all"), u64::MAX - 3 * MIB).unwrap();
    largest.grow_last().unwrap();
    let error = largest.append(identity(PartitionType::VAR, 2, "more"), 1).unwrap_err();
    assert!(matches!(error, GptError::DiskTooSmall { needed: u64::MAX, .. }), "{error}");
}

#[test]
fn no_two_partitions_share_anything() {
    let table = image(BlockSize::Bytes512);
    let free = Partition {
        number: 7,
        first_lba: 20_000,
        last_lba: 20_000,
        identity: identity(PartitionType::LINUX_DATA, 7, "new"),
    };
    let refused = |change: &dyn Fn(&mut Partition)| {
        let (mut table, mut partition) = (table.clone(), free.clone());
        change(&mut partition);
        let error = table.insert(partition).unwrap_err();
        assert_eq!(table, image(BlockSize::Bytes512), "{error}");
        error
    };
    table.clone().insert(free.clone()).unwrap();
    for number in [0, 4, 129, u32::MAX] {
        assert!(matches!(refused(&|new| new.number = number), GptError::Number(found) if found == number));
    }
    assert!(matches!(refused(&|new| new.identity.guid = Uuid::nil()), GptError::NilGuid(7)));
    let nil = PartitionType::from_guid(Uuid::nil());
    assert!(matches!(refused(&|new| new.identity.kind = nil), GptError::NilGuid(7)));
    assert!(matches!(refused(&|new| new.identity.guid = guid(3)), GptError::SameGuid { number: 7, other: 3, .. }));
    for (first, last) in [(33, 40), (0, 40), (20_001, 20_000), (20_000, 32_735), (20_000, u64::MAX)] {
        let error = refused(&|new| (new.first_lba, new.last_lba) = (first, last));
        assert!(matches!(error, GptError::Range { number: 7, .. }), "{first} {last} {error}");
    }
    // Data has the blocks 14,336 to 18,431.
    for (first, last) in [(18_431, 18_431), (18_431, 20_000), (14_000, 14_336), (15_000, 16_000), (14_336, 18_431)] {
        let error = refused(&|new| (new.first_lba, new.last_lba) = (first, last));
        assert!(matches!(error, GptError::Overlap { number: 7, .. }), "{first} {last} {error}");
    }
    table.clone().insert(Partition { first_lba: 18_432, last_lba: 32_734, ..free }).unwrap();
}

#[test]
fn partitions_are_found_by_name_and_guid() {
    let mut table = image(BlockSize::Bytes512);
    assert_eq!(table.by_name("data").unwrap().number, 4);
    assert_eq!(table.by_guid(guid(2)).unwrap().number, 2);
    assert_eq!(table.by_guid(guid(5)), None);
    assert!(matches!(table.by_name("dat"), Err(GptError::NotFound(name)) if name == "dat"));
    table.append(identity(PartitionType::VAR, 5, "data"), MIB).unwrap();
    assert!(matches!(table.by_name("data"), Err(GptError::Ambiguous { number: 4, other: 5, .. })));
}

#[test]
fn a_slot_gets_another_version() {
    let mut table = image(BlockSize::Bytes512);
    let before = table.clone();
    table.relabel(2, identity(PartitionType::ROOT_X86_64, 8, "root_2")).unwrap();
    assert_eq!((table.by_name("root_2").unwrap().number, mib(&table)), (2, mib(&before)));
    assert!(matches!(table.by_name("root_1"), Err(GptError::NotFound(_))));
    let changed = table.clone();
    let taken = identity(PartitionType::ROOT_X86_64, 3, "root_3");
    assert!(matches!(table.relabel(2, taken), Err(GptError::SameGuid { number: 2, other: 3, .. })));
    assert!(matches!(table.relabel(9, taken), Err(GptError::Number(9))));
    assert_eq!(table, changed);
}

#[test]
fn a_table_is_read_as_it_was_written() {
    for block_size in SIZES {
        let found = read(&written(&image(block_size)), block_size).unwrap();
        assert_eq!((found.table, found.disk), (image(block_size), disk(block_size, 16)));
        assert!(found.damage.is_empty());
    }
    let error = read(&written(&image(BlockSize::Bytes512)), BlockSize::Bytes4096).unwrap_err();
    assert!(matches!(error, GptError::BothDamaged { .. }), "{error}");
}

/// sfdisk makes the same ones (`tests/disk/sfdisk.rs`); this says that they never change by accident.
#[test]
fn the_bytes_of_a_table_are_frozen() {
    let sha256 = |block_size| const_hex::encode(Sha256::digest(written(&image(block_size))));
    assert_eq!(sha256(BlockSize::Bytes512), "aae326a0e88e9d5ad342f410dfa9ee95549db9316b814cc6114a8e63bb5e7202");
    assert_eq!(sha256(BlockSize::Bytes4096), "0c4cffc00ae72a51f1629673774201aeda6390ce682656273ab4678556f07ed2");
}

#[test]
fn either_copy_does_without_the_other() {
    for block_size in SIZES {
        let (whole, block) = (written(&image(block_size)), usize::try_from(block_size.bytes()).unwrap());
        let array = 16 << 10;
        let end = whole.len();
        let parts = [
            (510, Part::ProtectiveMbr),
            (block + 8, Part::Primary),
            (2 * block, Part::Primary),
            (2 * block + array - 1, Part::Primary),
            (end - block, Part::Backup),
            (end - block - 1, Part::Backup),
            (end - block - array, Part::Backup),
        ];
        for (at, part) in parts {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x80;
            let found = read(&bytes, block_size).unwrap();
            assert_eq!((damaged(&found), &found.table), (vec![part], &image(block_size)), "byte {at}");
            // Writing repairs it.
            found.table.write(&mut Cursor::new(&mut bytes[..]), |_| Ok(())).unwrap();
            assert!(bytes == whole, "byte {at}");
        }
        let mut bytes = whole.clone();
        bytes[block] = 0;
        bytes[end - 1 - block] = 1;
        let error = read(&bytes, block_size).unwrap_err();
        let GptError::BothDamaged { primary, backup } = error else { panic!("{error}") };
        assert!(matches!(*primary, GptError::NoHeader { lba: 1 }), "{primary}");
        assert!(matches!(*backup, GptError::Crc { what: "array", .. }), "{backup}");
    }
}

#[test]
fn the_primary_counts_where_two_tables_are_whole() {
    let old = image(BlockSize::Bytes512);
    let mut new = old.clone();
    new.relabel(2, identity(PartitionType::ROOT_X86_64, 8, "root_2")).unwrap();
    let mut bytes = written(&old);
    let backup = bytes.len() - 33 * 512;
    bytes[backup..].copy_from_slice(&written(&new)[backup..]);
    let found = read(&bytes, BlockSize::Bytes512).unwrap();
    assert_eq!((damaged(&found), found.table), (vec![Part::Backup], old));
    assert!(matches!(found.damage[0].cause, GptError::CopiesDiffer));
}

#[test]
fn disks_without_a_table_are_told_apart() {
    for block_size in SIZES {
        let error = read(&vec![0; 1 << 20], block_size).unwrap_err();
        assert!(matches!(error, GptError::BothDamaged { .. }), "{error}");
        assert!(matches!(read(&[0; 512], block_size), Err(GptError::DiskTooSmall { .. })));
        assert!(matches!(read(&[], block_size), Err(GptError::DiskTooSmall { .. })));
    }
    // Whoever partitioned the disk by MBR left an old table behind.
    let mut bytes = written(&image(BlockSize::Bytes512));
    bytes[446 + 4] = 0x83;
    assert!(matches!(read(&bytes, BlockSize::Bytes512), Err(GptError::LegacyMbr)));
}

#[test]
fn a_table_moves_to_a_larger_disk_and_fills_it() {
    for block_size in SIZES {
        let mut bytes = written(&image(block_size));
        bytes.resize(usize::try_from(20 * MIB).unwrap(), 0);
        let found = read(&bytes, block_size).unwrap();
        assert!(found.damage.is_empty());
        assert_eq!((found.table.geometry(), found.disk), (disk(block_size, 16), disk(block_size, 20)));

        let mut grown = found.table.on(found.disk).unwrap();
        assert_eq!(mib(&grown), mib(&image(block_size)));
        assert_eq!(grown.grow_last().unwrap().number, 4);
        assert_eq!(mib(&grown), [(1, 1, 3), (2, 3, 6), (3, 6, 7), (4, 7, 19)]);
        assert_eq!(grown.grow_last(), None);
        grown.write(&mut Cursor::new(&mut bytes[..]), |_| Ok(())).unwrap();
        let found = read(&bytes, block_size).unwrap();
        assert_eq!((found.table, found.damage.len()), (grown, 0));
    }
}

#[test]
fn what_does_not_fit_stays_where_it_is() {
    let table = image(BlockSize::Bytes512);
    assert_eq!(table.on(disk(BlockSize::Bytes512, 10)).unwrap().on(table.geometry()).unwrap(), table);
    // The backup needs 33 blocks behind the 9 MiB.
    let least = 9 * MIB + 33 * 512;
    table.on(Geometry::new(BlockSize::Bytes512, least).unwrap()).unwrap();
    let error = table.on(Geometry::new(BlockSize::Bytes512, least - 512).unwrap()).unwrap_err();
    assert!(matches!(error, GptError::DiskTooSmall { needed, .. } if needed == least), "{error}");
    assert_eq!(Gpt::new(table.geometry(), guid(1)).grow_last(), None);
    // A partition up to the last usable block is not made smaller.
    let mut full = table.clone();
    let last_lba = full.geometry().last_usable_lba();
    let identity = identity(PartitionType::VAR, 5, "var");
    full.insert(Partition { number: 5, first_lba: 20_480, last_lba, identity }).unwrap();
    assert_eq!(full.clone().grow_last(), None);
}

#[test]
fn blocks_of_another_size_hold_the_same_bytes() {
    let moved = image(BlockSize::Bytes512).on(disk(BlockSize::Bytes4096, 16)).unwrap();
    assert_eq!(moved, image(BlockSize::Bytes4096));
    assert_eq!(moved.on(disk(BlockSize::Bytes512, 16)).unwrap(), image(BlockSize::Bytes512));

    let mut table = Gpt::new(disk(BlockSize::Bytes512, 16), guid(1));
    let identity = identity(PartitionType::VAR, 5, "var");
    table.insert(Partition { number: 1, first_lba: 2048, last_lba: 2048, identity }).unwrap();
    let error = table.on(disk(BlockSize::Bytes4096, 16)).unwrap_err();
    assert!(matches!(error, GptError::Unaligned { number: 1, block_size: 4096 }), "{error}");
    // Whole blocks, but those in which the larger table is.
    let mut table = Gpt::new(disk(BlockSize::Bytes512, 16), guid(1));
    table.insert(Partition { number: 1, first_lba: 40, last_lba: 47, identity }).unwrap();
    assert!(matches!(table.on(disk(BlockSize::Bytes4096, 16)), Err(GptError::Range { number: 1, .. })));
}

/// The same without one of its partitions.
fn without(table: &Gpt, number: u32) -> Gpt {
    let mut rest = table.clone();
    rest.remove(number).unwrap();
    rest
}

/// A box's disk of 32 MiB: the image with an enlarged data partition, or one that begins elsewhere.
fn installed(block_size: BlockSize, first_mib: u64) -> Gpt {
    let mut table = Gpt::new(disk(block_size, 32), guid(98));
    for partition in without(&image(block_size), 4).partitions() {
        table.insert(partition.clone()).unwrap();
    }
    let block = block_size.bytes();
    let identity =
        Identity { attributes: Attributes::GROW_FILE_SYSTEM, ..identity(PartitionType::LINUX_DATA, 44, "data") };
    let (first_lba, last_lba) = (first_mib * MIB / block, 31 * MIB / block - 1);
    table.insert(Partition { number: 9, first_lba, last_lba, identity }).unwrap();
    table
}

#[test]
fn reimaging_keeps_the_data_where_they_are() {
    for block_size in SIZES {
        let (old, size) = (installed(block_size, 8), disk(block_size, 32));
        let merged = image(BlockSize::Bytes512).keeping("data", &old, size).unwrap();
        assert_eq!(mib(&merged), [(1, 1, 3), (2, 3, 6), (3, 6, 7), (4, 8, 31)]);
        let kept = merged.by_name("data").unwrap();
        assert_eq!(kept, &Partition { number: 4, ..old.by_name("data").unwrap().clone() });
        assert_eq!(&merged.partitions()[..3], &image(block_size).partitions()[..3]);
        assert_eq!((merged.disk_guid(), merged.geometry()), (guid(98), size));

        // Without such a partition in the image it comes after the others.
        let merged = without(&image(BlockSize::Bytes512), 4).keeping("data", &old, size).unwrap();
        assert_eq!(mib(&merged)[3], (4, 8, 31));
        // The disk grew since.
        let merged = image(BlockSize::Bytes512).keeping("data", &old, disk(block_size, 40)).unwrap();
        assert_eq!((mib(&merged)[3], merged.geometry()), ((4, 8, 31), disk(block_size, 40)));
    }
}

#[test]
fn reimaging_is_refused_where_data_would_be_lost() {
    let (image, size) = (image(BlockSize::Bytes512), disk(BlockSize::Bytes512, 32));
    let error = |image: &Gpt, old: &Gpt, size| image.keeping("data", old, size).unwrap_err();
    let old = installed(BlockSize::Bytes512, 8);

    // One block of the hashes' last MiB.
    let data = old.by_name("data").unwrap().clone();
    let mut close = without(&without(&old, 9), 3);
    close.insert(Partition { first_lba: 7 * 2048 - 1, ..data.clone() }).unwrap();
    assert!(matches!(error(&image, &close, size), GptError::KeptOverlaps { number: 3, .. }));

    let mut larger = without(&image, 4);
    larger.append(identity(PartitionType::ROOT_X86_64, 5, "root_2"), 3 * MIB).unwrap();
    assert!(matches!(error(&larger, &old, size), GptError::KeptOverlaps { number: 4, .. }));

    let none = without(&old, 9);
    assert!(matches!(error(&image, &none, size), GptError::NotFound(_)));
    let mut two = none.clone();
    two.append(identity(PartitionType::LINUX_DATA, 5, "data"), MIB).unwrap();
    two.append(identity(PartitionType::LINUX_DATA, 6, "data"), MIB).unwrap();
    assert!(matches!(error(&image, &two, size), GptError::Ambiguous { .. }));
    assert!(matches!(error(&two.on(image.geometry()).unwrap(), &old, size), GptError::Ambiguous { .. }));

    let mut other = none;
    other.append(identity(PartitionType::VAR, 5, "data"), MIB).unwrap();
    assert!(matches!(error(&image, &other, size), GptError::KeptType { .. }));
    let mut same = old.clone();
    same.relabel(2, identity(PartitionType::ROOT_X86_64, 77, "root_1")).unwrap();
    same.relabel(9, Identity { guid: guid(2), ..data.identity }).unwrap();
    assert!(matches!(error(&image, &same, size), GptError::SameGuid { .. }));

    let small = Geometry::new(BlockSize::Bytes512, 8 * MIB).unwrap();
    assert!(matches!(error(&larger, &old, small), GptError::DiskTooSmall { .. }));
    let cut = disk(BlockSize::Bytes512, 31);
    assert!(matches!(error(&image, &old, cut), GptError::Range { number: 4, .. }));
    let blocks = disk(BlockSize::Bytes4096, 32);
    assert!(matches!(error(&image, &old, blocks), GptError::OtherBlocks { table: 512, disk: 4096 }));
}
