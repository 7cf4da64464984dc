//! Keys of the organisation that releases images.

use std::{error::Error, fmt};

use ed25519_dalek::{
    Signature, Signer, VerifyingKey,
    pkcs8::{DecodePrivateKey, DecodePublicKey, Error as Pkcs8Error, spki::Error as SpkiError},
};

use crate::Hash;

/// Bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;

/// Whatever went wrong with a key's device.
pub type SignError = Box<dyn Error + Send + Sync>;

/// A key that signs releases, wherever it lives: in a file, on a token, or behind a service of the organisation.
///
/// Boot files are signed by other keys, of other kinds, for other readers: those are `dolmen-image-uki`'s.
pub trait Sign {
    /// Its public half.
    fn public_key(&self) -> ReleaseKey;

    /// Signs a message by Ed25519 (RFC 8032 §5.1.6), pure: the device is given all of it, not a hash.
    ///
    /// # Errors
    ///
    /// Whatever went wrong.
    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignError>;
}

/// Why a key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No public key.
    #[error("the release key is no Ed25519 public key in PEM; export it as `openssl pkey -pubout` does")]
    Public(#[source] SpkiError),
    /// No private key.
    #[error("the key is no Ed25519 private key in PEM; make one as `openssl genpkey -algorithm ed25519` does")]
    Private(#[source] Pkcs8Error),
    /// A point that is no key.
    #[error("the release key is no point of the curve; export it anew")]
    Point,
    /// A key for which anybody can sign.
    #[error("anybody can sign for this release key (its order is small); it is forged, find out who put it there")]
    Weak,
}

/// A public key that checks releases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReleaseKey(VerifyingKey);

impl ReleaseKey {
    /// Of its 32 bytes (RFC 8032 §5.1.2).
    ///
    /// # Errors
    ///
    /// [`KeyError::Point`] and [`KeyError::Weak`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Point).and_then(Self::strong)
    }

    /// Reads a `SubjectPublicKeyInfo` in PEM (RFC 8410 §4).
    ///
    /// # Errors
    ///
    /// [`KeyError::Public`] and [`KeyError::Weak`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(pem.trim()).map_err(KeyError::Public).and_then(Self::strong)
    }

    fn strong(key: VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() { Err(KeyError::Weak) } else { Ok(Self(key)) }
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// SHA-256 of its 32 bytes, by which manifests and people name it.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        Hash::of(self.as_bytes())
    }

    /// Whether its other half signed this message. Strict: a signature has one form, and so cannot be made another
    /// that holds too.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

/// Its fingerprint.
impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReleaseKey({})", self.fingerprint())
    }
}

/// A private key in this process's memory, which is zeroed when it goes.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Reads a PKCS#8 file in PEM, unencrypted (RFC 8410 §7), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Private`], and [`KeyError::Weak`] where the file's public half is none.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim()).map_err(KeyError::Private)?;
        ReleaseKey::strong(key.verifying_key())?;
        Ok(Self(key))
    }
}

/// Which key it is, not what.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public_key().fingerprint())
    }
}

impl Sign for SigningKey {
    fn public_key(&self) -> ReleaseKey {
        ReleaseKey(self.0.verifying_key())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], SignError> {
        Ok(self.0.try_sign(message)?.to_bytes())
    }
}

/// What is signed: a name for the kind of file, so that no file passes for one of another kind, and the file.
pub(crate) fn message(domain: &[u8], file: &[u8]) -> Vec<u8> {
    [domain, file].concat()
}

/// The one of these keys that signed.
pub(crate) fn signer_of(keys: &[ReleaseKey], message: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Option<ReleaseKey> {
    keys.iter().find(|key| key.verify(message, signature)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = include_str!("../../keys/test/release.pem");
    const PRIVATE: &str = include_str!("../../keys/test/release.key");

    #[test]
    fn both_halves_are_read() {
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        let public = ReleaseKey::from_pem(PUBLIC).unwrap();
        assert_eq!(key.public_key(), public);
        assert_eq!(ReleaseKey::from_bytes(public.as_bytes()).unwrap(), public);
        assert_eq!(public.fingerprint(), Hash::of(public.as_bytes()));
        let signature = key.sign(b"message").unwrap();
        assert!(public.verify(b"message", &signature) && !public.verify(b"massage", &signature));
        // Neither shows what is secret.
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", public.fingerprint()));
    }

    #[test]
    fn other_files_are_no_keys() {
        assert!(matches!(ReleaseKey::from_pem(PRIVATE), Err(KeyError::Public(_))));
        assert!(matches!(SigningKey::from_pem(PUBLIC), Err(KeyError::Private(_))));
        let rsa = include_str!("../../keys/test/pcr.pub");
        assert!(matches!(ReleaseKey::from_pem(rsa), Err(KeyError::Public(_))));
        assert!(matches!(SigningKey::from_pem(include_str!("../../keys/test/pcr.key")), Err(KeyError::Private(_))));
        for pem in ["", "-----BEGIN PUBLIC KEY-----", &PUBLIC[..PUBLIC.len() / 2], &PUBLIC.replace('M', "N")] {
            assert!(matches!(ReleaseKey::from_pem(pem), Err(KeyError::Public(_))), "{pem}");
        }
    }

    /// Points of small order: for them a signature of one message holds for many.
    #[test]
    fn weak_keys_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        for bytes in [identity, [0; 32]] {
            assert!(matches!(ReleaseKey::from_bytes(&bytes), Err(KeyError::Weak)), "{bytes:?}");
        }
        let mut none = [0; 32];
        none[0] = 2;
        assert!(matches!(ReleaseKey::from_bytes(&none), Err(KeyError::Point)));
    }

    /// The order of the group added to a signature's number: many verifiers take that too.
    #[test]
    fn a_signature_has_one_form() {
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = SigningKey::from_pem(PRIVATE).unwrap();
        let mut signature = key.sign(b"message").unwrap();
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            [*byte, _] = sum.to_le_bytes();
            carry = sum >> 8;
        }
        assert!(!key.public_key().verify(b"message", &signature));
    }
}
