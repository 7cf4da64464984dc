//! A directory with a file for each key, for stores that keep encrypted or wrapped keys.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use crate::{KeyError, KeyName, KeyUri, private};

/// No file of a key is larger.
const BYTES_MAX: usize = 16 << 10;

/// Files `NAME.EXTENSION`, mode 0600; other files of the directory are left alone.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    path: PathBuf,
    extension: &'static str,
}

impl KeyDirectory {
    /// The keys in `path` whose files have this extension.
    pub const fn new(path: PathBuf, extension: &'static str) -> Self {
        Self { path, extension }
    }

    /// The file of a key.
    pub fn file(&self, name: &KeyName) -> PathBuf {
        self.path.join(format!("{name}.{}", self.extension))
    }

    /// Makes the directory where there is none.
    ///
    /// # Errors
    ///
    /// [`KeyError::Io`].
    pub fn create(&self) -> Result<(), KeyError> {
        fs::create_dir_all(&self.path).map_err(private::failed(&self.path, "create the directory"))
    }

    /// The names of the keys, in order.
    ///
    /// # Errors
    ///
    /// [`KeyError::Io`], as where there is no directory.
    pub fn names(&self) -> Result<Vec<KeyName>, KeyError> {
        let failed = private::failed(&self.path, "list the keys");
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(&failed)? {
            names.extend(self.name_of(&entry.map_err(&failed)?.path()));
        }
        names.sort();
        Ok(names)
    }

    fn name_of(&self, path: &Path) -> Option<KeyName> {
        let is_key = path.extension().is_some_and(|extension| extension == self.extension);
        is_key.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
    }

    /// What a key's file holds.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotFound`], [`KeyError::Mode`], and [`KeyError::Damaged`] where it is too large for a key's.
    pub fn read(&self, uri: &KeyUri, name: &KeyName) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let path = self.file(name);
        let text = private::read(&path, BYTES_MAX + 1, "read the key").map_err(|error| match error {
            KeyError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => KeyError::NotFound(uri.clone()),
            other => other,
        })?;
        if text.len() > BYTES_MAX {
            return Err(KeyError::Damaged { path, reason: format!("it has more than {BYTES_MAX} bytes") });
        }
        Ok(text)
    }

    /// Writes the file of a new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Exists`] where there is one.
    pub fn write(&self, uri: &KeyUri, name: &KeyName, text: &[u8]) -> Result<(), KeyError> {
        let path = self.file(name);
        private::write_new(&path, text).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(uri.clone()),
            _ => private::failed(&path, "write the key")(source),
        })
    }

    /// Writes the file of a key that takes the place of one, which stays as `NAME.old`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] where that name would be too long.
    pub fn replace(&self, name: &KeyName, text: &[u8]) -> Result<(), KeyError> {
        let old: KeyName = format!("{name}.old").parse().map_err(|_| KeyError::Unsupported {
            store: "the key directory",
            operation: "keep the old key as NAME.old, which is too long a name",
            next: "make a key under another name, and name that one in box.toml",
        })?;
        let path = self.file(name);
        private::replace(&path, &self.file(&old), text).map_err(private::failed(&path, "write the new key"))
    }

    /// Removes the file of a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotFound`] where there is none.
    pub fn delete(&self, uri: &KeyUri, name: &KeyName) -> Result<(), KeyError> {
        let path = self.file(name);
        fs::remove_file(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::NotFound(uri.clone()),
            _ => private::failed(&path, "delete the key")(source),
        })?;
        private::sync_directory(&self.path).map_err(private::failed(&self.path, "sync the deletion"))
    }
}
