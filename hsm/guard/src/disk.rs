//! The log's file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::FileExt as _,
            net::{SocketAddr, UnixListener},
        },
    },
    path::Path,
};

use dolmen_hsm_api::private;

/// Where a log lies. A test's loses what was not synced.
pub(crate) trait Disk {
    /// Fills `bytes` from `offset` on.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;

    /// Writes within the length that the log has.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written lasts.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file of fixed length that no other process has open.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Opens the file, or makes it of these bytes where there is none; none where another process has it.
    pub(crate) fn open_or_create(path: &Path, content: impl Fn() -> Vec<u8>) -> io::Result<Option<Self>> {
        let file = match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // All of it is written, so that later writes change no length and no extent: the disk need only take
                // the data.
                match private::write_new(path, &content()) {
                    // Another process was faster.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    created => created?,
                }
                Self::open(path)?
            }
            opened => opened?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open(path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(path)
    }
}

/// A key and chain that no other process of this machine signs votes for, with whatever copy of the log.
#[derive(Debug)]
pub(crate) struct LockedScope {
    _socket: UnixListener,
}

impl LockedScope {
    /// Takes it; none where another process has it. An abstract socket's name is free again when its process ends.
    pub(crate) fn take(scope: &[u8; 32]) -> io::Result<Option<Self>> {
        let name = [&b"dolmen-votes-"[..], scope].concat();
        match UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?) {
            Ok(socket) => Ok(Some(Self { _socket: socket })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Disk for LockedFile {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
