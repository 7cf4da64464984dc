//! Signing an image.

use std::time::Duration;

use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos},
};
use der::{
    Any, Decode, Encode,
    asn1::{GeneralizedTime, ObjectIdentifier, OctetString, SetOfVec, UtcTime},
};
use sha2::{Digest as _, Sha256};
use x509_cert::{Certificate, attr::Attribute, time::Time};

use super::{
    AuthenticodeError,
    signature::certificate_key,
    spc::{
        CONTENT_TYPE, INDIRECT_DATA, IndirectData, MESSAGE_DIGEST, SHA256, SIGNED_DATA, SIGNING_TIME, algorithm,
        signature_algorithm,
    },
    table,
};
use crate::{
    key::Sign,
    limits::CERTIFICATE_BYTES_MAX,
    pe::{Digest, Image},
};

/// The first second of 2050, from which on times have four digits for the year (RFC 5652 §11.3).
const YEAR_2050: u64 = 2_524_608_000;

/// What signs an image.
#[derive(Clone, Copy)]
pub struct Signing<'a> {
    /// The key.
    pub key: &'a dyn Sign,
    /// Its certificate, an X.509 in DER. It goes into the image. Firmware trusts it if it, or the certificate that it
    /// is issued by, is in `db`.
    pub certificate: &'a [u8],
    /// The time that the signature claims, in seconds since 1970: the same in every build, or none. Firmware does not
    /// look at it.
    pub time: Option<u64>,
}

/// The image with one more signature.
///
/// # Errors
///
/// [`AuthenticodeError::Image`] and [`AuthenticodeError::Table`] for bytes that are no sound image,
/// [`AuthenticodeError::Certificate`] and [`AuthenticodeError::CertificateKey`] for certificates that cannot sign,
/// [`AuthenticodeError::Sign`] and [`AuthenticodeError::WrongKey`] if the key does not sign, or is another.
pub fn sign(image: &[u8], signing: &Signing<'_>) -> Result<Vec<u8>, AuthenticodeError> {
    let image = Image::parse(image)?;
    // Whatever is there has to be read before something follows it.
    let signed = !table::read(&image)?.is_empty();
    // The signature covers the padding. Behind a signature there is none: it stands at a multiple of 8.
    let padded = table::pad(&image);
    let image = if signed { image } else { Image::parse(&padded)? };
    table::append(&image, &signed_data(&image.digest(), signing)?)
}

/// The image without its signatures. What it was padded with before it was signed stays.
///
/// # Errors
///
/// [`AuthenticodeError::Image`] for bytes that are no sound image.
pub fn remove(image: &[u8]) -> Result<Vec<u8>, AuthenticodeError> {
    Ok(table::remove(&Image::parse(image)?))
}

/// CMS `ContentInfo`, DER.
fn signed_data(digest: &Digest, signing: &Signing<'_>) -> Result<Vec<u8>, AuthenticodeError> {
    let certificate = read_certificate(signing.certificate)?;
    let key = certificate_key(&certificate)?;
    let error = AuthenticodeError::der("the new signature");
    let content = IndirectData::of_image(digest).and_then(|data| Any::encode_from(&data)).map_err(&error)?;
    let attributes = attributes(content.value(), signing.time)?;
    let message = attributes.to_der().map_err(&error)?;
    let signature = signing.key.sign(&message).map_err(AuthenticodeError::Sign)?;
    if !key.verify(&message, &signature) {
        return Err(AuthenticodeError::WrongKey);
    }
    let signer = || {
        Ok(SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: certificate.tbs_certificate().issuer().clone(),
                serial_number: certificate.tbs_certificate().serial_number().clone(),
            }),
            digest_alg: algorithm(SHA256)?,
            signed_attrs: Some(attributes),
            signature_algorithm: signature_algorithm(key.kind())?,
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        })
    };
    encode(content, signer, &certificate).map_err(&error)
}

fn encode(
    content: Any,
    signer: impl FnOnce() -> der::Result<SignerInfo>,
    certificate: &Certificate,
) -> der::Result<Vec<u8>> {
    let signed = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: set([algorithm(SHA256)?])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: INDIRECT_DATA, econtent: Some(content) },
        certificates: Some(vec![CertificateChoices::Certificate(certificate.clone())].try_into()?),
        crls: None,
        signer_infos: SignerInfos(set([signer()?])?),
    };
    ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed)? }.to_der()
}

/// What the key signs: that the content is about an image, its digest, and the time.
fn attributes(content: &[u8], time: Option<u64>) -> Result<SetOfVec<Attribute>, AuthenticodeError> {
    let error = AuthenticodeError::der("the new signature's attributes");
    let digest = OctetString::new(&Sha256::digest(content)[..]).map_err(&error)?;
    let mut attributes = vec![attribute(CONTENT_TYPE, &INDIRECT_DATA), attribute(MESSAGE_DIGEST, &digest)];
    if let Some(seconds) = time {
        let time = moment(seconds).map_err(|_| AuthenticodeError::Time(seconds))?;
        attributes.push(attribute(SIGNING_TIME, &time));
    }
    attributes.into_iter().collect::<der::Result<Vec<_>>>().and_then(SetOfVec::try_from).map_err(&error)
}

fn attribute(oid: ObjectIdentifier, value: &(impl Encode + der::Tagged)) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: set([Any::from_der(&value.to_der()?)?])? })
}

fn moment(seconds: u64) -> der::Result<Time> {
    let since_1970 = Duration::from_secs(seconds);
    if seconds < YEAR_2050 {
        UtcTime::from_unix_duration(since_1970).map(Time::UtcTime)
    } else {
        GeneralizedTime::from_unix_duration(since_1970).map(Time::GeneralTime)
    }
}

fn set<T: der::DerOrd, const N: usize>(elements: [T; N]) -> der::Result<SetOfVec<T>> {
    SetOfVec::try_from(Vec::from(elements))
}

/// A certificate that is the same once it is written again, as it will be in the signature.
fn read_certificate(der: &[u8]) -> Result<Certificate, AuthenticodeError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return Err(AuthenticodeError::Certificate);
    }
    let certificate = Certificate::from_der(der).map_err(|_| AuthenticodeError::Certificate)?;
    if certificate.to_der().ok().as_deref() != Some(der) {
        return Err(AuthenticodeError::Certificate);
    }
    Ok(certificate)
}
