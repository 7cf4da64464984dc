//! What an Authenticode signature is about: Microsoft's structures ("Windows Authenticode Portable Executable Signature
//! Format"), and the identifiers of those from CMS (RFC 5652) and PKCS #1.
//!
//! CMS of 2002 and later wants the content in an OCTET STRING. Authenticode is from before: the content is a structure
//! of its own, and the version is 1.

use der::{
    Any, AnyRef, Sequence,
    asn1::{Null, ObjectIdentifier, OctetString},
};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::{key::KeyKind, pe::Digest};

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// `id-signedData`.
pub(super) const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
/// `id-contentType`.
pub(super) const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
/// `id-messageDigest`.
pub(super) const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
/// `id-signingTime`.
pub(super) const SIGNING_TIME: ObjectIdentifier = oid("1.2.840.113549.1.9.5");
/// `SPC_INDIRECT_DATA_OBJID`: the content is a digest of something that is elsewhere.
pub(super) const INDIRECT_DATA: ObjectIdentifier = oid("1.3.6.1.4.1.311.2.1.4");
/// `SPC_PE_IMAGE_DATAOBJ`: which is an image.
pub(super) const PE_IMAGE_DATA: ObjectIdentifier = oid("1.3.6.1.4.1.311.2.1.15");
/// `id-sha256`.
pub(super) const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
/// `rsaEncryption`, and the same with SHA-256, which some write in its place.
pub(super) const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
pub(super) const RSA_SHA256: ObjectIdentifier = oid("1.2.840.113549.1.1.11");
/// `ecdsa-with-SHA256`.
pub(super) const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");

/// `SpcPeImageData`: no flags, and where a file's name would be, what the specification prescribes since it has none:
/// `<<<Obsolete>>>` in 16-bit characters.
const IMAGE_DATA: &[u8] = b"\x30\x25\x03\x01\x00\xa0\x20\xa2\x1e\x80\x1c\
    \0<\0<\0<\0O\0b\0s\0o\0l\0e\0t\0e\0>\0>\0>";

/// `SpcIndirectDataContent`.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct IndirectData {
    pub(super) data: AttributeTypeAndValue,
    pub(super) message_digest: DigestInfo,
}

/// `SpcAttributeTypeAndOptionalValue`.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct AttributeTypeAndValue {
    pub(super) kind: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub(super) value: Option<Any>,
}

/// `DigestInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub(super) struct DigestInfo {
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) digest: OctetString,
}

impl IndirectData {
    /// About an image with this digest.
    pub(super) fn of_image(digest: &Digest) -> der::Result<Self> {
        let value = Any::from(AnyRef::try_from(IMAGE_DATA)?);
        Ok(Self {
            data: AttributeTypeAndValue { kind: PE_IMAGE_DATA, value: Some(value) },
            message_digest: DigestInfo { algorithm: algorithm(SHA256)?, digest: OctetString::new(&digest[..])? },
        })
    }
}

/// An algorithm with NULL for parameters, as OpenSSL and Microsoft write SHA-256 and RSA.
pub(super) fn algorithm(oid: ObjectIdentifier) -> der::Result<AlgorithmIdentifierOwned> {
    Ok(AlgorithmIdentifierOwned { oid, parameters: Some(Any::encode_from(&Null)?) })
}

/// How a key's signature is called. ECDSA has no parameters (RFC 5758 §3.2).
pub(super) fn signature_algorithm(kind: KeyKind) -> der::Result<AlgorithmIdentifierOwned> {
    match kind {
        KeyKind::Rsa => algorithm(RSA),
        KeyKind::EcdsaP256 => Ok(AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None }),
    }
}

/// Whether a key makes signatures that are called so.
pub(super) fn signs_by(kind: KeyKind, algorithm: &AlgorithmIdentifierOwned) -> bool {
    match kind {
        KeyKind::Rsa => [RSA, RSA_SHA256].contains(&algorithm.oid),
        KeyKind::EcdsaP256 => algorithm.oid == ECDSA_SHA256,
    }
}
