//! Tables that util-linux (sfdisk, fdisk) and gdisk (sgdisk) make, read and check.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use dolmen_image_disk::gpt::{Attributes, BlockSize, Geometry, Gpt, Identity, Part, Partition, PartitionType, Uuid};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{MIB, SIZES, identity, image, output, run, text};

/// An empty file in a folder of its own.
fn file(bytes: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("disk");
    File::create(&path).and_then(|file| file.set_len(bytes)).expect("a file in it");
    (folder, path)
}

fn open(path: &Path) -> File {
    File::options().read(true).write(true).open(path).expect("the file of the disk")
}

fn write(table: &Gpt, path: &Path) {
    table.write(&mut open(path), |file| file.sync_all()).expect("a table in a file");
}

/// The table, which must be whole.
fn read(path: &Path, block_size: BlockSize) -> Gpt {
    let found = Gpt::read(&mut open(path), block_size).expect("a table");
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    found.table
}

/// What both tools say of a table with 512-byte blocks.
fn assert_valid(path: &Path) {
    let said = run("sfdisk", &["--verify"], path);
    assert!(said.contains("No errors detected"), "{said}");
    let said = run("sgdisk", &["--verify"], path);
    assert!(said.contains("No problems found") && !said.contains("Caution"), "{said}");
}

/// What sfdisk reads to make this table.
fn script(table: &Gpt) -> String {
    let mut script = format!("label: gpt\nlabel-id: {}\nfirst-lba: 34\n", table.disk_guid());
    for partition in table.partitions() {
        let Partition { number, first_lba, last_lba, identity: Identity { kind, guid, attributes, name } } = partition;
        let mut attrs = Vec::new();
        if attributes.contains(Attributes::REQUIRED) {
            attrs.push("RequiredPartition".to_owned());
        }
        attrs.extend((48..64).filter(|bit| attributes.bits() >> bit & 1 == 1).map(|bit| format!("GUID:{bit}")));
        script += &format!(
            "disk{number} : start={first_lba}, size={}, type={kind}, uuid={guid}, name=\"{name}\", attrs=\"{}\"\n",
            last_lba - first_lba + 1,
            attrs.join(",")
        );
    }
    script
}

/// Every number in use, in no order.
fn crowded() -> Gpt {
    let mut table =
        Gpt::new(Geometry::new(BlockSize::Bytes512, 140 * MIB).expect("room for a table"), Uuid::from_u128(1 << 100));
    for number in 1..=128_u8 {
        let place = u64::from(number) * 77 % 128 + 1;
        let (first_lba, last_lba) = (place * 2048, (place + 1) * 2048 - 1);
        let identity = identity(PartitionType::LINUX_DATA, number, &format!("part {number}"), Attributes::NONE);
        table.insert(Partition { number: number.into(), first_lba, last_lba, identity }).expect("a place of its own");
    }
    table
}

#[test]
fn sfdisk_makes_the_same_bytes() {
    let empty = Gpt::new(Geometry::new(BlockSize::Bytes512, 3 * MIB + 512).unwrap(), Uuid::from_u128(7));
    for table in [image(BlockSize::Bytes512, 16), crowded(), empty] {
        let (_folder, theirs) = file(table.geometry().bytes());
        let made = output("sfdisk", &["--quiet"], &theirs, &script(&table));
        assert!(made.status.success(), "{}", text(&made));
        let (_folder, ours) = file(table.geometry().bytes());
        write(&table, &ours);
        assert!(fs::read(&theirs).unwrap() == fs::read(&ours).unwrap(), "{}", script(&table));
        assert_valid(&ours);
        assert_eq!(read(&theirs, BlockSize::Bytes512), table);
    }
}

