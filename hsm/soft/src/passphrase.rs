//! What opens the files.

use std::{io, path::Path};

use dolmen_hsm_api::{KeyError, private};
use zeroize::Zeroizing;

/// The longest passphrase.
const LENGTH_MAX: usize = 1024;
/// Bytes of one that the box makes for itself, which nobody can guess.
const GENERATED: usize = 32;

/// What opens the key files. Wiped when dropped, never printed.
pub(crate) struct Passphrase(pub(crate) Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Reads the first line of a file that only its owner can read.
    pub(crate) fn load(path: &Path) -> Result<Self, KeyError> {
        Ok(Self(private::read_line(path, LENGTH_MAX, "read the passphrase")?))
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
