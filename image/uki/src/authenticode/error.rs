//! Why there is no signature, or none that counts.

use openssl::error::ErrorStack;

use crate::{
    key::{KeyError, SignError},
    pe::PeError,
};

/// Why an image cannot be signed, or its signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticodeError {
    /// No image.
    #[error("cannot read the image")]
    Image(#[from] PeError),
    /// The table of signatures does not hold what it announces.
    #[error("the image's table of signatures is damaged: {0}; remove it and sign the image anew")]
    Table(&'static str),
    /// More than is ever needed.
    #[error("there are {found} {what}, {limit} at most are read; remove signatures that nobody needs")]
    TooMany {
        /// Bytes, or signatures.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not DER, or not the structures of a signature.
    #[error("cannot read {what}; sign the image anew")]
    Der {
        /// The structure.
        what: &'static str,
        /// Where it breaks.
        #[source]
        source: der::Error,
    },
    /// A signature that is none of an image, or of a kind that is not read here.
    #[error("the signature is not accepted: {0}; sign the image anew, with SHA-256")]
    Signature(&'static str),
    /// The certificate cannot sign images.
    #[error("the certificate's key is not accepted")]
    CertificateKey(#[source] KeyError),
    /// No certificate, or one that would read otherwise once it is written again.
    #[error("the certificate is damaged; take it from its authority again, in DER")]
    Certificate,
    /// The key did not sign.
    #[error("the key does not sign; look at its device")]
    Sign(#[source] SignError),
    /// The certificate is another key's.
    #[error("the key's signature does not fit the certificate; take the certificate of this key")]
    WrongKey,
    /// A time that certificates and signatures cannot have.
    #[error("the signing time {0} is after the year 9999; give seconds since 1970")]
    Time(u64),
    /// Nobody signed.
    #[error("the image has no signature; sign it")]
    Unsigned,
    /// The signature is of something else.
    #[error("the image was changed after it was signed; take it from its maker again")]
    Digest,
    /// Signed, but by nobody who is trusted.
    #[error(
        "no trusted certificate vouches for the image's signature; add its signer's certificate to db, or sign anew"
    )]
    Untrusted,
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot {operation}; check that this machine's OpenSSL is whole")]
    OpenSsl {
        /// What was being done.
        operation: &'static str,
        /// Its errors.
        #[source]
        source: ErrorStack,
    },
}

impl AuthenticodeError {
    pub(super) fn der(what: &'static str) -> impl Fn(der::Error) -> Self {
        move |source| Self::Der { what, source }
    }
}
