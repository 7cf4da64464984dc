//! What is wrong with an EFI system partition.

use std::io;

/// Why one cannot be made, filled or read.
#[derive(Debug, thiserror::Error)]
pub enum EspError {
    /// No label of a FAT.
    #[error("{0:?} is no label of a FAT; take 11 letters, digits or underscores at most")]
    Label(String),
    /// It could not be made.
    #[error("cannot make the EFI system partition's file system; look for errors of the disk in the kernel's log")]
    Format(#[source] io::Error),
    /// What is there is no FAT.
    #[error("the EFI system partition holds no FAT file system; install again if it once did")]
    NoFileSystem(#[source] io::Error),
    /// A file, or the folders above it.
    #[error("cannot {operation} {path} of the EFI system partition; if the disk is there and not full, replace it")]
    File {
        /// What was being done.
        operation: &'static str,
        /// With which file or folder.
        path: String,
        /// The disk's or the file system's error.
        #[source]
        source: io::Error,
    },
    /// A file that is longer than any of ours.
    #[error("{path} has more than {bytes_max} bytes; put the right file there")]
    TooLong {
        /// The file.
        path: String,
        /// What it may have.
        bytes_max: u64,
    },
    /// More than is looked at.
    #[error("the EFI system partition holds more files or deeper folders than any of ours; install again")]
    TooMany,
    /// The last writes failed.
    #[error("cannot complete the EFI system partition's file system; look for errors of the disk in the kernel's log")]
    Unmount(#[source] io::Error),
}

impl EspError {
    pub(super) fn file(operation: &'static str, path: &str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { operation, path, source }
    }
}
