//! Folders as other systems want them.
//!
//! A folder's first two entries are `.` and `..`, each without a long name, and `..` of a folder in the root names cluster
//! 0. fatfs 0.3 writes a long name before each of them, and the root's cluster: `fsck.vfat` takes such folders for
//! damaged, and its repair damages them. What was written is put right here.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::volume::{Volume, invalid};
use crate::{disk::read_at, limits::ESP_FILES_MAX};

const ENTRY_BYTES: usize = 32;
const ATTRIBUTES: usize = 11;
const CLUSTER_HIGH: usize = 20;
const CLUSTER_LOW: usize = 26;
const LONG_NAME: u8 = 0x0f;
const FOLDER: u8 = 0x10;
const LABEL: u8 = 0x08;
const DELETED: u8 = 0xe5;
const DOT: &[u8; 11] = b".          ";
const DOT_DOT: &[u8; 11] = b"..         ";

/// Puts every folder right.
///
/// # Errors
///
/// The device's, and [`io::ErrorKind::InvalidData`] where it holds no FAT that can be followed.
pub(super) fn mend(device: &mut (impl Read + Write + Seek)) -> io::Result<()> {
    let volume = Volume::read(device)?;
    // Each with whether the root is above it. The root itself has no cluster here.
    let mut folders = vec![(None, false)];
    let mut seen = 0;
    while let Some((folder, in_root)) = folders.pop() {
        seen += 1;
        if seen > ESP_FILES_MAX {
            return Err(invalid("too many folders"));
        }
        let places = volume.places(device, folder)?;
        if let (Some(_), Some(first)) = (folder, places.first()) {
            mend_folder(device, first.0, in_root)?;
        }
        for (at, bytes) in places {
            let entries = read_at(device, at, bytes)?;
            let (entries, _) = entries.as_chunks::<ENTRY_BYTES>();
            for entry in entries.iter().filter(|entry| is_folder(entry)) {
                folders.push((Some(cluster_of(entry)), folder.is_none()));
            }
        }
    }
    Ok(())
}

/// Puts the first entries right of a folder that begins at this byte.
fn mend_folder(device: &mut (impl Read + Write + Seek), at: u64, in_root: bool) -> io::Result<()> {
    let found = read_at(device, at, 4 * ENTRY_BYTES)?;
    let (entries, _) = found.as_chunks::<ENTRY_BYTES>();
    let mut mended: Vec<_> = entries.to_vec();
    let is_long = |entry: &[u8; ENTRY_BYTES]| entry[ATTRIBUTES] == LONG_NAME;
    if let [long, dot, other_long, dot_dot] = entries
        && is_long(long)
        && dot.starts_with(DOT)
        && is_long(other_long)
        && dot_dot.starts_with(DOT_DOT)
    {
        let mut deleted = [0; ENTRY_BYTES];
        deleted[0] = DELETED;
        mended = vec![*dot, *dot_dot, deleted, deleted];
    }
    if in_root && let Some(dot_dot) = mended.get_mut(1).filter(|entry| entry.starts_with(DOT_DOT)) {
        dot_dot[CLUSTER_HIGH..CLUSTER_HIGH + 2].fill(0);
        dot_dot[CLUSTER_LOW..CLUSTER_LOW + 2].fill(0);
    }
    let mended = mended.concat();
    if mended != found {
        device.seek(SeekFrom::Start(at))?;
        device.write_all(&mended)?;
    }
    Ok(())
}

fn is_folder(entry: &[u8; ENTRY_BYTES]) -> bool {
    let attributes = entry[ATTRIBUTES];
    attributes & FOLDER != 0 && attributes & LABEL == 0 && !matches!(entry[0], 0 | DELETED | b'.')
}

fn cluster_of(entry: &[u8; ENTRY_BYTES]) -> u32 {
    let half = |at: usize| u32::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    half(CLUSTER_HIGH) << 16 | half(CLUSTER_LOW)
}
