//! Certificates, X.509 version 3 (RFC 5280).

use std::{fmt, sync::Arc};

use der::{Decode, Encode, Tag, Tagged as _, asn1::ObjectIdentifier};
use openssl::{error::ErrorStack, x509::X509};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use x509_cert::{
    Version,
    ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier},
};

use crate::{KeyIdentifier, SerialNumber, base64, limits::CERTIFICATE_BYTES_MAX};

/// `id-at-serialNumber` (X.520).
const SUBJECT_SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
/// `id-kp-cmcRA` (RFC 6402 §2.10).
const CMC_RA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.28");
/// `id-ecPublicKey` and `secp256r1` (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// What an uncompressed point begins with (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Why bytes are no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Larger than any, or empty.
    #[error("a certificate has {found} bytes, 1 to {limit} can be; take a smaller one")]
    Bytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// No certificate.
    #[error("a certificate is damaged; take it from its authority again, in DER or PEM")]
    Der(#[source] der::Error),
    /// It reads otherwise once it is written again.
    #[error("a certificate is not in the DER of RFC 5280 §4.1; have its authority issue it anew")]
    NotDer,
    /// OpenSSL does not take it.
    #[error("OpenSSL cannot read a certificate; take it from its authority again, in DER or PEM")]
    OpenSsl(#[source] ErrorStack),
}

/// A certificate that can be read. Holding one says nothing about who issued it: [`Roots::path`](crate::Roots::path)
/// does.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
    x509: X509,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError`].
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self, CertificateError> {
        let der = der.into();
        if der.is_empty() || der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::Bytes { found: der.len(), limit: CERTIFICATE_BYTES_MAX });
        }
        let parsed = x509_cert::Certificate::from_der(&der).map_err(CertificateError::Der)?;
        // Messages have it written again: it has to be the same certificate then.
        if parsed.to_der().map_err(CertificateError::Der)? != der {
            return Err(CertificateError::NotDer);
        }
        let x509 = X509::from_der(&der).map_err(CertificateError::OpenSsl)?;
        Ok(Self(Arc::new(Contents { der, parsed, x509 })))
    }

    /// Its DER.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0.der
    }

    /// Its fields.
    #[must_use]
    pub fn parsed(&self) -> &x509_cert::Certificate {
        &self.0.parsed
    }

    /// The serial number of the box that it is of, in its subject (RFC 8995 §2.3.1); none where there is not one.
    #[must_use]
    pub fn box_serial_number(&self) -> Option<SerialNumber> {
        let subject = self.0.parsed.tbs_certificate().subject();
        let mut found = subject.iter().filter(|attribute| attribute.oid == SUBJECT_SERIAL_NUMBER);
        let (Some(attribute), None) = (found.next(), found.next()) else { return None };
        let is_text = matches!(attribute.value.tag(), Tag::PrintableString | Tag::Utf8String);
        let text = std::str::from_utf8(attribute.value.value()).ok().filter(|_| is_text)?;
        text.parse().ok()
    }

    /// Which key made it, if it says so.
    #[must_use]
    pub fn authority_key_identifier(&self) -> Option<KeyIdentifier> {
        let (_, extension): (_, AuthorityKeyIdentifier) = self.0.parsed.tbs_certificate().get_extension().ok()??;
        KeyIdentifier::from_bytes(extension.key_identifier?.as_bytes()).ok()
    }

    /// Whether it is a registrar's: it has the extended key usage `id-kp-cmcRA` (RFC 6402 §2.10). One for any use is
    /// not meant.
    #[must_use]
    pub fn is_registrar(&self) -> bool {
        let usage = self.0.parsed.tbs_certificate().get_extension::<ExtendedKeyUsage>();
        matches!(usage, Ok(Some((_, ExtendedKeyUsage(purposes)))) if purposes.contains(&CMC_RA))
    }

    /// Its key, `x || y`; none where it is not on P-256.
    pub(crate) fn p256_key(&self) -> Option<&[u8; 64]> {
        let info = self.0.parsed.tbs_certificate().subject_public_key_info();
        let curve = info.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok()?;
        let [UNCOMPRESSED, coordinates @ ..] = info.subject_public_key.as_bytes()? else { return None };
        coordinates.try_into().ok().filter(|_| info.algorithm.oid == EC_PUBLIC_KEY && curve == P256)
    }

    pub(crate) fn subject_key_identifier(&self) -> Option<SubjectKeyIdentifier> {
        Some(self.0.parsed.tbs_certificate().get_extension().ok()??.1)
    }

    /// Whether its key may sign messages (RFC 5280 §4.2.1.3).
    pub(crate) fn may_sign(&self) -> bool {
        match self.0.parsed.tbs_certificate().get_extension::<KeyUsage>() {
            Ok(Some((_, usage))) => usage.digital_signature() || usage.non_repudiation(),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether its key may issue certificates (RFC 5280 §4.2.1.9). OpenSSL takes more for an authority, such as those
    /// of version 1.
    pub(crate) fn is_authority(&self) -> bool {
        let certificate = self.0.parsed.tbs_certificate();
        let constraints = certificate.get_extension::<BasicConstraints>();
        let usage = certificate.get_extension::<KeyUsage>();
        certificate.version() == Version::V3
            && matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
            && usage.is_ok_and(|usage| usage.is_none_or(|(_, usage)| usage.key_cert_sign()))
    }

    pub(crate) fn x509(&self) -> &X509 {
        &self.0.x509
    }
}

/// The same bytes.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

/// Its subject and serial number.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self.0.parsed.tbs_certificate();
        write!(f, "Certificate({}, {})", certificate.subject(), certificate.serial_number())
    }
}

/// As RFC 8366 has it: DER in base64.
impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(&self.0.der, serializer)
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64::deserialize(deserializer, Self::from_der)
    }
}
