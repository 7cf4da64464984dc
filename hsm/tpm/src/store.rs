//! A directory of keys that a TPM made.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_hsm_api::{
    Algorithm, KeyDirectory, KeyError, KeyInfo, KeyName, KeySpec, KeyStore, KeyUri, Residence, Signer,
    TpmKey as TpmName,
};
use dolmen_hsm_memory::{Bytes, MemoryKey};
use tss_esapi::{constants::SessionType, interface_types::algorithm::HashingAlgorithm};
use zeroize::Zeroizing;

use crate::{
    connection::{Connection, Tpm},
    file::Wrapped,
    idevid::{self, Idevid},
    key::{Source, TpmKey, point},
    reason::Failure,
    sealed, template,
};

/// What it is called in messages.
const STORE: &str = "the TPM";
const OFFERED: &str = "p256 and sm2, and ed25519 and secp256k1, which it seals";
const EXTENSION: &str = "tpm";

/// Keys of a TPM, whose wrapped forms are the files of a directory. They are of no use to another TPM.
///
/// `tpm:idevid` is no file but the TPM's own ([`Idevid`]): it is opened, and neither made, deleted, replaced nor listed.
#[derive(Debug)]
pub struct TpmStore {
    tpm: Arc<Tpm>,
    files: KeyDirectory,
}

impl TpmStore {
    /// The keys of a TPM in a directory.
    pub const fn new(tpm: Arc<Tpm>, directory: PathBuf) -> Self {
        Self { tpm, files: KeyDirectory::new(directory, EXTENSION) }
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

    /// The name of a key that is a file.
    fn file_name<'a>(&self, uri: &'a KeyUri) -> Result<&'a KeyName, KeyError> {
        let name = self.key_name(uri)?;
        if !is_file(name) {
            return Err(KeyError::Unsupported {
                store: STORE,
                operation: "make, delete or replace tpm:idevid, which is of its own seed",
                next: "choose another name; tpm:idevid is there already, for whoever opens it",
            });
        }
        Ok(name)
    }

    fn make(&self, uri: &KeyUri, spec: KeySpec, secret: Option<&Bytes>) -> Result<Wrapped, KeyError> {
        self.files.create()?;
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
            return Ok(Arc::new(TpmKey::open(self.tpm.clone(), Source::File(wrapped))?));
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
        let name = self.file_name(uri)?;
        if self.files.file(name).exists() {
            return Err(KeyError::Exists(uri.clone()));
        }
        let wrapped = self.make(uri, spec, secret)?;
        let key = self.opened(wrapped.clone(), &self.files.file(name))?;
        self.files.write(uri, name, &wrapped.text())?;
        Ok(key)
    }
}

/// Whether a key of this name is a file. A file of the other's name, wherever it is from, is not looked at.
fn is_file(name: &KeyName) -> bool {
    name.as_str() != idevid::NAME
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
        let name = self.key_name(uri)?;
        if !is_file(name) {
            return Idevid::new(self.tpm.clone()).signer();
        }
        let path = self.files.file(name);
        self.opened(Wrapped::parse(&self.files.read(uri, name)?, uri, &path)?, &path)
    }

    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let names = match self.files.names() {
            // The TPM has no keys here yet.
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let info = |name: KeyName| {
            let uri = KeyUri::Tpm(TpmName::Name(name.clone()));
            Ok(Wrapped::parse(&self.files.read(&uri, &name)?, &uri, &self.files.file(&name))?.info)
        };
        names.into_iter().filter(is_file).map(info).collect()
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        self.files.delete(uri, self.file_name(uri)?)
    }

    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let name = self.file_name(uri)?;
        // Opened, so that what it is for was not edited.
        let current = self.open(uri)?;
        let spec = KeySpec { algorithm: current.algorithm(), domains: current.domains() };
        let wrapped = self.make(uri, spec, None)?;
        let key = self.opened(wrapped.clone(), &self.files.file(name))?;
        self.files.replace(name, &wrapped.text())?;
        Ok(key)
    }
}
