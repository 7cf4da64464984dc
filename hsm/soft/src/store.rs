//! A directory of keys.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::{
    Algorithm, Domain, Domains, KeyError, KeyInfo, KeyName, KeySpec, KeyStore, KeyUri, Message, Signature, Signer,
};
use futures::future::BoxFuture;

use crate::{
    file::{Cost, KeyFile},
    passphrase::Passphrase,
    private,
    secret::{OFFERED, Secret},
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

    fn name<'a>(&self, uri: &'a KeyUri) -> Result<&'a KeyName, KeyError> {
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
            files.extend(key_name(&path).map(|name| (name, path)));
        }
        Ok(files)
    }
}

impl KeyStore for SoftStore {
    fn create(&self, uri: &KeyUri, spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.name(uri)?);
        if path.exists() {
            return Err(KeyError::Exists(uri.clone()));
        }
        let KeySpec { algorithm, domains } = spec;
        let (secret, bytes) =
            Secret::generate(algorithm).ok_or(KeyError::Algorithm { store: STORE, algorithm, offered: OFFERED })?;
        let public_key = secret.public_key();
        fs::create_dir_all(&self.directory).map_err(private::failed(&self.directory, "create the directory"))?;
        // Beside keys, a missing passphrase is a medium that is not there: another would not open them.
        let passphrase = if self.files()?.is_empty() {
            Passphrase::load_or_create(&self.passphrase_file)?
        } else {
            Passphrase::load(&self.passphrase_file)?
        };
        KeyFile::seal(algorithm, domains, &public_key, &bytes, &passphrase, self.cost).save(uri, &path)?;
        Ok(Arc::new(SoftKey { uri: uri.clone(), algorithm, domains, public_key, secret }))
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.name(uri)?);
        let file = KeyFile::load(uri, &path)?;
        let passphrase = Passphrase::load(&self.passphrase_file)?;
        let wrong = || KeyError::WrongPassphrase { uri: uri.clone(), source_file: self.passphrase_file.clone() };
        let secret = file.open(uri, &path, &passphrase)?.ok_or_else(wrong)?;
        let KeyInfo { uri, algorithm, domains, public_key } = file.info(uri, &path)?;
        Ok(Arc::new(SoftKey { uri, algorithm, domains, public_key, secret }))
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
        let path = self.path(self.name(uri)?);
        fs::remove_file(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::NotFound(uri.clone()),
            _ => private::failed(&path, "delete the key")(source),
        })?;
        private::sync_directory(&self.directory).map_err(private::failed(&self.directory, "sync the deletion"))
    }
}

/// The name of the key that a file holds, if it is one's.
fn key_name(path: &Path) -> Option<KeyName> {
    let is_key = path.extension().is_some_and(|extension| extension == EXTENSION);
    is_key.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}

/// An open key.
struct SoftKey {
    uri: KeyUri,
    algorithm: Algorithm,
    domains: Domains,
    public_key: Vec<u8>,
    secret: Secret,
}

impl fmt::Debug for SoftKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftKey").field("uri", &self.uri).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Signer for SoftKey {
    fn uri(&self) -> &KeyUri {
        &self.uri
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn domains(&self) -> Domains {
        self.domains
    }

    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>> {
        Box::pin(async move {
            if !self.domains.contains(domain) {
                return Err(KeyError::Domain { uri: self.uri.clone(), domain, allowed: self.domains });
            }
            self.secret.sign(message).ok_or_else(|| KeyError::Failed(self.uri.clone()))
        })
    }
}
