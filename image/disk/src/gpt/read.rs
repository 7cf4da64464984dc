//! Reading a table off a disk that may be damaged, foreign or hostile.

use std::{
    fmt,
    io::{Read, Seek, SeekFrom},
};

use super::{
    BlockSize, Geometry, Gpt, GptError, entry,
    entry::ENTRY_BYTES,
    geometry::PRIMARY_LBA,
    header::{Header, check_crc},
    mbr,
};
use crate::limits::{ENTRY_ARRAY_BYTES_MAX, ENTRY_BYTES_MAX};

/// What was found on a disk.
#[derive(Debug)]
pub struct Found {
    /// The table, from the primary copy if that is whole.
    pub table: Gpt,
    /// The disk's own size. The table is for a smaller one where an image was written to a larger disk; then
    /// [`Gpt::on`] moves it.
    pub disk: Geometry,
    /// What is to be repaired, by writing the table again. Nothing, as a rule.
    pub damage: Vec<Damage>,
}

/// A part of the table that cannot be used.
#[derive(Debug)]
pub struct Damage {
    /// Which.
    pub part: Part,
    /// Why.
    pub cause: GptError,
}

/// What a table consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Block 0.
    ProtectiveMbr,
    /// Header and array at the disk's beginning.
    Primary,
    /// Header and array at the disk's end.
    Backup,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ProtectiveMbr => "protective MBR",
            Self::Primary => "primary partition table",
            Self::Backup => "backup partition table",
        })
    }
}

impl Gpt {
    /// Reads a disk's table. The block size is the disk's own (the kernel's `logical_block_size`), for an image 512.
    ///
    /// Both copies are checked in full. A block that cannot be read counts as damaged. Headers and arrays must lie as
    /// §5.3 demands; the array may have up to 128 KiB, but only the first 128 entries may be in use.
    ///
    /// # Errors
    ///
    /// [`GptError::BothDamaged`] where neither copy is whole, as on an empty disk, [`GptError::LegacyMbr`] whatever
    /// else there is, [`GptError::DiskTooSmall`] and [`GptError::Io`] where the disk's size is not known.
    pub fn read(disk: &mut (impl Read + Seek), block_size: BlockSize) -> Result<Found, GptError> {
        let bytes = disk.seek(SeekFrom::End(0)).map_err(GptError::io("find the disk's size"))?;
        let size = Geometry::new(block_size, bytes)?;
        let mut damage = Vec::new();
        match read_blocks(disk, size, 0, block_size.zeros()).and_then(|block| mbr::check(&block)) {
            Err(GptError::LegacyMbr) => return Err(GptError::LegacyMbr),
            Err(cause) => damage.push(Damage { part: Part::ProtectiveMbr, cause }),
            Ok(()) => {}
        }
        let primary = read_copy(disk, size, PRIMARY_LBA);
        // Only the primary knows of a backup that is not at the disk's end.
        let backup_lba = primary.as_ref().map_or(size.backup_lba(), |table| table.geometry().backup_lba());
        let table = match (primary, read_copy(disk, size, backup_lba)) {
            (Ok(primary), Ok(backup)) => {
                if primary != backup {
                    damage.push(Damage { part: Part::Backup, cause: GptError::CopiesDiffer });
                }
                primary
            }
            (Ok(primary), Err(cause)) => {
                damage.push(Damage { part: Part::Backup, cause });
                primary
            }
            (Err(cause), Ok(backup)) => {
                damage.push(Damage { part: Part::Primary, cause });
                backup
            }
            (Err(primary), Err(backup)) => {
                return Err(GptError::BothDamaged { primary: primary.into(), backup: backup.into() });
            }
        };
        Ok(Found { table, disk: size, damage })
    }
}

