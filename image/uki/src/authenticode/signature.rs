//! Reading a signature.

use std::time::Duration;

use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{Any, Decode, Encode, Reader, SliceReader, asn1::ObjectIdentifier};
use sha2::{Digest as _, Sha256};
use x509_cert::{Certificate, time::Time};

use super::{
    AuthenticodeError,
    spc::{
        CONTENT_TYPE, INDIRECT_DATA, IndirectData, MESSAGE_DIGEST, PE_IMAGE_DATA, SHA256, SIGNED_DATA, SIGNING_TIME,
        signs_by,
    },
    table,
};
use crate::{
    key::PublicKey,
    pe::{Digest, Image},
};

/// Zeros that may follow a signature in its table.
const PADDING_MAX: usize = 7;

/// A signature that the key of a certificate in it made. It says nothing about who has that key, and nothing about an
/// image: [`verify()`](super::verify()) does.
#[derive(Clone, Debug)]
pub struct Signature {
    digest: Digest,
    certificate: Vec<u8>,
    others: Vec<Vec<u8>>,
    time: Option<u64>,
}

/// The signatures of an image in their order.
///
/// # Errors
///
/// [`AuthenticodeError::Table`] and [`AuthenticodeError::TooMany`] if they cannot be told apart, and
/// [`AuthenticodeError::Der`] and [`AuthenticodeError::Signature`] if one of them is none, or its key did not make it.
pub fn signatures(image: &Image<'_>) -> Result<Vec<Signature>, AuthenticodeError> {
    table::read(image)?.into_iter().map(Signature::read).collect()
}

impl Signature {
    /// The digest of the image that it is about.
    pub const fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The certificate of the key that made it, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The other certificates that are sent along, DER.
    pub fn other_certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.others.iter().map(Vec::as_slice)
    }

    /// When it claims to be made, in seconds since 1970.
    pub const fn time(&self) -> Option<u64> {
        self.time
    }

    /// Reads CMS `ContentInfo` in DER, with padding behind it.
    fn read(bytes: &[u8]) -> Result<Self, AuthenticodeError> {
        let signed = read_signed_data(bytes).map_err(AuthenticodeError::der("a signature"))?;
        let signed = signed.ok_or(AuthenticodeError::Signature("it is no SignedData"))?;
        let [signer] = signed.signer_infos.0.as_slice() else {
            return Err(AuthenticodeError::Signature("it has not one signer"));
        };
        let content = signed.encap_content_info.econtent.as_ref();
        let content = content.filter(|_| signed.encap_content_info.econtent_type == INDIRECT_DATA);
        let content = content.ok_or(AuthenticodeError::Signature("it is not about an image"))?;
        let digest = image_digest(content)?;
        let (signers, others) = certificates(&signed, &signer.sid)?;
        let [certificate] = &signers[..] else {
            return Err(AuthenticodeError::Signature("its signer's certificate is not in it"));
        };
        let time = check_signer(signer, content, &certificate_key(certificate)?)?;
        let encode = |certificate: &Certificate| certificate.to_der().map_err(AuthenticodeError::der("a certificate"));
        let others = others.iter().map(encode).collect::<Result<_, _>>()?;
        Ok(Self { digest, certificate: encode(certificate)?, others, time })
    }
}

/// None if it is something else than SignedData.
fn read_signed_data(bytes: &[u8]) -> der::Result<Option<SignedData>> {
    let mut reader = SliceReader::new(bytes)?;
    let info = ContentInfo::decode(&mut reader)?;
    let rest = reader.read_slice(reader.remaining_len())?;
    if info.content_type != SIGNED_DATA || rest.len() > PADDING_MAX || rest.iter().any(|byte| *byte != 0) {
        return Ok(None);
    }
    info.content.decode_as().map(Some)
}

/// The digest in the content.
fn image_digest(content: &Any) -> Result<Digest, AuthenticodeError> {
    let content: IndirectData = content.decode_as().map_err(AuthenticodeError::der("a signature's content"))?;
    if content.data.kind != PE_IMAGE_DATA {
        return Err(AuthenticodeError::Signature("it is not about an image"));
    }
    let digest = content.message_digest;
    if digest.algorithm.oid != SHA256 {
        return Err(AuthenticodeError::Signature("its digest is not SHA-256"));
    }
    digest.digest.as_bytes().try_into().map_err(|_| AuthenticodeError::Signature("its digest has not 32 bytes"))
}

/// The signer's certificate, one unless something is wrong, and the others.
fn certificates(
    signed: &SignedData,
    signer: &SignerIdentifier,
) -> Result<(Vec<Certificate>, Vec<Certificate>), AuthenticodeError> {
    let SignerIdentifier::IssuerAndSerialNumber(id) = signer else {
        return Err(AuthenticodeError::Signature("its signer is not named by issuer and serial number"));
    };
    let choices = signed.certificates.iter().flat_map(|certificates| certificates.0.iter());
    let certificates = choices.filter_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
        CertificateChoices::Other(_) => None,
    });
    Ok(certificates.partition(|certificate| {
        let certificate = certificate.tbs_certificate();
        *certificate.issuer() == id.issuer && *certificate.serial_number() == id.serial_number
    }))
}

/// Says that the key signed the content, and when.
fn check_signer(signer: &SignerInfo, content: &Any, key: &PublicKey) -> Result<Option<u64>, AuthenticodeError> {
    if signer.digest_alg.oid != SHA256 || !signs_by(key.kind(), &signer.signature_algorithm) {
        return Err(AuthenticodeError::Signature("it is not made by RSASSA-PKCS1-v1_5 or ECDSA with SHA-256"));
    }
    let attributes = signer.signed_attrs.as_ref().ok_or(AuthenticodeError::Signature("it has no signed attributes"))?;
    let value = |oid: ObjectIdentifier| {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        match (found.next().map(|attribute| attribute.values.as_slice()), found.next()) {
            (Some([value]), None) => Some(value),
            _ => None,
        }
    };
    if value(CONTENT_TYPE).and_then(|value| value.decode_as().ok()) != Some(INDIRECT_DATA) {
        return Err(AuthenticodeError::Signature("its attributes are about something else"));
    }
    if value(MESSAGE_DIGEST).map(Any::value) != Some(&Sha256::digest(content.value())[..]) {
        return Err(AuthenticodeError::Signature("its attributes are of another content"));
    }
    let message = attributes.to_der().map_err(AuthenticodeError::der("a signature's attributes"))?;
    if !key.verify(&message, signer.signature.as_bytes()) {
        return Err(AuthenticodeError::Signature("its key did not make it"));
    }
    let time = value(SIGNING_TIME).and_then(|value| value.decode_as::<Time>().ok());
    Ok(time.map(Time::to_unix_duration).map(|since_1970: Duration| since_1970.as_secs()))
}

/// The key of a certificate.
pub(super) fn certificate_key(certificate: &Certificate) -> Result<PublicKey, AuthenticodeError> {
    let key = certificate.tbs_certificate().subject_public_key_info().to_der();
    let key = key.map_err(AuthenticodeError::der("a certificate's key"))?;
    PublicKey::from_der(&key).map_err(AuthenticodeError::CertificateKey)
}
