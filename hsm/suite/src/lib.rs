//! The conformance suite: what every store of keys must do, written once. A backend's tests make a [`Fixture`] of its
//! device and call [`run`].
//!
//! Signatures are checked by OpenSSL, and by the library that the signature engine is measured against.

mod cases;

use std::sync::Arc;

use dolmen_hsm_api::{Algorithm, KeyStore, KeyUri};

/// A device under test. What a device cannot do is `None` or `false`, and the suite leaves those cases out and says so.
pub trait Fixture {
    /// Another store of the same keys, as another start of the program would open it.
    fn store(&self) -> Arc<dyn KeyStore>;

    /// What a key of this name is called.
    fn uri(&self, name: &str) -> KeyUri;

    /// The algorithms that keys can be made for.
    fn algorithms(&self) -> Vec<Algorithm>;

    /// Keys that are there from the start, in devices whose keys are made elsewhere. They may sign for votes.
    fn prepared(&self) -> Vec<(KeyUri, Algorithm)> {
        Vec::new()
    }

    /// A store with a wrong PIN or passphrase.
    fn wrong_pin(&self) -> Option<Arc<dyn KeyStore>> {
        None
    }

    /// Takes the device away; whether it did.
    fn lose(&mut self) -> bool {
        false
    }

    /// Brings the device back.
    fn bring_back(&mut self) {}

    /// Makes the device end all sessions, as a token does that was pulled out and put back; whether it did.
    fn forget_sessions(&mut self) -> bool {
        false
    }

    /// Makes the device refuse all PINs; whether it did.
    fn lock(&mut self) -> bool {
        false
    }

    /// Takes the lock away again.
    fn unlock(&mut self) {}

    /// Leaves no room for another key; whether it did.
    fn fill(&mut self) -> bool {
        false
    }

    /// Makes room again.
    fn make_room(&mut self) {}

    /// Sessions that the device has open, where it tells.
    fn sessions(&self) -> Option<usize> {
        None
    }
}

/// Runs all cases, and prints those that the device cannot be brought into.
///
/// # Panics
///
/// Where the backend does not do what it must.
pub fn run(fixture: &mut dyn Fixture) {
    cases::keys_are_made_once_found_and_deleted(fixture);
    cases::signatures_hold_elsewhere(fixture);
    cases::keys_sign_for_what_they_were_made_for(fixture);
    cases::many_sign_at_once(fixture);
    cases::what_is_not_there_is_named(fixture);
    cases::a_wrong_pin_is_named(fixture);
    cases::a_rotated_key_leaves_its_predecessor(fixture);
    cases::sessions_do_not_pile_up(fixture);
    cases::forgotten_sessions_are_opened_again(fixture);
    cases::a_lost_device_signs_nothing_and_comes_back(fixture);
    cases::a_locked_device_is_named(fixture);
    cases::a_full_device_is_named(fixture);
}
