//! Disks that lose power while an image is written.
//!
//! Each disk may lose any of the sectors that were written since the last sync, and has one that was being written in
//! part. It must boot what it booted before, or nothing, or be whole; and what is kept must be found in its table.

use std::ops::Range;

use dolmen_image_disk::gpt::{BlockSize, Gpt, PartitionType};
use dolmen_image_installer::{
    disk::Section,
    esp, installed, layout,
    plan::{Change, Refusal},
    prior::{Content, Prior},
};

use crate::{
    image::{GIB, Image, data_of},
    medium::{Event, Medium, SECTOR},
};

/// What a disk does when its machine is switched on.
#[derive(Debug, PartialEq, Eq)]
enum Boot {
    Nothing,
    Old,
    New,
}

/// As EDK2's FAT driver looks at a boot sector (`FatPkg/EnhancedFatDxe/Init.c`), which asks for less than others: sizes
/// of sectors and clusters, a table, a medium, how large it all is and where the root folder is, and no signature.
fn firmware_takes(sector: &[u8]) -> bool {
    let sector_bytes = u16::from_le_bytes([sector[11], sector[12]]);
    let is_power = |number: u32| number.is_power_of_two();
    (512..=4096).contains(&sector_bytes)
        && is_power(sector_bytes.into())
        && is_power(sector[13].into())
        && u16::from_le_bytes([sector[14], sector[15]]) != 0
        && sector[16] != 0
        && sector[21] >= 0xf0
        && [32, 36, 44].iter().all(|at| sector[*at..at + 4] != [0; 4])
}

/// Panics where the disk would boot something that is not whole.
fn boots(disk: &Medium, old: Option<&Image>, new: &Image) -> Boot {
    let mut disk = disk.clone();
    let block_size = disk.block_size;
    let Ok(found) = Gpt::read(&mut disk, block_size) else { return Boot::Nothing };
    let esps = found.table.partitions().iter().filter(|partition| partition.identity.kind == PartitionType::ESP);
    let esps: Vec<Range<u64>> = esps.map(|partition| found.table.bytes_of(partition)).collect();
    for bytes in esps {
        if !firmware_takes(&disk.get(bytes.start, SECTOR)) {
            continue;
        }
        // A boot sector that was torn lacks what the firmware does not look at: places in front of the table, its end.
        if block_size == BlockSize::Bytes512 {
            disk.put(bytes.start + 48, &[1, 0, 6, 0]);
        }
        disk.put(bytes.start + 510, &[0x55, 0xaa]);
        let files = esp::files(&mut Section::new(&mut disk, bytes)).expect("what boots has files");
        if files[..].iter().map(|file| file.path.as_str()).eq(["OTHER.EFI"]) {
            return Boot::Old;
        }
        for (image, boot) in [(Some(new), Boot::New), (old, Boot::Old)] {
            let Some(image) = image else { continue };
            let found = installed::look(&mut disk, &found.table, image.manifest(), &mut |_, _| {}).expect("a disk");
            if found.is_bundle() {
                return boot;
            }
        }
        panic!("a disk that is not whole boots: {files:?}");
    }
    Boot::Nothing
}

/// A cheap source of numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).expect("less than a usize")
    }
}

/// Writes an image to a disk and fails the power again and again: some times between each two syncs. `check` sees every
/// disk that is left, and what it boots.
fn fail_everywhere(before: &Medium, old: Option<&Image>, new: &Image, change: Change, check: impl Fn(&Medium, Boot)) {
    // Those of a quarter of a million sectors are alike, and take long.
    let failures = |epoch: &[Event]| if epoch.len() > 100_000 { 5 } else { 24 };
    let mut writing = before.recording();
    let plan = new.plan(change, &mut writing).expect("a disk that fits");
    new.write(&plan, &mut writing).expect("a disk that fails at nothing");
    let events = writing.events.take().expect("it was recorded");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut synced = before.clone();
    let mut counts = [0; 3];
    for epoch in events.split_inclusive(|event| *event == Event::Sync) {
        for failure in 0..failures(epoch) {
            let mut left = synced.clone();
            // Also all of them and none of them, and the first and the last ones alone.
            let done = if failure == 0 { epoch.len() } else { numbers.next(epoch.len()) };
            let kept = numbers.next(4);
            for event in &epoch[..done] {
                if kept == 0 || numbers.next(4) < kept {
                    apply(&mut left, event, SECTOR);
                }
            }
            if let Some(torn) = epoch.get(done) {
                apply(&mut left, torn, numbers.next(SECTOR));
            }
            let boot = boots(&left, old, new);
            counts[match boot {
                Boot::Nothing => 0,
                Boot::Old => 1,
                Boot::New => 2,
            }] += 1;
            check(&left, boot);
        }
        for event in epoch {
            apply(&mut synced, event, SECTOR);
        }
    }
    assert_eq!(boots(&synced, old, new), Boot::New);
    // All of it has been seen: most disks boot nothing, the first ones what they did before, the last ones the new image.
    assert!(counts[0] > 100 && counts[2] > 0 && (old.is_none() || counts[1] > 0), "{counts:?}");
}

