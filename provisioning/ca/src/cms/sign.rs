//! Making a message.

use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos},
};
use der::{
    Any, Encode, Tag,
    asn1::{ObjectIdentifier, OctetString, SetOfVec},
};
use dolmen_hsm_api::{Signature, Signer};
use sha2::{Digest as _, Sha256};
use x509_cert::{attr::Attribute, spki::AlgorithmIdentifierOwned};

use super::{CmsError, ContentType};
use crate::{
    Certificate, PublicKey, SignError,
    key::{self, ecdsa_sha256},
    limits::SIGNED_CERTIFICATES_MAX,
    oid::{CONTENT_TYPE, DATA, MESSAGE_DIGEST, SHA256, SIGNED_DATA},
};

/// A message that lacks a signature.
#[derive(Clone, Debug)]
pub struct Unsigned {
    content_type: ObjectIdentifier,
    content: Any,
    attributes: SetOfVec<Attribute>,
    message: Vec<u8>,
    key: PublicKey,
    signer: IssuerAndSerialNumber,
    certificates: Vec<Certificate>,
}

/// What a key has to sign, so that `content` becomes a message. The first of `chain` is the key's certificate; those
/// that vouch for it follow, up to the root, which may be left out. All of them go into the message.
///
/// # Errors
///
/// [`CmsError::Bytes`], [`CmsError::Certificates`], [`CmsError::NoSigner`] where the first certificate is there twice,
/// [`CmsError::SignerKey`] and [`CmsError::KeyUsage`].
pub fn to_sign(content_type: ContentType, content: &[u8], chain: &[Certificate]) -> Result<Unsigned, CmsError> {
    content_type.check(content)?;
    let count = CmsError::Certificates { found: chain.len(), limit: SIGNED_CERTIFICATES_MAX };
    let signer = chain.first().filter(|_| chain.len() <= SIGNED_CERTIFICATES_MAX).ok_or(count)?;
    if chain.iter().skip(1).any(|other| other == signer) {
        return Err(CmsError::NoSigner);
    }
    let key = signer.public_key().map_err(CmsError::SignerKey)?;
    if !signer.signs_messages() {
        return Err(CmsError::KeyUsage);
    }
    let error = CmsError::der("the new message");
    let attributes = attributes(content_type.oid, content).map_err(&error)?;
    Ok(Unsigned {
        content_type: content_type.oid,
        content: Any::new(Tag::OctetString, content).map_err(&error)?,
        message: attributes.to_der().map_err(&error)?,
        attributes,
        key,
        signer: IssuerAndSerialNumber {
            issuer: signer.issuer().clone(),
            serial_number: signer.inner().tbs_certificate().serial_number().clone(),
        },
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
    /// [`SignError`]; [`SignError::OtherKey`] where the certificate is not this key's.
    pub async fn sign(&self, signer: &dyn Signer) -> Result<Vec<u8>, SignError> {
        if PublicKey::of(signer)? != self.key {
            return Err(SignError::OtherKey(signer.uri().clone()));
        }
        self.encode(key::sign(signer, &self.message).await?).map_err(SignError::Der)
    }

    /// The message with a signature that was made elsewhere, DER.
    ///
    /// # Errors
    ///
    /// [`SignError::WrongSignature`] where it is not one by the certificate's key.
    pub fn with_signature(&self, signature: &Signature) -> Result<Vec<u8>, SignError> {
        let signature = key::to_der(&signature.0).map_err(SignError::Der)?;
        if !self.key.verify_der(&self.message, &signature) {
            return Err(SignError::WrongSignature);
        }
        self.encode(signature).map_err(SignError::Der)
    }

    fn encode(&self, signature: Vec<u8>) -> der::Result<Vec<u8>> {
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(self.signer.clone()),
            digest_alg: sha256(),
            signed_attrs: Some(self.attributes.clone()),
            signature_algorithm: ecdsa_sha256(),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let certificates = self.certificates.iter().map(Certificate::inner).cloned();
        let certificates: Vec<_> = certificates.map(CertificateChoices::Certificate).collect();
        let signed_data = SignedData {
            // RFC 5652 §5.1.
            version: if self.content_type == DATA { CmsVersion::V1 } else { CmsVersion::V3 },
            digest_algorithms: set([sha256()])?,
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

/// Without parameters (RFC 5754 §2).
const fn sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: SHA256, parameters: None }
}
