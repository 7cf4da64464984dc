//! Certificates alone: a CMS `SignedData` that nobody signed (RFC 5272 §4.1, RFC 7030 §4.1.3).

use cms::{
    cert::CertificateChoices,
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerInfos},
};
use der::{Any, Decode, Encode, asn1::SetOfVec};

use super::{EstError, base64};
use crate::{
    Authority, Certificate,
    limits::{CERTIFICATES_MAX, CERTS_BYTES_MAX},
    oid::{DATA, SIGNED_DATA},
};

/// The body that answers `cacerts`: an authority's certificate, and those above it.
///
/// # Errors
///
/// [`EstError::Write`].
pub fn cacerts(authority: &Authority) -> Result<String, EstError> {
    write_certs(&[std::slice::from_ref(authority.certificate()), authority.chain()].concat())
}

/// A body of certificates. What is read of it is not in this order: CMS sorts them by their bytes.
///
/// # Errors
///
/// [`EstError::TooMany`] and [`EstError::Write`].
pub fn write_certs(certificates: &[Certificate]) -> Result<String, EstError> {
    certs_only(certificates).map(|der| base64::write(&der))
}

/// Reads a body of certificates. Nobody signed it: TLS, or a voucher, says whether they are the right ones.
///
/// # Errors
///
/// [`EstError::Bytes`], [`EstError::Base64`], and what [`read_certs_only`] says.
pub fn read_certs(body: &[u8]) -> Result<Vec<Certificate>, EstError> {
    read_certs_only(&base64::read(body, CERTS_BYTES_MAX)?)
}

/// The same in DER, as files have it.
///
/// # Errors
///
/// [`EstError::TooMany`] and [`EstError::Write`].
pub fn certs_only(certificates: &[Certificate]) -> Result<Vec<u8>, EstError> {
    if certificates.len() > CERTIFICATES_MAX {
        return Err(EstError::TooMany(certificates.len()));
    }
    encode(certificates).map_err(EstError::Write)
}

fn encode(certificates: &[Certificate]) -> der::Result<Vec<u8>> {
    let choices = certificates.iter().map(|certificate| CertificateChoices::Certificate(certificate.inner().clone()));
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::new(),
        encap_content_info: EncapsulatedContentInfo { econtent_type: DATA, econtent: None },
        certificates: Some(choices.collect::<Vec<_>>().try_into()?),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::new()),
    };
    ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
}

/// Reads certificates in DER. Revocation lists beside them are not looked at.
///
/// # Errors
///
/// [`EstError::Bytes`], [`EstError::Der`], [`EstError::CertsOnly`], [`EstError::TooMany`] and
/// [`EstError::Certificate`].
pub fn read_certs_only(der: &[u8]) -> Result<Vec<Certificate>, EstError> {
    if der.len() > CERTS_BYTES_MAX {
        return Err(EstError::Bytes { found: der.len(), limit: CERTS_BYTES_MAX });
    }
    let message = ContentInfo::from_der(der).map_err(EstError::Der)?;
    if message.content_type != SIGNED_DATA {
        return Err(EstError::CertsOnly("it is no SignedData"));
    }
    let signed: SignedData = message.content.decode_as().map_err(EstError::Der)?;
    if signed.encap_content_info.econtent.is_some() || !signed.signer_infos.0.is_empty() {
        return Err(EstError::CertsOnly("it has a content or a signature"));
    }
    let choices = signed.certificates.map(|certificates| certificates.0.into_vec()).unwrap_or_default();
    if choices.len() > CERTIFICATES_MAX {
        return Err(EstError::TooMany(choices.len()));
    }
    choices.iter().enumerate().map(|(at, choice)| read(at, choice)).collect()
}

fn read(at: usize, choice: &CertificateChoices) -> Result<Certificate, EstError> {
    let CertificateChoices::Certificate(certificate) = choice else {
        return Err(EstError::CertsOnly("it has certificates of another kind"));
    };
    let der = certificate.to_der().map_err(EstError::Der)?;
    Certificate::from_der(&der).map_err(|source| EstError::Certificate { at, source })
}
