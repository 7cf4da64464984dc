//! File systems that somebody made to do harm, or that broke: whatever is read, the answer is a value or an error.

use dolmen_image_disk::gpt::BlockSize;
use dolmen_image_installer::{
    disk::Section,
    esp::{self, EspError, Format},
};

use crate::{
    image::MIB,
    machine::{files, stick},
    medium::Medium,
};

const BYTES: u64 = 64 * MIB;
/// Where the table and the root folder of such a FAT are.
const TABLE: u64 = 4096;
const ROOT: u64 = 1_037_312;

fn fat() -> Medium {
    let mut fat = Medium::new(BYTES);
    esp::format(&mut fat, &Format { label: "DOLMEN", volume_id: 1, block_size: BlockSize::Bytes512 }).expect("memory");
    let contents: [(&str, &[u8]); 2] = [("EFI/BOOT/BOOTX64.EFI", &[1; 5000]), ("dolmen/a long name.toml", b"x")];
    esp::write(&mut fat, &contents).expect("memory");
    fat
}

/// Everything that is done with a stick's file system.
fn use_all(fat: &mut Medium) {
    let _ = esp::label(fat);
    let _ = esp::files(fat);
    let _ = esp::read(fat, "EFI/BOOT/BOOTX64.EFI", 10_000);
    let _ = esp::append(fat, "dolmen/new/install.log", b"a line");
    let _ = esp::write(fat, &[("dolmen/a long name.toml", b"other")]);
}

#[test]
fn no_bytes_in_a_file_system_make_anything_panic() {
    let whole = fat();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..1500 {
        let mut fat = whole.clone();
        for _ in 0..=next(4) {
            let at = match next(4) {
                0 => next(96),
                1 => 512 + next(512),
                2 => TABLE + next(64),
                _ => ROOT + next(4096),
            };
            let byte = match next(3) {
                0 => 0,
                1 => 0xff,
                _ => u8::try_from(next(256)).unwrap(),
            };
            fat.put(at, &[byte]);
        }
        use_all(&mut fat);
    }
}

/// A folder that is in itself, and a file whose clusters run in a circle.
#[test]
fn circles_end() {
    let mut fat = fat();
    let entries = fat.get(ROOT, 512);
    let place = |name: &[u8; 11]| entries.chunks(32).position(|entry| entry.starts_with(name)).unwrap() as u64 * 32;
    // EFI is the root folder itself.
    let mut in_itself = fat.clone();
    in_itself.put(ROOT + place(b"EFI        ") + 26, &[2, 0]);
    let error = esp::files(&mut in_itself).unwrap_err();
    assert!(matches!(error, EspError::TooMany | EspError::File { .. }), "{error:?}");
    use_all(&mut in_itself);
    // Every cluster is followed by the first one.
    for cluster in 2..40 {
        fat.put(TABLE + 4 * cluster, &[2, 0, 0, 0]);
    }
    let _ = esp::files(&mut fat);
    use_all(&mut fat);
}

#[test]
fn a_boot_sector_that_contradicts_itself_is_no_file_system() {
    let whole = fat();
    for (at, bytes) in [
        (11, &[0, 0][..]),
        (11, &[0, 3]),
        (13, &[0]),
        (13, &[3]),
        (14, &[0, 0]),
        (16, &[0]),
        (16, &[9]),
        (17, &[16, 0]),
        (32, &[0xff; 4]),
        (32, &[0; 4]),
        (36, &[0xff; 4]),
        (36, &[1, 0, 0, 0]),
        (44, &[0; 4]),
        (44, &[0xff; 4]),
        (48, &[0xff, 0xff]),
        (50, &[8, 0]),
    ] {
        let mut fat = whole.clone();
        fat.put(at, bytes);
        assert!(matches!(esp::files(&mut fat), Err(EspError::NoFileSystem(_))), "{at} {bytes:?}");
        use_all(&mut fat);
    }
    // Nor is one that says that it is larger than its partition.
    let mut short = whole;
    assert!(esp::files(&mut Section::new(&mut short, 0..BYTES - 512)).is_err());
}

#[test]
fn a_stick_keeps_its_files_when_some_are_added() {
    let mut stick = stick(b"DOLMENB1", &[("answer.toml", b"an answer")]);
    for number in 0..40 {
        files(&mut stick).append("a.log", format!("line {number}\n").as_bytes()).unwrap();
        files(&mut stick).write(&format!("support-{number}.tar"), &[7; 3000]).unwrap();
    }
    let mut files = files(&mut stick);
    assert_eq!(files.read("answer.toml", 100).unwrap().unwrap(), b"an answer");
    assert_eq!(files.read("a.log", 1000).unwrap().unwrap().iter().filter(|byte| **byte == b'\n').count(), 40);
    assert_eq!(files.free_name(99, |number| format!("support-{number}.tar")).unwrap(), "support-40.tar");
    assert_eq!(files.free_name(9, |number| format!("support-{number}.tar")).unwrap(), "support-9.tar");
}
