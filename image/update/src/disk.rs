//! The disk with the slots.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{FileTypeExt, MetadataExt},
};

use nix::{
    fcntl::{PosixFadviseAdvice, posix_fadvise},
    sys::stat::{major, minor},
};

/// A whole disk: a block device, or a file with a disk's image. Its bytes are read and written from its beginning on.
pub trait Disk: Read + Write + Seek {
    /// Bytes of its logical blocks, in which its partition table counts.
    ///
    /// # Errors
    ///
    /// The system's.
    fn block_size(&self) -> io::Result<u64>;

    /// Keeps other programs of ours off it until it is closed. False where one is at work.
    ///
    /// # Errors
    ///
    /// The system's.
    fn lock(&self) -> io::Result<bool>;

    /// Returns when everything that was written is on the medium.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes later reads come from the medium, not from memory, after a [`sync`](Self::sync).
    ///
    /// # Errors
    ///
    /// The system's.
    fn forget(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn block_size(&self) -> io::Result<u64> {
        let metadata = self.metadata()?;
        if !metadata.file_type().is_block_device() {
            return Ok(512);
        }
        let device = metadata.rdev();
        let path = format!("/sys/dev/block/{}:{}/queue/logical_block_size", major(device), minor(device));
        fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)
    }

    /// By flock(2), which also keeps udev from looking at a device that is half written (systemd's "Locking Block
    /// Device Access").
    fn lock(&self) -> io::Result<bool> {
        match self.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn forget(&mut self) -> io::Result<()> {
        Ok(posix_fadvise(&*self, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
    }
}