fn apply(disk: &mut Medium, event: &Event, torn: usize) {
    match event {
        Event::Write { at, bytes } => disk.put_sector(at / SECTOR as u64, &bytes[..torn.min(bytes.len())]),
        Event::Discard(bytes) => {
            let noted = disk.events.take();
            dolmen_image_installer::disk::Disk::discard(disk, bytes.clone()).expect("memory");
            disk.events = noted;
        }
        Event::Sync => {}
    }
}

#[test]
fn an_empty_disk_boots_nothing_or_is_whole_and_can_be_installed_again() {
    let image = Image::new("1.0.0", 1);
    fail_everywhere(&Medium::new(2 * GIB), None, &image, Change::Install, |left, _| {
        // Without a question: there is nothing on it that could be lost.
        image.plan(Change::Install, &mut left.clone()).unwrap();
    });
}

#[test]
fn kept_data_are_there_whenever_the_power_fails() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut before = old.with_data(2 * GIB);
    let data = data_of(&mut before);
    let (content, guid) = (before.content(&data), guid_of_data(&before));
    before.untouchable = data.clone();
    fail_everywhere(&before, Some(&old), &new, Change::ReimageKeep, |left, _| {
        assert_eq!((guid_of_data(left), left.content(&data) == content), (guid, true));
        let mut left = left.clone();
        assert_eq!(data_of(&mut left), data);
        // It can be done again, and nobody installs over the data by mistake.
        new.plan(Change::ReimageKeep, &mut left).unwrap();
        assert!(matches!(new.plan(Change::Install, &mut left), Err(Refusal::HasData)));
    });
}

#[test]
fn a_wiped_disk_never_boots_with_half_its_keys() {
    let (old, new) = (Image::new("1.0.0", 1), Image::new("2.0.0", 1));
    let mut before = old.with_data(2 * GIB);
    let data = data_of(&mut before);
    let content = before.content(&data);
    fail_everywhere(&before, Some(&old), &new, Change::ReimageWipe, |left, boot| {
        if boot == Boot::Old {
            assert!(left.content(&data) == content, "it boots as before, but its data are gone");
        }
        new.plan(Change::ReimageWipe, &mut left.clone()).unwrap();
    });
}

#[test]
fn a_foreign_disk_that_is_wiped_boots_nothing_or_is_whole() {
    let image = Image::new("1.0.0", 1);
    // One with an EFI system partition elsewhere, under what becomes a slot.
    let mut before = Image::new("0.1.0", 1).installed(2 * GIB);
    let block_size = before.block_size;
    let mut table = Gpt::read(&mut before, block_size).unwrap().table;
    let esp = table.remove(1).unwrap();
    table.remove(2).unwrap();
    let place = layout::ESP_START + layout::ESP_BYTES;
    let blocks = place / block_size.bytes();
    table
        .insert(dolmen_image_disk::gpt::Partition { first_lba: blocks, last_lba: blocks + (64 << 11) - 1, ..esp })
        .unwrap();
    table.write(&mut before, |_| Ok(())).unwrap();
    let format = esp::Format { label: "OTHER", volume_id: 1, block_size };
    let mut section = Section::new(&mut before, place..place + (64 << 20));
    esp::format(&mut section, &format).unwrap();
    esp::write(&mut section, &[("OTHER.EFI", b"another system")]).unwrap();
    let prior = Prior::read(&mut before, block_size).unwrap();
    assert!(matches!(prior.content, Content::Foreign(_)) && prior.boot_sectors == [place]);
    fail_everywhere(&before, None, &image, Change::ReimageWipe, |left, boot| {
        // But for a boot sector of which so little was overwritten that it still is one.
        let rest = [0..place, place + 512..2 * GIB];
        let same = rest.iter().all(|bytes| left.content(bytes) == before.content(bytes));
        assert!(boot != Boot::Old || same, "it boots as before, but was changed");
        image.plan(Change::ReimageWipe, &mut left.clone()).unwrap();
    });
}

fn guid_of_data(disk: &Medium) -> dolmen_image_disk::gpt::Uuid {
    let mut disk = disk.clone();
    let block_size = disk.block_size;
    let found = Gpt::read(&mut disk, block_size).expect("one copy is whole");
    found.table.by_name("data").expect("the table has it").identity.guid
}
