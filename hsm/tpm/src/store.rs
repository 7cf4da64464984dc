//! A directory of keys that a TPM made.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::{
    Algorithm, KeyError, KeyInfo, KeyName, KeySpec, KeyStore, KeyUri, Residence, Signer, TpmKey as TpmName, private,
};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use tss_esapi::{constants::SessionType, interface_types::algorithm::HashingAlgorithm};
use zeroize::Zeroizing;

use crate::{
    connection::{Connection, Tpm},
    file::Wrapped,
    key::{TpmKey, point},
    reason::Failure,
    sealed, template,
};

/// What it is called in messages.
const STORE: &str = "the TPM";
const OFFERED: &str = "p256 and sm2, and ed25519 and secp256k1, which it seals";
const EXTENSION: &str = "tpm";

/// Keys of a TPM, whose wrapped forms are the files of a directory. They are of no use to another TPM.
#[derive(Debug)]
pub struct TpmStore {
    tpm: Arc<Tpm>,
    directory: PathBuf,
}

impl TpmStore {
    /// The keys of a TPM in a directory.
    pub const fn new(tpm: Arc<Tpm>, directory: PathBuf) -> Self {
        Self { tpm, directory }
    }

    fn key_name<'a>(&self, uri: &'a KeyUri) -> Result<&'a KeyName, KeyError> {
        match uri {
            KeyUri::Tpm(TpmName::Name(name)) => Ok(name),
            KeyUri::Tpm(TpmName::Handle(_)) => Err(KeyError::Unsupported {
                store: STORE,
                operation: "use persistent objects that other programs made",
                next: "make a key with `dolmen keys create tpm:NAME`",
            }),
            _ => Err(KeyError::Foreign { uri: uri.clone(), store: STORE, example: "tpm:NAME" }),
        }
    }

    fn path(&self, name: &KeyName) -> PathBuf {
        self.directory.join(format!("{name}.{EXTENSION}"))
    }

    fn make(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Wrapped, KeyError> {
        fs::create_dir_all(&self.directory).map_err(private::failed(&self.directory, "create the directory"))?;
        match spec.algorithm {
            Algorithm::EcdsaP256 | Algorithm::Sm2 if secret.is_none() => self.make_in_device(uri, spec),
            Algorithm::Ed25519 | Algorithm::EcdsaSecp256k1 => self.seal(uri, spec, secret),
            Algorithm::EcdsaP256 | Algorithm::Sm2 => Err(KeyError::Unsupported {
                store: STORE,
                operation: "take a key of this algorithm that was made elsewhere",
                next: "make one in it with `dolmen keys create`",
            }),
            algorithm => Err(KeyError::Algorithm { store: STORE, algorithm, offered: OFFERED }),
        }
    }

    fn make_in_device(&self, uri: &KeyUri, spec: KeySpec) -> Result<Wrapped, KeyError> {
        let hashes: &[HashingAlgorithm] = match spec.algorithm {
            Algorithm::Sm2 => &[HashingAlgorithm::Sm3_256, HashingAlgorithm::Sha256],
            _ => &[HashingAlgorithm::Sha256],
        };
        let (last, others) = hashes.split_last().expect("there is one");
        let tried = others.iter().find_map(|hash| self.make_with(uri, spec, *hash).ok());
        tried.map_or_else(|| self.make_with(uri, spec, *last), Ok)
    }

    fn make_with(&self, uri: &KeyUri, spec: KeySpec, hash: HashingAlgorithm) -> Result<Wrapped, KeyError> {
        let (private, public) = self.tpm.run("make a key", |connection| {
            let template = template::signing(spec.algorithm, hash)?;
            connection.make_room()?;
            connection.with_storage_root(|connection, root| {
                connection.with_session(SessionType::Hmac, Some(root), |connection, session| {
                    let made = connection.context.execute_with_session(Some(session), |context| {
                        context.create(root, template.clone(), Some(Wrapped::auth(spec)), None, None, None)
                    })?;
                    Ok((made.out_private, made.out_public))
                })
            })
        })?;
        let public_key = point(&public).expect("the template is a curve's").to_vec();
        let info = info(uri, spec, public_key, Residence::Device);
        Ok(Wrapped { info, public, private })
    }

    fn seal(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Wrapped, KeyError> {
        let (key, bytes) = match secret {
            Some(bytes) => {
                let key = MemoryKey::new(uri.clone(), spec, bytes).ok_or(KeyError::Secret(spec.algorithm))?;
                (key, bytes.clone())
            }
            None => MemoryKey::generate(uri.clone(), spec).expect("the algorithm is one of those in memory"),
        };
        let (private, public) = self.tpm.run("seal a key", |connection| {
            sealed::create(connection, &bytes[..], template::sealed(None)?, Some(Wrapped::auth(spec)))
        })?;
        let info = info(uri, spec, key.public_key().to_vec(), Residence::Memory);
        Ok(Wrapped { info, public, private })
    }

    fn opened(&self, wrapped: Wrapped, path: &Path) -> Result<Arc<dyn Signer>, KeyError> {
        if wrapped.info.residence == Residence::Device {
            return Ok(Arc::new(TpmKey::open(self.tpm.clone(), wrapped)?));
        }
        let bytes = self.tpm.run("unseal a key", |connection| unseal(connection, &wrapped))?;
        let damaged = |reason: &str| KeyError::Damaged { path: path.to_owned(), reason: reason.into() };
        let key = MemoryKey::new(wrapped.info.uri.clone(), wrapped.spec(), &bytes)
            .ok_or_else(|| damaged("its secret is none of its algorithm"))?;
        if key.public_key() != wrapped.info.public_key {
            return Err(damaged("its public key is another secret's"));
        }
        Ok(Arc::new(key))
    }

    fn add(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.key_name(uri)?);
        if path.exists() {
            return Err(KeyError::Exists(uri.clone()));
        }
        let wrapped = self.make(uri, spec, secret)?;
        let key = self.opened(wrapped.clone(), &path)?;
        private::write_new(&path, &wrapped.text()).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => KeyError::Exists(uri.clone()),
            _ => private::failed(&path, "write the key")(source),
        })?;
        Ok(key)
    }
}

