//! What is written, what is refused, and what stays as it is.

use dolmen_image_bundle::BundleError;
use dolmen_image_disk::gpt::{BlockSize, Geometry, Gpt, GptError, Identity, PartitionName, PartitionType, Uuid};
use dolmen_image_installer::{
    boot_files::{BOOT_LOADER, LOADER_CONF, LOADER_CONF_TEXT},
    disk::{Disk as _, Section},
    erase::KEY_BYTES,
    esp,
    installed::{self, Findings, Slot},
    layout::{self, DATA_BYTES_MIN, DISK_BYTES_MIN, ESP, ESP_START},
    plan::{Change, Refusal},
    prior::{Content, Data, Foreign, Prior},
    write::{Step, WriteError},
};

use crate::{
    image::{GIB, Image, MIB, data_of, make_data},
    medium::{Event, Medium},
};

const SIZES: [BlockSize; 2] = [BlockSize::Bytes512, BlockSize::Bytes4096];

pub(crate) fn look(disk: &mut Medium, image: &Image) -> Findings {
    let table = table(disk);
    installed::look(disk, &table, image.manifest(), &mut |_, _| {}).expect("a disk that can be read")
}

pub(crate) fn table(disk: &mut Medium) -> Gpt {
    let block_size = disk.block_size;
    let found = Gpt::read(disk, block_size).expect("a table");
    assert!(found.damage.is_empty(), "{:?}", found.damage);
    found.table
}

fn content(disk: &mut Medium) -> Content {
    let block_size = disk.block_size;
    Prior::read(disk, block_size).expect("a disk that can be read").content
}

#[test]
fn an_empty_disk_of_any_size_becomes_a_box() {
    let image = Image::new("1.0.0", 1);
    for block_size in SIZES {
        for bytes in [DISK_BYTES_MIN, 2 * GIB + 512 * 9, 64 * GIB, 16_000 * GIB] {
            let mut disk = image.installed_on(Medium::with_blocks(bytes, block_size));
            let found = look(&mut disk, &image);
            assert!(found.is_bundle(), "{found:?}");
            assert!(matches!(found.slots, [Slot::Whole { of_bundle: true, .. }, Slot::Empty]), "{found:?}");
            assert!(matches!(content(&mut disk), Content::Dolmen(installed) if installed.data == Data::Empty));
            let data = data_of(&mut disk);
            assert!(data.end - data.start >= DATA_BYTES_MIN && bytes - data.end <= 2 * MIB);
            let esp = found.esp.unwrap();
            let files: Vec<_> = esp.files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(files, [BOOT_LOADER, "EFI/Linux/dolmen_1.0.0+3.efi", LOADER_CONF]);
        }
    }
}

#[test]
fn the_efi_system_partition_is_as_the_firmware_and_linux_want_it() {
    let image = Image::new("1.0.0", 1);
    for (block_size, kind, kind_at) in [(SIZES[0], b"FAT32   ", 82), (SIZES[1], b"FAT16   ", 54)] {
        let mut disk = image.installed_on(Medium::with_blocks(2 * GIB, block_size));
        let (_, bytes) = layout::find(&table(&mut disk), ESP).map(|(n, bytes)| (n.number, bytes)).unwrap();
        let boot = disk.get(bytes.start, 512);
        assert_eq!(u64::from(u16::from_le_bytes([boot[11], boot[12]])), block_size.bytes());
        assert_eq!((&boot[kind_at..kind_at + 8], &boot[510..]), (&kind[..], &[0x55, 0xaa][..]));
        let mut section = Section::new(&mut disk, bytes);
        assert_eq!(esp::label(&mut section).unwrap(), "ESP");
        let settings = esp::read(&mut section, LOADER_CONF, 100).unwrap().unwrap();
        assert_eq!(settings, LOADER_CONF_TEXT.as_bytes());
    }
}

