//! A file system that nobody takes for one before it is done.

use std::io::{self, Read, Seek, SeekFrom, Write};

use dolmen_image_disk::gpt::BlockSize;

use crate::disk::{Disk, Section, seek_to};

/// Bytes that are kept back: the boot sector, and the copy of it that some tools restore it from.
const HEAD_BYTES: usize = 4096;

/// A section of a disk whose first 4 KiB are kept in memory, until [`release`](Self::release). Until then the disk
/// holds there what it held before: where that is no boot sector, there is no file system.
#[derive(Debug)]
pub struct Held<D> {
    section: Section<D>,
    head: Vec<u8>,
    position: u64,
}

impl<D: Disk> Held<D> {
    /// One whose beginning reads as zeros.
    pub fn new(section: Section<D>) -> Self {
        Self { section, head: vec![0; HEAD_BYTES], position: 0 }
    }

    /// Writes what was kept back, the first block last, and each behind a sync.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn release(self, block_size: BlockSize) -> io::Result<()> {
        let Self { mut section, head, .. } = self;
        let first = usize::try_from(block_size.bytes()).unwrap_or(HEAD_BYTES).min(HEAD_BYTES);
        section.sync()?;
        section.seek(SeekFrom::Start(first as u64))?;
        section.write_all(&head[first..])?;
        section.sync()?;
        section.seek(SeekFrom::Start(0))?;
        section.write_all(&head[..first])?;
        section.sync()
    }

    /// What is kept back from here on, if anything.
    fn kept(&mut self, wanted: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(self.position).ok().filter(|at| *at < HEAD_BYTES)?;
        let count = (HEAD_BYTES - at).min(wanted);
        Some(&mut self.head[at..at + count])
    }
}

impl<D: Disk> Read for Held<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.kept(buffer.len()) {
            Some(kept) => {
                buffer[..kept.len()].copy_from_slice(kept);
                kept.len()
            }
            None => {
                self.section.seek(SeekFrom::Start(self.position))?;
                self.section.read(buffer)?
            }
        };
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: Disk> Write for Held<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = match self.kept(buffer.len()) {
            Some(kept) => {
                let count = kept.len();
                kept.copy_from_slice(&buffer[..count]);
                count
            }
            None => {
                self.section.seek(SeekFrom::Start(self.position))?;
                self.section.write(buffer)?
            }
        };
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.section.flush()
    }
}

impl<D: Disk> Seek for Held<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek_to(to, self.position, self.section.len())?;
        Ok(self.position)
    }
}

impl<D: Disk> Disk for Held<D> {
    fn sync(&mut self) -> io::Result<()> {
        self.section.sync()
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        self.section.forget_cached()
    }

    fn discard(&mut self, bytes: std::ops::Range<u64>) -> io::Result<()> {
        self.section.discard(bytes)
    }
}
