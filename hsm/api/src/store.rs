//! Where keys are made and found.

use std::sync::Arc;

use dolmen_accel_api::Algorithm;

use crate::{Domains, KeyError, KeyUri, Signer};

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
}

/// A backend. Calls block: devices take milliseconds, and passphrases are slow on purpose.
pub trait KeyStore: Send + Sync {
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
}
