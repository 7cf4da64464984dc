//! The messages of EST (RFC 7030), without HTTP: paths, media types and bodies.
//!
//! | operation | the box | the authority | the box |
//! |---|---|---|---|
//! | `cacerts` | | [`cacerts`] | [`read_certs`] |
//! | `simpleenroll` | [`write_request`] | [`read_request`], [`write_enrolled`] | [`read_enrolled`] |
//! | `simplereenroll` | [`write_request`] | the same, and [`check_reenroll`] | [`read_enrolled`] |
//!
//! Bodies are base64, in lines of 64 characters; on reading, lines may be of any length.

mod base64;
mod certs;
mod enroll;
mod error;
mod path;

pub use certs::{cacerts, certs_only, read_certs, read_certs_only, write_certs};
pub use enroll::{check_reenroll, read_enrolled, read_request, write_enrolled, write_request};
pub use error::EstError;
pub use path::{Operation, PREFIX};

/// `Content-Type` of a request for a certificate (RFC 7030 §4.2.1).
pub const MEDIA_TYPE_REQUEST: &str = "application/pkcs10";
/// `Content-Type` of certificates (RFC 7030 §4.1.3, §4.2.3).
pub const MEDIA_TYPE_CERTS: &str = "application/pkcs7-mime; smime-type=certs-only";
/// `Content-Transfer-Encoding` of both (RFC 7030 §3.2.4). Receivers do not look at it (RFC 8951 §3.1).
pub const TRANSFER_ENCODING: &str = "base64";
