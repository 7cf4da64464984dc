//! Writing a table to a disk.

use std::io::{self, Seek, SeekFrom, Write};

use super::{
    Geometry, Gpt, GptError,
    entry::{self, ENTRY_BYTES},
    geometry::PRIMARY_LBA,
    header::{Header, crc32},
    mbr,
};
use crate::limits::PARTITIONS_MAX;

impl Gpt {
    /// Writes both copies and the protective MBR. The partitions' own blocks are not touched, nor is a backup somewhere
    /// else, of a smaller disk.
    ///
    /// `sync` is called three times and must return only when everything that was written is on the disk, as
    /// [`sync_all`](std::fs::File::sync_all) does. Then a reader finds the old table or this one whenever the power
    /// fails, and this one once the function has returned. For images, which nobody uses before they are done, it may
    /// do nothing.
    ///
    /// # Errors
    ///
    /// [`GptError::Io`]; the disk may hold the old table or this one.
    pub fn write<D: Write + Seek>(
        &self,
        disk: &mut D,
        mut sync: impl FnMut(&mut D) -> io::Result<()>,
    ) -> Result<(), GptError> {
        let array = entry::encode(self.partitions());
        let failed = GptError::io("write the partition table");
        // While one copy is half written the other one is whole: first still the old primary, then the new backup. The
        // MBR is last, so that a disk with a legacy MBR keeps its old partitions until the new ones are there.
        for header_lba in [self.geometry().backup_lba(), PRIMARY_LBA] {
            self.write_copy(disk, header_lba, &array).and_then(|()| sync(disk)).map_err(&failed)?;
        }
        write_blocks(disk, self.geometry(), 0, &mbr::encode(self.geometry())).and_then(|()| sync(disk)).map_err(failed)
    }

    fn write_copy(&self, disk: &mut (impl Write + Seek), header_lba: u64, array: &[u8]) -> io::Result<()> {
        let geometry = self.geometry();
        let header = Header {
            my_lba: header_lba,
            alternate_lba: if header_lba == PRIMARY_LBA { geometry.backup_lba() } else { PRIMARY_LBA },
            first_usable_lba: geometry.first_usable_lba(),
            last_usable_lba: geometry.last_usable_lba(),
            disk_guid: self.disk_guid(),
            entries_lba: geometry.array_lba(header_lba),
            entries: PARTITIONS_MAX,
            entry_bytes: ENTRY_BYTES,
            entries_crc: crc32(array),
        };
        write_blocks(disk, geometry, header.entries_lba, array)?;
        write_blocks(disk, geometry, header_lba, &header.encode(geometry.block_size()))
    }
}

fn write_blocks(disk: &mut (impl Write + Seek), geometry: Geometry, lba: u64, blocks: &[u8]) -> io::Result<()> {
    disk.seek(SeekFrom::Start(lba * geometry.block_size().bytes()))?;
    disk.write_all(blocks)
}
