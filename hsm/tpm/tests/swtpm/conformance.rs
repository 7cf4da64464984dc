//! The suite of all stores, on a TPM of software.

use std::{path::PathBuf, sync::Arc};

use dolmen_hsm_api::{Algorithm, KeyStore, KeyUri};
use dolmen_hsm_suite::Fixture;
use dolmen_hsm_tpm::{Tpm, TpmStore};

use crate::support::{Open as _, Swtpm};

struct Device {
    swtpm: Swtpm,
    tpm: Arc<Tpm>,
    directory: PathBuf,
}

impl Fixture for Device {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(TpmStore::new(self.tpm.clone(), self.directory.clone()))
    }

    fn uri(&self, name: &str) -> KeyUri {
        format!("tpm:{name}").parse().expect("a name")
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        vec![Algorithm::EcdsaP256, Algorithm::Sm2, Algorithm::Ed25519, Algorithm::EcdsaSecp256k1]
    }

    fn lose(&mut self) -> bool {
        self.swtpm.stop();
        true
    }

    fn bring_back(&mut self) {
        self.swtpm.start();
    }

    /// A reset takes all that was loaded and all sessions.
    fn forget_sessions(&mut self) -> bool {
        self.swtpm.stop();
        self.swtpm.start();
        true
    }
}

#[test]
fn conformance() {
    let (swtpm, keys) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let tpm = swtpm.open();
    dolmen_hsm_suite::run(&mut Device { swtpm, tpm, directory: keys.path().to_owned() });
}
