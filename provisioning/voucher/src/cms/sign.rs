//! Making a message.

use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos},
};
use der::{
    Any, Encode, Sequence, Tag,
    asn1::{OctetString, SetOfVec, Uint},
};
use dolmen_hsm_api::{Algorithm, Domain, Message, Signature, Signer};
use sha2::{Digest as _, Sha256};
use x509_cert::attr::Attribute;

use super::{
    CONTENT_TYPE, CmsError, DATA, ECDSA_SHA256, MESSAGE_DIGEST, ObjectIdentifier, SHA256, SIGNED_DATA, SignError,
    algorithm, verify::verify_signature,
};
use crate::{
    Certificate,
    limits::{CERTIFICATES_MAX, CONTENT_BYTES_MAX},
};

/// A message that lacks a signature.
#[derive(Clone, Debug)]
pub struct Unsigned {
    content_type: ObjectIdentifier,
    content: Any,
    attributes: SetOfVec<Attribute>,
    message: Vec<u8>,
    certificates: Vec<Certificate>,
}

/// What a key has to sign, so that `content` becomes a message. The first of `chain` is the key's certificate; those
/// that vouch for it follow, up to the root, which may be left out. All of them go into the message.
///
/// # Errors
///
/// [`CmsError::Bytes`], [`CmsError::Certificates`], [`CmsError::NoSigner`] where the first certificate is there twice,
/// [`CmsError::SignerKey`] and [`CmsError::KeyUsage`].
pub fn to_sign(content_type: ObjectIdentifier, content: &[u8], chain: &[Certificate]) -> Result<Unsigned, CmsError> {
    if content.is_empty() || content.len() > CONTENT_BYTES_MAX {
        return Err(CmsError::Bytes { what: "the content", found: content.len(), limit: CONTENT_BYTES_MAX });
    }
    let count = CmsError::Certificates { found: chain.len(), limit: CERTIFICATES_MAX };
    let signer = chain.first().filter(|_| chain.len() <= CERTIFICATES_MAX).ok_or(count)?;
    if chain.iter().skip(1).any(|other| other == signer) {
        return Err(CmsError::NoSigner);
    }
    signer.p256_key().ok_or(CmsError::SignerKey)?;
    if !signer.may_sign() {
        return Err(CmsError::KeyUsage);
    }
    let error = CmsError::der("the new message");
    let attributes = attributes(content_type, content).map_err(&error)?;
    Ok(Unsigned {
        content_type,
        content: Any::new(Tag::OctetString, content).map_err(&error)?,
        message: attributes.to_der().map_err(&error)?,
        attributes,
        certificates: chain.to_vec(),
    })
}

impl Unsigned {
    /// What has to be signed by ECDSA with SHA-256: the signed attributes, a SET in DER (RFC 5652 §5.4).
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Has a key sign and gives the message, DER.
    ///
    /// # Errors
    ///
    /// [`SignError`].
    pub async fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        if signer.algorithm() != Algorithm::EcdsaP256 {
            return Err(SignError::Algorithm { uri: signer.uri().clone(), algorithm: signer.algorithm() });
        }
        let key = self.certificates.first().and_then(Certificate::p256_key);
        if key.is_none_or(|key| key != signer.public_key()) {
            return Err(SignError::OtherKey(signer.uri().clone()));
        }
        let message = Message::Bytes(&self.message);
        self.with_signature(&signer.sign(Domain::Certificate, message).await.map_err(SignError::Key)?)
    }

    /// The message with a signature that was made elsewhere, DER.
    ///
    /// # Errors
    ///
    /// [`SignError::WrongSignature`] where it is not one by the certificate's key.
    pub fn with_signature(&self, signature: &Signature) -> Result<Vec<u8>, SignError> {
        let error = CmsError::der("the new message");
        let signature = signature_der(signature).map_err(&error)?;
        let signer = self.certificates.first().ok_or(CmsError::NoSigner)?;
        if !verify_signature(signer, &self.message, &signature)? {
            return Err(SignError::WrongSignature);
        }
        Ok(self.encode(signer, signature).map_err(error)?)
    }

    fn encode(&self, signer: &Certificate, signature: Vec<u8>) -> der::Result<Vec<u8>> {
        let certificate = signer.parsed().tbs_certificate();
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: certificate.issuer().clone(),
                serial_number: certificate.serial_number().clone(),
            }),
            digest_alg: algorithm(SHA256),
            signed_attrs: Some(self.attributes.clone()),
            signature_algorithm: algorithm(ECDSA_SHA256),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let certificates = self.certificates.iter().map(Certificate::parsed).cloned();
        let certificates: Vec<_> = certificates.map(CertificateChoices::Certificate).collect();
        let signed_data = SignedData {
            // RFC 5652 §5.1.
            version: if self.content_type == DATA { CmsVersion::V1 } else { CmsVersion::V3 },
            digest_algorithms: set([algorithm(SHA256)])?,
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: self.content_type,
                econtent: Some(self.content.clone()),
            },
            certificates: Some(certificates.try_into()?),
            crls: None,
            signer_infos: SignerInfos(set([signer])?),
        };
        ContentInfo { content_type: SIGNED_DATA, content: Any::encode_from(&signed_data)? }.to_der()
    }
}

/// What the content is, and its digest.
fn attributes(content_type: ObjectIdentifier, content: &[u8]) -> der::Result<SetOfVec<Attribute>> {
    let digest = OctetString::new(&Sha256::digest(content)[..])?;
    let attribute = |oid, value| Ok::<_, der::Error>(Attribute { oid, values: set([value])? });
    set([
        attribute(CONTENT_TYPE, Any::encode_from(&content_type)?)?,
        attribute(MESSAGE_DIGEST, Any::encode_from(&digest)?)?,
    ])
}

fn set<T: der::DerOrd, const N: usize>(elements: [T; N]) -> der::Result<SetOfVec<T>> {
    SetOfVec::try_from(Vec::from(elements))
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSignature {
    r: Uint,
    s: Uint,
}

fn signature_der(Signature(bytes): &Signature) -> der::Result<Vec<u8>> {
    let (r, s) = bytes.split_at(32);
    EcdsaSignature { r: Uint::new(r)?, s: Uint::new(s)? }.to_der()
}
