//! What opens the files.

use std::{io, path::Path};

use dolmen_hsm_api::KeyError;
use zeroize::Zeroizing;

use crate::private;

/// The longest passphrase.
const LENGTH_MAX: usize = 1024;
/// Bytes of one that the box makes for itself, which nobody can guess.
const GENERATED: usize = 32;

/// What opens the key files. Wiped when dropped, never printed.
pub(crate) struct Passphrase(pub(crate) Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Reads the first line of a file that only its owner can read.
    pub(crate) fn load(path: &Path) -> Result<Self, KeyError> {
        let mut bytes = private::read(path, LENGTH_MAX + 1, "read the passphrase")?;
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        bytes.truncate(line);
        if bytes.is_empty() || bytes.len() > LENGTH_MAX {
            let reason = format!("a passphrase is one line of 1 to {LENGTH_MAX} bytes");
            return Err(KeyError::Damaged { path: path.to_owned(), reason });
        }
        Ok(Self(bytes))
    }

    /// As [`load`](Self::load), but first makes the file, with a passphrase that nobody knows, where there is none.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let random = Zeroizing::new(rand::random::<[u8; GENERATED]>());
        let line = Zeroizing::new(const_hex::encode(random.as_slice()) + "\n");
        match private::write_new(path, line.as_bytes()) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            written => written.map_err(private::failed(path, "write a passphrase"))?,
        }
        Self::load(path)
    }
}