fn info(uri: &KeyUri, spec: KeySpec, public_key: Vec<u8>, residence: Residence) -> KeyInfo {
    KeyInfo { uri: uri.clone(), algorithm: spec.algorithm, domains: spec.domains, public_key, residence }
}

/// What comes out is encrypted on its way.
fn unseal(connection: &mut Connection, wrapped: &Wrapped) -> Result<Bytes, Failure> {
    connection.make_room()?;
    connection.with_storage_root(|connection, root| {
        let (private, public) = (wrapped.private.clone(), wrapped.public.clone());
        let object = connection.context.execute_with_nullauth_session(|context| context.load(root, private, public))?;
        let secret =
            connection.context.tr_set_auth(object.into(), Wrapped::auth(wrapped.spec())).map_err(Failure::from);
        let secret = secret.and_then(|()| {
            connection.with_session(SessionType::Hmac, Some(root), |connection, session| {
                Ok(connection.context.execute_with_session(Some(session), |context| context.unseal(object.into()))?)
            })
        });
        connection.flush(object.into())?;
        let secret = secret?;
        let mut bytes = Zeroizing::new([0; 32]);
        if secret.value().len() != bytes.len() {
            return Err(tss_esapi::Error::WrapperError(tss_esapi::WrapperErrorKind::WrongValueFromTpm).into());
        }
        bytes.copy_from_slice(secret.value());
        Ok(bytes)
    })
}

impl KeyStore for TpmStore {
    fn name(&self) -> &'static str {
        STORE
    }

    fn create(&self, uri: &KeyUri, spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, None)
    }

    fn import(&self, uri: &KeyUri, spec: KeySpec, secret: &Zeroizing<[u8; 32]>) -> Result<Arc<dyn Signer>, KeyError> {
        self.add(uri, spec, Some(secret))
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let path = self.path(self.key_name(uri)?);
        self.opened(Wrapped::load(uri, &path)?, &path)
    }

    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let failed = private::failed(&self.directory, "list the keys");
        let mut names = Vec::new();
        let entries = match fs::read_dir(&self.directory) {
            // The TPM has no keys here yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        for entry in entries {
            names.extend(name_of(&entry.map_err(&failed)?.path()));
        }
        names.sort();
        let info = |name: KeyName| {
            let path = self.path(&name);
            Ok(Wrapped::load(&KeyUri::Tpm(TpmName::Name(name)), &path)?.info)
        };
        names.into_iter().map(info).collect()
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        let path = self.path(self.key_name(uri)?);
        fs::remove_file(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeyError::NotFound(uri.clone()),
            _ => private::failed(&path, "delete the key")(source),
        })?;
        private::sync_directory(&self.directory).map_err(private::failed(&self.directory, "sync the deletion"))
    }

    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let name = self.key_name(uri)?;
        let old: KeyName = format!("{name}.old").parse().map_err(|_| KeyError::Unsupported {
            store: STORE,
            operation: "keep the old key as NAME.old, which is too long a name",
            next: "make a key under another name, and name that one in box.toml",
        })?;
        let path = self.path(name);
        // Opened, so that what it is for was not edited.
        let current = self.open(uri)?;
        let wrapped = self.make(uri, KeySpec { algorithm: current.algorithm(), domains: current.domains() }, None)?;
        let key = self.opened(wrapped.clone(), &path)?;
        private::replace(&path, &self.path(&old), &wrapped.text())
            .map_err(private::failed(&path, "write the new key"))?;
        Ok(key)
    }
}

/// The name of the key that a file holds, if it is one's.
fn name_of(path: &Path) -> Option<KeyName> {
    let is_key = path.extension().is_some_and(|extension| extension == EXTENSION);
    is_key.then(|| path.file_stem()?.to_str()?.parse().ok()).flatten()
}
