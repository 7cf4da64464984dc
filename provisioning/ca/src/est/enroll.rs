//! Asking for a certificate and getting it (RFC 7030 §4.2).

use super::{EstError, base64, read_certs, write_certs};
use crate::{Certificate, PublicKey, Request, limits::REQUEST_BYTES_MAX};

/// The body of a request.
#[must_use]
pub fn write_request(request: &Request) -> String {
    base64::write(request.der())
}

/// Reads the body of a request, and checks that its key signed it.
///
/// # Errors
///
/// [`EstError::Bytes`], [`EstError::Base64`] and [`EstError::Request`].
pub fn read_request(body: &[u8]) -> Result<Request, EstError> {
    Ok(Request::from_der(&base64::read(body, REQUEST_BYTES_MAX)?)?)
}

/// The body that answers a request: the new certificate alone (RFC 7030 §4.2.3).
///
/// # Errors
///
/// [`EstError::Write`].
pub fn write_enrolled(certificate: &Certificate) -> Result<String, EstError> {
    write_certs(std::slice::from_ref(certificate))
}

/// Reads the answer to a request with this key. Who issued the certificate is for
/// [`chain::verify`](crate::chain::verify) to say.
///
/// # Errors
///
/// [`EstError::Count`], [`EstError::OtherKey`], and what [`read_certs`] says.
pub fn read_enrolled(body: &[u8], key: &PublicKey) -> Result<Certificate, EstError> {
    let mut certificates = read_certs(body)?;
    let count = certificates.len();
    let certificate = certificates.pop().filter(|_| count == 1).ok_or(EstError::Count(count))?;
    match certificate.public_key() {
        Ok(found) if found == *key => Ok(certificate),
        _ => Err(EstError::OtherKey),
    }
}

/// Says that a request asks for what its sender has: the same subject, and the same alternative names in the same order
/// (RFC 7030 §4.2.2). That he is the holder of `present` is what TLS showed; the key may be another.
///
/// # Errors
///
/// [`EstError::Reenroll`].
pub fn check_reenroll(present: &Certificate, request: &Request) -> Result<(), EstError> {
    if request.subject() != present.subject() {
        return Err(EstError::Reenroll("subject"));
    }
    if request.alt_names() != present.alt_names() {
        return Err(EstError::Reenroll("alternative names"));
    }
    Ok(())
}
