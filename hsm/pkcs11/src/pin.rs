//! What opens a token.

use std::{path::Path, sync::LazyLock};

use cryptoki::types::RawAuthPin;
use dolmen_hsm_api::{KeyError, private};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::limits;

/// The first line of a file that only its owner can read. Wiped when dropped, never printed.
pub(crate) struct Pin(Zeroizing<Vec<u8>>);

/// Tells PINs apart without keeping them; it means nothing in another process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 32]);

impl Pin {
    pub(crate) fn load(path: &Path) -> Result<Self, KeyError> {
        Ok(Self(private::read_line(path, limits::PIN_LENGTH, "read the PIN")?))
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        static SALT: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
        Fingerprint(Sha256::new().chain_update(*SALT).chain_update(self.0.as_slice()).finalize().into())
    }

    /// As the library takes it; the bytes move, and are wiped there.
    pub(crate) fn into_raw(mut self) -> RawAuthPin {
        RawAuthPin::new(Box::new(std::mem::take(&mut *self.0)))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn pins_are_told_apart_and_do_not_show() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        fs::write(&path, "1234\nmore\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let pin = Pin::load(&path).unwrap();
        assert_eq!(&pin.0[..], b"1234");
        fs::write(&path, "1234").unwrap();
        assert!(pin.fingerprint() == Pin::load(&path).unwrap().fingerprint());
        fs::write(&path, "1235").unwrap();
        assert!(pin.fingerprint() != Pin::load(&path).unwrap().fingerprint());
        assert!(!format!("{:?}", pin.into_raw()).contains("1234"));
    }
}
