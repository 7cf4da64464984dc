//! Where keys are made and found.

use std::sync::Arc;

use dolmen_accel_api::Algorithm;

use zeroize::Zeroizing;

use crate::{Domains, KeyError, KeyUri, Residence, Signer};

/// What a new key is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    /// How it signs.
    pub algorithm: Algorithm,
    /// What it may sign for.
    pub domains: Domains,
}

/// What can be said of a key without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub uri: KeyUri,
    /// How it signs.
    pub algorithm: Algorithm,
    /// What it may sign for.
    pub domains: Domains,
    /// The public key as [`Algorithm`] writes it.
    pub public_key: Vec<u8>,
    /// Where the secret is while the key is open.
    pub residence: Residence,
}

impl KeyInfo {
    /// What an open key says of itself.
    pub fn of(key: &dyn Signer) -> Self {
        Self {
            uri: key.uri().clone(),
            algorithm: key.algorithm(),
            domains: key.domains(),
            public_key: key.public_key().to_vec(),
            residence: key.residence(),
        }
    }
}

/// A backend. Calls block: devices take milliseconds, and passphrases are slow on purpose.
pub trait KeyStore: Send + Sync {
    /// What it is called in messages, as in `the key directory`.
    fn name(&self) -> &'static str;

    /// Makes a key and opens it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Exists`] if the name is taken; nothing is ever overwritten.
    fn create(&self, uri: &KeyUri, spec: KeySpec) -> Result<Arc<dyn Signer>, KeyError>;

    /// Opens a key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotFound`] if there is none of this name.
    fn open(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError>;

    /// All keys, by name.
    ///
    /// # Errors
    ///
    /// If the store or one of its keys cannot be read.
    fn list(&self) -> Result<Vec<KeyInfo>, KeyError>;

    /// Deletes a key for good.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotFound`] if there is none of this name.
    fn delete(&self, uri: &KeyUri) -> Result<(), KeyError>;

    /// Takes a key that was made elsewhere, 32 bytes, and opens it. What keeps it out of devices is their maker's choice.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] where keys are only made inside, and as [`create`](Self::create).
    fn import(&self, uri: &KeyUri, spec: KeySpec, secret: &Zeroizing<[u8; 32]>) -> Result<Arc<dyn Signer>, KeyError> {
        let _ = (uri, spec, secret);
        Err(KeyError::Unsupported {
            store: self.name(),
            operation: "take a key that was made elsewhere",
            next: "make one in it with `dolmen keys create`",
        })
    }

    /// Makes a new key of the same kind under this name and opens it. The old one stays as `NAME.old`, for what still
    /// needs it; the one that had this name before is deleted. A crash leaves the old key or the new one under the
    /// name.
    ///
    /// # Errors
    ///
    /// [`KeyError::Unsupported`] where names belong to the device, and as [`create`](Self::create).
    fn rotate(&self, uri: &KeyUri) -> Result<Arc<dyn Signer>, KeyError> {
        let _ = uri;
        Err(KeyError::Unsupported {
            store: self.name(),
            operation: "give a name to another key",
            next: "make a key under another name, and name that one in box.toml",
        })
    }
}
