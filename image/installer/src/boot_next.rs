//! The firmware's way to the disk: an entry for it, and that it is to be started next.
//!
//! Firmware starts from the stick again as long as that comes first, whatever is on the disk. `BootNext` counts once and
//! for one entry; where none leads to the new EFI system partition one is added, outside of `BootOrder`, so that nothing
//! is changed that somebody set.

use dolmen_image_disk::gpt::Partition;

use crate::boot_files::BOOT_LOADER;

/// What people see in the firmware's menu.
const DESCRIPTION: &str = "Dolmen";
/// Load options that are entries of a boot menu. UEFI 2.10 §3.1.3.
const ACTIVE: u32 = 1;

/// What is to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootNext {
    /// Number of the entry: `BootNext`'s value.
    pub number: u16,
    /// The entry, if it is to be added: the value of `Boot####`.
    pub entry: Option<Vec<u8>>,
}

/// Decides it for a disk's EFI system partition. `entries` are the values of all `Boot####` with their numbers.
///
/// None where the firmware has no number left.
#[must_use]
pub fn boot_next(esp: &Partition, entries: &[(u16, Vec<u8>)]) -> Option<BootNext> {
    let path = device_path(esp);
    let leads_there = |entry: &[u8]| paths_of(entry).is_some_and(|paths| paths == path);
    if let Some((number, _)) = entries.iter().find(|(_, entry)| leads_there(entry)) {
        return Some(BootNext { number: *number, entry: None });
    }
    let number = (0..=u16::MAX).find(|number| entries.iter().all(|(used, _)| used != number))?;
    let mut entry = ACTIVE.to_le_bytes().to_vec();
    entry.extend(u16::try_from(path.len()).ok()?.to_le_bytes());
    entry.extend(utf16(DESCRIPTION));
    entry.extend(path);
    Some(BootNext { number, entry: Some(entry) })
}

/// Name of an entry's variable.
#[must_use]
pub fn entry_name(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The number in the name of an entry's variable.
#[must_use]
pub fn entry_number(name: &str) -> Option<u16> {
    let digits = name.strip_prefix("Boot").filter(|digits| digits.len() == 4)?;
    u16::from_str_radix(digits, 16).ok().filter(|number| entry_name(*number) == name)
}

/// The short form, which holds on every machine: the partition and the file on it. UEFI 2.10 §10.3.5.1, §10.3.5.4.
fn device_path(esp: &Partition) -> Vec<u8> {
    let mut path = vec![4, 1, 42, 0];
    path.extend(esp.number.to_le_bytes());
    path.extend(esp.first_lba.to_le_bytes());
    path.extend((esp.last_lba - esp.first_lba + 1).to_le_bytes());
    path.extend(esp.identity.guid.to_bytes_le());
    // A GUID partition table, and a GUID as its signature.
    path.extend([2, 2]);
    let file = utf16(&format!("\\{}", BOOT_LOADER.replace('/', "\\")));
    path.extend([4, 4]);
    path.extend(u16::try_from(4 + file.len()).unwrap_or(u16::MAX).to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    path
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// The device paths of an entry, which follow its description.
fn paths_of(entry: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_le_bytes(entry.get(4..6)?.try_into().ok()?));
    let (units, _) = entry[6..].as_chunks::<2>();
    let description = 2 * (units.iter().position(|unit| *unit == [0, 0])? + 1);
    entry[6 + description..].get(..length)
}

#[cfg(test)]
mod tests {
    use dolmen_image_disk::gpt::{Attributes, Identity, PartitionName, PartitionType, Uuid};

    use super::*;

    fn esp() -> Partition {
        Partition {
            number: 1,
            first_lba: 0x800,
            last_lba: 0x807ff,
            identity: Identity {
                kind: PartitionType::ESP,
                guid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
                attributes: Attributes::NONE,
                name: PartitionName::new("esp").unwrap(),
            },
        }
    }

    /// Byte by byte as the specification has it.
    #[test]
    fn an_entry_leads_to_the_partition_and_its_boot_loader() {
        let next = boot_next(&esp(), &[(0, vec![1]), (2, vec![])]).unwrap();
        assert_eq!(next.number, 1);
        let mut expected = vec![1, 0, 0, 0, 94, 0];
        expected.extend(*b"D\0o\0l\0m\0e\0n\0\0\0");
        expected.extend([4, 1, 42, 0, 1, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
        expected.extend([0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66]);
        expected.extend([0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 2, 2, 4, 4, 48, 0]);
        expected.extend("\\EFI\\BOOT\\BOOTX64.EFI".bytes().flat_map(|byte| [byte, 0]));
        expected.extend([0, 0, 0x7f, 0xff, 4, 0]);
        assert_eq!(next.entry.unwrap(), expected);
    }

    #[test]
    fn an_entry_that_leads_there_is_taken_whatever_it_is_called() {
        let mut entry = boot_next(&esp(), &[]).unwrap().entry.unwrap();
        entry[6] = b'X';
        entry.extend([1, 2, 3]);
        let found = boot_next(&esp(), &[(7, entry.clone())]).unwrap();
        assert_eq!(found, BootNext { number: 7, entry: None });
        let other = Partition { first_lba: 0x801, ..esp() };
        assert!(boot_next(&other, &[(7, entry)]).unwrap().entry.is_some());
    }

    #[test]
    fn the_firmware_may_hold_anything() {
        let all: Vec<_> = (0..=u16::MAX).map(|number| (number, vec![0xff; 9])).collect();
        assert_eq!(boot_next(&esp(), &all), None);
        for (name, number) in [("Boot0000", Some(0)), ("Boot00AF", Some(0xaf)), ("BootFFFF", Some(0xffff))] {
            assert_eq!(entry_number(name), number);
        }
        for name in ["BootNext", "Boot00af", "Boot1", "BootOrder", "Boot00000"] {
            assert_eq!(entry_number(name), None, "{name}");
        }
    }
}
