//! AWS-LC, Amazon's BoringSSL, by its `ring`-like interface: the fastest P-256 of a library in general use.

use aws_lc_rs::{
    digest::{self, Digest},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P256K1_SHA256_FIXED, ED25519, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, ParsedPublicKey,
    },
};
use dolmen_accel_api::{Algorithm, Message};
use p256::elliptic_curve::sec1::ToSec1Point as _;

use crate::{
    call::{Call, OneByOne},
    encoding::{bytes, digest, is_low_s, keccak, sec1, without_tag},
    peer::{Exact, Parts, Rule},
    signing::{SignerError, Signs},
};

/// What AWS-LC can do here. It has SM2 and BLS neither, and no recovery.
pub(crate) fn parts() -> Parts {
    Parts {
        rules: vec![
            (Algorithm::EcdsaSecp256k1, OneByOne::boxed(Secp256k1), Exact::Yes),
            p256_rule(),
            // RFC 8032 §5.1.7 without the cofactor, by comparing the bytes of R.
            (Algorithm::Ed25519, OneByOne::boxed(Ed25519), Exact::Near),
        ],
        ..Parts::default()
    }
}

pub(crate) fn p256_rule() -> (Algorithm, Box<dyn Rule>, Exact) {
    (Algorithm::EcdsaP256, OneByOne::boxed(P256), Exact::Yes)
}

/// Makes a signing key. `None` where AWS-LC does not sign by our rule: it makes secp256k1 signatures with high `s`.
pub(crate) fn signer(algorithm: Algorithm, secret: &[u8; 32]) -> Option<Result<Box<dyn Signs>, SignerError>> {
    match algorithm {
        Algorithm::EcdsaP256 => Some(P256Signer::boxed(secret)),
        Algorithm::Ed25519 => Some(match Ed25519KeyPair::from_seed_unchecked(secret) {
            Ok(key) => Ok(Box::new(Ed25519Signer(key))),
            Err(_) => Err(SignerError::Secret),
        }),
        Algorithm::EcdsaSecp256k1 | Algorithm::Sm2 | Algorithm::Bls12381 => None,
    }
}

struct P256;

impl Call for P256 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaP256;
    type Key = ParsedPublicKey;

    fn parse(&self, key: &[u8]) -> Option<ParsedPublicKey> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, sec1(key)?).ok()
    }

    fn holds(&self, key: &ParsedPublicKey, message: Message<'_>, signature: &[u8]) -> bool {
        match message {
            Message::Digest(digest) => key.verify_digest_sig(&imported(digest), signature).is_ok(),
            Message::Bytes(bytes) => key.verify_sig(bytes, signature).is_ok(),
        }
    }
}

struct Secp256k1;

impl Call for Secp256k1 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    type Key = ParsedPublicKey;

    fn parse(&self, key: &[u8]) -> Option<ParsedPublicKey> {
        ParsedPublicKey::new(&ECDSA_P256K1_SHA256_FIXED, sec1(key)?).ok()
    }

    fn holds(&self, key: &ParsedPublicKey, message: Message<'_>, signature: &[u8]) -> bool {
        // AWS-LC has no Keccak-256; a digest under the name of SHA-256 goes through the same code.
        is_low_s(signature) && key.verify_digest_sig(&imported(&digest(message, keccak)), signature).is_ok()
    }
}

struct Ed25519;

impl Call for Ed25519 {
    const ALGORITHM: Algorithm = Algorithm::Ed25519;
    type Key = ParsedPublicKey;

    fn parse(&self, key: &[u8]) -> Option<ParsedPublicKey> {
        ParsedPublicKey::new(&ED25519, key).ok()
    }

    fn holds(&self, key: &ParsedPublicKey, message: Message<'_>, signature: &[u8]) -> bool {
        key.verify_sig(bytes(message), signature).is_ok()
    }
}

fn imported(digest: &[u8; 32]) -> Digest {
    Digest::import_less_safe(digest, &digest::SHA256).expect("SHA-256 has 32 bytes")
}

struct P256Signer {
    key: EcdsaKeyPair,
    public: [u8; 64],
}

impl P256Signer {
    fn boxed(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
        // AWS-LC takes a secret only with its public key.
        let public = p256::SecretKey::from_slice(secret).map_err(|_| SignerError::Secret)?.public_key();
        let point = public.to_sec1_point(false);
        let key =
            EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, secret, point.as_bytes());
        Ok(Box::new(Self { key: key.map_err(|_| SignerError::Secret)?, public: without_tag(point.as_bytes()) }))
    }
}

impl Signs for P256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaP256
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        let digest = match message {
            Message::Digest(digest) => imported(digest),
            Message::Bytes(bytes) => digest::digest(&digest::SHA256, bytes),
        };
        self.key.sign_digest(&digest).expect("AWS-LC signs with a key that it has checked").as_ref().to_vec()
    }
}

struct Ed25519Signer(Ed25519KeyPair);

impl Signs for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        self.0.sign(bytes(message)).as_ref().to_vec()
    }
}
