//! Taking a message apart.

use cms::{
    cert::CertificateChoices,
    content_info::{CmsVersion, ContentInfo},
    signed_data::{CertificateSet, SignedData, SignerIdentifier, SignerInfo},
};
use der::{Any, Decode, Encode, Tag, Tagged as _, asn1::ObjectIdentifier};
use sha2::{Digest as _, Sha256};

use super::{CmsError, ContentType, is_sha256, outline, value};
use crate::{
    Certificate,
    chain::{self, ChainError, Path, Rules},
    key::ecdsa_sha256,
    limits::SIGNED_CERTIFICATES_MAX,
    oid::{CONTENT_TYPE, DATA, MESSAGE_DIGEST},
};

/// What somebody signed, whoever he is: nobody has vouched for his certificate yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    content: Vec<u8>,
    signer: Certificate,
    others: Vec<Certificate>,
}

impl Opened {
    /// What was signed.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The certificate of the key that signed.
    #[must_use]
    pub const fn signer(&self) -> &Certificate {
        &self.signer
    }

    /// The other certificates in the message, in no order.
    #[must_use]
    pub fn others(&self) -> &[Certificate] {
        &self.others
    }

    /// The path from the signer's certificate to one of `roots`, by these rules.
    ///
    /// # Errors
    ///
    /// [`ChainError`].
    pub fn path(&self, roots: &[Certificate], rules: &Rules<'_>) -> Result<Path, ChainError> {
        chain::verify(&self.signer, &self.others, roots, rules)
    }
}

/// What somebody signed for whom a trusted certificate vouches.
#[derive(Clone, Debug)]
pub struct Verified {
    content: Vec<u8>,
    signer: Certificate,
    path: Path,
}

impl Verified {
    /// What was signed.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The certificate of the key that signed.
    #[must_use]
    pub const fn signer(&self) -> &Certificate {
        &self.signer
    }

