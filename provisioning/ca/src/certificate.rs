//! Certificates, as they are read.

use std::{fmt, sync::Arc};

use der::{Decode, Encode, Tag, Tagged as _, asn1::ObjectIdentifier, oid::AssociatedOid};
use openssl::{error::ErrorStack, x509::X509};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Version,
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName, SubjectKeyIdentifier,
            name::GeneralName,
        },
    },
    name::Name,
};

use crate::{
    PublicKey, PublicKeyError, Serial, UnixTime, Validity, alt_name::BOX_URN, base64, limits::CERTIFICATE_BYTES_MAX,
    name::shown, oid::SERIAL_NUMBER,
};

/// A certificate (RFC 5280) in DER, whoever made it and with whatever key.
///
/// Holding one says that it is well formed, and the same once it is written again. It says nothing of who signed it:
/// [`chain::verify`](crate::chain::verify) does.
#[derive(Clone)]
pub struct Certificate(Arc<Contents>);

struct Contents {
    der: Vec<u8>,
    inner: x509_cert::Certificate,
    x509: X509,
    serial: Serial,
    validity: Validity,
    extensions: Extensions,
}

/// What is looked at of a certificate's extensions.
struct Extensions {
    constraints: Option<BasicConstraints>,
    key_usage: Option<KeyUsage>,
    purposes: Option<ExtendedKeyUsage>,
    alt_names: SubjectAltName,
    key_identifier: Option<SubjectKeyIdentifier>,
    authority_key_identifier: Option<AuthorityKeyIdentifier>,
}

