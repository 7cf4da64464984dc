//! RustCrypto's curves: SM2 for the node with its engine off, the others as peers in plain Rust.

use dolmen_accel_api::{Address, Algorithm, Message, RecoverJob};
use k256::ecdsa as secp256k1;
use p256::ecdsa as p256;
use sha2::{Digest as _, Sha256};
use sm2::{
    dsa,
    dsa::signature::{
        Signer as _, Verifier as _,
        hazmat::{PrehashSigner as _, PrehashVerifier as _},
    },
    elliptic_curve::sec1::ToSec1Point as _,
};

use crate::{
    call::{Call, OneByOne},
    encoding::{SM2_IDENTITY, address, digest, is_low_s, keccak, sec1, without_tag},
    peer::{Exact, Parts, Rule},
    signing::{SignerError, Signs},
};

pub(crate) fn parts() -> Parts {
    Parts {
        rules: vec![
            (Algorithm::EcdsaSecp256k1, OneByOne::boxed(Secp256k1), Exact::Yes),
            (Algorithm::EcdsaP256, OneByOne::boxed(P256), Exact::Yes),
            sm2_rule(),
        ],
        recover: Some(recover),
        aggregate: None,
    }
}

pub(crate) fn sm2_rule() -> (Algorithm, Box<dyn Rule>, Exact) {
    (Algorithm::Sm2, OneByOne::boxed(Sm2), Exact::Yes)
}

/// Finds the signer. k256 recovers from high `s` too, and does not hold the result against the signature.
fn recover(job: &RecoverJob) -> Option<Address> {
    if !is_low_s(&job.signature) {
        return None;
    }
    let signature = secp256k1::Signature::from_slice(&job.signature).ok()?;
    let id = secp256k1::RecoveryId::new(job.odd_y, false);
    let key = secp256k1::VerifyingKey::recover_from_prehash(&job.digest, &signature, id).ok()?;
    Some(address(&without_tag(key.to_sec1_point(false).as_bytes())))
}

/// Makes a signing key; `None` for algorithms of other curves.
pub(crate) fn signer(algorithm: Algorithm, secret: &[u8; 32]) -> Option<Result<Box<dyn Signs>, SignerError>> {
    match algorithm {
        Algorithm::EcdsaSecp256k1 => Some(Secp256k1Signer::boxed(secret)),
        Algorithm::EcdsaP256 => Some(P256Signer::boxed(secret)),
        Algorithm::Sm2 => Some(Sm2Signer::boxed(secret)),
        Algorithm::Ed25519 | Algorithm::Bls12381 => None,
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

struct Secp256k1;

impl Call for Secp256k1 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    type Key = secp256k1::VerifyingKey;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        Self::Key::from_sec1_bytes(&sec1(key)?).ok()
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        // Refuses high `s` by itself.
        secp256k1::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_prehash(&digest(message, keccak), &signature).is_ok())
    }
}

struct P256;

impl Call for P256 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaP256;
    type Key = p256::VerifyingKey;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        Self::Key::from_sec1_bytes(&sec1(key)?).ok()
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        p256::Signature::from_slice(signature)
            .is_ok_and(|signature| key.verify_prehash(&digest(message, sha256), &signature).is_ok())
    }
}

struct Sm2;

impl Call for Sm2 {
    const ALGORITHM: Algorithm = Algorithm::Sm2;
    type Key = dsa::VerifyingKey;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        Self::Key::from_sec1_bytes(SM2_IDENTITY, &sec1(key)?).ok()
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        dsa::Signature::from_slice(signature).is_ok_and(|signature| match message {
            Message::Digest(e) => key.verify_prehash(e, &signature).is_ok(),
            Message::Bytes(bytes) => key.verify(bytes, &signature).is_ok(),
        })
    }
}

/// Signs with nonces by RFC 6979, and low `s`.
struct Secp256k1Signer {
    key: secp256k1::SigningKey,
    public: [u8; 64],
}

impl Secp256k1Signer {
    fn boxed(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
        let key = secp256k1::SigningKey::from_slice(secret).map_err(|_| SignerError::Secret)?;
        let public = without_tag(key.verifying_key().to_sec1_point(false).as_bytes());
        Ok(Box::new(Self { key, public }))
    }
}

impl Signs for Secp256k1Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaSecp256k1
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        self.key.sign_prehash_recoverable(&digest(message, keccak)).0.to_vec()
    }

    fn sign_recoverable(&self, digest: &[u8; 32]) -> Option<([u8; 64], bool)> {
        let (signature, id) = self.key.sign_prehash_recoverable(digest);
        // As for libsecp256k1: Ethereum cannot express an x that is not below n.
        (!id.is_x_reduced()).then(|| (signature.to_bytes().into(), id.is_y_odd()))
    }
}

/// Signs with nonces by RFC 6979.
struct P256Signer {
    key: p256::SigningKey,
    public: [u8; 64],
}

impl P256Signer {
    fn boxed(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
        let key = p256::SigningKey::from_slice(secret).map_err(|_| SignerError::Secret)?;
        let public = without_tag(key.verifying_key().to_sec1_point(false).as_bytes());
        Ok(Box::new(Self { key, public }))
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
        let signature: p256::Signature =
            self.key.sign_prehash(&digest(message, sha256)).expect("a 32-byte digest can be signed");
        signature.to_vec()
    }
}

/// Signs with nonces by RFC 6979, which SM2 leaves free.
struct Sm2Signer {
    key: dsa::SigningKey,
    public: [u8; 64],
}

impl Sm2Signer {
    fn boxed(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
        let key = dsa::SigningKey::from_slice(SM2_IDENTITY, secret).map_err(|_| SignerError::Secret)?;
        // GB/T 32918.1-2016 §6.1 has secrets up to n - 2: signing divides by 1 + d. RustCrypto takes n - 1.
        key.sign_prehash(&[0; 32]).map_err(|_| SignerError::Secret)?;
        let public = without_tag(key.verifying_key().to_sec1_point(false).as_bytes());
        Ok(Box::new(Self { key, public }))
    }
}

impl Signs for Sm2Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Sm2
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        let signature = match message {
            Message::Digest(e) => self.key.sign_prehash(e),
            Message::Bytes(bytes) => self.key.try_sign(bytes),
        };
        // It fails for r = 0, s = 0 or r + k = n: less often than a bit of memory flips.
        signature.expect("SM2 signs").to_vec()
    }
}
