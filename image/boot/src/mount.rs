//! Mounting, with errors that say what was mounted where.

use std::{
    ffi::CString,
    fs, io,
    path::{Path, PathBuf},
};

pub use rustix::mount::MountFlags;
use rustix::{io::Errno, mount};

/// Why a file system is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The directory cannot be made.
    #[error("cannot make the directory {directory}")]
    Directory {
        /// Which.
        directory: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel refused.
    #[error("cannot mount {what} on {target}; the kernel's log says more")]
    Mount {
        /// Device, or kind of file system, or the other directory.
        what: String,
        /// Where.
        target: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// Somebody uses it.
    #[error("cannot unmount {target}")]
    Unmount {
        /// What.
        target: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
}

/// A file system to be mounted.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem<'a> {
    /// The device, or for file systems of the kernel's own its kind again.
    pub source: &'a str,
    /// As `/proc/filesystems` has it.
    pub kind: &'a str,
    /// What is forbidden in it.
    pub flags: MountFlags,
    /// Options of the kind, with commas between them.
    pub options: &'a str,
}

impl FileSystem<'_> {
    /// Mounts it. The directory is made if it is missing and can be.
    ///
    /// # Errors
    ///
    /// [`MountError::Directory`] and [`MountError::Mount`].
    pub fn mount(&self, target: &Path) -> Result<(), MountError> {
        make_directory(target)?;
        let failed = |source| MountError::Mount {
            what: format!("{} ({})", self.source, self.kind),
            target: target.into(),
            source,
        };
        let options = CString::new(self.options).map_err(|_| failed(Errno::INVAL))?;
        mount::mount(self.source, target, self.kind, self.flags, options.as_c_str()).map_err(failed)
    }
}

/// Shows a file or directory also at another place, which must be there.
///
/// # Errors
///
/// [`MountError::Mount`].
pub fn bind(from: &Path, target: &Path) -> Result<(), MountError> {
    mount::mount_bind(from, target).map_err(failed(from, target))
}

/// Moves a mount, with those in it, to another place, which must be there.
///
/// # Errors
///
/// [`MountError::Mount`].
pub fn move_to(from: &Path, target: &Path) -> Result<(), MountError> {
    mount::mount_move(from, target).map_err(failed(from, target))
}

/// Unmounts, and waits for nobody: it is gone once nobody uses it any more.
///
/// # Errors
///
/// [`MountError::Unmount`].
pub fn detach(target: &Path) -> Result<(), MountError> {
    mount::unmount(target, mount::UnmountFlags::DETACH)
        .map_err(|source| MountError::Unmount { target: target.into(), source })
}

fn failed(from: &Path, target: &Path) -> impl Fn(Errno) -> MountError {
    move |source| MountError::Mount { what: from.display().to_string(), target: target.into(), source }
}

pub(crate) fn make_directory(directory: &Path) -> Result<(), MountError> {
    fs::create_dir_all(directory).map_err(|source| MountError::Directory { directory: directory.into(), source })
}
