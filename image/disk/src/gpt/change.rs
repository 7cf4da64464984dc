//! A table that moves to another disk, grows, or leaves a partition of that disk where it is.

use super::{ALIGNMENT, Geometry, Gpt, GptError, Partition};

impl Gpt {
    /// This table on a disk of another size, also of other blocks: all partitions have the same bytes, and the backup
    /// is at the new end. To grow with a disk: `table.on(disk)?` and [`grow_last`](Self::grow_last).
    ///
    /// # Errors
    ///
    /// [`GptError::DiskTooSmall`], and for larger blocks [`GptError::Unaligned`], or [`GptError::Range`] where a
    /// partition begins in what the table then needs.
    pub fn on(&self, disk: Geometry) -> Result<Self, GptError> {
        let block_size = disk.block_size().bytes();
        let usable_end = disk.bytes_of(disk.first_usable_lba(), disk.last_usable_lba()).end;
        let mut moved = Self::new(disk, self.disk_guid());
        for partition in self.partitions() {
            let bytes = self.bytes_of(partition);
            if !bytes.start.is_multiple_of(block_size) || !bytes.end.is_multiple_of(block_size) {
                return Err(GptError::Unaligned { number: partition.number, block_size });
            }
            if bytes.end > usable_end {
                let needed = bytes.end.saturating_add(disk.bytes() - usable_end);
                return Err(GptError::DiskTooSmall { bytes: disk.bytes(), needed });
            }
            let (first_lba, last_lba) = (bytes.start / block_size, bytes.end / block_size - 1);
            moved.insert(Partition { first_lba, last_lba, ..partition.clone() })?;
        }
        Ok(moved)
    }

    /// Enlarges the partition that ends last up to the last multiple of [`ALIGNMENT`] that is usable. Nothing is behind
    /// it but free blocks, so that a file system or LUKS in it can follow. A partition that reaches further stays as it
    /// is.
    ///
    /// Says which one became larger.
    pub fn grow_last(&mut self) -> Option<&Partition> {
        let block_size = self.geometry().block_size().bytes();
        let usable_end = self.geometry().last_usable_lba() + 1;
        let aligned_end = usable_end - usable_end % (ALIGNMENT / block_size);
        let partition = self.last_mut().filter(|partition| partition.last_lba + 1 < aligned_end)?;
        partition.last_lba = aligned_end - 1;
        Some(partition)
    }

    /// This image's table for a disk on which the partition named `keep` stays: the same blocks, GUID, name, type and
    /// attributes. All other partitions of `installed`, the disk's table, are dropped, and the image's lie where the
    /// image has them.
    ///
    /// Where the image has a partition of this name itself, only that one's number is used, which the kept one gets;
    /// else it gets the number after the image's last. The disk's GUID stays too: it is still that disk.
    ///
    /// # Errors
    ///
    /// [`GptError::NotFound`] and [`GptError::Ambiguous`] for the name, [`GptError::OtherBlocks`] where `installed` is
    /// not from such a disk, [`GptError::KeptType`], [`GptError::KeptOverlaps`], and whatever [`on`](Self::on) and
    /// [`insert`](Self::insert) find, as [`GptError::DiskTooSmall`] and [`GptError::SameGuid`].
    pub fn keeping(&self, keep: &str, installed: &Self, disk: Geometry) -> Result<Self, GptError> {
        let (table, own) = (installed.geometry().block_size().bytes(), disk.block_size().bytes());
        if table != own {
            return Err(GptError::OtherBlocks { table, disk: own });
        }
        let mut kept = installed.by_name(keep)?.clone();
        let name = kept.identity.name;
        let mut image = self.clone();
        kept.number = match self.by_name(keep) {
            Ok(own) if own.identity.kind != kept.identity.kind => {
                let (found, expected) = (kept.identity.kind.guid(), own.identity.kind.guid());
                return Err(GptError::KeptType { name, found, expected });
            }
            Ok(own) => image.remove(own.number)?.number,
            Err(GptError::NotFound(_)) => self.partitions().last().map_or(1, |last| last.number + 1),
            Err(error) => return Err(error),
        };
        let mut merged = Self::new(disk, installed.disk_guid());
        for partition in image.on(disk)?.partitions() {
            if partition.overlaps(&kept) {
                return Err(GptError::KeptOverlaps { name, number: partition.number });
            }
            merged.insert(partition.clone())?;
        }
        merged.insert(kept)?;
        Ok(merged)
    }
}
