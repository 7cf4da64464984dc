//! What is on a disk before anything is done to it.

use std::{
    fmt,
    io::{self, Read, Seek},
    ops::Range,
};

use dolmen_image_disk::gpt::{BlockSize, Damage, Geometry, Gpt, GptError, PartitionType};

use crate::{
    disk::{bytes_of, read_at},
    erase,
    layout::{self, DATA, DATA_HEADER_BYTES, DATA_START, ESP_START},
    limits::CHUNK_BYTES,
    mark,
    plan::Change,
};

/// Bytes at both ends of a disk that must be empty where it is to pass for empty: what tables, file systems, RAID and
/// LVM are known by lies there.
const ENDS_BYTES: u64 = 4 << 20;

/// A disk as it was found.
#[derive(Debug)]
pub struct Prior {
    /// Its size.
    pub disk: Geometry,
    /// What it is.
    pub content: Content,
    /// Boot sectors of all EFI system partitions, as bytes from the disk's beginning on.
    pub boot_sectors: Vec<u64>,
    /// Bytes that hold LUKS, or held it: the partitions, or all from there to the disk's end.
    pub encrypted: Vec<Range<u64>>,
}

/// What a disk is.
#[derive(Debug)]
pub enum Content {
    /// Nothing at all.
    Empty,
    /// An installation that did not end and that was to leave nothing of what was there before.
    Unfinished(Change),
    /// A box's.
    Dolmen(Installed),
    /// Somebody's.
    Foreign(Foreign),
}

/// A box's disk.
#[derive(Debug)]
pub struct Installed {
    /// Its table.
    pub table: Gpt,
    /// What is wrong with the table. Nothing, as a rule.
    pub damage: Vec<Damage>,
    /// What is in its data partition.
    pub data: Data,
    /// What was being done to it when the power failed or the stick was pulled.
    pub unfinished: Option<Change>,
}

/// What a data partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing yet: the box has not booted.
    Empty,
    /// LUKS2, as the box makes it.
    Luks,
    /// Something else.
    Other,
}

/// What a disk is that is none of ours.
#[derive(Debug)]
pub enum Foreign {
    /// A table with other partitions, as many as this.
    Partitions(usize),
    /// An MBR with partitions.
    LegacyMbr,
    /// No table, but something: a file system on the whole disk, a damaged table, RAID.
    Unknown,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partitions(1) => f.write_str("a partition table with one partition"),
            Self::Partitions(count) => write!(f, "a partition table with {count} partitions"),
            Self::LegacyMbr => f.write_str("partitions of a legacy MBR"),
            Self::Unknown => f.write_str("data without a partition table that can be read"),
        }
    }
}

impl Prior {
    /// Looks at a disk. Only its ends, its table, and the beginnings of its partitions are read.
    ///
    /// # Errors
    ///
    /// [`GptError::DiskTooSmall`] for one that has no room for any table, [`GptError::Io`].
    pub fn read(disk: &mut (impl Read + Seek), block_size: BlockSize) -> Result<Self, GptError> {
        let failed = |source| GptError::Io { operation: "read what is on the disk", source };
        let bytes = bytes_of(disk).map_err(failed)?;
        let geometry = Geometry::new(block_size, bytes)?;
        let table = Gpt::read(disk, block_size);
        let starts = table.as_ref().map_or_else(|_| vec![], |found| esps_of(&found.table));
        let partitions = table.as_ref().map_or_else(
            |_| vec![0..bytes, DATA_START.min(bytes)..bytes],
            |found| found.table.partitions().iter().map(|partition| found.table.bytes_of(partition)).collect(),
        );
        let mut encrypted = Vec::new();
        for partition in partitions {
            if erase::is_luks(disk, &partition).map_err(failed)? {
                encrypted.push(partition);
            }
        }
        let content = match table {
            Ok(found) if layout::is_ours(&found.table) => {
                let (_, data) = layout::find(&found.table, DATA)?;
                let kind = if encrypted.contains(&data) {
                    Data::Luks
                } else if is_uniform(disk, data.start..data.end.min(data.start + DATA_HEADER_BYTES), &[0])
                    .map_err(failed)?
                {
                    Data::Empty
                } else {
                    Data::Other
                };
                let mut unfinished = None;
                for at in &starts {
                    unfinished = unfinished.or(mark::read(disk, *at).map_err(failed)?);
                }
                Content::Dolmen(Installed { table: found.table, damage: found.damage, data: kind, unfinished })
            }
            Ok(found) => Content::Foreign(Foreign::Partitions(found.table.partitions().len())),
            Err(GptError::LegacyMbr) => Content::Foreign(Foreign::LegacyMbr),
            Err(_) => without_table(disk, bytes).map_err(failed)?,
        };
        Ok(Self { disk: geometry, content, boot_sectors: starts, encrypted })
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("nothing"),
            Self::Unfinished(_) => f.write_str("an installation that did not end, without data"),
            Self::Dolmen(Installed { data, unfinished, .. }) => {
                f.write_str("Dolmen, ")?;
                f.write_str(match data {
                    Data::Empty => "which has not made its data yet",
                    Data::Luks => "with data",
                    Data::Other => "with a data partition that it did not make",
                })?;
                f.write_str(if unfinished.is_some() { ", half installed" } else { "" })
            }
            Self::Foreign(foreign) => foreign.fmt(f),
        }
    }
}

/// A disk whose table cannot be read, or which has none.
fn without_table(disk: &mut (impl Read + Seek), bytes: u64) -> io::Result<Content> {
    let beginning = bytes.min(ENDS_BYTES);
    let mut ends = vec![0..beginning, bytes - beginning..bytes];
    if bytes >= 2 * ENDS_BYTES {
        match mark::read(disk, ESP_START)? {
            // No table is ever missing where data was to be kept, unless the disk is broken.
            Some(change @ (Change::Install | Change::ReimageWipe)) => return Ok(Content::Unfinished(change)),
            Some(Change::ReimageKeep) => return Ok(Content::Foreign(Foreign::Unknown)),
            None if mark::is_begun(disk, ESP_START)? => {
                ends[0] = 0..ESP_START;
                ends.push(ESP_START + mark::BYTES as u64..beginning);
            }
            None => {}
        }
    }
    for end in ends {
        // Erased flash may read as ones.
        if !is_uniform(disk, end, &[0, 0xff])? {
            return Ok(Content::Foreign(Foreign::Unknown));
        }
    }
    Ok(Content::Empty)
}

/// Where the EFI system partitions of a table begin.
fn esps_of(table: &Gpt) -> Vec<u64> {
    let esps = table.partitions().iter().filter(|partition| partition.identity.kind == PartitionType::ESP);
    esps.map(|partition| table.bytes_of(partition).start).collect()
}

/// Whether all these bytes have the same value, one of those that are given.
pub(crate) fn is_uniform(disk: &mut (impl Read + Seek), bytes: Range<u64>, values: &[u8]) -> io::Result<bool> {
    let mut at = bytes.start;
    let mut value = None;
    while at < bytes.end {
        let count = usize::try_from(bytes.end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let chunk = read_at(disk, at, count)?;
        let expected = *value.get_or_insert(chunk[0]);
        if !values.contains(&expected) || chunk.iter().any(|byte| *byte != expected) {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}
