//! Why a message is not taken, or not made.

use der::asn1::ObjectIdentifier;

use crate::{CertificateError, PublicKeyError, chain::ChainError};

/// What is wrong with a message, or with what one is to be made of.
#[derive(Debug, thiserror::Error)]
pub enum CmsError {
    /// Larger than any, or empty.
    #[error("{what} has {found} bytes, 1 to {limit} can be; have the message made again")]
    Bytes {
        /// The message or a part of it.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// None, or more than anybody needs.
    #[error("the message has {found} certificates, 1 to {limit} can be; send the signer's and its authorities' along")]
    Certificates {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No message.
    #[error("{what} cannot be read; have the message made again, in DER")]
    Der {
        /// The message or a part of it.
        what: &'static str,
        /// Where it breaks.
        #[source]
        source: der::Error,
    },
    /// It reads otherwise once it is written again: other forms of BER, and bytes after the end.
    #[error("the message is not in DER; have it made again, in DER")]
    NotDer,
    /// Something else of CMS, or in a way that is not read here.
    #[error("the message is not accepted: {0}; have it made again, as `openssl cms -sign -nodetach` does")]
    Unsupported(&'static str),
    /// One of its certificates is none.
    #[error("a certificate in the message cannot be used")]
    Certificate(#[source] CertificateError),
    /// None or several.
    #[error("the message has {0} signers, it must have one; have it made again")]
    Signers(usize),
    /// About something else.
    #[error("the message is a {found}, not a {expected}; take the right file")]
    ContentType {
        /// What it says.
        found: ObjectIdentifier,
        /// What it would have to say.
        expected: ObjectIdentifier,
    },
    /// The content is elsewhere.
    #[error("the message does not have its content; have it made again, with `-nodetach`")]
    Detached,
    /// Other algorithms.
    #[error("the message's {what} algorithm is {found}; have it signed by ECDSA on P-256 with SHA-256")]
    Algorithm {
        /// Of digest or signature.
        what: &'static str,
        /// What it says.
        found: ObjectIdentifier,
    },
    /// Nothing but the content is signed.
    #[error("the message has no signed attributes; have it made again, without `-noattr`")]
    NoAttributes,
    /// An attribute that is missing, there twice, or wrong.
    #[error("the message's signed attribute {0} is missing or wrong; have it made again")]
    Attribute(&'static str),
    /// The content is not what was signed.
    #[error("the message's content was changed after it was signed; take it from its maker again")]
    Digest,
    /// Who signed is not in it.
    #[error("the signer's certificate is not in the message, or there twice; have it made again, without `-nocerts`")]
    NoSigner,
    /// The signer has another kind of key.
    #[error("the key of the signer's certificate is not accepted")]
    SignerKey(#[source] PublicKeyError),
    /// The signer's certificate is for something else.
    #[error("the signer's certificate is not for signatures (RFC 5280 §4.2.1.3); take one that is")]
    KeyUsage,
    /// The key of the certificate did not make the signature.
    #[error("the message's signature is wrong: it was changed or forged; take it from its maker again")]
    Signature,
    /// Signed, but by nobody who is trusted.
    #[error("the message's signer is not trusted")]
    Path(#[source] ChainError),
}

impl CmsError {
    pub(super) fn der(what: &'static str) -> impl Fn(der::Error) -> Self {
        move |source| Self::Der { what, source }
    }
}
