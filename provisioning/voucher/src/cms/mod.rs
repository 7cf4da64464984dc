//! Signed messages: CMS SignedData (RFC 5652) with the content and all certificates in it, in DER.
//!
//! [`to_sign`] gives the bytes that a key has to sign, [`Unsigned::sign`] has it done, and [`verify`] takes a message
//! apart once it is known whose it is. The same content, certificates and key give the same bytes, where the key takes
//! its nonces from RFC 6979: there is no signing time.
//!
//! There is one way to sign: one signer, who has a certificate in the message; signed attributes with the content's
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

pub use der::asn1::ObjectIdentifier;
use der::{Any, asn1::SetOfVec};
pub use error::{CmsError, SignError};
pub use sign::{Unsigned, to_sign};
pub use verify::{Verified, verify};
use x509_cert::{attr::Attribute, spki::AlgorithmIdentifierOwned};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// `id-ct-animaJSONVoucher`: the content is a voucher or a request for one (RFC 8366 §5.4, RFC 8995 §3).
pub const JSON_VOUCHER: ObjectIdentifier = oid("1.2.840.113549.1.9.16.1.40");

/// `id-data`: the content is something that CMS knows nothing of.
const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
/// `id-signedData`.
const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
/// `id-contentType`.
const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
/// `id-messageDigest`.
const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
/// `id-sha256`.
const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
/// `ecdsa-with-SHA256`.
const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");

/// An algorithm without parameters, as RFC 5754 §2 and RFC 5758 §3.2 have it.
const fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid, parameters: None }
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
