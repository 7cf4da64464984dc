//! A partition as a file of its own.

use std::{
    cell::RefCell,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use crate::Disk;

/// Some bytes of a disk. Nothing can be written behind them.
pub(crate) struct Region<'a, D> {
    disk: &'a RefCell<&'a mut D>,
    bytes: Range<u64>,
    /// From the region's beginning on.
    position: u64,
}

impl<'a, D: Disk> Region<'a, D> {
    pub(crate) const fn new(disk: &'a RefCell<&'a mut D>, bytes: Range<u64>) -> Self {
        Self { disk, bytes, position: 0 }
    }

    /// How many of `wanted` bytes are there from the position on.
    fn available(&self, wanted: usize) -> usize {
        let left = (self.bytes.end - self.bytes.start).saturating_sub(self.position);
        usize::try_from(left).unwrap_or(usize::MAX).min(wanted)
    }

    fn at_position(&self, act: impl FnOnce(&mut D) -> io::Result<usize>) -> io::Result<usize> {
        let mut disk = self.disk.borrow_mut();
        disk.seek(SeekFrom::Start(self.bytes.start + self.position))?;
        act(&mut **disk)
    }
}

impl<D: Disk> Read for Region<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.available(buffer.len());
        let count = self.at_position(|disk| disk.read(&mut buffer[..count]))?;
        self.position += count as u64;
        Ok(count)
    }
}

impl<D: Disk> Write for Region<'_, D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.available(buffer.len());
        let count = self.at_position(|disk| disk.write(&buffer[..count]))?;
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.disk.borrow_mut().flush()
    }
}

impl<D: Disk> Seek for Region<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => (self.bytes.end - self.bytes.start).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