#[test]
fn installing_takes_no_disk_with_anything_on_it() {
    let image = Image::new("1.0.0", 1);
    let untouched = |disk: &Medium, expected: fn(&Refusal) -> bool| {
        let mut tried = disk.recording();
        let refusal = image.plan(Change::Install, &mut tried).unwrap_err();
        assert!(expected(&refusal), "{refusal}");
        assert_eq!(tried.events, Some(vec![]));
    };
    untouched(&image.with_data(2 * GIB), |refusal| matches!(refusal, Refusal::HasData));
    // Another system's table, an MBR, a file system on the whole disk, RAID at its end.
    let mut foreign = Medium::new(2 * GIB);
    let guid = Uuid::from_u128(9);
    let mut table = Gpt::new(Geometry::new(BlockSize::Bytes512, 2 * GIB).unwrap(), guid);
    let name = PartitionName::new("data").unwrap();
    let identity =
        Identity { kind: PartitionType::LINUX_DATA, guid, attributes: dolmen_image_disk::gpt::Attributes::NONE, name };
    table.append(identity, GIB).unwrap();
    table.write(&mut foreign, |disk| disk.sync()).unwrap();
    untouched(&foreign, |refusal| matches!(refusal, Refusal::Foreign(Foreign::Partitions(1))));
    let mut legacy = Medium::new(2 * GIB);
    legacy.put(446 + 4, &[0x83]);
    legacy.put(510, &[0x55, 0xaa]);
    untouched(&legacy, |refusal| matches!(refusal, Refusal::Foreign(Foreign::LegacyMbr)));
    for (at, bytes) in [(1080, &b"\x53\xef"[..]), (2 * GIB - 4096, b"\xa9\x2b\x4e\xfc"), (3 * MIB, b"x")] {
        let mut unknown = Medium::new(2 * GIB);
        unknown.put(at, bytes);
        untouched(&unknown, |refusal| matches!(refusal, Refusal::Foreign(Foreign::Unknown)));
    }
    // But a box that has never made its data has nothing to lose, and erased flash may read as ones.
    let mut again = image.installed(2 * GIB);
    assert!(image.plan(Change::Install, &mut again).is_ok());
}

#[test]
fn too_small_a_disk_is_refused_before_anything_is_written() {
    let image = Image::new("1.0.0", 1);
    for change in [Change::Install, Change::ReimageWipe] {
        let mut disk = Medium::new(DISK_BYTES_MIN - 512).recording();
        let refusal = image.plan(change, &mut disk).unwrap_err();
        assert!(matches!(refusal, Refusal::Layout(GptError::DiskTooSmall { .. })), "{refusal}");
        assert_eq!(disk.events, Some(vec![]));
    }
}

#[test]
fn an_image_that_its_machine_or_its_slot_does_not_take_is_refused() {
    let image = Image::new("2.0.0", 3);
    let mut disk = Image::new("1.0.0", 1).with_data(2 * GIB);
    for change in Change::ALL {
        let refusal = image.plan_above(change, &mut disk, Some(4)).unwrap_err();
        assert!(matches!(refusal, Refusal::SecurityVersion { floor: 4, .. }), "{refusal}");
    }
    assert!(image.plan_above(Change::ReimageKeep, &mut disk, Some(3)).is_ok());
}

#[test]
fn data_are_kept_where_they_are_bit_for_bit() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    for block_size in SIZES {
        let mut disk = make_data(old.installed_on(Medium::with_blocks(3 * GIB, block_size)));
        let data = data_of(&mut disk);
        let (before, old_table) = (disk.content(&data), table(&mut disk));
        disk.untouchable = data.clone();
        let plan = new.plan(Change::ReimageKeep, &mut disk).unwrap();
        new.write(&plan, &mut disk).unwrap();
        assert!(look(&mut disk, &new).is_bundle());
        assert_eq!(disk.content(&data), before);
        let new_table = table(&mut disk);
        assert_eq!(new_table.disk_guid(), old_table.disk_guid());
        for name in ["data", "esp"] {
            assert_eq!(new_table.by_name(name).unwrap(), old_table.by_name(name).unwrap());
        }
        assert!(matches!(content(&mut disk), Content::Dolmen(installed) if installed.data == Data::Luks));
    }
}

