//! A box's Ed25519 key on disk and the commonware forms of keys.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_math::algebra::Random as _;
use dolmen_types::PublicKey;
use zeroize::Zeroizing;

use crate::ConsensusError;

/// A box's private key: signs votes and authenticates connections. Never printed.
#[derive(Clone)]
pub struct Identity(pub(crate) ed25519::PrivateKey);

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Reading or writing failed.
    #[error("key file {path}: cannot {operation}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Others can read the key.
    #[error("key file {path} has mode {mode:o}; run `chmod 600` on it")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a key.
    #[error("key file {path} does not hold 64 hexadecimal digits; restore it, or remove it to create a new identity")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Identity {
    /// A new key from the operating system's random number generator.
    pub fn generate() -> Self {
        Self(ed25519::PrivateKey::random(rand::rng()))
    }

    /// Reads the key file, or creates it with a new key (mode 0600, synced) where there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, IdentityError> {
        match fs::metadata(path) {
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(IdentityError::Mode { path: path.to_owned(), mode });
                }
                Self::load(path)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::generate();
                identity.save(path)?;
                Ok(identity)
            }
            Err(source) => Err(io_error(path, "read")(source)),
        }
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        from_commonware(&self.0.public_key())
    }

    fn load(path: &Path) -> Result<Self, IdentityError> {
        let malformed = || IdentityError::Malformed { path: path.to_owned() };
        let text = Zeroizing::new(fs::read_to_string(path).map_err(io_error(path, "read"))?);
        let mut bytes = Zeroizing::new([0_u8; 32]);
        alloy_primitives::hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).map_err(|_| malformed())?;
        ed25519::PrivateKey::decode(Copying(bytes.as_slice())).map(Self).map_err(|_| malformed())
    }

    /// Writes the key to a new file, whole or not at all; never overwrites one.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        let text = Zeroizing::new(alloy_primitives::hex::encode(self.0.encode()));
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Mode 0600 from its creation on, as tempfile makes all its files.
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(io_error(path, "create"))?;
        file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(io_error(path, "write"))?;
        file.persist_noclobber(path).map_err(|error| io_error(path, "create")(error.error))?;
        fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error(path, "sync"))
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.public_key())
    }
}

fn io_error(path: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io { path, operation, source }
}

pub(crate) fn to_commonware(key: &PublicKey) -> Result<ed25519::PublicKey, ConsensusError> {
    ed25519::PublicKey::decode(Copying(key.0.as_slice())).map_err(|_| ConsensusError::PublicKey(*key))
}

pub(crate) fn from_commonware(key: &ed25519::PublicKey) -> PublicKey {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    PublicKey(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_and_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let created = Identity::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Identity::load_or_create(&path).unwrap().public_key(), created.public_key());
        assert!(matches!(Identity::generate().save(&path), Err(IdentityError::Io { .. })), "never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Identity::load_or_create(&path), Err(IdentityError::Mode { mode: 0o640, .. })));
    }
}
