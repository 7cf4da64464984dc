//! HTTPS between a box and its registrar (RFC 8995 §5.1, RFC 7030 §3.3): TLS 1.3 in which both ends may show certificates,
//! and HTTP/1.1 in it.
//!
//! That an end holds the key of the certificate that it shows is checked here, as TLS does it. Whose the certificate is is
//! not: a new box knows nobody's, and a registrar decides by more than a path. Who uses a [`Connection`] or serves a request
//! gets the certificates, [`PeerCertificates`], and judges them before it believes anything.

mod client;
mod limits;
pub mod local;
mod serve;
mod tls;

pub use client::{Answer, ConnectError, Connection, SendError};
pub use serve::{Limits, PeerAddress, serve, stopped};
pub use tls::{PeerCertificates, TlsError, acceptor};