    /// The path from the signer's certificate to a trusted one.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes a message in DER whose content is of a type, if one of `roots` vouches for its signer by these rules. A signing
/// time in the message is not looked at.
///
/// Sizes are checked before anything is read, and the path of certificates last.
///
/// # Errors
///
/// [`CmsError`].
pub fn verify(
    der: &[u8],
    content_type: ContentType,
    roots: &[Certificate],
    rules: &Rules<'_>,
) -> Result<Verified, CmsError> {
    let opened = open(der, content_type)?;
    let path = opened.path(roots, rules).map_err(CmsError::Path)?;
    let Opened { content, signer, .. } = opened;
    Ok(Verified { content, signer, path })
}

/// Takes a message in DER whose content is of a type, whoever signed it: his signature holds, by a certificate that is
/// in the message. Whether that counts is for [`Opened::path`] to say.
///
/// # Errors
///
/// [`CmsError`], never [`CmsError::Path`].
pub fn open(der: &[u8], content_type: ContentType) -> Result<Opened, CmsError> {
    outline::check(der, content_type.message_bytes_max())?;
    let signed_data = decode(der)?;
    let content = content(&signed_data, content_type)?;
    let signer_info = signer_info(&signed_data, content_type.oid)?;
    let certificates = certificates(signed_data.certificates.as_ref())?;
    let (mut named, others): (Vec<_>, Vec<_>) =
        certificates.into_iter().partition(|certificate| is_named(&signer_info.sid, certificate));
    let signer = named.pop().filter(|_| named.is_empty()).ok_or(CmsError::NoSigner)?;
    let key = signer.public_key().map_err(CmsError::SignerKey)?;
    if !signer.signs_messages() {
        return Err(CmsError::KeyUsage);
    }
    let message = signed_attributes(signer_info, content_type.oid, content)?;
    if !key.verify_der(&message, signer_info.signature.as_bytes()) {
        return Err(CmsError::Signature);
    }
    Ok(Opened { content: content.to_vec(), signer, others })
}

/// DER alone: what is read is what would be written.
fn decode(der: &[u8]) -> Result<SignedData, CmsError> {
    let error = CmsError::der("the message");
    let info = ContentInfo::from_der(der).map_err(&error)?;
    let signed_data: SignedData = info.content.decode_as().map_err(&error)?;
    let content = Any::encode_from(&signed_data).map_err(&error)?;
    let again = ContentInfo { content_type: info.content_type, content }.to_der().map_err(&error)?;
    if again == der { Ok(signed_data) } else { Err(CmsError::NotDer) }
}

fn content(signed_data: &SignedData, expected: ContentType) -> Result<&[u8], CmsError> {
    let found = signed_data.encap_content_info.econtent_type;
    if found != expected.oid {
        return Err(CmsError::ContentType { found, expected: expected.oid });
    }
    let content = signed_data.encap_content_info.econtent.as_ref().ok_or(CmsError::Detached)?;
    if content.tag() != Tag::OctetString {
        return Err(CmsError::Unsupported("its content is not an OCTET STRING"));
    }
    expected.check(content.value())?;
    Ok(content.value())
}

/// The one who signs, by the algorithms that there are.
fn signer_info(signed_data: &SignedData, content_type: ObjectIdentifier) -> Result<&SignerInfo, CmsError> {
    let [signer] = signed_data.signer_infos.0.as_slice() else {
        return Err(CmsError::Signers(signed_data.signer_infos.0.len()));
    };
    let digests = std::iter::once(&signer.digest_alg).chain(signed_data.digest_algorithms.iter());
    if let Some(other) = digests.clone().find(|algorithm| !is_sha256(algorithm)) {
        return Err(CmsError::Algorithm { what: "digest", found: other.oid });
    }
    if digests.count() != 2 {
        return Err(CmsError::Unsupported("it has not one digest algorithm"));
    }
    let algorithm = &signer.signature_algorithm;
    if *algorithm != ecdsa_sha256() {
        return Err(CmsError::Algorithm { what: "signature", found: algorithm.oid });
    }
    // RFC 5652 §5.1 and §5.3.
    let by_key = matches!(signer.sid, SignerIdentifier::SubjectKeyIdentifier(_));
    let signer_version = if by_key { CmsVersion::V3 } else { CmsVersion::V1 };
    let version = if by_key || content_type != DATA { CmsVersion::V3 } else { CmsVersion::V1 };
    if signer.version != signer_version || signed_data.version != version {
        return Err(CmsError::Unsupported("its version is not the one of its fields"));
    }
    // Nobody vouches for them.
    if signer.unsigned_attrs.is_some() {
        return Err(CmsError::Unsupported("it has unsigned attributes"));
    }
    Ok(signer)
}

fn certificates(set: Option<&CertificateSet>) -> Result<Vec<Certificate>, CmsError> {
    let found = set.map_or(&[][..], |set| set.0.as_slice());
    if found.is_empty() || found.len() > SIGNED_CERTIFICATES_MAX {
        return Err(CmsError::Certificates { found: found.len(), limit: SIGNED_CERTIFICATES_MAX });
    }
    let certificate = |choice: &CertificateChoices| match choice {
        CertificateChoices::Certificate(certificate) => {
            let der = certificate.to_der().map_err(CmsError::der("a certificate in the message"))?;
            Certificate::from_der(&der).map_err(CmsError::Certificate)
        }
        CertificateChoices::Other(_) => Err(CmsError::Unsupported("it has certificates that are not X.509")),
    };
    found.iter().map(certificate).collect()
}

fn is_named(signer: &SignerIdentifier, certificate: &Certificate) -> bool {
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            let certificate = certificate.inner().tbs_certificate();
            *certificate.issuer() == id.issuer && *certificate.serial_number() == id.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => certificate.key_identifier() == Some(id.0.as_bytes()),
    }
}

/// What was signed, if it is about this content.
fn signed_attributes(signer: &SignerInfo, content_type: ObjectIdentifier, content: &[u8]) -> Result<Vec<u8>, CmsError> {
    let attributes = signer.signed_attrs.as_ref().ok_or(CmsError::NoAttributes)?;
    if value(attributes, CONTENT_TYPE).and_then(|value| value.decode_as().ok()) != Some(content_type) {
        return Err(CmsError::Attribute("content-type"));
    }
    let digest = value(attributes, MESSAGE_DIGEST).filter(|digest| digest.tag() == Tag::OctetString);
    let digest = digest.ok_or(CmsError::Attribute("message-digest"))?;
    if digest.value() != &Sha256::digest(content)[..] {
        return Err(CmsError::Digest);
    }
    attributes.to_der().map_err(CmsError::der("the message's signed attributes"))
}
