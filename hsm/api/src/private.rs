//! Files that only their owner can read: keys, passphrases and PINs.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use zeroize::Zeroizing;

use crate::KeyError;

/// Reads a file, `bytes_max` of it at most; refuses one that others can read.
///
/// # Errors
///
/// [`KeyError::Mode`] and [`KeyError::Io`].
pub fn read(path: &Path, bytes_max: usize, operation: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let file = fs::File::open(path).map_err(failed(path, operation))?;
    let mode = file.metadata().map_err(failed(path, operation))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Mode { path: path.to_owned(), mode });
    }
    // All at once: growing would leave a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max));
    file.take(bytes_max as u64).read_to_end(&mut bytes).map_err(failed(path, operation))?;
    Ok(bytes)
}

/// Writes a new file, whole or not at all, synced, mode 0600; never overwrites one.
///
/// # Errors
///
/// The system's, `AlreadyExists` among them.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_directory(directory(path))
}

/// As [`write_new`], but in the place of what has that name: at any instant there is one of the two, whole.
///
/// # Errors
///
/// The system's.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_beside(path, bytes)?.persist(path).map_err(|error| error.error)?;
    sync_directory(directory(path))
}

/// As [`write_new`], but in the place of a file that stays as `old`; what had that name before is gone. At any instant
/// there is a whole file at `path`.
///
/// # Errors
///
/// The system's.
pub fn replace(path: &Path, old: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = write_beside(path, bytes)?;
    // Under a name of its own first: where files cannot have two names, nothing is lost.
    let kept = tempfile::Builder::new().make_in(directory(path), |second| fs::hard_link(path, second))?;
    kept.persist(old).map_err(|error| error.error)?;
    sync_directory(directory(path))?;
    new.persist(path).map_err(|error| error.error)?;
    sync_directory(directory(path))
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    // Mode 0600 from its creation on, as tempfile makes all its files.
    let mut file = tempfile::NamedTempFile::new_in(directory(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what was done to a directory's entries last.
///
/// # Errors
///
/// The system's.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Reads the first line of such a file, a passphrase or PIN of 1 to `length_max` bytes.
///
/// # Errors
///
/// As [`read`], and [`KeyError::Damaged`] where the line is empty or too long.
pub fn read_line(path: &Path, length_max: usize, operation: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut bytes = read(path, length_max + 1, operation)?;
    let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    bytes.truncate(line);
    if bytes.is_empty() || bytes.len() > length_max {
        let reason = format!("it must begin with a line of 1 to {length_max} bytes");
        return Err(KeyError::Damaged { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// What failed, and on which path.
pub fn failed(path: &Path, operation: &'static str) -> impl Fn(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { path: path.clone(), operation, source }
}
