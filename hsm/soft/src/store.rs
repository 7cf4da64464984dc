//! A directory of keys.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::{KeyError, KeyInfo, KeyName, KeySpec, KeyStore, KeyUri, Signer, private};
use dolmen_hsm_memory::{Bytes, MemoryKey, OFFERED};
use zeroize::Zeroizing;

use crate::{
    file::{Cost, KeyFile},
    passphrase::Passphrase,
};

/// What it is called in messages.
const STORE: &str = "the key directory";
const EXTENSION: &str = "key";

/// Keys in the files of a directory, all under one passphrase, which is read when it is needed and then forgotten.
#[derive(Debug)]
pub struct SoftStore {
    directory: PathBuf,
    passphrase_file: PathBuf,
    cost: Cost,
}

impl SoftStore {
    /// The keys of a directory, under the first line of a file of mode 0600. Where that file is missing the directory's
    /// first key makes it, with a passphrase that nobody can guess; keep it apart from the keys, and from their backups.
    pub fn new(directory: PathBuf, passphrase_file: PathBuf) -> Self {
        Self { directory, passphrase_file, cost: Cost::default() }
    }

    /// As [`new`](Self::new), but keys that it makes cost little to guess: for tests.
    #[cfg(test)]
    pub(crate) fn cheap(directory: PathBuf, passphrase_file: PathBuf) -> Self {
        Self { directory, passphrase_file, cost: Cost { memory_kib: 64, passes: 1, lanes: 1 } }
    }

    fn key_name<'a>(&self, uri: &'a KeyUri) -> Result<&'a KeyName, KeyError> {
        match uri {
            KeyUri::Soft(name) => Ok(name),
            _ => Err(KeyError::Foreign { uri: uri.clone(), store: STORE, example: "soft:NAME" }),
        }
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.directory.join(format!("{name}.{EXTENSION}"))
    }

    /// The keys' names and files.
    fn files(&self) -> Result<Vec<(KeyName, PathBuf)>, KeyError> {
        let failed = private::failed(&self.directory, "list the keys");
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            files.extend(name_of(&path).map(|name| (name, path)));
        }
        Ok(files)
    }
}

impl SoftStore {
    /// A new secret, and the file of it, which is not written yet.
    fn make(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<(MemoryKey, KeyFile), KeyError> {
        let KeySpec { algorithm, domains } = spec;
        let none = || KeyError::Algorithm { store: STORE, algorithm, offered: OFFERED };
        let (key, bytes) = match secret {
            Some(bytes) => {
                (MemoryKey::new(uri.clone(), spec, bytes).ok_or(KeyError::Secret(algorithm))?, bytes.clone())
            }
            None => MemoryKey::generate(uri.clone(), spec).ok_or_else(none)?,
        };
        fs::create_dir_all(&self.directory).map_err(private::failed(&self.directory, "create the directory"))?;
        // Beside keys, a missing passphrase is a medium that is not there: another would not open them.
        let passphrase = if self.files()?.is_empty() {
            Passphrase::load_or_create(&self.passphrase_file)?
        } else {
            Passphrase::load(&self.passphrase_file)?
        };
        let file = KeyFile::seal(algorithm, domains, key.public_key(), &bytes, &passphrase, self.cost);
        Ok((key, file))
    }

    fn add(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.key_name(uri)?);
        if path.exists() {
            return Err(KeyError::Exists(uri.clone()));
        }
        let (key, file) = self.make(uri, spec, secret)?;
        file.save(uri, &path)?;
        Ok(Arc::new(key))
    }
}

impl KeyStore for SoftStore {
    fn name(&self) -> &'static str {
        STORE
    }

    fn create(&self, uri: &KeyUri, spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, None)
    }

    fn import(&self, uri: &KeyUri, spec: KeySpec, secret: &Zeroizing<[u8; 32]>) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, Some(secret))
    }

    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let name = self.key_name(uri)?;
        let old: KeyName = format!("{name}.old").parse().map_err(|_| KeyError::Unsupported {
            store: STORE,
            operation: "keep the old key as NAME.old, which is too long a name",
            next: "make a key under another name, and name that one in box.toml",
        })?;
        let path = self.path(name);
        // Opened, so that what it is for was not edited, and the new one opens with the same passphrase.
        let current = self.open(uri)?;
        let spec = KeySpec { algorithm: current.algorithm(), domains: current.domains() };
        let (key, file) = self.make(uri, spec, None)?;
        file.replace(&path, &self.path(&old))?;
        Ok(Arc::new(key))
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.key_name(uri)?);
        let file = KeyFile::load(uri, &path)?;
        let passphrase = Passphrase::load(&self.passphrase_file)?;
        let wrong = || KeyError::WrongPassphrase { uri: uri.clone(), source_file: self.passphrase_file.clone() };
        Ok(Arc::new(file.open(uri, &path, &passphrase)?.ok_or_else(wrong)?))
    }

    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let mut files = self.files()?;
        files.sort();
        let info = |(name, path): (KeyName, PathBuf)| {
            let uri = KeyUri::Soft(name);
            KeyFile::load(&uri, &path)?.info(&uri, &path)
        };
        files.into_iter().map(info).collect()
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        let path = self.path(self.key_name(uri)?);
        fs::remove_file(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::NotFound(uri.clone()),
            _ => private::failed(&path, "delete the key")(source),
        })?;
        private::sync_directory(&self.directory).map_err(private::failed(&self.directory, "sync the deletion"))
    }
}

/// The name of the key that a file holds, if it is one's.
fn name_of(path: &Path) -> Option<KeyName> {
    let is_key = path.extension().is_some_and(|extension| extension == EXTENSION);
    is_key.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}
