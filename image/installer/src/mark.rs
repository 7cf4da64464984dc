//! What stands where the boot sector of an EFI system partition goes, as long as a disk is not whole.
//!
//! No firmware takes it for a boot sector, and whoever looks at the disk reads in plain text what happened. It says
//! also what was being done, so that an installation that lost power can be started again without a question: where
//! the data was not to be kept and no partition table is left, there is nothing on the disk to lose.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::{disk::read_at, plan::Change};

/// Bytes that are written: a sector. Where blocks are larger the kernel fills them up with what is there.
pub(crate) const BYTES: usize = 512;
/// Where the text begins. Before it are zeros, which a FAT's parameters cannot be: no bytes per sector.
const TEXT_AT: usize = 64;
const TEXT: &str = "dolmen: the installation on this disk is not finished; start the installer again\naction=";

/// Writes the mark over a boot sector.
///
/// # Errors
///
/// The disk's.
pub(crate) fn write(disk: &mut (impl Write + Seek), at: u64, change: Change) -> io::Result<()> {
    disk.seek(SeekFrom::Start(at))?;
    disk.write_all(&encode(change))
}

/// The change that a mark speaks of, if there is one.
///
/// # Errors
///
/// The disk's.
pub(crate) fn read(disk: &mut (impl Read + Seek), at: u64) -> io::Result<Option<Change>> {
    let sector = read_at(disk, at, BYTES)?;
    Ok(Change::ALL.into_iter().find(|change| sector == encode(*change)))
}

/// Whether this sector is empty, or the beginning of a mark on one that was: the power failed while it was written.
///
/// # Errors
///
/// The disk's.
pub(crate) fn is_begun(disk: &mut (impl Read + Seek), at: u64) -> io::Result<bool> {
    let sector = read_at(disk, at, BYTES)?;
    let written = BYTES - sector.iter().rev().take_while(|byte| **byte == 0).count();
    Ok(Change::ALL.iter().any(|change| encode(*change)[..written] == sector[..written]))
}

fn encode(change: Change) -> [u8; BYTES] {
    let mut sector = [0; BYTES];
    let text = format!("{TEXT}{}\n", change.word());
    sector[TEXT_AT..TEXT_AT + text.len()].copy_from_slice(text.as_bytes());
    sector
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_mark_says_what_was_being_done_and_is_no_boot_sector() {
        for change in Change::ALL {
            let mut disk = Cursor::new(vec![0xff; 2048]);
            write(&mut disk, 512, change).unwrap();
            assert_eq!(read(&mut disk, 512).unwrap(), Some(change));
            assert_eq!(disk.get_ref()[512..512 + TEXT_AT], [0; TEXT_AT]);
            assert_eq!(disk.get_ref()[1022..1024], [0, 0]);
            disk.get_mut()[600] ^= 1;
            assert_eq!(read(&mut disk, 512).unwrap(), None);
            assert_eq!(read(&mut disk, 0).unwrap(), None);
        }
    }
}
