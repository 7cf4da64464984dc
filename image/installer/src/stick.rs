//! The stick: where its parts are, and its files.
//!
//! It has two partitions: `esp`, a FAT named DOLMEN with the installer, the answer file, logs and support bundles, and
//! `payload`, which holds a bundle from its first byte on. The FAT can be written by anybody, so that nothing in it is
//! believed without a signature, and what is written to it is no secret.

use std::{
    io::{self, Read, Seek},
    ops::Range,
};

use dolmen_image_disk::gpt::{BlockSize, Gpt, PartitionType, Uuid};

use crate::{
    disk::{Disk, Section, read_at},
    esp::{self, EspError},
    layout,
};

/// Name of the partition with the bundle.
pub const PAYLOAD: &str = "payload";
/// Label of the stick's FAT.
pub const LABEL: &str = "DOLMEN";
/// What a bundle begins with.
const MAGIC: &[u8; 8] = b"DOLMENB1";
/// The folder for what is no boot file.
const FOLDER: &str = "dolmen";

/// Where a stick's parts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stick {
    /// Bytes of the FAT.
    pub esp: Range<u64>,
    /// The FAT's unique GUID, by which firmware and boot loaders tell which stick was started.
    pub esp_guid: Uuid,
    /// Bytes of the bundle, and some more.
    pub payload: Range<u64>,
}

impl Stick {
    /// Whether a disk is a stick of ours, and where its parts are.
    ///
    /// # Errors
    ///
    /// The disk's where its beginning cannot be read. Whatever is no stick is no error.
    pub fn find(disk: &mut impl Disk, block_size: BlockSize) -> io::Result<Option<Self>> {
        let Ok(found) = Gpt::read(disk, block_size) else { return Ok(None) };
        let esp = layout::find(&found.table, layout::ESP).ok();
        let payload = layout::find(&found.table, PAYLOAD).ok();
        let (Some((esp_partition, esp)), Some((_, payload))) = (esp, payload) else { return Ok(None) };
        if esp_partition.identity.kind != PartitionType::ESP || !holds_bundle(disk, &payload)? {
            return Ok(None);
        }
        let esp_guid = esp_partition.identity.guid;
        let label = esp::label(&mut Section::new(disk, esp.clone()));
        Ok(label.is_ok_and(|label| label == LABEL).then_some(Self { esp, esp_guid, payload }))
    }
}

fn holds_bundle(disk: &mut (impl Read + Seek), payload: &Range<u64>) -> io::Result<bool> {
    let bytes = payload.end.saturating_sub(payload.start);
    Ok(bytes >= MAGIC.len() as u64 && read_at(disk, payload.start, MAGIC.len())? == MAGIC)
}

/// The files of a stick's `/dolmen`.
#[derive(Debug)]
pub struct StickFiles<D> {
    fat: Section<D>,
}

impl<D: Disk> StickFiles<D> {
    /// Those of a stick that can be written to.
    pub fn new(disk: D, stick: &Stick) -> Self {
        Self { fat: Section::new(disk, stick.esp.clone()) }
    }

    /// What a file holds, or none if there is no such file.
    ///
    /// # Errors
    ///
    /// What [`esp::read`] says.
    pub fn read(&mut self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, EspError> {
        esp::read(&mut self.fat, &path(name), bytes_max)
    }

    /// Whether there is such a file.
    ///
    /// # Errors
    ///
    /// What [`esp::exists`] says.
    pub fn has(&mut self, name: &str) -> Result<bool, EspError> {
        esp::exists(&mut self.fat, &path(name))
    }

    /// Writes a file, also over another one, and returns when it is on the stick.
    ///
    /// # Errors
    ///
    /// What [`esp::write`] says.
    pub fn write(&mut self, name: &str, content: &[u8]) -> Result<(), EspError> {
        esp::write(&mut self.fat, &[(&path(name), content)])?;
        self.fat.sync().map_err(EspError::Unmount)
    }

    /// Adds to a file's end, or makes it, and returns when that is on the stick.
    ///
    /// # Errors
    ///
    /// What [`esp::append`] says.
    pub fn append(&mut self, name: &str, content: &[u8]) -> Result<(), EspError> {
        esp::append(&mut self.fat, &path(name), content)?;
        self.fat.sync().map_err(EspError::Unmount)
    }

    /// The first of `name(1)`, `name(2)` and so on that is free, or the last one that may be where none is.
    ///
    /// # Errors
    ///
    /// What [`has`](Self::has) says.
    pub fn free_name(&mut self, numbers: u32, name: impl Fn(u32) -> String) -> Result<String, EspError> {
        for number in 1..numbers {
            if !self.has(&name(number))? {
                return Ok(name(number));
            }
        }
        Ok(name(numbers))
    }
}

fn path(name: &str) -> String {
    format!("{FOLDER}/{name}")
}
