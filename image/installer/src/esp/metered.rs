//! An end to reading.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes that may be read beside twice the device: of the FAT, once and again.
const SPARE_BYTES: u64 = 256 << 20;

/// A device that gives so many bytes and then an error. A FAT whose chains run in circles could be read for ever.
pub(super) struct Metered<D> {
    device: D,
    left: u64,
}

impl<D: Seek> Metered<D> {
    pub(super) fn new(mut device: D) -> io::Result<Self> {
        let bytes = device.seek(SeekFrom::End(0))?;
        device.seek(SeekFrom::Start(0))?;
        Ok(Self { device, left: bytes.saturating_mul(2).saturating_add(SPARE_BYTES) })
    }
}

impl<D: Read> Read for Metered<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.device.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| io::Error::other("its files have no end"))?;
        Ok(count)
    }
}

impl<D: Write> Write for Metered<D> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.device.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.device.flush()
    }
}

impl<D: Seek> Seek for Metered<D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.device.seek(to)
    }
}
