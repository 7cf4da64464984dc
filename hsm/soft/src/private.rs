//! Files that only their owner can read.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use dolmen_hsm_api::KeyError;
use zeroize::Zeroizing;

/// Reads a file, `bytes_max` of it at most; refuses one that others can read.
pub(crate) fn read(path: &Path, bytes_max: usize, operation: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
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
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Mode 0600 from its creation on, as tempfile makes all its files.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_directory(directory)
}

/// Makes what was done to a directory's entries last.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// What failed, and on which path.
pub(crate) fn failed(path: &Path, operation: &'static str) -> impl Fn(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { path: path.clone(), operation, source }
}
