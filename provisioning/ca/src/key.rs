//! Public keys of certificates, and their signatures.

use std::fmt;

use der::{
    Any, AnyRef, Decode, Encode, Sequence,
    asn1::{BitString, ObjectIdentifier, UintRef},
};
use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeyUri, Message, Signer};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier as _};
use sha2::{Digest as _, Sha256};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::oid::{EC_PUBLIC_KEY, ECDSA_SHA256, P256};

/// Bytes of `r` and of `s`.
const SCALAR_BYTES: usize = 32;
/// Bytes of a key's identifier: 160 bits of SHA-256 (RFC 7093 §2, method 1).
const IDENTIFIER_BYTES: usize = 20;

/// A P-256 key: a point of the curve. That somebody holds its other half is what a [`Request`](crate::Request) shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a key is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not on an elliptic curve.
    #[error("the key's algorithm is {0}, P-256 is taken alone; make a P-256 key")]
    Algorithm(ObjectIdentifier),
    /// On another curve.
    #[error("the key is on the curve {0}, P-256 is taken alone; make a P-256 key")]
    Curve(String),
    /// Bytes that are no point, or a point in short.
    #[error("the key is no point of P-256 in 65 bytes; make a new key")]
    Point,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key is of another kind.
    #[error(
        "the key {uri} signs with {algorithm}, certificates and messages are signed with P-256 alone; take another"
    )]
    Algorithm {
        /// The key.
        uri: KeyUri,
        /// How it signs.
        algorithm: Algorithm,
    },
    /// The certificate is another key's.
    #[error("the signer's certificate is not that of the key {0}; take the certificate of this key")]
    OtherKey(KeyUri),
    /// What the key says of itself is no key.
    #[error("the key {0} gives no point of P-256 for its public half; look at its device")]
    Point(KeyUri),
    /// The key did not sign.
    #[error("the key does not sign; look at its device")]
    Key(#[source] KeyError),
    /// A device that signs by another key, or otherwise.
    #[error("the signature of {0} does not fit its public half; look whether the device is the key's")]
    WrongKey(KeyUri),
    /// A signature that was made elsewhere.
    #[error("the signature is not by the key of the signer's certificate; have this message signed by that key")]
    WrongSignature,
    /// What is signed cannot be written.
    #[error("what is signed cannot be written; report this")]
    Der(#[source] der::Error),
}

impl PublicKey {
    /// Of its `x || y`.
    ///
    /// # Errors
    ///
    /// [`PublicKeyError::Point`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        Self::from_sec1(&[&[4], bytes].concat())
    }

    /// The public half of a key that signs.
    ///
    /// # Errors
    ///
    /// [`SignError::Algorithm`] and [`SignError::Point`].
    pub fn of(signer: &dyn Signer) -> Result<Self, SignError> {
        if signer.algorithm() != Algorithm::EcdsaP256 {
            return Err(SignError::Algorithm { uri: signer.uri().clone(), algorithm: signer.algorithm() });
        }
        Self::from_bytes(signer.public_key()).map_err(|_| SignError::Point(signer.uri().clone()))
    }

    /// Uncompressed alone: one key has one form (SEC 1 §2.3.3).
    fn from_sec1(bytes: &[u8]) -> Result<Self, PublicKeyError> {
        match bytes {
            [4, ..] => VerifyingKey::from_sec1_bytes(bytes).map(Self).map_err(|_| PublicKeyError::Point),
            _ => Err(PublicKeyError::Point),
        }
    }

    pub(crate) fn from_info(info: &SubjectPublicKeyInfoOwned) -> Result<Self, PublicKeyError> {
        if info.algorithm.oid != EC_PUBLIC_KEY {
            return Err(PublicKeyError::Algorithm(info.algorithm.oid));
        }
        let curve = info.algorithm.parameters.as_ref().map(Any::decode_as::<ObjectIdentifier>);
        match curve {
            Some(Ok(P256)) => Self::from_sec1(info.subject_public_key.as_bytes().ok_or(PublicKeyError::Point)?),
            Some(Ok(curve)) => Err(PublicKeyError::Curve(curve.to_string())),
            _ => Err(PublicKeyError::Curve("of no name".to_owned())),
        }
    }

    pub(crate) fn to_info(self) -> der::Result<SubjectPublicKeyInfoOwned> {
        Ok(SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(Any::encode_from(&P256)?) },
            subject_public_key: BitString::from_bytes(&self.to_sec1())?,
        })
    }

    fn to_sec1(self) -> Vec<u8> {
        self.0.to_sec1_point(false).as_bytes().to_vec()
    }

    /// Its `x || y`.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.to_sec1().split_off(1)
    }

    /// By which certificates name it: 160 bits of SHA-256 of its point (RFC 7093 §2, method 1).
    #[must_use]
    pub fn identifier(&self) -> [u8; IDENTIFIER_BYTES] {
        let digest: [u8; 32] = Sha256::digest(self.to_sec1()).into();
        let mut identifier = [0; IDENTIFIER_BYTES];
        identifier.copy_from_slice(&digest[..IDENTIFIER_BYTES]);
        identifier
    }

    /// Whether its other half signed this with ECDSA and SHA-256.
    pub(crate) fn verify(&self, algorithm: &AlgorithmIdentifierOwned, message: &[u8], signature: &BitString) -> bool {
        let signature = signature.as_bytes().filter(|_| *algorithm == ecdsa_sha256());
        signature.is_some_and(|signature| self.verify_der(message, signature))
    }

    /// The same of an `ECDSA-Sig-Value`, whose numbers have one form in DER.
    pub(crate) fn verify_der(&self, message: &[u8], signature: &[u8]) -> bool {
        from_der(signature).is_some_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

/// Its identifier.
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        self.identifier().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// How everything here is signed. It has no parameters (RFC 5758 §3.2).
pub(crate) fn ecdsa_sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None }
}

