//! Files by name, with errors that say which.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::limits::FILE_BYTES_MAX;

/// Why something cannot be done with a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was to be done.
    pub action: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Makes a [`FileError`] of what the operating system says.
pub fn failed<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> FileError + 'a {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// Opens a file to read it.
///
/// # Errors
///
/// [`FileError`], as everywhere here.
pub fn open(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(failed("open", path))
}

/// Makes a file, or empties one.
///
/// # Errors
///
/// [`FileError`].
pub fn create(path: &Path) -> Result<File, FileError> {
    File::create(path).map_err(failed("create", path))
}

/// Makes a folder with those that it is in.
///
/// # Errors
///
/// [`FileError`].
pub fn create_folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(failed("create the folder", path))
}

/// Reads a file of up to 512 MiB.
///
/// # Errors
///
/// [`FileError`], also for a larger one.
pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let fail = failed("read", path);
    let mut bytes = Vec::new();
    open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(&fail)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 512 MiB")));
    }
    Ok(bytes)
}

/// Reads a file of text.
///
/// # Errors
///
/// [`FileError`], also where it is no UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read(path)?).map_err(|error| failed("read", path)(io::Error::other(error)))
}

/// Writes a file, under another name first, so that nobody sees half of it.
///
/// # Errors
///
/// [`FileError`].
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let part = partial(path);
    fs::write(&part, bytes).map_err(failed("write", &part))?;
    rename(&part, path)
}

/// Gives a finished file its name.
///
/// # Errors
///
/// [`FileError`].
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(failed("rename a finished file to", to))
}

/// Where a file is written before it is whole.
#[must_use]
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// Bytes of a file.
///
/// # Errors
///
/// [`FileError`].
pub fn length(path: &Path) -> Result<u64, FileError> {
    Ok(fs::metadata(path).map_err(failed("look at", path))?.len())
}

/// SHA-256 of a file, in hexadecimal digits.
///
/// # Errors
///
/// [`FileError`].
pub fn sha256(path: &Path) -> Result<String, FileError> {
    let (mut file, mut hasher, mut block) = (open(path)?, Sha256::new(), vec![0; 64 << 10]);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(const_hex::encode(hasher.finalize())),
            Ok(count) => hasher.update(&block[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path)(error)),
        }
    }
}
