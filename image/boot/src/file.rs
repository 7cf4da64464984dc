//! Small files, read whole.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use crate::limits::FILE_BYTES_MAX;

/// All bytes of a file, up to [`FILE_BYTES_MAX`].
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Likewise, as text. What is no UTF-8 becomes `U+FFFD`.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Likewise, without spaces at both ends; nothing if there is no such file, or it cannot be read.
pub(crate) fn read_attribute(path: &Path) -> Option<String> {
    read_text(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
