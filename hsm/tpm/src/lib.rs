//! Keys, secrets, counters and evidence of a TPM 2.0, through libtss2.
//!
//! - [`TpmStore`] keeps keys: P-256 and SM2 are made in the TPM and never leave it; what a TPM has no algorithm for,
//!   Ed25519 and secp256k1, is sealed by it while it rests and in memory while it is open. Their wrapped forms are files
//!   that only this TPM can use.
//! - [`TpmSealer`] seals secrets to the state of the box: to registers, and to what an authority approves, which is
//!   bound to a version that a counter in the TPM must not have passed.
//! - [`Idevid`] is the identity that the box was made with: a key of the TPM's own seed, and its certificate.
//! - [`NvLease`] is the counter that stamps the log of votes; [`Floor`] the one that no approved version may be below;
//!   [`OwnershipEpoch`] the one that each voucher that hands the box to an owner has to be above.
//! - [`Evidence`] is what a TPM says of itself: endorsement and attestation keys, quotes, certifications.
//!
//! A [`Tpm`] is one connection, used by one caller at a time. It is opened again after it breaks; nothing is signed
//! while it is broken. Secrets cross it in sessions that are salted and encrypted (TPM 2.0 Library, Part 1 §19.6.8, §21).

mod certificates;
mod connection;
mod counter;
mod evidence;
mod ffi;
mod file;
mod idevid;
mod key;
mod lease;
mod nv;
mod policy;
mod reason;
mod sealed;
mod store;
mod template;
mod worker;

pub use connection::{Tcti, Tpm};
pub use counter::{Floor, OwnershipEpoch};
pub use evidence::Evidence;
pub use ffi::silence_library;
pub use idevid::Idevid;
pub use lease::NvLease;
pub use policy::Approval;
pub use sealed::TpmSealer;
pub use store::TpmStore;