/// What certificates, requests and revocation lists have around their content (RFC 5280 §4.1.1).
#[derive(Sequence)]
struct Sealed<'a> {
    content: AnyRef<'a>,
    algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// Has a key sign with ECDSA and SHA-256, and checks that it did: an `ECDSA-Sig-Value` in DER.
pub(crate) async fn sign(signer: &dyn Signer, message: &[u8]) -> Result<Vec<u8>, SignError> {
    let key = PublicKey::of(signer)?;
    let signature = signer.sign(Domain::Certificate, Message::Bytes(message)).await.map_err(SignError::Key)?;
    let signature = to_der(&signature.0).map_err(SignError::Der)?;
    if key.verify_der(message, &signature) { Ok(signature) } else { Err(SignError::WrongKey(signer.uri().clone())) }
}

/// Has a key sign a content in DER, and puts both together.
pub(crate) async fn seal(signer: &dyn Signer, content: &[u8]) -> Result<Vec<u8>, SignError> {
    let signature = BitString::from_bytes(&sign(signer, content).await?).map_err(SignError::Der)?;
    let content = AnyRef::from_der(content).map_err(SignError::Der)?;
    Sealed { content, algorithm: ecdsa_sha256(), signature }.to_der().map_err(SignError::Der)
}

/// `ECDSA-Sig-Value` (RFC 3279 §2.2.3).
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

pub(crate) fn to_der(signature: &[u8; 2 * SCALAR_BYTES]) -> der::Result<Vec<u8>> {
    let (r, s) = signature.split_at(SCALAR_BYTES);
    EcdsaSignature { r: UintRef::new(r)?, s: UintRef::new(s)? }.to_der()
}

fn from_der(der: &[u8]) -> Option<Signature> {
    let signature = EcdsaSignature::from_der(der).ok()?;
    let mut bytes = [0; 2 * SCALAR_BYTES];
    for (place, number) in bytes.chunks_exact_mut(SCALAR_BYTES).zip([signature.r, signature.s]) {
        let number = number.as_bytes();
        let zeros = SCALAR_BYTES.checked_sub(number.len())?;
        place[zeros..].copy_from_slice(number);
    }
    Signature::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short numbers, and numbers whose first bit is set.
    #[test]
    fn signatures_keep_their_numbers() {
        for bytes in [[1; 64], [0x7f; 64], [0x80; 64], std::array::from_fn(|at| u8::from(at % 32 == 31))] {
            let der = to_der(&bytes).unwrap();
            let signature = from_der(&der).unwrap();
            assert_eq!(signature.to_bytes().as_slice(), bytes);
        }
        assert!(from_der(&to_der(&[0; 64]).unwrap()).is_none());
        assert!(from_der(&to_der(&[0xff; 64]).unwrap()).is_none());
        // A number with a zero too many in front, and one too long.
        assert!(from_der(b"\x30\x07\x02\x02\x00\x01\x02\x01\x01").is_none());
        assert!(from_der(&[&b"\x30\x26\x02\x21\x01"[..], &[0; 32], b"\x02\x01\x01"].concat()).is_none());
    }

    #[test]
    fn keys_are_points() {
        assert_eq!(PublicKey::from_bytes(&[1; 64]), Err(PublicKeyError::Point));
        assert_eq!(PublicKey::from_bytes(&[]), Err(PublicKeyError::Point));
        // The base point, and the same in its short form.
        let base = const_hex::decode(
            "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
             4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
        );
        let base = base.unwrap();
        let key = PublicKey::from_bytes(&base[1..]).unwrap();
        assert_eq!(PublicKey::from_info(&key.to_info().unwrap()), Ok(key));
        assert_eq!(key.identifier(), Sha256::digest(&base)[..20]);
        assert_eq!(PublicKey::from_sec1(&[&[3], &base[1..33]].concat()), Err(PublicKeyError::Point));
    }
}
