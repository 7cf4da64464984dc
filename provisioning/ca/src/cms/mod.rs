//! Signed messages: CMS SignedData (RFC 5652) with the content and all certificates in it, in DER. What the content is
//! and how large it may be is a [`ContentType`].
//!
//! [`to_sign`] gives the bytes that a key has to sign, [`Unsigned::sign`] has it done, and [`verify`] takes a message
//! apart once it is known whose it is; [`open`] does so before that is known. The same content, certificates and key give
//! the same bytes, where the key takes its nonces from RFC 6979: there is no signing time.
//!
//! There is one way to sign. There is one signer, who has a certificate in the message; signed attributes with the content's
//! type and SHA-256; and ECDSA with SHA-256 on P-256 (RFC 5754, RFC 5758). `openssl cms` makes and takes such messages.
//!
//! ```text
//! openssl cms -sign -binary -nodetach -outform DER -md sha256 -econtent_type 1.2.840.113549.1.9.16.1.40
//! openssl cms -verify -binary -inform DER -purpose any -CAfile ROOTS
//! ```

mod error;
mod outline;
mod sign;
mod verify;

use der::{
    Any,
    asn1::{ObjectIdentifier, SetOfVec},
};
pub use error::CmsError;
pub use sign::{Unsigned, to_sign};
pub use verify::{Opened, Verified, open, verify};
use x509_cert::{attr::Attribute, spki::AlgorithmIdentifierOwned};

use crate::{
    limits::ENVELOPE_BYTES_MAX,
    oid::{DATA, SHA256},
};

/// What a message is about. A message of one type is never taken for one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// Its identifier.
    pub oid: ObjectIdentifier,
    /// How many bytes a content of this type has at most.
    pub bytes_max: usize,
}

impl ContentType {
    /// `id-data`: something that CMS knows nothing of (RFC 5652 §4). What it is has to stand in the content.
    #[must_use]
    pub const fn data(bytes_max: usize) -> Self {
        Self { oid: DATA, bytes_max }
    }

    /// How many bytes a message has at most.
    #[must_use]
    pub const fn message_bytes_max(self) -> usize {
        self.bytes_max.saturating_add(ENVELOPE_BYTES_MAX)
    }

    fn check(self, content: &[u8]) -> Result<(), CmsError> {
        let (found, limit) = (content.len(), self.bytes_max);
        if found == 0 || found > limit {
            return Err(CmsError::Bytes { what: "the content", found, limit });
        }
        Ok(())
    }
}

/// Whether it is SHA-256. OpenSSL writes NULL for its parameters, which is to be taken too (RFC 5754 §2).
fn is_sha256(algorithm: &AlgorithmIdentifierOwned) -> bool {
    algorithm.oid == SHA256 && algorithm.parameters.as_ref().is_none_or(Any::is_null)
}

/// The value of an attribute that is there once and has one.
fn value(attributes: &SetOfVec<Attribute>, oid: ObjectIdentifier) -> Option<&Any> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
        (Some([value]), None) => Some(value),
        _ => None,
    }
}
