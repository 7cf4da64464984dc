//! An organisation's certificate authority, and the messages by which boxes get certificates from it: requests
//! (PKCS#10), certificates and revocation lists (RFC 5280), and EST (RFC 7030). [`cms`] signs whatever else is passed on
//! (RFC 5652), such as vouchers.
//!
//! ```text
//! root, signed by itself
//! └── issuing authority
//!     ├── registrar: admits the organisation's boxes
//!     └── ldevid: a box's identity in the organisation
//! ```
//!
//! A maker has the like of it: a root, an authority, the idevids of its boxes, and a masa that signs vouchers.
//!
//! Nothing here reads or writes files, looks at a clock or draws random numbers: bytes, times and serial numbers are
//! passed in. Keys are [`Signer`](dolmen_hsm_api::Signer)s, in a device or not, and every signature is checked before it
//! is given out. Whatever comes in is bounded, is DER to the last bit, and is the same once it is written
//! again, so that what is signed has one form. Its signature has two: with `s` and `n - s` ECDSA holds for the same
//! content (devices make either).

pub mod alt_name;
mod authority;
pub mod base64;
mod certificate;
pub mod chain;
pub mod cms;
mod crl;
pub mod est;
mod key;
mod limits;
mod name;
mod oid;
mod profile;
pub mod register;
pub mod renewal;
mod request;
mod serial;
mod time;

pub use authority::{Authority, AuthorityError, IssueError, Order};
pub use certificate::{Certificate, CertificateError};
pub use crl::{Crl, CrlError, Revocation, RevocationList};
pub use der::asn1::ObjectIdentifier;
pub use key::{PublicKey, PublicKeyError, SignError};
pub use name::{NameError, Subject};
pub use profile::Profile;
pub use request::{Request, RequestBuilder, RequestError};
pub use serial::{Serial, SerialError};
pub use time::{TimeError, UnixTime, Validity};
pub use x509_cert::{
    ext::pkix::{CrlReason, name::GeneralName},
    name::Name,
};
