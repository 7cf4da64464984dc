//! The right to use a key: its password, and which one was refused.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use dolmen_hsm_api::{KeyError, KeyUri, private};
use sm3::{Digest as _, Sm3};

use crate::{
    Code, SdfError,
    driver::{Driver, Pooled},
    failure::{Failure, classify},
    limits::PASSWORD_MAX,
};

/// Where the maker's tool is needed.
const UNLOCK: &str = "unlock it with the tool of the device's maker";

/// A key and what gives the right to use it.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) uri: KeyUri,
    pub(crate) index: u32,
    /// The file with the password; none for devices that ask for none.
    pub(crate) pin_source: Option<PathBuf>,
    /// What the maker answers for a key that is locked.
    pub(crate) locked_codes: Vec<u32>,
}

impl Access {
    /// Gives a session the right to sign with the key, and returns its public key. Fails where another one is expected.
    pub(crate) fn grant(
        &self,
        driver: &Driver,
        pooled: &mut Pooled,
        expected: Option<&[u8; 64]>,
    ) -> Result<[u8; 64], Failure> {
        // First, for it costs no try of the password: it shows a session that is gone, and an index without a key.
        let public_key = pooled
            .session
            .public_key(self.index)
            .map_err(|error| self.failure(driver, "give the key's public half", &error))?;
        if expected.is_some_and(|expected| *expected != public_key) {
            return Err(Failure::Final(self.another_key(driver)));
        }
        if let Some(source) = &self.pin_source {
            self.give_password(driver, pooled, source)?;
        }
        pooled.add_right(self.index, public_key);
        Ok(public_key)
    }

    fn give_password(&self, driver: &Driver, pooled: &Pooled, source: &Path) -> Result<(), Failure> {
        let password = private::read_line(source, PASSWORD_MAX, "read the password").map_err(Failure::Final)?;
        let wrong = || KeyError::WrongPin { device: driver.name().to_owned(), source_file: source.to_owned() };
        // Held over the call: two threads would spend two tries on one wrong password.
        let mut refused = driver.refused.lock();
        let fingerprint = refused.fingerprint(self.index, &password);
        if refused.seen.contains(&fingerprint) {
            return Err(Failure::Final(wrong()));
        }
        let Err(error) = pooled.session.access_right(self.index, &password) else { return Ok(()) };
        if self.says_no(&error) {
            refused.seen.insert(fingerprint);
            return Err(Failure::Final(wrong()));
        }
        Err(self.failure(driver, "take the password", &error))
    }

    /// Whether a device refuses the password. Anything may mean that, and trying a refused one again locks the key: all
    /// but what surely means something else counts.
    fn says_no(&self, error: &SdfError) -> bool {
        error.code().is_some_and(|code| {
            let other = [
                Code::NOT_SUPPORTED,
                Code::COMMUNICATION,
                Code::HARDWARE,
                Code::OPEN_DEVICE,
                Code::OPEN_SESSION,
                Code::NO_KEY,
                Code::STEP,
            ];
            !other.contains(&code) && !self.locked_codes.contains(&code.0)
        })
    }

    /// What a failure means for this key.
    pub(crate) fn failure(&self, driver: &Driver, operation: &'static str, error: &SdfError) -> Failure {
        let device = || driver.name().to_owned();
        match error.code() {
            Some(code) if self.locked_codes.contains(&code.0) => {
                Failure::Final(KeyError::Locked { device: device(), next: UNLOCK })
            }
            Some(Code::NO_RIGHT) if self.pin_source.is_none() => Failure::Final(KeyError::NoPin { device: device() }),
            _ => classify(driver.name(), Some(&self.uri), operation, error),
        }
    }

    fn another_key(&self, driver: &Driver) -> KeyError {
        KeyError::SelfTest {
            device: driver.name().to_owned(),
            uri: self.uri.clone(),
            reason: "it has another public key than when it was opened; if that is meant, start the box again".into(),
        }
    }
}

/// Passwords that a device refused.
pub(crate) struct Refused {
    /// Makes what is kept worth nothing outside this process.
    salt: [u8; 32],
    seen: BTreeSet<[u8; 32]>,
}

impl Refused {
    pub(crate) fn new() -> Self {
        Self { salt: rand::random(), seen: BTreeSet::new() }
    }

    fn fingerprint(&self, index: u32, password: &[u8]) -> [u8; 32] {
        let hash = Sm3::new().chain_update(self.salt).chain_update(index.to_be_bytes());
        hash.chain_update(password).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_known_again_but_not_told() {
        let refused = Refused::new();
        let first = refused.fingerprint(1, b"wrong");
        assert_eq!(first, refused.fingerprint(1, b"wrong"));
        assert_ne!(first, refused.fingerprint(2, b"wrong"));
        assert_ne!(first, refused.fingerprint(1, b"right"));
        assert_ne!(first, Refused::new().fingerprint(1, b"wrong"));
    }
}
