//! Keys that sign, wherever they live: what they are called, what they do, and what can go wrong.
//!
//! A [`KeyUri`] names a key. A backend's [`KeyStore`] makes, lists and opens keys; an open one is a [`Signer`]. What
//! holds a key that cannot sign, because its device is gone, never falls back to another: it says so. An [`AttestingTpm`]
//! says what a device is and what ran on its machine.

mod attesting;
mod counter;
mod directory;
mod error;
pub mod private;
mod sealer;
mod signer;
mod store;
mod uri;

pub use attesting::{AttestingTpm, Endorsement, Quote};
pub use counter::{Lease, LeaseCounter, Scope};
pub use directory::KeyDirectory;
pub use dolmen_accel_api::{Algorithm, Message};
pub use error::KeyError;
pub use sealer::{Authority, SealPolicy, Sealer};
pub use signer::{Attestation, Domain, Domains, Residence, Signature, Signer};
pub use store::{KeyInfo, KeySpec, KeyStore};
pub use uri::{KeyName, KeyUri, Module, Pkcs11Key, SdfKey, TpmKey, UriError};
