//! Reading an image.

use std::ops::Range;

use super::{
    PeError, Section,
    section::{ENTRY_LENGTH, to_usize},
};
use crate::{
    bytes::{array, u16_at, u32_at, usize_at},
    limits::{IMAGE_BYTES_MAX, SECTIONS_MAX},
};

// Offsets of fields from the signature `PE\0\0` on; the optional header begins at 24.
pub(super) const SECTION_COUNT: usize = 6;
pub(super) const SYMBOL_TABLE: usize = 12;
const OPTIONAL_HEADER_SIZE: usize = 20;
pub(super) const FLAGS: usize = 22;
const OPTIONAL_HEADER: usize = 24;
pub(super) const INITIALIZED_DATA_SIZE: usize = OPTIONAL_HEADER + 8;
const SECTION_ALIGNMENT: usize = OPTIONAL_HEADER + 32;
const FILE_ALIGNMENT: usize = OPTIONAL_HEADER + 36;
pub(super) const IMAGE_SIZE: usize = OPTIONAL_HEADER + 56;
const HEADERS_SIZE: usize = OPTIONAL_HEADER + 60;
pub(super) const CHECKSUM: usize = OPTIONAL_HEADER + 64;
const SUBSYSTEM: usize = OPTIONAL_HEADER + 68;
pub(super) const DLL_FLAGS: usize = OPTIONAL_HEADER + 70;
const DIRECTORY_COUNT: usize = OPTIONAL_HEADER + 108;
const DIRECTORIES: usize = OPTIONAL_HEADER + 112;

/// Bytes of a data directory: an address and a size.
pub(crate) const DATA_DIRECTORY_LENGTH: usize = 8;
/// The directory of signatures, the fifth: an offset in the file, not an address in memory.
const CERTIFICATE_DIRECTORY: usize = DIRECTORIES + 4 * DATA_DIRECTORY_LENGTH;

/// Where a DOS program's header has the offset of the signature.
const DOS_PE_OFFSET: usize = 60;
const DOS_HEADER_LENGTH: usize = 64;
const MACHINE_X86_64: u16 = 0x8664;
const PE32_PLUS: u16 = 0x020b;
const SUBSYSTEM_EFI_APPLICATION: u16 = 10;
/// `NX_COMPAT`: it runs where data cannot be executed and code cannot be written.
pub(super) const NX_COMPATIBLE: u16 = 0x0100;
const DIRECTORIES_MAX: usize = 16;
const FILE_ALIGNMENT_MAX: usize = 1 << 16;
/// Signatures begin at a multiple of it.
const CERTIFICATE_ALIGNMENT: usize = 8;

/// An image whose headers are checked.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    pub(super) bytes: &'a [u8],
    /// Where the signature `PE\0\0` is.
    pub(super) pe: usize,
    pub(super) headers_size: usize,
    /// Where the section table begins.
    pub(super) table: usize,
    pub(super) section_alignment: usize,
    pub(super) file_alignment: usize,
    pub(super) sections: Vec<Section>,
    pub(super) certificates: Range<usize>,
}

