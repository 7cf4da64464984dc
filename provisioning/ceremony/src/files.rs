//! Files for people and programs: certificates and requests in PEM.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use dolmen_provisioning_ca::{Certificate, Request};
use openssl::x509::{X509, X509Req};

use crate::{
    CeremonyError,
    limits::{CERTIFICATES_MAX, PEM_BYTES_MAX},
};

/// Reads certificates from a file, in PEM one after the other, or one in DER.
///
/// # Errors
///
/// [`CeremonyError::Io`], [`CeremonyError::Certificates`] and [`CeremonyError::Certificate`].
pub fn read_certificates(path: &Path) -> Result<Vec<Certificate>, CeremonyError> {
    let bytes = read(path)?;
    let error = |source| CeremonyError::Certificates { path: path.into(), source };
    let ders = if bytes.starts_with(b"0") {
        vec![bytes]
    } else {
        let certificates = X509::stack_from_pem(&bytes).map_err(error)?;
        certificates.iter().map(|certificate| certificate.to_der()).collect::<Result<_, _>>().map_err(error)?
    };
    if ders.is_empty() || ders.len() > CERTIFICATES_MAX {
        return Err(CeremonyError::Count { path: path.into(), found: ders.len() });
    }
    let certificate = |der: &Vec<u8>| {
        Certificate::from_der(der).map_err(|source| CeremonyError::Certificate { path: path.into(), source })
    };
    ders.iter().map(certificate).collect()
}

/// Reads a request for a certificate (PKCS#10), in PEM or DER, and checks that its key signed it.
///
/// # Errors
///
/// [`CeremonyError::Io`], [`CeremonyError::Certificates`] and [`CeremonyError::Request`].
pub fn read_request(path: &Path) -> Result<Request, CeremonyError> {
    let bytes = read(path)?;
    let error = |source| CeremonyError::Certificates { path: path.into(), source };
    let der = if bytes.starts_with(b"0") {
        bytes
    } else {
        X509Req::from_pem(&bytes).and_then(|request| request.to_der()).map_err(error)?
    };
    Request::from_der(&der).map_err(|source| CeremonyError::Request { path: path.into(), source: source.into() })
}

/// Writes certificates in PEM, in their order.
///
/// # Errors
///
/// [`CeremonyError::Io`].
pub fn write_certificates(path: &Path, certificates: &[Certificate]) -> Result<(), CeremonyError> {
    let error = |source| CeremonyError::Certificates { path: path.into(), source };
    let pem = |certificate: &Certificate| X509::from_der(certificate.der()).and_then(|parsed| parsed.to_pem());
    let pems = certificates.iter().map(pem).collect::<Result<Vec<_>, _>>().map_err(error)?;
    replace(path, &pems.concat())
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, CeremonyError> {
    let error = |source| CeremonyError::Io { path: path.into(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(error)?.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > PEM_BYTES_MAX {
        return Err(error(io::Error::new(io::ErrorKind::FileTooLarge, "the file is no certificate or request")));
    }
    Ok(bytes)
}

/// Puts bytes into a file, whole or not at all. Nothing here is secret.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), CeremonyError> {
    let error = |source| CeremonyError::Io { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(error)
}
