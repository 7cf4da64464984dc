//! Entries of an image's section table ("PE Format", section table).

use super::PeError;
use crate::bytes::{array, put, u32_at};

/// Bytes of an entry.
pub(super) const ENTRY_LENGTH: usize = 40;

/// What a section holds and what may be done with it (`Characteristics`).
const CODE: u32 = 0x0000_0020;
const INITIALIZED_DATA: u32 = 0x0000_0040;
const READABLE: u32 = 0x4000_0000;

/// What a section that is added holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A program. systemd-stub runs old kernels where they lie.
    Code,
    /// Anything else.
    Data,
}

impl Content {
    pub(super) const fn characteristics(self) -> u32 {
        READABLE
            | match self {
                Self::Code => CODE,
                Self::Data => INITIALIZED_DATA,
            }
    }
}

/// A section. What it says about places in the file is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub(super) name: [u8; 8],
    pub(super) virtual_size: u32,
    pub(super) virtual_address: u32,
    pub(super) raw_size: u32,
    pub(super) raw_offset: u32,
    pub(super) characteristics: u32,
}

impl Section {
    /// Reads an entry.
    pub(super) fn read(entry: &[u8]) -> Option<Self> {
        Some(Self {
            name: array(entry, 0)?,
            virtual_size: u32_at(entry, 8)?,
            virtual_address: u32_at(entry, 12)?,
            raw_size: u32_at(entry, 16)?,
            raw_offset: u32_at(entry, 20)?,
            characteristics: u32_at(entry, 36)?,
        })
    }

    /// Writes a new entry, without the relocations and line numbers that only object files have.
    pub(super) fn write(&self) -> [u8; ENTRY_LENGTH] {
        let mut entry = [0; ENTRY_LENGTH];
        put(&mut entry, 0, &self.write_places());
        put(&mut entry, 36, &self.characteristics.to_le_bytes());
        entry
    }

    /// The first fields of an entry: its name, sizes and places.
    pub(super) fn write_places(&self) -> [u8; 24] {
        let mut fields = [0; 24];
        put(&mut fields, 0, &self.name);
        let numbers = [self.virtual_size, self.virtual_address, self.raw_size, self.raw_offset];
        for (index, number) in numbers.iter().enumerate() {
            put(&mut fields, 8 + 4 * index, &number.to_le_bytes());
        }
        fields
    }

    /// Its name, for people: with replacements for what is no text.
    #[must_use]
    pub fn name(&self) -> String {
        let length = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        String::from_utf8_lossy(&self.name[..length]).into_owned()
    }

    /// Whether this is its name, as firmware and systemd-stub compare names: up to the first zero byte.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        let own = self.name.split(|byte| *byte == 0).next();
        own == Some(name.as_bytes())
    }

    /// Bytes that it has in memory.
    #[must_use]
    pub fn memory_size(&self) -> usize {
        to_usize(self.virtual_size)
    }

    /// How many zero bytes follow its data in memory.
    #[must_use]
    pub fn zeros(&self) -> usize {
        self.memory_size().saturating_sub(self.file_size())
    }

    /// Bytes that the file has for it: its content, or less where zeros follow it in memory, or more where they pad it.
    pub(super) fn file_size(&self) -> usize {
        to_usize(self.raw_size)
    }

    /// Where it begins in the file.
    pub(super) fn file_offset(&self) -> usize {
        to_usize(self.raw_offset)
    }

    /// Where it begins in memory.
    pub(super) fn memory_offset(&self) -> usize {
        to_usize(self.virtual_address)
    }

    /// Where it ends in memory.
    pub(super) fn memory_end(&self) -> usize {
        self.memory_offset().saturating_add(self.memory_size())
    }

    pub(super) fn damaged(&self, reason: &'static str) -> PeError {
        PeError::Section { name: self.name(), reason }
    }
}

/// A name as the table has it.
pub(super) fn padded_name(name: &str) -> Result<[u8; 8], PeError> {
    let length = name.len();
    if !(1..=8).contains(&length) {
        return Err(PeError::Name(length));
    }
    let mut padded = [0; 8];
    padded[..length].copy_from_slice(name.as_bytes());
    Ok(padded)
}

pub(super) fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
