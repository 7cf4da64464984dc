//! A key's file.

use std::path::Path;

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{AeadInOut as _, inout::InOutBuf},
};
use argon2::{Algorithm as Argon2Algorithm, Argon2, Params, Version};
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyInfo, KeySpec, KeyUri, Residence, Signer as _};
use dolmen_hsm_memory::{Bytes, LENGTH, MemoryKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::passphrase::Passphrase;

/// What files of this form begin with.
const FORMAT: &str = "dolmen-key-1";
const TAG: usize = 16;
/// Bounds on the cost that a file may ask for.
const MEMORY_KIB_MAX: u32 = 1 << 20;
const PASSES_MAX: u32 = 64;
const LANES_MAX: u32 = 16;

/// The file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyFile {
    format: String,
    algorithm: String,
    domains: Vec<String>,
    public_key: String,
    argon2id: Cost,
    salt: String,
    /// Of AES-256-GCM; each file has a key of its own, by its salt.
    nonce: String,
    /// The secret and the tag.
    secret: String,
}

/// What a guess of the passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cost {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

impl Default for Cost {
    /// The second recommendation of RFC 9106, section 4: 64 MiB.
    fn default() -> Self {
        Self { memory_kib: 64 << 10, passes: 3, lanes: 4 }
    }
}

impl KeyFile {
    /// Encrypts a secret.
    pub(crate) fn seal(
        algorithm: Algorithm,
        domains: Domains,
        public_key: &[u8],
        secret: &Bytes,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Self {
        let (salt, nonce) = (rand::random::<[u8; 16]>(), rand::random::<[u8; 12]>());
        let mut file = Self {
            format: FORMAT.into(),
            algorithm: algorithm.name().into(),
            domains: domains.iter().map(|domain| domain.name().into()).collect(),
            public_key: const_hex::encode(public_key),
            argon2id: cost,
            salt: const_hex::encode(salt),
            nonce: const_hex::encode(nonce),
            secret: String::new(),
        };
        let cipher = cipher(passphrase, &salt, cost).expect("our own cost is within the bounds");
        let mut buffer = secret.clone();
        let tag = cipher
            .encrypt_inout_detached(&nonce.into(), &file.authenticated(), InOutBuf::from(&mut buffer[..]))
            .expect("32 bytes can be encrypted");
        file.secret = const_hex::encode([&buffer[..], &tag[..]].concat());
        file
    }

    /// Decrypts the secret and makes the key of it; none if the passphrase does not open it.
    pub(crate) fn open(
        &self,
        uri: &KeyUri,
        path: &Path,
        passphrase: &Passphrase,
    ) -> Result<Option<MemoryKey>, KeyError> {
        let damaged = |reason: &str| KeyError::Damaged { path: path.to_owned(), reason: reason.into() };
        let salt: [u8; 16] = const_hex::decode_to_array(&self.salt).map_err(|_| damaged("its salt"))?;
        let nonce: [u8; 12] = const_hex::decode_to_array(&self.nonce).map_err(|_| damaged("its nonce"))?;
        let sealed: [u8; LENGTH + TAG] = const_hex::decode_to_array(&self.secret).map_err(|_| damaged("its secret"))?;
        let cipher = cipher(passphrase, &salt, self.argon2id).ok_or_else(|| damaged("its cost"))?;
        let (secret, tag) = sealed.split_at(LENGTH);
        let mut bytes = Zeroizing::new([0; LENGTH]);
        bytes.copy_from_slice(secret);
        let tag: [u8; TAG] = tag.try_into().expect("the rest is the tag");
        let buffer = InOutBuf::from(&mut bytes[..]);
        if cipher.decrypt_inout_detached(&nonce.into(), &self.authenticated(), buffer, &tag.into()).is_err() {
            return Ok(None);
        }
        let info = self.info(uri, path)?;
        let spec = KeySpec { algorithm: info.algorithm, domains: info.domains };
        let key =
            MemoryKey::new(info.uri, spec, &bytes).ok_or_else(|| damaged("its secret is none of its algorithm"))?;
        if key.public_key() != info.public_key {
            return Err(damaged("its public key is another secret's"));
        }
        Ok(Some(key))
    }

    /// What is not secret.
    pub(crate) fn info(&self, uri: &KeyUri, path: &Path) -> Result<KeyInfo, KeyError> {
        let damaged = |reason: String| KeyError::Damaged { path: path.to_owned(), reason };
        let algorithm: Algorithm =
            self.algorithm.parse().map_err(|_| damaged(format!("the algorithm {:?}", self.algorithm)))?;
        let domains: Result<Domains, _> = self.domains.iter().map(|name| name.parse::<Domain>()).collect();
        let public_key = const_hex::decode(&self.public_key).map_err(|_| damaged("its public key".into()))?;
        let domains = domains.map_err(damaged)?;
        Ok(KeyInfo { uri: uri.clone(), algorithm, domains, public_key, residence: Residence::Memory })
    }

    /// Reads what a file holds.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Self, KeyError> {
        let damaged = |reason: String| KeyError::Damaged { path: path.to_owned(), reason };
        let file: Self = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if file.format != FORMAT {
            return Err(damaged(format!("its format is {:?}, not {FORMAT:?}", file.format)));
        }
        Ok(file)
    }

    /// What the file holds.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("strings and numbers");
        text.push(b'\n');
        text
    }

    /// Everything but the secret, as it is authenticated.
    fn authenticated(&self) -> Vec<u8> {
        serde_json::to_vec(&Self { secret: String::new(), ..self.clone() }).expect("strings and numbers")
    }
}

/// The cipher of a file; none if its cost is out of bounds.
fn cipher(passphrase: &Passphrase, salt: &[u8; 16], cost: Cost) -> Option<Aes256Gcm> {
    let Cost { memory_kib, passes, lanes } = cost;
    if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX || lanes > LANES_MAX {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    let params = Params::new(memory_kib, passes, lanes, Some(key.len())).ok()?;
    let argon2 = Argon2::new(Argon2Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(&passphrase.0, salt, key.as_mut_slice()).ok()?;
    Aes256Gcm::new_from_slice(key.as_slice()).ok()
}
