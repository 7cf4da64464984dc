//! Disks as the kernel has them, and image files.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::Path,
};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};

use crate::disk::Disk;

/// A block device or an image file.
#[derive(Debug)]
pub struct Device {
    file: File,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Block,
    Image,
}

impl Device {
    /// One that is only read.
    ///
    /// # Errors
    ///
    /// The kernel's, and [`io::ErrorKind::Unsupported`] for what is neither a block device nor a file.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(OpenOptions::new().read(true).open(path)?)
    }

    /// One that is written, and that nobody else may write to meanwhile.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] where a file system of it is mounted, or the kernel uses it otherwise, and those
    /// of [`open`](Self::open).
    pub fn open_to_write(path: &Path) -> io::Result<Self> {
        // On a block device O_EXCL without O_CREAT means: unless somebody has it. On a file it would mean nothing.
        let block = std::fs::metadata(path)?.file_type().is_block_device();
        let exclusive = if block { OFlags::EXCL.bits().cast_signed() } else { 0 };
        Self::from_file(OpenOptions::new().read(true).write(true).custom_flags(exclusive).open(path)?)
    }

    fn from_file(file: File) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        let kind = match (kind.is_block_device(), kind.is_file()) {
            (true, _) => Kind::Block,
            (_, true) => Kind::Image,
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a disk nor a file")),
        };
        Ok(Self { file, kind })
    }
}

impl Read for Device {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for Device {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Device {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Disk for Device {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget_cached(&mut self) -> io::Result<()> {
        Ok(fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn discard(&mut self, bytes: Range<u64>) -> io::Result<()> {
        let (start, length) = (bytes.start, bytes.end.saturating_sub(bytes.start));
        match self.kind {
            Kind::Block => Ok(ioctl::discard(&self.file, start, length)?),
            Kind::Image => {
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                Ok(fallocate(&self.file, hole, start, length)?)
            }
        }
    }
}

/// What the kernel offers only as a number.
mod ioctl {
    use std::fs::File;

    use rustix::{
        io,
        ioctl::{Setter, ioctl, opcode},
    };

    /// `BLKDISCARD` of linux/fs.h. It takes two numbers of 64 bits: the first byte and how many.
    const DISCARD: u32 = opcode::none(0x12, 119);

    pub(super) fn discard(disk: &File, start: u64, length: u64) -> io::Result<()> {
        // SAFETY: this is what the kernel reads for this number, and it keeps nothing of it.
        let request = unsafe { Setter::<DISCARD, [u64; 2]>::new([start, length]) };
        // SAFETY: the request fits its number, and on a file that is no block device the kernel refuses it.
        unsafe { ioctl(disk, request) }
    }
}
