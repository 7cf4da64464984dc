//! Keys that sign boot files and register values, and the public ones that check it.

use std::error::Error;

use openssl::{
    bn::BigNumContext,
    ec::PointConversionForm,
    error::ErrorStack,
    hash::MessageDigest,
    nid::Nid,
    pkey::{Id, PKey, Private, Public},
    sign::{Signer, Verifier},
};
use sha2::{Digest, Sha256};

/// Whatever went wrong with a key's device.
pub type SignError = Box<dyn Error + Send + Sync>;

/// A key that signs, wherever it lives: in a file, on a token, or behind a service of the organisation that releases
/// images.
pub trait Sign {
    /// Signs a message: by RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) if it is an RSA key, by ECDSA if it is one on P-256, each
    /// with SHA-256 of the message. An ECDSA signature is in DER (RFC 3279 §2.2.3).
    ///
    /// Two builds are byte-identical if the same message gives the same signature. RSASSA-PKCS1-v1_5 does so by itself,
    /// ECDSA only where the device takes its nonces from RFC 6979.
    ///
    /// # Errors
    ///
    /// Whatever went wrong.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A key in this process's memory. OpenSSL's ECDSA takes a random nonce.
impl Sign for PKey<Private> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(Signer::new(MessageDigest::sha256(), self)?.sign_oneshot_to_vec(message)?)
    }
}

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSASSA-PKCS1-v1_5 with SHA-256, by a key of 2048 to 4096 bits.
    Rsa,
    /// ECDSA with SHA-256 on P-256.
    EcdsaP256,
}

/// Why a public key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No public key.
    #[error("the public key is damaged; export it anew as SubjectPublicKeyInfo, in PEM or DER")]
    Damaged(#[source] ErrorStack),
    /// A key that firmware, systemd or this crate does not take.
    #[error("the key is neither RSA of 2048 to 4096 bits nor on P-256; make such a key")]
    Kind,
}

/// A key that checks signatures.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key: PKey<Public>,
    kind: KeyKind,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no key, or one of another kind.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_openssl(PKey::public_key_from_der(der))
    }

    /// Reads the same in PEM, as `.pcrpkey` has it.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is no key, or one of another kind.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_openssl(PKey::public_key_from_pem(pem.as_bytes()))
    }

    fn from_openssl(key: Result<PKey<Public>, ErrorStack>) -> Result<Self, KeyError> {
        let key = key.map_err(KeyError::Damaged)?;
        let kind = match key.id() {
            Id::RSA if (2048..=4096).contains(&key.bits()) => KeyKind::Rsa,
            Id::EC if key.ec_key().is_ok_and(|key| key.group().curve_name() == Some(Nid::X9_62_PRIME256V1)) => {
                KeyKind::EcdsaP256
            }
            _ => return Err(KeyError::Kind),
        };
        Ok(Self { key, kind })
    }

    /// How its other half signs.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether its other half made this signature.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let verdict = Verifier::new(MessageDigest::sha256(), &self.key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, message));
        // OpenSSL leaves errors behind that the next caller would take for its own.
        let _ = ErrorStack::get();
        matches!(verdict, Ok(true))
    }

    /// SHA-256 of the key alone, without its algorithm: an `RSAPublicKey` in DER, or a point. systemd calls it `pkfp`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Damaged`] if OpenSSL fails.
    pub fn fingerprint(&self) -> Result<[u8; 32], KeyError> {
        let bytes = match self.kind {
            KeyKind::Rsa => self.key.rsa().and_then(|rsa| rsa.public_key_to_der_pkcs1()),
            KeyKind::EcdsaP256 => self.key.ec_key().and_then(|key| {
                let form = PointConversionForm::UNCOMPRESSED;
                key.public_key().to_bytes(key.group(), form, &mut *BigNumContext::new()?)
            }),
        };
        Ok(Sha256::digest(bytes.map_err(KeyError::Damaged)?).into())
    }
}
