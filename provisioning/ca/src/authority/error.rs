//! Why there is no authority, or no certificate.

use dolmen_hsm_api::KeyUri;
use openssl::error::ErrorStack;

use crate::{CertificateError, NameError, PublicKeyError, SignError, UnixTime};

/// Why a certificate and a key are no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key cannot sign certificates.
    #[error("the authority's key is not accepted")]
    Signer(#[source] SignError),
    /// The certificate's key is of another kind.
    #[error("the key of the authority's certificate is not accepted")]
    Key(#[source] PublicKeyError),
    /// The certificate is another key's.
    #[error("the authority's certificate is not that of the key {0}; take the certificate of this key")]
    OtherKey(KeyUri),
    /// A certificate that issues none.
    #[error("the certificate is no authority's, or does not name its key; take one that an authority was made with")]
    NoAuthority,
    /// Certificates that do not belong together.
    #[error("certificate {0} above the authority did not issue the one under it; give them nearest first")]
    Chain(usize),
    /// More than are ever needed.
    #[error("there are {0} certificates above the authority, 5 at most can be; leave those away that are not above it")]
    TooLong(usize),
    /// No address.
    #[error("the address of the revocation list is not accepted")]
    CrlUri(#[source] NameError),
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot check the certificates above the authority; check that this machine's OpenSSL is whole")]
    OpenSsl(#[source] ErrorStack),
}

/// Why a certificate is not issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// Roots issue themselves.
    #[error("a root is issued by nobody but itself; make a new authority")]
    Root,
    /// Too far down.
    #[error("this authority may issue no authority (its path length is {0}); let the root issue it")]
    PathLength(u8),
    /// It would hold when its issuer does not any more.
    #[error("it would hold until {until}, its authority until {issuer}; end it earlier, or renew the authority first")]
    Outlives {
        /// Its last second.
        until: UnixTime,
        /// The issuer's.
        issuer: UnixTime,
    },
    /// An identity by a maker that ends.
    #[error("an idevid has no end (IEEE 802.1AR, section 8.7), this one ends at {0}; end it at 9999-12-31T23:59:59Z")]
    Ends(UnixTime),
    /// No machine, or one too many.
    #[error("the subject of an ldevid or idevid has a machine's serial number, others have none, and this is for {0}")]
    Machine(&'static str),
    /// Names that the profile has no place for.
    #[error("alternative names cannot be asked for in a certificate for {0}; leave them away")]
    NoAltNames(&'static str),
    /// Names that nobody may ask for.
    #[error("the alternative names are not issued")]
    AltNames(#[source] NameError),
    /// Whoever has the name could pass for the authority.
    #[error("the subject or the key is the authority's own; take another")]
    Own,
    /// The authority's key did not sign.
    #[error("the authority did not sign")]
    Sign(#[source] SignError),
    /// It cannot be written.
    #[error("the certificate cannot be written; report this")]
    Der(#[source] der::Error),
    /// It cannot be read again.
    #[error("the new certificate cannot be read again; report this")]
    Unreadable(#[source] CertificateError),
}
