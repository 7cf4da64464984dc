//! Adding sections to an image.

use super::{
    Content, Image, PeError, Section,
    digest::set_checksum,
    image::{
        DLL_FLAGS, FLAGS, IMAGE_SIZE, INITIALIZED_DATA_SIZE, NX_COMPATIBLE, SECTION_COUNT, SYMBOL_TABLE, align, bound,
        field,
    },
    section::{ENTRY_LENGTH, padded_name, to_usize},
};
use crate::{
    bytes::{put, u16_at, u32_at, usize_at},
    limits::{IMAGE_BYTES_MAX, SECTIONS_MAX},
};

/// Bytes of a symbol.
const SYMBOL_LENGTH: usize = 18;
/// `IMAGE_FILE_LOCAL_SYMS_STRIPPED`.
const SYMBOLS_STRIPPED: u16 = 0x0008;

/// An image that is given sections. It places and pads them as systemd's ukify 257 does: behind each other, in the file
/// at multiples of the file's alignment and in memory at multiples of the sections'.
#[derive(Clone, Debug)]
pub struct Builder {
    bytes: Vec<u8>,
    pe: usize,
    headers_size: usize,
    table: usize,
    section_alignment: usize,
    file_alignment: usize,
    sections: Vec<Section>,
}

impl Builder {
    /// Begins with an image, such as systemd-stub. Symbols at its end, which systemd before 253 has, are dropped.
    ///
    /// # Errors
    ///
    /// [`PeError::Signed`] if it has a signature, [`PeError::Headers`] if something follows its sections, or is where
    /// the entries of new ones go, or if it ends where no section may begin.
    pub fn new(image: &Image<'_>) -> Result<Self, PeError> {
        if !image.certificate_table().is_empty() {
            return Err(PeError::Signed);
        }
        let mut builder = Self {
            bytes: image.bytes.to_vec(),
            pe: image.pe,
            headers_size: image.headers_size,
            table: image.table,
            section_alignment: image.section_alignment,
            file_alignment: image.file_alignment,
            sections: image.sections.clone(),
        };
        builder.strip_symbols(image.sections_end());
        if builder.bytes.len() != image.sections_end() {
            return Err(PeError::Headers("bytes follow its sections"));
        }
        // Padding would be a gap between sections.
        if !builder.bytes.len().is_multiple_of(builder.file_alignment) {
            return Err(PeError::Headers("its end is not aligned"));
        }
        let free = builder.table + builder.sections.len() * ENTRY_LENGTH..builder.headers_size;
        if builder.bytes[free].iter().any(|byte| *byte != 0) {
            return Err(PeError::Headers("bytes follow its section table"));
        }
        Ok(builder)
    }

    /// Adds a section.
    ///
    /// # Errors
    ///
    /// [`PeError::Duplicate`] if there is one of the name, [`PeError::NoRoom`] if the headers are full,
    /// [`PeError::Name`] and [`PeError::TooLarge`].
    pub fn append(&mut self, name: &str, data: &[u8], content: Content) -> Result<(), PeError> {
        if self.sections.iter().any(|section| section.is_named(name)) {
            return Err(PeError::Duplicate(name.to_owned()));
        }
        let count = self.sections.len() + 1;
        bound("sections", count, SECTIONS_MAX)?;
        if self.table + count * ENTRY_LENGTH > self.headers_size {
            return Err(PeError::NoRoom);
        }
        let offset = align(self.bytes.len(), self.file_alignment);
        bound("bytes", offset.saturating_add(data.len()), IMAGE_BYTES_MAX)?;
        let raw_size = align(data.len(), self.file_alignment);
        let section = Section {
            name: padded_name(name)?,
            virtual_size: field(data.len())?,
            virtual_address: field(self.memory_end())?,
            raw_size: field(raw_size)?,
            raw_offset: field(offset)?,
            characteristics: content.characteristics(),
        };
        put(&mut self.bytes, self.table + self.sections.len() * ENTRY_LENGTH, &section.write());
        let entries = u16::try_from(count).map_err(|_| PeError::NoRoom)?;
        put(&mut self.bytes, self.pe + SECTION_COUNT, &entries.to_le_bytes());
        self.sections.push(section);
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(data);
        self.bytes.resize(offset + raw_size, 0);
        self.add_initialized_data(data.len())
    }

