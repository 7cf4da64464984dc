//! Secret keys of each algorithm. Signing is the libraries', which take care to be constant in time.

use dolmen_hsm_api::{Algorithm, Message, Signature};
use k256::ecdsa as secp256k1;
use p256::ecdsa as p256;
use sha2::Sha256;
use sha3::Keccak256;
use sm2::{
    dsa,
    dsa::signature::{Signer as _, hazmat::PrehashSigner as _},
    elliptic_curve::sec1::ToSec1Point as _,
};
use zeroize::Zeroizing;

/// SM2's default identity (GB/T 35276-2017 §10).
const SM2_IDENTITY: &str = "1234567812345678";

/// Bytes of a secret.
pub const LENGTH: usize = 32;

/// What a store keeps, before the algorithm makes a key of it.
pub type Bytes = Zeroizing<[u8; LENGTH]>;

/// The algorithms that there are, for people.
pub const OFFERED: &str = "ed25519, p256, secp256k1 and sm2";

/// A secret key, ready to sign. The libraries wipe theirs when they are dropped.
pub(crate) enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::SigningKey),
    Secp256k1(secp256k1::SigningKey),
    Sm2(dsa::SigningKey),
}

impl Secret {
    /// The key that `bytes` are; none for bytes that are no secret of this algorithm, and for other algorithms.
    pub(crate) fn new(algorithm: Algorithm, bytes: &Bytes) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => Some(Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(bytes))),
            Algorithm::EcdsaP256 => p256::SigningKey::from_slice(bytes.as_slice()).ok().map(Self::P256),
            Algorithm::EcdsaSecp256k1 => secp256k1::SigningKey::from_slice(bytes.as_slice()).ok().map(Self::Secp256k1),
            Algorithm::Sm2 => {
                let key = dsa::SigningKey::from_slice(SM2_IDENTITY, bytes.as_slice()).ok()?;
                // GB/T 32918.1-2016 §6.1 has secrets up to n - 2: signing divides by 1 + d. The library takes n - 1.
                key.sign_prehash(&[0; 32]).ok()?;
                Some(Self::Sm2(key))
            }
            Algorithm::Bls12381 => None,
        }
    }

    /// A new key, and what a store keeps of it; none for algorithms that are not offered.
    pub(crate) fn generate(algorithm: Algorithm) -> Option<(Self, Bytes)> {
        // Bytes that are no secret come once in 2^32 for P-256 and SM2, else never.
        (0..16).find_map(|_| {
            let bytes = Zeroizing::new(rand::random());
            Self::new(algorithm, &bytes).map(|secret| (secret, bytes))
        })
    }

    /// The public key as [`Algorithm`] writes it.
    pub(crate) fn public_key(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.verifying_key().to_bytes().to_vec(),
            Self::P256(key) => key.verifying_key().to_sec1_point(false).as_bytes()[1..].to_vec(),
            Self::Secp256k1(key) => key.verifying_key().to_sec1_point(false).as_bytes()[1..].to_vec(),
            Self::Sm2(key) => key.verifying_key().to_sec1_point(false).as_bytes()[1..].to_vec(),
        }
    }

    /// Signs; none where the library gives up, which only a fault in the machine makes it do.
    pub(crate) fn sign(&self, message: Message<'_>) -> Option<Signature> {
        let bytes: [u8; 64] = match self {
            Self::Ed25519(key) => match message {
                Message::Digest(digest) => key.sign(digest),
                Message::Bytes(bytes) => key.sign(bytes),
            }
            .to_bytes(),
            Self::P256(key) => {
                let signature: p256::Signature = key.sign_prehash(&digest::<Sha256>(message)).ok()?;
                signature.to_bytes().into()
            }
            // Always a low s.
            Self::Secp256k1(key) => key.sign_prehash_recoverable(&digest::<Keccak256>(message)).0.to_bytes().into(),
            Self::Sm2(key) => match message {
                Message::Digest(e) => key.sign_prehash(e).ok()?,
                Message::Bytes(bytes) => key.try_sign(bytes).ok()?,
            }
            .to_bytes()
            .into(),
        };
        Some(Signature(bytes))
    }
}

fn digest<H: sha2::Digest<OutputSize = sha2::digest::consts::U32>>(message: Message<'_>) -> [u8; 32] {
    match message {
        Message::Digest(digest) => *digest,
        Message::Bytes(bytes) => H::digest(bytes).into(),
    }
}