impl<'a> Image<'a> {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`PeError`] for anything but a whole and sound PE32+ image for x86-64.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, PeError> {
        bound("bytes", bytes.len(), IMAGE_BYTES_MAX)?;
        let pe = find_pe(bytes)?;
        let field = |offset| usize_at(bytes, pe + offset).ok_or(PeError::Truncated("headers"));
        let directories = field(DIRECTORY_COUNT)?;
        let optional_size = u16_at(bytes, pe + OPTIONAL_HEADER_SIZE).map(usize::from);
        // EDK II wants both to agree, and the directory of signatures to be there.
        if !(5..=DIRECTORIES_MAX).contains(&directories)
            || optional_size != Some(DIRECTORIES - OPTIONAL_HEADER + directories * DATA_DIRECTORY_LENGTH)
        {
            return Err(PeError::Headers("the optional header's size"));
        }
        let table = pe + DIRECTORIES + directories * DATA_DIRECTORY_LENGTH;
        let mut image = Self {
            bytes,
            pe,
            headers_size: field(HEADERS_SIZE)?,
            table,
            section_alignment: field(SECTION_ALIGNMENT)?,
            file_alignment: field(FILE_ALIGNMENT)?,
            sections: Vec::new(),
            certificates: 0..0,
        };
        image.check_alignments()?;
        image.read_sections(field(IMAGE_SIZE)?)?;
        image.certificates = image.find_certificates()?;
        Ok(image)
    }

    /// Its sections in the order of their table, which is also that of their places in the file and in memory.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The first section of a name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.is_named(name))
    }

    /// What the file has of a section of this image, without padding. In memory [`Section::zeros`] follow.
    ///
    /// # Panics
    ///
    /// If the section is another, longer image's.
    #[must_use]
    pub fn data(&self, section: &Section) -> &'a [u8] {
        let length = section.file_size().min(section.memory_size());
        if length == 0 {
            return &[];
        }
        &self.bytes[section.file_offset()..section.file_offset() + length]
    }

    /// Whether firmware runs it as a boot loader, not as a driver.
    #[must_use]
    pub fn is_application(&self) -> bool {
        u16_at(self.bytes, self.pe + SUBSYSTEM) == Some(SUBSYSTEM_EFI_APPLICATION)
    }

    /// Whether it says that it runs where data cannot be executed (`NX_COMPAT`).
    #[must_use]
    pub fn is_nx_compatible(&self) -> bool {
        u16_at(self.bytes, self.pe + DLL_FLAGS).is_some_and(|flags| flags & NX_COMPATIBLE != 0)
    }

    /// Its signatures' table, empty if there is none.
    pub(crate) fn certificate_table(&self) -> &'a [u8] {
        &self.bytes[self.certificates.clone()]
    }

    /// It without its signatures.
    pub(crate) fn unsigned(&self) -> &'a [u8] {
        if self.certificates.is_empty() { self.bytes } else { &self.bytes[..self.certificates.start] }
    }

    /// Where its header is, behind that of a DOS program.
    pub(crate) const fn header(&self) -> usize {
        self.pe
    }

    /// Where the directory of signatures is.
    pub(crate) const fn certificate_directory(&self) -> usize {
        self.pe + CERTIFICATE_DIRECTORY
    }

    fn check_alignments(&self) -> Result<(), PeError> {
        let (section, file) = (self.section_alignment, self.file_alignment);
        if !section.is_power_of_two() || !file.is_power_of_two() || file > FILE_ALIGNMENT_MAX || section < file {
            return Err(PeError::Headers("its alignments"));
        }
        Ok(())
    }

    /// Reads the section table. What is in memory has to lie within `image_size`.
    fn read_sections(&mut self, image_size: usize) -> Result<(), PeError> {
        bound("bytes in memory", image_size, IMAGE_BYTES_MAX)?;
        let count = u16_at(self.bytes, self.pe + SECTION_COUNT).map_or(0, usize::from);
        bound("sections", count, SECTIONS_MAX)?;
        let end = self.table + count * ENTRY_LENGTH;
        if count == 0 || end > self.headers_size || self.headers_size > self.bytes.len() {
            return Err(PeError::Headers("the headers' size, or the number of sections"));
        }
        let entries = self.bytes[self.table..end].chunks_exact(ENTRY_LENGTH);
        self.sections = entries.filter_map(Section::read).collect();
        let (mut file_end, mut memory_end) = (self.headers_size, self.headers_size);
        for section in &self.sections {
            file_end = section_end(section, file_end)?;
            if file_end > self.bytes.len() {
                return Err(PeError::Truncated("sections"));
            }
            if section.memory_offset() < memory_end {
                return Err(section.damaged("it overlaps another in memory"));
            }
            memory_end = section.memory_end();
            if memory_end > image_size {
                return Err(section.damaged("it ends outside of the image's memory"));
            }
        }
        Ok(())
    }

    /// Where the last section ends in the file.
    pub(super) fn sections_end(&self) -> usize {
        let mut in_file = self.sections.iter().filter(|section| section.raw_size != 0);
        in_file.next_back().map_or(self.headers_size, |section| section.file_offset() + section.file_size())
    }

    /// Where the signatures are, if there are any: at the end, behind the sections.
    fn find_certificates(&self) -> Result<Range<usize>, PeError> {
        let directory = array::<8>(self.bytes, self.certificate_directory()).ok_or(PeError::Truncated("headers"))?;
        let start = usize_at(&directory, 0).unwrap_or_default();
        let size = usize_at(&directory, 4).unwrap_or_default();
        if (start, size) == (0, 0) {
            return Ok(0..0);
        }
        let end = start.checked_add(size);
        if size == 0
            || !start.is_multiple_of(CERTIFICATE_ALIGNMENT)
            || start < self.sections_end()
            || end != Some(self.bytes.len())
        {
            return Err(PeError::Headers("the place of its signatures"));
        }
        Ok(start..self.bytes.len())
    }
}

/// Checks what leads to the PE header and says where that is.
fn find_pe(bytes: &[u8]) -> Result<usize, PeError> {
    if bytes.len() < DOS_HEADER_LENGTH || bytes[..2] != *b"MZ" {
        return Err(PeError::Kind { expected: "PE file" });
    }
    let pe = usize_at(bytes, DOS_PE_OFFSET).unwrap_or(usize::MAX);
    if pe < DOS_HEADER_LENGTH || pe > bytes.len() {
        return Err(PeError::Truncated("headers"));
    }
    if array(bytes, pe) != Some(*b"PE\0\0") {
        return Err(PeError::Kind { expected: "PE file" });
    }
    if u16_at(bytes, pe + 4) != Some(MACHINE_X86_64) || u16_at(bytes, pe + OPTIONAL_HEADER) != Some(PE32_PLUS) {
        return Err(PeError::Kind { expected: "PE32+ image for x86-64" });
    }
    // From here on every field of the headers is there.
    if u32_at(bytes, pe + DIRECTORIES - 4).is_none() {
        return Err(PeError::Truncated("headers"));
    }
    Ok(pe)
}

/// Where a section ends in the file that begins right behind what ends at `file_end`.
fn section_end(section: &Section, file_end: usize) -> Result<usize, PeError> {
    if section.raw_size == 0 {
        return Ok(file_end);
    }
    if section.file_offset() != file_end {
        return Err(section.damaged("it does not begin where the one before ends in the file"));
    }
    file_end.checked_add(section.file_size()).ok_or(PeError::Truncated("sections"))
}

pub(super) fn bound(what: &'static str, found: usize, limit: usize) -> Result<(), PeError> {
    if found > limit {
        return Err(PeError::TooLarge { what, found, limit });
    }
    Ok(())
}

/// The next multiple of a power of two.
pub(super) const fn align(number: usize, alignment: usize) -> usize {
    (number + alignment - 1) & !(alignment - 1)
}

/// An offset or size as a field has it; bounds keep it small.
pub(super) fn field(number: usize) -> Result<u32, PeError> {
    u32::try_from(number).ok().filter(|number| to_usize(*number) <= IMAGE_BYTES_MAX).ok_or(PeError::TooLarge {
        what: "bytes",
        found: number,
        limit: IMAGE_BYTES_MAX,
    })
}
