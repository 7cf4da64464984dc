//! Identifiers of algorithms, purposes and attributes.

use der::asn1::ObjectIdentifier;

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// `id-ecPublicKey` (RFC 5480 §2.1.1).
pub(crate) const EC_PUBLIC_KEY: ObjectIdentifier = oid("1.2.840.10045.2.1");
/// `secp256r1`, which is P-256 (RFC 5480 §2.1.1.1).
pub(crate) const P256: ObjectIdentifier = oid("1.2.840.10045.3.1.7");
/// `ecdsa-with-SHA256` (RFC 5758 §3.2).
pub(crate) const ECDSA_SHA256: ObjectIdentifier = oid("1.2.840.10045.4.3.2");

/// `id-at-commonName`, `id-at-serialNumber` and `id-at-organizationName` (RFC 5280, appendix A.1).
pub(crate) const COMMON_NAME: ObjectIdentifier = oid("2.5.4.3");
pub(crate) const SERIAL_NUMBER: ObjectIdentifier = oid("2.5.4.5");
pub(crate) const ORGANISATION: ObjectIdentifier = oid("2.5.4.10");

/// `pkcs-9-at-challengePassword` and `pkcs-9-at-extensionRequest` (RFC 2985 §5.4).
pub(crate) const CHALLENGE_PASSWORD: ObjectIdentifier = oid("1.2.840.113549.1.9.7");
pub(crate) const EXTENSION_REQUEST: ObjectIdentifier = oid("1.2.840.113549.1.9.14");
/// `id-ce-subjectAltName` (RFC 5280 §4.2.1.6).
pub(crate) const SUBJECT_ALT_NAME: ObjectIdentifier = oid("2.5.29.17");
/// `id-on-hardwareModuleName` (RFC 4108 §5).
pub(crate) const HARDWARE_MODULE_NAME: ObjectIdentifier = oid("1.3.6.1.5.5.7.8.4");

/// `id-kp-serverAuth` and `id-kp-clientAuth` (RFC 5280 §4.2.1.12).
pub(crate) const SERVER_AUTH: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.1");
pub(crate) const CLIENT_AUTH: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.2");
/// `id-kp-cmcRA` (RFC 6402 §2.10): who answers for an authority.
pub(crate) const CMC_RA: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.28");
/// `id-kp-documentSigning` (RFC 9336): vouchers are documents.
pub(crate) const DOCUMENT_SIGNING: ObjectIdentifier = oid("1.3.6.1.5.5.7.3.36");

/// `id-sha256` (RFC 5754 §2.2).
pub(crate) const SHA256: ObjectIdentifier = oid("2.16.840.1.101.3.4.2.1");
/// `id-contentType` and `id-messageDigest` (RFC 5652 §11).
pub(crate) const CONTENT_TYPE: ObjectIdentifier = oid("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: ObjectIdentifier = oid("1.2.840.113549.1.9.4");
/// `id-data` and `id-signedData` (RFC 5652 §4, §5.1).
pub(crate) const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
pub(crate) const SIGNED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.2");
