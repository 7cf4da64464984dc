//! Signing, to make signatures that can be checked and to compare libraries at it.
//!
//! These keys sign test traffic. Not every library erases its secret when it is done, so a key that is worth something
//! does not belong here.

use dolmen_accel_api::{Algorithm, Message};
use thiserror::Error;

use crate::Library;

/// A secret key in a library that signs.
pub trait Signs: Send + Sync {
    /// What it signs by.
    fn algorithm(&self) -> Algorithm;

    /// Its public key, as [`VerifyJob::key`](dolmen_accel_api::VerifyJob::key) wants it.
    fn public_key(&self) -> &[u8];

    /// Signs, as [`VerifyJob::signature`](dolmen_accel_api::VerifyJob::signature) wants it.
    fn sign(&self, message: Message<'_>) -> Vec<u8>;

    /// A secp256k1 signature with whether the nonce point's `y` is odd. `None` where the key or the library has no such
    /// signatures, and for one digest of 2^127.
    fn sign_recoverable(&self, _digest: &[u8; 32]) -> Option<([u8; 64], bool)> {
        None
    }
}

/// Why there is no signer.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SignerError {
    /// The library does not sign by the algorithm.
    #[error("{library} does not sign by {algorithm}; choose another library for it")]
    Unsupported {
        /// The library.
        library: Library,
        /// What was asked for.
        algorithm: Algorithm,
    },
    /// The 32 bytes are no secret key: zero, or too large for the curve.
    #[error("these 32 bytes are no secret key of the curve; take other ones")]
    Secret,
}
