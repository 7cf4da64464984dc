//! Why a revocation list is not taken, or not made.

use der::asn1::ObjectIdentifier;

use crate::{PublicKeyError, SignError};

/// What is wrong with a revocation list, or with what one is to be made of.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// Larger than any.
    #[error("the revocation list has {0} bytes, 1048576 at most can be; leave out certificates that have expired")]
    Bytes(usize),
    /// More than are read.
    #[error("the revocation list has {0} entries, 20000 at most can be; leave out certificates that have expired")]
    TooMany(usize),
    /// Not DER, or not the structure.
    #[error("the revocation list cannot be read; take it from its authority again, in DER")]
    Der(#[source] der::Error),
    /// Well formed, but not what RFC 5280 prescribes.
    #[error("the revocation list is not sound: {0}; take it from its authority again, in DER")]
    Malformed(&'static str),
    /// It is about something else than it seems.
    #[error("the revocation list has the critical extension {0}, which nobody here knows; have a complete list made")]
    Critical(ObjectIdentifier),
    /// Another authority's.
    #[error("the revocation list is of {issuer:?}, not of {taken:?}; take the certificate of its issuer")]
    OtherIssuer {
        /// By the list.
        issuer: String,
        /// Whose certificate was given.
        taken: String,
    },
    /// Nobody lets him sign lists.
    #[error("the certificate of {0:?} does not allow its key to sign revocation lists; take an authority's that does")]
    NotAllowed(String),
    /// The issuer's key is of another kind.
    #[error("the key of the revocation list's issuer is not accepted")]
    Key(#[source] PublicKeyError),
    /// Somebody changed it.
    #[error("the revocation list is not signed by {0:?}; take it from its authority again, somebody changed it")]
    Signature(String),
    /// A time before it began.
    #[error("the new revocation list ends before it begins; give the earlier time first")]
    Reversed,
    /// The key did not sign.
    #[error("the revocation list is not signed")]
    Sign(#[source] SignError),
    /// It cannot be written.
    #[error("the revocation list cannot be written; report this")]
    Write(#[source] der::Error),
}
