//! Why there is no prediction.

use crate::{
    authenticode::AuthenticodeError,
    key::{KeyError, SignError},
    uki::UkiError,
};

/// Why something cannot be predicted, or signed.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// Nobody knows what the image's stub measures.
    #[error("cannot tell what the image measures")]
    Stub(#[source] UkiError),
    /// A section whose measurement depends on the machine, or on what is chosen in the boot menu.
    #[error("what is measured of the section {0} depends on machine and menu; build the UKI without it")]
    Section(&'static str),
    /// Two of a name: which of them the stub takes depends on its version.
    #[error("the UKI has two sections {0}; build it with one")]
    Duplicate(&'static str),
    /// No UKI.
    #[error("the image has no section .linux; take a unified kernel image")]
    NoKernel,
    /// A variable that firmware would not take.
    #[error("the variable {variable} is damaged: {reason}; export it from the box's firmware again")]
    Database {
        /// `PK`, `KEK`, `db` or `dbx`.
        variable: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// Text that is no GUID.
    #[error("{0:?} is no GUID; write it as 8be4df61-93ca-11d2-aa0d-00e098032b8c")]
    Guid(String),
    /// A certificate that fits no list.
    #[error("the certificate has {found} bytes, {limit} at most fit; take a smaller one")]
    Certificate {
        /// Its bytes.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Firmware would not load it.
    #[error("firmware with this db does not load image {index} of the boot path")]
    Denied {
        /// Which one, from zero.
        index: usize,
        /// Why.
        #[source]
        source: AuthenticodeError,
    },
    /// systemd takes no other.
    #[error("values of registers are signed by RSA alone, and the key is on a curve; make an RSA key of 2048 bits")]
    KeyKind,
    /// The public key cannot be written.
    #[error("cannot take the public key's fingerprint")]
    Key(#[source] KeyError),
    /// The key did not sign.
    #[error("the key does not sign; look at its device")]
    Sign(#[source] SignError),
    /// The public key is another's.
    #[error("the key's signature does not fit the public key; take the public key of this key")]
    WrongKey,
    /// Not the JSON that systemd reads.
    #[error("cannot read the signatures of register values; sign them anew")]
    Json(#[source] serde_json::Error),
}
