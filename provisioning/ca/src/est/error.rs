//! Why a message of EST is not taken, or not made.

use crate::{CertificateError, RequestError};

/// What is wrong with a message, or with what one is to be made of.
#[derive(Debug, thiserror::Error)]
pub enum EstError {
    /// No operation, or one that is not offered.
    #[error("there is no operation of EST at this path; there are cacerts, simpleenroll and simplereenroll")]
    Path,
    /// No label.
    #[error("{0:?} is no label of a path of EST: 1 to 64 letters, digits, hyphens and underscores, and no operation")]
    Label(String),
    /// Larger than any.
    #[error("the message has {found} bytes, {limit} at most can be; send less")]
    Bytes {
        /// How many.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Something else.
    #[error("the message is not base64; send it as `openssl base64` writes it")]
    Base64,
    /// Not DER, or not the structure.
    #[error("the certificates cannot be read; ask for them again, in DER")]
    Der(#[source] der::Error),
    /// CMS, but not what RFC 5272 prescribes.
    #[error("the message has not certificates alone: {0}; ask for them again")]
    CertsOnly(&'static str),
    /// A certificate that is none.
    #[error("certificate {at} of the message is not accepted")]
    Certificate {
        /// Which one, from 0.
        at: usize,
        /// What is wrong.
        #[source]
        source: CertificateError,
    },
    /// More than are read.
    #[error("the message has {0} certificates, 16 at most can be; leave those away that nobody needs")]
    TooMany(usize),
    /// Not the one that was asked for.
    #[error("the answer has {0} certificates, it must have the new one alone; ask the authority's operator")]
    Count(usize),
    /// Of another key.
    #[error("the new certificate is of another key than the request; do not use it, and ask the authority's operator")]
    OtherKey,
    /// The request.
    #[error("the request is not accepted")]
    Request(#[from] RequestError),
    /// Somebody who renews asks for another name.
    #[error("the request's {0} is not the present certificate's; ask for the same, or enroll anew")]
    Reenroll(&'static str),
    /// It cannot be written.
    #[error("the message cannot be written; report this")]
    Write(#[source] der::Error),
}
