//! A directory of keys.

use std::{path::PathBuf, sync::Arc};

use dolmen_hsm_api::{KeyDirectory, KeyError, KeyInfo, KeyName, KeySpec, KeyStore, KeyUri, Signer};
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
    files: KeyDirectory,
    passphrase_file: PathBuf,
    cost: Cost,
}

impl SoftStore {
    /// The keys of a directory, under the first line of a file of mode 0600. Where that file is missing the directory's
    /// first key makes it, with a passphrase that nobody can guess; keep it apart from the keys, and from their backups.
    pub fn new(directory: PathBuf, passphrase_file: PathBuf) -> Self {
        Self { files: KeyDirectory::new(directory, EXTENSION), passphrase_file, cost: Cost::default() }
    }

    /// As [`new`](Self::new), but keys that it makes cost little to guess: for tests.
    #[cfg(test)]
    pub(crate) fn cheap(directory: PathBuf, passphrase_file: PathBuf) -> Self {
        Self { cost: Cost { memory_kib: 64, passes: 1, lanes: 1 }, ..Self::new(directory, passphrase_file) }
    }

    fn key_name<'a>(&self, uri: &'a KeyUri) -> Result<&'a KeyName, KeyError> {
        match uri {
            KeyUri::Soft(name) => Ok(name),
            _ => Err(KeyError::Foreign { uri: uri.clone(), store: STORE, example: "soft:NAME" }),
        }
    }

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
        self.files.create()?;
        // Beside keys, a missing passphrase is a medium that is not there: another would not open them.
        let passphrase = if self.files.names()?.is_empty() {
            Passphrase::load_or_create(&self.passphrase_file)?
        } else {
            Passphrase::load(&self.passphrase_file)?
        };
        let file = KeyFile::seal(algorithm, domains, key.public_key(), &bytes, &passphrase, self.cost);
        Ok((key, file))
    }

    fn add(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Arc<dyn Signer>, KeyError> {
        let name = self.key_name(uri)?;
        if self.files.file(name).exists() {
            return Err(KeyError::Exists(uri.clone()));
        }
        let (key, file) = self.make(uri, spec, secret)?;
        self.files.write(uri, name, &file.text())?;
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
        // Opened, so that what it is for was not edited, and the new one opens with the same passphrase.
        let current = self.open(uri)?;
        let spec = KeySpec { algorithm: current.algorithm(), domains: current.domains() };
        let (key, file) = self.make(uri, spec, None)?;
        self.files.replace(name, &file.text())?;
        Ok(Arc::new(key))
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let name = self.key_name(uri)?;
        let path = self.files.file(name);
        let file = KeyFile::parse(&self.files.read(uri, name)?, &path)?;
        let passphrase = Passphrase::load(&self.passphrase_file)?;
        let wrong = || KeyError::WrongPassphrase { uri: uri.clone(), source_file: self.passphrase_file.clone() };
        Ok(Arc::new(file.open(uri, &path, &passphrase)?.ok_or_else(wrong)?))
    }

    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let info = |name: KeyName| {
            let (path, uri) = (self.files.file(&name), KeyUri::Soft(name.clone()));
            KeyFile::parse(&self.files.read(&uri, &name)?, &path)?.info(&uri, &path)
        };
        self.files.names()?.into_iter().map(info).collect()
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        self.files.delete(uri, self.key_name(uri)?)
    }
}
