//! The suite that all backends pass.

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, KeyStore, KeyUri};
use dolmen_hsm_sdf::{SdfConfig, SdfStore};
use dolmen_hsm_suite::Fixture;

use crate::mock::{Mock, uri};

struct Sdf(Mock);

impl Fixture for Sdf {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(self.0.store())
    }

    /// Keys are made elsewhere: no name but those that are prepared is one's.
    fn uri(&self, _name: &str) -> KeyUri {
        uri(30)
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        Vec::new()
    }

    fn prepared(&self) -> Vec<(KeyUri, Algorithm)> {
        (1..=3).map(|index| (uri(index), Algorithm::Sm2)).collect()
    }

    fn wrong_pin(&self) -> Option<Arc<dyn KeyStore>> {
        let pin_source = Some(self.0.pin("wrong-pin", "not it"));
        Some(Arc::new(SdfStore::new(SdfConfig { pin_source, ..self.0.config() })))
    }

    fn lose(&mut self) -> bool {
        self.0.set("removed", "");
        true
    }

    fn bring_back(&mut self) {
        self.0.unset("removed");
    }

    fn forget_sessions(&mut self) -> bool {
        self.0.forget();
        true
    }

    fn lock(&mut self) -> bool {
        self.0.set("locked", "");
        true
    }

    fn unlock(&mut self) {
        self.0.unset("locked");
    }

    fn sessions(&self) -> Option<usize> {
        Some(self.0.count("sessions"))
    }
}

#[test]
fn an_sdf_device_does_what_every_store_must() {
    let mut device = Sdf(Mock::new());
    dolmen_hsm_suite::run(&mut device);
    let counts = ["sessions", "leaked", "overlaps"].map(|what| device.0.count(what));
    assert_eq!(counts, [0; 3], "sessions left open, open when the device was closed, used by two threads at once");
}
