use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, KeyStore, KeyUri};
use dolmen_hsm_suite::Fixture;

use crate::device::{self, Device};

impl Fixture for Device {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(Self::store(self))
    }

    fn uri(&self, name: &str) -> KeyUri {
        device::key(name)
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        vec![Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1, Algorithm::Ed25519]
    }

    fn wrong_pin(&self) -> Option<Arc<dyn KeyStore>> {
        Some(Arc::new(self.store_with_pin(Some(self.pin_file("wrong", "a wrong PIN")))))
    }

    fn lose(&mut self) -> bool {
        self.set("removed");
        true
    }

    fn bring_back(&mut self) {
        self.clear("removed");
    }

    fn forget_sessions(&mut self) -> bool {
        self.set("forget");
        true
    }

    fn lock(&mut self) -> bool {
        self.set("locked");
        // A token that is locked by another program keeps its sessions; who has none left needs the PIN.
        self.set("forget");
        true
    }

    fn unlock(&mut self) {
        self.clear("locked");
    }

    fn fill(&mut self) -> bool {
        self.set("full");
        true
    }

    fn make_room(&mut self) {
        self.clear("full");
    }

    fn sessions(&self) -> Option<usize> {
        Some(self.count("sessions"))
    }
}

#[test]
fn conformance() {
    dolmen_hsm_suite::run(&mut Device::new());
}