#[test]
fn data_that_are_not_there_or_in_the_way_are_not_kept() {
    let image = Image::new("2.0.0", 1);
    let refusal = |disk: &mut Medium| image.plan(Change::ReimageKeep, disk).unwrap_err();
    assert!(matches!(refusal(&mut Medium::new(2 * GIB)), Refusal::NothingToKeep(_)));
    let mut other = image.installed(2 * GIB);
    let data = data_of(&mut other);
    other.put(data.start + 1080, b"\x53\xef");
    assert!(matches!(refusal(&mut other), Refusal::OtherData));
    // Data of an older layout that begin where a slot goes now.
    let mut early = image.with_data(2 * GIB);
    let mut moved = table(&mut early);
    let mut partition = moved.remove(6).unwrap();
    partition.first_lba -= 1;
    let slot = moved.remove(5).unwrap();
    moved.insert(dolmen_image_disk::gpt::Partition { last_lba: slot.last_lba - 1, ..slot }).unwrap();
    moved.insert(partition).unwrap();
    moved.write(&mut early, |disk| disk.sync()).unwrap();
    early.put(data.start - 512, b"LUKS\xba\xbe");
    let refused = refusal(&mut early);
    assert!(matches!(refused, Refusal::Layout(GptError::KeptOverlaps { .. })), "{refused}");
}

#[test]
fn wiping_leaves_nothing_of_the_keys() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut disk = old.with_data(2 * GIB);
    let data = data_of(&mut disk);
    for at in (data.start..data.start + KEY_BYTES).step_by(64 << 10) {
        disk.put(at + 4096, &[0x77; 512]);
    }
    let mut disk = disk.recording();
    let plan = new.plan(Change::ReimageWipe, &mut disk).unwrap();
    let written = new.write(&plan, &mut disk).unwrap();
    assert_eq!(written.erased.len(), 1);
    assert!(written.erased[0].discarded && written.erased[0].overwritten == KEY_BYTES);
    let events = disk.events.take().unwrap();
    // Every sector of header and key slots was overwritten, on the medium, before the drive was told to forget it, and
    // before anything but marks was written.
    let discarded = events.iter().position(|event| *event == Event::Discard(data.clone())).unwrap();
    assert!(events[discarded - 1] == Event::Sync);
    let mut sectors = std::collections::BTreeSet::new();
    for event in &events[..discarded] {
        match event {
            Event::Write { at, bytes } if *at == ESP_START => assert_eq!(bytes[510..], [0, 0]),
            Event::Write { at, bytes } => {
                assert!(data.contains(at) && bytes.iter().all(|byte| *byte == 0xa5));
                sectors.insert(*at);
            }
            Event::Discard(_) => panic!("too early"),
            Event::Sync => {}
        }
    }
    assert_eq!(sectors.len() as u64, KEY_BYTES / 512);
    assert!(disk.content(&(data.start..data.start + KEY_BYTES)).is_empty());
    assert!(look(&mut disk, &new).is_bundle());
    assert_ne!(table(&mut disk).by_name("data").unwrap().identity.guid, {
        let mut old = old.installed(2 * GIB);
        table(&mut old).by_name("data").unwrap().identity.guid
    });
}

#[test]
fn wiping_takes_what_nobody_knows() {
    let image = Image::new("1.0.0", 1);
    let mut legacy = Medium::new(2 * GIB);
    legacy.put(446 + 4, &[0x83]);
    legacy.put(510, &[0x55, 0xaa]);
    let mut luks = Medium::new(2 * GIB);
    luks.put(0, b"LUKS\xba\xbe\0\x02");
    luks.put(32 << 10, b"SKUL\xba\xbe\0\x02");
    luks.put(2 * MIB, &[0x77; 512]);
    // The first copy of the header is damaged: the second tells.
    let mut half = luks.clone();
    half.put(0, &[0; 6]);
    for (mut disk, volumes) in [(legacy, 0), (luks, 1), (half, 1), (Medium::new(2 * GIB), 0)] {
        let plan = image.plan(Change::ReimageWipe, &mut disk).unwrap();
        assert_eq!(image.write(&plan, &mut disk).unwrap().erased.len(), volumes);
        assert!(look(&mut disk, &image).is_bundle());
    }
}

