//! What a disk can do, and a part of one.

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

/// A disk, or a file that stands for one.
///
/// Writes may be kept in memory and reach the medium in any order, until [`sync`](Self::sync) returns.
pub trait Disk: Read + Write + Seek {
    /// Returns when all that was written is on the medium.
    ///
    /// # Errors
    ///
    /// The disk's: what was written since the last call may be there or not.
    fn sync(&mut self) -> io::Result<()>;

    /// Lets what is read next come from the medium and not from memory. To be called after [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// The kernel's.
    fn forget_cached(&mut self) -> io::Result<()>;

    /// Tells the drive that nobody needs these bytes any more, so that it may erase them. They read as anything
    /// afterwards.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] from a disk that cannot, which is no fault, and the disk's.
    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()>;
}

impl<D: Disk + ?Sized> Disk for &mut D {
    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        (**self).forget_cached()
    }

    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        (**self).discard(bytes)
    }
}

impl<D: Disk + ?Sized> Disk for Box<D> {
    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        (**self).forget_cached()
    }

    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        (**self).discard(bytes)
    }
}

/// Bytes of a disk as a file of their own, such as a partition. It never reads or writes beyond them.
#[derive(Debug)]
pub struct Section<D> {
    disk: D,
    bytes: Range<u64>,
    /// From the section's beginning on. May be behind its end.
    position: u64,
}

impl<D> Section<D> {
    /// These bytes of the disk, from their beginning on.
    pub const fn new(disk: D, bytes: Range<u64>) -> Self {
        Self { disk, bytes, position: 0 }
    }

    /// How many there are.
    pub const fn len(&self) -> u64 {
        self.bytes.end.saturating_sub(self.bytes.start)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of `wanted` bytes follow here.
    fn here(&self, wanted: usize) -> usize {
        usize::try_from(self.len().saturating_sub(self.position)).unwrap_or(usize::MAX).min(wanted)
    }
}

impl<D: Read + Seek> Read for Section<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.here(buffer.len());
        if count == 0 {
            return Ok(0);
        }
        self.disk.seek(SeekFrom::Start(self.bytes.start + self.position))?;
        let count = self.disk.read(&mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: Write + Seek> Write for Section<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.here(buffer.len());
        if count == 0 {
            return Ok(0);
        }
        self.disk.seek(SeekFrom::Start(self.bytes.start + self.position))?;
        let count = self.disk.write(&buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.flush()
    }
}

impl<D> Seek for Section<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = seek_to(to, self.position, self.len())?;
        Ok(self.position)
    }
}

impl<D: Disk> Disk for Section<D> {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        self.disk.forget_cached()
    }

    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        let within = |position: u64| self.bytes.start.saturating_add(position).min(self.bytes.end);
        self.disk.discard(within(bytes.start)..within(bytes.end))
    }
}

/// Where a position is that is told from the beginning, from here or from the end.
pub(crate) fn seek_to(to: SeekFrom, here: u64, end: u64) -> io::Result<u64> {
    let position = match to {
        SeekFrom::Start(position) => Some(position),
        SeekFrom::Current(by) => here.checked_add_signed(by),
        SeekFrom::End(by) => end.checked_add_signed(by),
    };
    position.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a position before the beginning"))
}

/// Writes zeros from `at` on.
pub(crate) fn write_zeros(disk: &mut (impl Write + Seek), bytes: Range<u64>) -> io::Result<()> {
    copy_at(disk, bytes, &mut io::repeat(0))
}

/// Fills these bytes of a disk with what `from` gives.
pub(crate) fn copy_at(disk: &mut (impl Write + Seek), bytes: Range<u64>, from: &mut impl Read) -> io::Result<()> {
    disk.seek(SeekFrom::Start(bytes.start))?;
    let mut left = bytes.end.saturating_sub(bytes.start);
    let mut buffer = vec![0; crate::limits::CHUNK_BYTES];
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        from.read_exact(&mut buffer[..count])?;
        disk.write_all(&buffer[..count])?;
        left -= count as u64;
    }
    Ok(())
}

/// `count` bytes from `at` on.
pub(crate) fn read_at(disk: &mut (impl Read + Seek), at: u64, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    disk.seek(SeekFrom::Start(at))?;
    disk.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// How many bytes a disk has.
pub(crate) fn bytes_of(disk: &mut impl Seek) -> io::Result<u64> {
    disk.seek(SeekFrom::End(0))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_section_ends_where_it_ends() {
        let mut disk = Cursor::new((0..20).collect::<Vec<u8>>());
        let mut section = Section::new(&mut disk, 5..10);
        assert_eq!((section.len(), section.is_empty()), (5, false));
        let mut read = Vec::new();
        section.read_to_end(&mut read).unwrap();
        assert_eq!(read, [5, 6, 7, 8, 9]);
        assert_eq!(section.seek(SeekFrom::End(-2)).unwrap(), 3);
        assert_eq!(section.write(&[0xff; 4]).unwrap(), 2);
        assert_eq!(section.write(&[0xff; 4]).unwrap(), 0);
        section.seek(SeekFrom::Start(99)).unwrap();
        assert_eq!(section.read(&mut [0; 4]).unwrap(), 0);
        assert!(section.seek(SeekFrom::Current(-100)).is_err());
        assert_eq!(disk.into_inner()[7..12], [7, 0xff, 0xff, 10, 11]);
    }

    #[test]
    fn filling_touches_nothing_else() {
        let mut disk = Cursor::new(vec![1; 8]);
        write_zeros(&mut disk, 2..5).unwrap();
        assert_eq!(disk.get_ref()[..], [1, 1, 0, 0, 0, 1, 1, 1]);
        copy_at(&mut disk, 6..8, &mut &[8, 9, 10][..]).unwrap();
        assert_eq!(disk.get_ref()[..], [1, 1, 0, 0, 0, 1, 8, 9]);
        assert_eq!(read_at(&mut disk, 5, 2).unwrap(), [1, 8]);
        assert_eq!(bytes_of(&mut disk).unwrap(), 8);
        assert!(copy_at(&mut disk, 0..4, &mut &[0; 3][..]).is_err());
    }
}
