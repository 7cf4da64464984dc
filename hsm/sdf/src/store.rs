//! The keys of a device.

use std::{path::PathBuf, sync::Arc};

use dolmen_hsm_api::{Algorithm, KeyError, KeyInfo, KeySpec, KeyStore, KeyUri, Module, Residence, SdfKey, Signer};
use zeroize::Zeroizing;

use crate::{
    Code, SdfError,
    access::Access,
    driver::{Connection, Driver, Pooled},
    failure::{Failure, classify},
    key::{self, SdfSigner},
    limits::{KEYS_MAX, SESSIONS_MAX},
};

/// What it is called in messages.
const STORE: &str = "the SDF device";
/// What to do in place of what the standard has no function for.
const MAKE: &str = "make it with the tool of the device's maker, then name it as sdf:INDEX";
const DELETE: &str = "delete it with the tool of the device's maker";

/// How a device is reached, and how it behaves where the standard does not say.
#[derive(Clone, Debug)]
pub struct SdfConfig {
    /// The device's library, for keys whose names do not say.
    pub module_path: Option<PathBuf>,
    /// The file with the password of the keys, mode 0600, for keys whose names do not say.
    pub pin_source: Option<PathBuf>,
    /// The last index that a list asks for.
    pub keys_max: u32,
    /// Sessions that are open at once, and threads that sign. One serialises all calls, for a library that needs it.
    /// Who uses a device first in a process decides.
    pub sessions_max: usize,
    /// What the device's maker answers to a password for a key that is locked. The standard has no code for it, and
    /// other codes count as a wrong password.
    pub locked_codes: Vec<u32>,
}

impl Default for SdfConfig {
    fn default() -> Self {
        Self {
            module_path: None,
            pin_source: None,
            keys_max: KEYS_MAX,
            sessions_max: SESSIONS_MAX,
            locked_codes: Vec::new(),
        }
    }
}

impl SdfConfig {
    /// Reaches the device of a library, this configuration's if a key names none.
    pub(crate) fn connect(&self, module: &Module) -> Result<Connection, KeyError> {
        let path = module.path.as_deref().or(self.module_path.as_deref()).ok_or_else(|| KeyError::Absent {
            device: STORE.into(),
            reason: "nobody names its library; write module-path=/LIBRARY.so into the key's name".into(),
        })?;
        Connection::open(path, self.sessions_max)
    }
}

/// The signing keys of GM/T 0018 devices, by their indexes. They are made with the tools of the devices' makers, and
/// may sign for all domains.
#[derive(Debug)]
pub struct SdfStore {
    config: SdfConfig,
}

impl SdfStore {
    /// Nothing is loaded before it is needed.
    pub fn new(config: SdfConfig) -> Self {
        Self { config }
    }

    fn key<'a>(&self, uri: &'a KeyUri) -> Result<&'a SdfKey, KeyError> {
        match uri {
            KeyUri::Sdf(key) => Ok(key),
            _ => Err(KeyError::Foreign { uri: uri.clone(), store: STORE, example: "sdf:1" }),
        }
    }

    /// What the standard has no function for.
    fn unsupported<T>(&self, uri: &KeyUri, operation: &'static str, next: &'static str) -> Result<T, KeyError> {
        self.key(uri)?;
        Err(KeyError::Unsupported { store: STORE, operation, next })
    }

    fn keys(&self, driver: &Driver, pooled: &Pooled) -> Result<Vec<KeyInfo>, Failure> {
        let failure = |error: SdfError| classify(driver.name(), None, "list its keys", &error);
        // A session that is gone may answer as an index does that is out of range.
        match pooled.session.info() {
            Ok(_) | Err(SdfError::Call { code: Code::NOT_SUPPORTED, .. }) => {}
            Err(error) => return Err(failure(error)),
        }
        let mut keys = Vec::new();
        for index in 1..=self.config.keys_max {
            match pooled.session.public_key(index) {
                Ok(public_key) => keys.push(KeyInfo {
                    uri: KeyUri::Sdf(SdfKey { index, module: Module::default() }),
                    algorithm: Algorithm::Sm2,
                    domains: key::domains(),
                    public_key: public_key.to_vec(),
                    residence: Residence::Device,
                }),
                Err(error) if is_no_key(&error) => {}
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(keys)
    }
}

impl KeyStore for SdfStore {
    fn name(&self) -> &'static str {
        STORE
    }

    fn create(&self, uri: &KeyUri, _spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError> {
        self.unsupported(uri, "make a key", MAKE)
    }

    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let SdfKey { index, module } = self.key(uri)?;
        let access = Access {
            uri: uri.clone(),
            index: *index,
            pin_source: module.pin_source.clone().or_else(|| self.config.pin_source.clone()),
            locked_codes: self.config.locked_codes.clone(),
        };
        Ok(Arc::new(SdfSigner::open(self.config.connect(module)?, access)?))
    }

    /// The keys of the configured library, up to the configured index.
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let connection = self.config.connect(&Module::default())?;
        let driver = connection.driver();
        driver.run(|pooled| self.keys(driver, pooled))
    }

    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError> {
        self.unsupported(uri, "delete a key", DELETE)
    }

    fn import(&self, uri: &KeyUri, _spec: KeySpec, _secret: &Zeroizing<[u8; 32]>) -> Result<Arc<dyn Signer>, KeyError> {
        self.unsupported(uri, "take a key that was made elsewhere", MAKE)
    }

    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        self.unsupported(uri, "put another key in the place of one", MAKE)
    }
}

/// Whether there is no key of ours at an index: none, one of another kind, or none possible.
fn is_no_key(error: &SdfError) -> bool {
    match error {
        SdfError::Call { code, .. } => matches!(*code, Code::NO_KEY | Code::KEY_TYPE | Code::KEY | Code::ARGUMENT),
        SdfError::Answer { .. } => true,
        SdfError::Load { .. } => false,
    }
}