/// Whatever the stick gives that is not what was checked: the boot files come before the disk is touched, and all else
/// leaves a disk that does not boot.
#[test]
fn a_stick_that_changes_between_the_passes_makes_no_box() {
    let image = Image::new("1.0.0", 1);
    let parts = [("boot", 4096 * 2), ("verity", image.bundle.len() - 4096 * 66), ("root", image.bundle.len() - 5000)];
    for (part, at) in parts {
        let mut payload = image.bundle.clone();
        payload[at] ^= 1;
        let mut disk = Medium::new(2 * GIB).recording();
        let plan = image.plan(Change::Install, &mut disk).unwrap();
        let error = image.write_from(&payload, &plan, &mut disk, &mut |_| {}).unwrap_err();
        assert!(
            matches!(error.cause, WriteError::Stick(BundleError::Part { .. } | BundleError::Padding(_))),
            "{error:?}"
        );
        assert_eq!(error.touched, part != "boot", "{part}");
        assert_eq!(disk.events.as_ref().unwrap().is_empty(), part == "boot");
        assert!(esp::files(&mut Section::new(&mut disk, ESP_START..257 * MIB)).is_err());
        // And it can be started again.
        assert!(image.plan(Change::Install, &mut disk).is_ok());
    }
    // Another image, as right as the first one.
    let other = Image::new("0.9.0", 1);
    let mut disk = Medium::new(2 * GIB).recording();
    let plan = image.plan(Change::Install, &mut disk).unwrap();
    let error = image.write_from(&other.bundle, &plan, &mut disk, &mut |_| {}).unwrap_err();
    assert!(matches!(error.cause, WriteError::OtherImage) && !error.touched);
    assert_eq!(disk.events, Some(vec![]));
}

/// Every byte of a bundle counts: what is flipped or missing is found before the disk is touched.
#[test]
fn a_bundle_that_is_not_whole_is_refused() {
    let image = Image::with_blocks("1.0.0", 1, 2);
    assert!(Image::check(&image.bundle).is_ok());
    for at in (0..image.bundle.len()).step_by(97) {
        let mut changed = image.bundle.clone();
        changed[at] ^= 0x10;
        assert!(Image::check(&changed).is_err(), "{at}");
        assert!(Image::check(&image.bundle[..at]).is_err(), "{at}");
    }
}

#[test]
fn steps_come_in_the_order_that_is_drawn() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let all =
        [Step::Read, Step::Mark, Step::Erase, Step::Slots, Step::Check, Step::Data, Step::Table, Step::Esp, Step::Boot];
    for change in Change::ALL {
        let mut disk = if change == Change::Install { Medium::new(2 * GIB) } else { old.with_data(2 * GIB) };
        let plan = new.plan(change, &mut disk).unwrap();
        let mut steps = Vec::new();
        new.write_from(&new.bundle, &plan, &mut disk, &mut |progress| {
            assert!(progress.done <= progress.all);
            steps.push(progress.step);
        })
        .unwrap();
        steps.dedup();
        let expected = all.into_iter().filter(|step| match step {
            Step::Erase => change == Change::ReimageWipe,
            Step::Data => change != Change::ReimageKeep,
            _ => true,
        });
        assert_eq!(steps, expected.collect::<Vec<_>>());
    }
}

#[test]
fn changes_of_a_box_are_found() {
    let image = Image::new("1.0.0", 1);
    let whole = image.with_data(2 * GIB);
    let (slot, verity) = {
        let table = table(&mut whole.clone());
        let bytes = |name| layout::find(&table, name).unwrap().1;
        (bytes("slot-a"), bytes("slot-a-verity"))
    };
    let changed = |at: u64| {
        let mut disk = whole.clone();
        let byte = disk.get(at, 1)[0];
        disk.put(at, &[byte ^ 1]);
        look(&mut disk, &image)
    };
    for at in [slot.start, slot.start + 64 * 4096 + 17, verity.start + 4096 + 64 * 32] {
        let found = changed(at);
        assert!(matches!(found.slots[0], Slot::Damaged { .. }) && !found.is_bundle(), "{at}: {found:?}");
    }
    // A file of the EFI system partition, another image's disk, and bytes that belong to nobody.
    let mut esp_changed = whole.clone();
    let mut section = Section::new(&mut esp_changed, ESP_START..257 * MIB);
    esp::write(&mut section, &[(BOOT_LOADER, b"another"), ("EFI/Linux/dolmen_9.efi", b"old")]).unwrap();
    let found = look(&mut esp_changed, &image);
    assert!(!found.is_bundle() && found.esp.is_ok_and(|esp| !esp.boot_loader && esp.uki && esp.files.len() == 4));
    let found = look(&mut whole.clone(), &Image::new("2.0.0", 1));
    assert!(matches!(found.slots[0], Slot::Whole { of_bundle: false, .. }) && !found.is_bundle());
    assert!(changed(slot.start + 65 * 4096).is_bundle());
}