    /// Replaces what a section holds, which stays where it is.
    ///
    /// # Errors
    ///
    /// [`PeError::SectionFull`] if it has no room for the data, in the file or in memory, [`PeError::Headers`] if there
    /// is no such section.
    pub fn replace(&mut self, name: &str, data: &[u8]) -> Result<(), PeError> {
        let index = self.sections.iter().position(|section| section.is_named(name));
        let index = index.ok_or(PeError::Headers("the section to be replaced is missing"))?;
        let next = self.sections.get(index + 1).map_or(u32::MAX, |next| next.virtual_address);
        let section = &mut self.sections[index];
        let limit = section.file_size().min(to_usize(next.saturating_sub(section.virtual_address)));
        if data.len() > limit {
            return Err(PeError::SectionFull { name: section.name(), found: data.len(), limit });
        }
        section.virtual_size = field(data.len())?;
        put(&mut self.bytes, self.table + index * ENTRY_LENGTH, &section.write_places());
        let place = section.file_offset()..section.file_offset() + section.file_size();
        self.bytes[place.clone()].fill(0);
        put(&mut self.bytes[place], 0, data);
        Ok(())
    }

    /// Whether there is a section of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.sections.iter().any(|section| section.is_named(name))
    }

    /// Says that the image does not run where data cannot be executed.
    pub fn clear_nx_compatible(&mut self) {
        let flags = u16_at(&self.bytes, self.pe + DLL_FLAGS).unwrap_or_default();
        put(&mut self.bytes, self.pe + DLL_FLAGS, &(flags & !NX_COMPATIBLE).to_le_bytes());
    }

    /// The image, with its checksum.
    ///
    /// # Errors
    ///
    /// [`PeError::TooLarge`] if it needs too much memory.
    pub fn finish(mut self) -> Result<Vec<u8>, PeError> {
        bound("bytes in memory", self.memory_end(), IMAGE_BYTES_MAX)?;
        let size = field(self.memory_end())?;
        put(&mut self.bytes, self.pe + IMAGE_SIZE, &size.to_le_bytes());
        set_checksum(&mut self.bytes, self.pe);
        Ok(self.bytes)
    }

    /// Where the next section goes in memory.
    fn memory_end(&self) -> usize {
        align(self.sections.last().map_or(0, Section::memory_end), self.section_alignment)
    }

    fn add_initialized_data(&mut self, length: usize) -> Result<(), PeError> {
        let before = u32_at(&self.bytes, self.pe + INITIALIZED_DATA_SIZE).unwrap_or_default();
        let size = before.wrapping_add(field(length)?);
        put(&mut self.bytes, self.pe + INITIALIZED_DATA_SIZE, &size.to_le_bytes());
        Ok(())
    }

    /// Drops symbols and their names if they are all that follows the sections: an image should have none.
    fn strip_symbols(&mut self, sections_end: usize) {
        let start = usize_at(&self.bytes, self.pe + SYMBOL_TABLE).unwrap_or_default();
        let count = usize_at(&self.bytes, self.pe + SYMBOL_TABLE + 4).unwrap_or_default();
        let names = count.saturating_mul(SYMBOL_LENGTH).saturating_add(start);
        let names_length = usize_at(&self.bytes, names).unwrap_or_default();
        if start < sections_end || names.saturating_add(names_length) != self.bytes.len() {
            return;
        }
        self.bytes.truncate(start);
        put(&mut self.bytes, self.pe + SYMBOL_TABLE, &[0; 8]);
        let flags = u16_at(&self.bytes, self.pe + FLAGS).unwrap_or_default();
        put(&mut self.bytes, self.pe + FLAGS, &(flags | SYMBOLS_STRIPPED).to_le_bytes());
    }
}