/// One copy, whole.
fn read_copy(disk: &mut (impl Read + Seek), size: Geometry, lba: u64) -> Result<Gpt, GptError> {
    let block = read_blocks(disk, size, lba, size.block_size().zeros())?;
    let header = Header::decode(&block, lba)?;
    let geometry = geometry_of(&header, size)?;
    let array_bytes = array_bytes(&header)?;
    check_places(&header, geometry, u64::from(array_bytes).div_ceil(size.block_size().bytes()))?;
    let array = read_blocks(disk, size, header.entries_lba, vec![0; array_bytes as usize])?;
    check_crc("array", header.entries_crc, &array)?;
    let mut table = Gpt::new(geometry, header.disk_guid);
    for partition in entry::decode(&array, header.entry_bytes as usize)? {
        let (first, last) = (partition.first_lba, partition.last_lba);
        if first < header.first_usable_lba || header.last_usable_lba < last {
            return Err(GptError::Range {
                number: partition.number,
                first_lba: first,
                last_lba: last,
                first_usable_lba: header.first_usable_lba,
                last_usable_lba: header.last_usable_lba,
            });
        }
        table.insert(partition)?;
    }
    Ok(table)
}

/// The disk that a header is for: it ends with the backup.
fn geometry_of(header: &Header, size: Geometry) -> Result<Geometry, GptError> {
    let invalid = GptError::Header { field: "AlternateLBA", found: header.alternate_lba };
    let backup_lba = match header.my_lba {
        PRIMARY_LBA => header.alternate_lba,
        _ if header.alternate_lba == PRIMARY_LBA => header.my_lba,
        _ => return Err(invalid),
    };
    if backup_lba > size.backup_lba() {
        return Err(invalid);
    }
    Geometry::new(size.block_size(), (backup_lba + 1) * size.block_size().bytes()).map_err(|_| invalid)
}

/// Bytes of the array, bounded.
fn array_bytes(header: &Header) -> Result<u32, GptError> {
    let entry_bytes = header.entry_bytes;
    if !(ENTRY_BYTES..=ENTRY_BYTES_MAX).contains(&entry_bytes) || !entry_bytes.is_power_of_two() {
        return Err(GptError::Header { field: "SizeOfPartitionEntry", found: entry_bytes.into() });
    }
    let bytes = header.entries.checked_mul(entry_bytes).filter(|bytes| (1..=ENTRY_ARRAY_BYTES_MAX).contains(bytes));
    bytes.ok_or(GptError::Header { field: "NumberOfPartitionEntries", found: header.entries.into() })
}

/// Whether the usable blocks leave the room that every table reserves, and the array lies outside of them, between its
/// header and them (§5.3.1, §5.3.2).
fn check_places(header: &Header, geometry: Geometry, array_blocks: u64) -> Result<(), GptError> {
    let (first_usable, last_usable) = (header.first_usable_lba, header.last_usable_lba);
    if first_usable < geometry.first_usable_lba() {
        return Err(GptError::Header { field: "FirstUsableLBA", found: first_usable });
    }
    if last_usable > geometry.last_usable_lba() || last_usable < first_usable {
        return Err(GptError::Header { field: "LastUsableLBA", found: last_usable });
    }
    let room = match header.my_lba {
        PRIMARY_LBA => PRIMARY_LBA + 1..first_usable,
        backup => last_usable + 1..backup,
    };
    let end = header.entries_lba.checked_add(array_blocks);
    if header.entries_lba < room.start || end.is_none_or(|end| end > room.end) {
        return Err(GptError::Header { field: "PartitionEntryLBA", found: header.entries_lba });
    }
    Ok(())
}

/// Fills a buffer from the beginning of a block on, which must be on the disk.
fn read_blocks(
    disk: &mut (impl Read + Seek),
    size: Geometry,
    lba: u64,
    mut buffer: Vec<u8>,
) -> Result<Vec<u8>, GptError> {
    let at = SeekFrom::Start(lba * size.block_size().bytes());
    disk.seek(at).and_then(|_| disk.read_exact(&mut buffer)).map_err(GptError::io("read the partition table"))?;
    Ok(buffer)
}
