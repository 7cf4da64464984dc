//! A part of a file, as if it were one.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

/// The bytes of a disk that a partition has. Reading and writing end where it ends.
#[derive(Debug)]
pub struct Window {
    file: File,
    range: Range<u64>,
    position: u64,
}

impl Window {
    /// These bytes of a file, which begin before they end.
    pub(crate) const fn new(file: File, range: Range<u64>) -> Self {
        Self { file, range, position: 0 }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Goes to the position in the file; how many of `wanted` bytes there are.
    fn here(&mut self, wanted: usize) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.range.start + self.position))?;
        let left = self.size().saturating_sub(self.position);
        Ok(wanted.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.here(buffer.len())?;
        let count = self.file.read(&mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Write for Window {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.here(buffer.len())?;
        let count = self.file.write(&buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        let position = position.filter(|position| *position <= self.size());
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_where_it_ends() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut window = Window::new(file.try_clone().unwrap(), 2..6);
        let mut text = String::new();
        window.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), window.size()), ("2345", 4));
        assert_eq!(window.seek(SeekFrom::End(-1)).unwrap(), 3);
        assert_eq!(window.write(b"abc").unwrap(), 1);
        assert!(window.seek(SeekFrom::End(1)).is_err() && window.seek(SeekFrom::Current(-5)).is_err());
        file.rewind().unwrap();
        text.clear();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "01234a6789");
    }
}
