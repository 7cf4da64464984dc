//! Disks that lose power while a table is written.

use dolmen_image_disk::gpt::{Attributes, BlockSize, Geometry, Gpt, PartitionType};
use proptest::{collection, prelude::*, sample};

use crate::support::{Disk, MIB, SECTOR, SIZES, identity, image};

/// The same disk with another version, with more room, and imaged again.
fn changes(old: &Gpt, disk: Geometry) -> Vec<Gpt> {
    let identity = identity(PartitionType::ROOT_X86_64, 88, "dolmen_2.0", Attributes::READ_ONLY);
    let mut updated = old.on(disk).expect("no smaller disk");
    updated.relabel(4, identity).expect("a new GUID");
    let mut grown = old.on(disk).expect("no smaller disk");
    grown.grow_last().expect("free blocks");
    let mut next = image(BlockSize::Bytes512, 16);
    next.relabel(2, identity).expect("a new GUID");
    let merged = next.keeping("data", old, disk).expect("the same places");
    vec![updated, grown, merged]
}

/// What is on the disk when the power fails after `done` writes: all that was synced by then, and of the rest the
/// sectors that `kept` says, one of them in part.
fn after_failure(before: &Disk, writing: &Disk, done: usize, kept: &[bool], torn: usize) -> Disk {
    let synced = writing.syncs.iter().copied().filter(|count| *count <= done).max().unwrap_or(0);
    let mut disk = before.clone();
    for (number, (at, bytes)) in writing.writes[..done].iter().enumerate() {
        if number < synced || kept[number % kept.len()] {
            disk.put(*at, bytes);
        }
    }
    if let Some((at, bytes)) = writing.writes.get(done) {
        disk.put(*at, &bytes[..torn.min(bytes.len())]);
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_disk_has_the_old_table_or_the_new_one(
        block_size in sample::select(SIZES.to_vec()),
        grow in any::<bool>(),
        change in 0..3_usize,
        done in any::<sample::Index>(),
        kept in collection::vec(any::<bool>(), 1..200),
        torn in 0..SECTOR,
    ) {
        let bytes = if grow { 40 * MIB } else { 16 * MIB };
        let old = image(block_size, 16);
        let before = Disk::with(&old, bytes);
        let new = changes(&old, Geometry::new(block_size, bytes).unwrap()).remove(change);
        let mut writing = Disk::new(bytes);
        writing.put_table(&new);
        let done = done.index(writing.writes.len() + 1);
        let found = after_failure(&before, &writing, done, &kept, torn).table(block_size).unwrap();
        prop_assert!(found == old || found == new);
        if done == writing.writes.len() {
            prop_assert!(found == new);
        }
    }

    /// Nothing was there before, so that there may be none.
    #[test]
    fn an_empty_disk_has_no_table_or_the_new_one(
        done in any::<sample::Index>(),
        kept in collection::vec(any::<bool>(), 1..200),
        torn in 0..SECTOR,
    ) {
        let new = image(BlockSize::Bytes512, 16);
        let mut writing = Disk::new(16 * MIB);
        writing.put_table(&new);
        let done = done.index(writing.writes.len() + 1);
        let found = after_failure(&Disk::new(16 * MIB), &writing, done, &kept, torn).table(BlockSize::Bytes512);
        prop_assert!(found.map_or(done < writing.writes.len(), |found| found == new));
    }
}

/// A legacy MBR stays until both copies are there, and is gone in the end.
#[test]
fn legacy_partitions_count_until_the_last_write() {
    let new = image(BlockSize::Bytes512, 16);
    let mut before = Disk::new(16 * MIB);
    let mut mbr = [0; SECTOR];
    (mbr[450], mbr[510], mbr[511]) = (0x83, 0x55, 0xaa);
    before.put(0, &mbr);
    let mut writing = Disk::new(16 * MIB);
    writing.put_table(&new);
    let count = writing.writes.len();
    assert_eq!(writing.syncs, [33, 66, 67]);
    assert!(after_failure(&before, &writing, count - 1, &[true], 0).table(BlockSize::Bytes512).is_err());
    assert_eq!(after_failure(&before, &writing, count, &[true], 0).table(BlockSize::Bytes512).unwrap(), new);
}