/// Why some bytes are no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Larger than any.
    #[error("a certificate has {0} bytes, 4096 at most can be; take the certificate alone, in DER")]
    Bytes(usize),
    /// Not DER, or not the structure.
    #[error("the certificate cannot be read; take it from its authority again, in DER")]
    Der(#[source] der::Error),
    /// Well formed, but not what RFC 5280 prescribes.
    #[error("the certificate is not sound: {0}; take it from its authority again, in DER")]
    Malformed(&'static str),
    /// OpenSSL does not take it.
    #[error("OpenSSL cannot read the certificate; take it from its authority again, in DER")]
    OpenSsl(#[source] ErrorStack),
}

impl Certificate {
    /// How many bytes one has at most.
    pub const BYTES_MAX: usize = CERTIFICATE_BYTES_MAX;

    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`CertificateError`]; bytes behind it and forms that are not DER are errors.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::Bytes(der.len()));
        }
        let inner = x509_cert::Certificate::from_der(der).map_err(CertificateError::Der)?;
        if inner.to_der().ok().as_deref() != Some(der) {
            return Err(CertificateError::Malformed("it is not in DER"));
        }
        let content = inner.tbs_certificate();
        if content.version() != Version::V3 {
            return Err(CertificateError::Malformed("its version is not 3"));
        }
        if content.signature() != inner.signature_algorithm() || inner.signature().as_bytes().is_none() {
            return Err(CertificateError::Malformed("it names two algorithms, or its signature is no bytes"));
        }
        let serial = Serial::read(content.serial_number());
        let serial = serial.ok_or(CertificateError::Malformed("its serial number is not positive or too long"))?;
        let times = content.validity();
        let validity = Validity::new(UnixTime::of(times.not_before), UnixTime::of(times.not_after));
        let validity = validity.map_err(|_| CertificateError::Malformed("it ends before it begins"))?;
        let extensions = Extensions::read(content.extensions().map_or(&[], |extensions| extensions))?;
        let x509 = X509::from_der(der).map_err(CertificateError::OpenSsl)?;
        Ok(Self(Arc::new(Contents { der: der.to_vec(), inner, x509, serial, validity, extensions })))
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// SHA-256 of its bytes, by which people compare certificates.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.0.der).into()
    }

    /// Whose it is.
    #[must_use]
    pub fn subject(&self) -> &Name {
        self.0.inner.tbs_certificate().subject()
    }

    /// Who says that he made it.
    #[must_use]
    pub fn issuer(&self) -> &Name {
        self.0.inner.tbs_certificate().issuer()
    }

    /// Its number, of which an issuer has one only once.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.0.serial
    }

    /// From when to when it holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The key that it is about.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError`] for keys that are not on P-256.
    pub fn public_key(&self) -> Result<PublicKey, PublicKeyError> {
        PublicKey::from_info(self.0.inner.tbs_certificate().subject_public_key_info())
    }

    /// Other names of its subject.
    #[must_use]
    pub fn alt_names(&self) -> &[GeneralName] {
        &self.0.extensions.alt_names.0
    }

    /// The serial number of the machine that its subject names (RFC 8995 §2.3.1), whoever issued it; none unless there
    /// is exactly one, as a `PrintableString` (RFC 5280, appendix A.1) or, as some makers have it, a `UTF8String`.
    #[must_use]
    pub fn machine_serial(&self) -> Option<&str> {
        let mut serials = self.subject().iter().filter(|part| part.oid == SERIAL_NUMBER);
        let (Some(serial), None) = (serials.next(), serials.next()) else { return None };
        let is_text = matches!(serial.value.tag(), Tag::PrintableString | Tag::Utf8String);
        std::str::from_utf8(serial.value.value()).ok().filter(|_| is_text)
    }

    /// The serial number of the machine whose identity in its organisation this is; none for all but ldevids. A
    /// registrar is a client of TLS too: this tells them apart.
    #[must_use]
    pub fn box_serial(&self) -> Option<&str> {
        self.alt_names().iter().find_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => uri.as_str().strip_prefix(BOX_URN),
            _ => None,
        })
    }

    /// Whether its subject may issue certificates: it is an authority's, and its key may sign them.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        let authority = self.0.extensions.constraints.as_ref().is_some_and(|constraints| constraints.ca);
        authority && self.0.extensions.key_usage.is_none_or(|usage| usage.key_cert_sign())
    }

    /// How many authorities may stand between it and a path's last certificate; none where that is not said.
    #[must_use]
    pub fn path_length(&self) -> Option<u8> {
        self.0.extensions.constraints.as_ref().and_then(|constraints| constraints.path_len_constraint)
    }

    /// What its key is for; none where that is not said.
    #[must_use]
    pub fn purposes(&self) -> Option<&[ObjectIdentifier]> {
        self.0.extensions.purposes.as_ref().map(|purposes| &purposes.0[..])
    }

    /// Whether its key may sign something else than certificates and revocation lists.
    pub(crate) fn signs_messages(&self) -> bool {
        self.0.extensions.key_usage.is_none_or(|usage| usage.digital_signature())
    }

    /// Whether its key may sign revocation lists.
    pub(crate) fn signs_crls(&self) -> bool {
        self.0.extensions.key_usage.is_none_or(|usage| usage.crl_sign())
    }

    /// By which certificates under it name its key.
    #[must_use]
    pub fn key_identifier(&self) -> Option<&[u8]> {
        self.0.extensions.key_identifier.as_ref().map(|identifier| identifier.0.as_bytes())
    }

    /// By which it names its issuer's key.
    #[must_use]
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        let identifier = self.0.extensions.authority_key_identifier.as_ref()?;
        identifier.key_identifier.as_ref().map(|identifier| identifier.as_bytes())
    }

    /// Whether `issuer` may have issued it, and its key signed it.
    ///
    /// # Errors
    ///
    /// OpenSSL's, for keys that it does not know.
    pub fn is_issued_by(&self, issuer: &Self) -> Result<bool, ErrorStack> {
        if self.issuer() != issuer.subject() || !issuer.is_authority() {
            return Ok(false);
        }
        let verdict = issuer.x509().public_key().and_then(|key| self.x509().verify(&key));
        // OpenSSL leaves errors behind that the next caller would take for its own.
        let _ = ErrorStack::get();
        verdict
    }

    pub(crate) fn x509(&self) -> &X509 {
        &self.0.x509
    }

    pub(crate) fn inner(&self) -> &x509_cert::Certificate {
        &self.0.inner
    }
}

/// The same bytes.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.der == other.0.der
    }
}

impl Eq for Certificate {}

/// Whose it is, and its number.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({}, {})", shown(self.subject()), self.serial())
    }
}

/// As RFC 8366 §5.3 has certificates: DER in base64.
impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(self.der(), serializer)
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64::deserialize(deserializer, |der| Self::from_der(&der))
    }
}

impl Extensions {
    fn read(extensions: &[Extension]) -> Result<Self, CertificateError> {
        for (at, extension) in extensions.iter().enumerate() {
            if extensions[..at].iter().any(|other| other.extn_id == extension.extn_id) {
                return Err(CertificateError::Malformed("it has an extension twice"));
            }
        }
        Ok(Self {
            constraints: read(extensions)?,
            key_usage: read(extensions)?,
            purposes: read(extensions)?,
            alt_names: read(extensions)?.unwrap_or_default(),
            key_identifier: read(extensions)?,
            authority_key_identifier: read(extensions)?,
        })
    }
}

fn read<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(
    extensions: &'a [Extension],
) -> Result<Option<T>, CertificateError> {
    let extension = extensions.iter().find(|extension| extension.extn_id == T::OID);
    extension.map(|extension| T::from_der(extension.extn_value.as_bytes())).transpose().map_err(CertificateError::Der)
}
