//! What opens the files.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use dolmen_hsm_api::KeyError;
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
        let io = |operation| move |source| KeyError::Io { path: path.to_owned(), operation, source };
        let mut file = fs::File::open(path).map_err(io("read the passphrase"))?;
        let mode = file.metadata().map_err(io("read the passphrase"))?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Mode { path: path.to_owned(), mode });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH_MAX + 1));
        (&mut file).take(LENGTH_MAX as u64 + 1).read_to_end(&mut bytes).map_err(io("read the passphrase"))?;
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
        if !path.try_exists().map_err(|source| KeyError::Io {
            path: path.to_owned(),
            operation: "look for the passphrase",
            source,
        })? {
            let random = Zeroizing::new(rand::random::<[u8; GENERATED]>());
            let line = Zeroizing::new(const_hex::encode(random.as_slice()) + "\n");
            match write_new(path, line.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result.map_err(|source| KeyError::Io {
                    path: path.to_owned(),
                    operation: "write a passphrase",
                    source,
                })?,
            }
        }
        Self::load(path)
    }
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