#[test]
fn sfdisk_reads_what_was_written() {
    let table = image(BlockSize::Bytes512, 16);
    let (_folder, path) = file(table.geometry().bytes());
    write(&table, &path);
    let json: Value = serde_json::from_str(&run("sfdisk", &["--json"], &path)).unwrap();
    let listed = &json["partitiontable"];
    assert_eq!(listed["id"], table.disk_guid().to_string().to_uppercase());
    assert_eq!((&listed["firstlba"], &listed["lastlba"]), (&34.into(), &32_734.into()));
    let partitions = listed["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), table.partitions().len());
    for (listed, partition) in partitions.iter().zip(table.partitions()) {
        let Identity { kind, guid, name, .. } = partition.identity;
        assert_eq!(listed["start"], partition.first_lba);
        assert_eq!(listed["size"], partition.last_lba - partition.first_lba + 1);
        assert_eq!(listed["type"], kind.to_string().to_uppercase());
        assert_eq!(listed["uuid"], guid.to_string().to_uppercase());
        assert_eq!(listed.get("name").map_or("", |name| name.as_str().unwrap()), name.to_string());
    }
    let attributes: Vec<_> = partitions.iter().map(|one| one["attrs"].as_str().unwrap_or_default()).collect();
    assert_eq!(attributes, ["RequiredPartition", "GUID:60", "GUID:60", "GUID:60,63", "", "GUID:59"]);
    // sgdisk knows the types by name.
    let info = run("sgdisk", &["--info=2"], &path);
    assert!(info.contains("Linux x86-64 root (/)"), "{info}");
    let info = run("sgdisk", &["--info=3"], &path);
    assert!(info.contains("Linux x86-64 root verity"), "{info}");
}

#[test]
fn tables_of_others_are_read() {
    let (_folder, path) = file(64 * MIB);
    // Where most tools begin, and as they name the ends of what is usable.
    let made =
        output("sfdisk", &["--quiet"], &path, "label: gpt\nsize=8MiB, type=uefi, name=efi\nsize=20MiB, type=linux\n");
    assert!(made.status.success(), "{}", text(&made));
    let table = read(&path, BlockSize::Bytes512);
    assert_eq!((table.partitions()[0].first_lba, table.partitions()[0].last_lba), (2048, 18_431));
    assert_eq!(table.by_name("efi").unwrap().identity.kind, PartitionType::ESP);

    // More entries than are written here.
    run("sgdisk", &["--resize-table=512", "--new=3:0:+5M", "--typecode=3:8310"], &path);
    let resized = read(&path, BlockSize::Bytes512);
    assert_eq!(resized.partitions()[..2], table.partitions()[..]);
    write(&resized, &path);
    assert_valid(&path);
    assert_eq!(read(&path, BlockSize::Bytes512), resized);
}

#[test]
fn drives_with_large_blocks() {
    let table = image(BlockSize::Bytes4096, 16);
    let (_folder, path) = file(table.geometry().bytes());
    write(&table, &path);
    let said = text(&output("fdisk", &["--sector-size=4096"], &path, "v\nq\n"));
    assert!(said.contains("No errors detected") && !said.contains("corrupt"), "{said}");
    let listed = run("fdisk", &["--sector-size=4096", "--list", "--output=Start,End,Name"], &path);
    for partition in table.partitions() {
        let Partition { first_lba, last_lba, identity, .. } = partition;
        let line = [first_lba.to_string(), last_lba.to_string(), identity.name.to_string()].join(" ");
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(listed.lines().any(|found| words(found) == line.trim_end()), "{line} in {listed}");
    }

    let (_folder, path) = file(16 * MIB);
    let made = output("fdisk", &["--sector-size=4096"], &path, "g\nn\n1\n256\n511\nn\n2\n1024\n2047\nw\n");
    assert!(made.status.success(), "{}", text(&made));
    let table = read(&path, BlockSize::Bytes4096);
    let places: Vec<_> = table.partitions().iter().map(|one| (one.number, one.first_lba, one.last_lba)).collect();
    assert_eq!(places, [(1, 256, 511), (2, 1024, 2047)]);
}

#[test]
fn an_image_grows_with_its_disk() {
    let (_folder, path) = file(16 * MIB);
    write(&image(BlockSize::Bytes512, 16), &path);
    open(&path).set_len(50 * MIB + 4096).unwrap();
    let found = Gpt::read(&mut open(&path), BlockSize::Bytes512).unwrap();
    let mut table = found.table.on(found.disk).unwrap();
    assert_eq!(table.grow_last().unwrap().identity.name, *"data");
    write(&table, &path);
    assert_valid(&path);
    let json: Value = serde_json::from_str(&run("sfdisk", &["--json"], &path)).unwrap();
    // From 10 MiB to 49, the last multiple of 1 MiB that leaves room for the backup.
    assert_eq!(json["partitiontable"]["partitions"][5]["start"], 10 * 2048);
    assert_eq!(json["partitiontable"]["partitions"][5]["size"], 39 * 2048);
}

#[test]
fn a_box_is_imaged_again_and_keeps_its_data() {
    let (_folder, path) = file(64 * MIB);
    let mut installed =
        image(BlockSize::Bytes512, 16).on(Geometry::new(BlockSize::Bytes512, 64 * MIB).unwrap()).unwrap();
    installed.grow_last().unwrap();
    write(&installed, &path);
    let mut next = image(BlockSize::Bytes512, 16);
    next.relabel(2, identity(PartitionType::ROOT_X86_64, 77, "dolmen_2.0", Attributes::READ_ONLY)).unwrap();
    let found = Gpt::read(&mut open(&path), BlockSize::Bytes512).unwrap();
    let merged = next.keeping("data", &found.table, found.disk).unwrap();
    write(&merged, &path);
    assert_valid(&path);
    let dump = run("sfdisk", &["--dump"], &path);
    assert!(dump.contains("dolmen_2.0") && !dump.contains("dolmen_1.0\""), "{dump}");
    assert_eq!(merged.by_name("data").unwrap(), installed.by_name("data").unwrap());
}

#[test]
fn damage_is_seen_by_both_and_repaired() {
    for block_size in SIZES {
        let table = image(block_size, 16);
        let (_folder, path) = file(table.geometry().bytes());
        write(&table, &path);
        let whole = fs::read(&path).unwrap();
        let block = usize::try_from(block_size.bytes()).unwrap();
        for (at, part) in
            [(block, Part::Primary), (2 * block + 128, Part::Primary), (whole.len() - 1 - block, Part::Backup)]
        {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(&path, &bytes).unwrap();
            if block_size == BlockSize::Bytes512 {
                let said = text(&output("sgdisk", &["--verify"], &path, ""));
                assert!(!said.contains("No problems found") || said.contains("Caution"), "{said}");
            }
            let found = Gpt::read(&mut open(&path), block_size).unwrap();
            assert_eq!(found.damage.iter().map(|damage| damage.part).collect::<Vec<_>>(), [part]);
            assert_eq!(found.table, table);
            write(&found.table, &path);
            assert!(fs::read(&path).unwrap() == whole, "{part}");
        }
    }
}
