//! Bitcoin Core's libsecp256k1, as revm and most Ethereum nodes have it: the best known secp256k1 for a key seen once.

use dolmen_accel_api::{Address, Algorithm, Message, RecoverJob};
use secp256k1::{
    Message as Digest, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId, Signature},
};

use crate::{
    call::{Call, OneByOne},
    encoding::{address, digest, is_low_s, keccak, sec1, without_tag},
    peer::{Exact, Parts, Rule},
    signing::{SignerError, Signs},
};

pub(crate) fn parts() -> Parts {
    Parts { rules: vec![rule()], recover: Some(recover), aggregate: None }
}

pub(crate) fn rule() -> (Algorithm, Box<dyn Rule>, Exact) {
    (Algorithm::EcdsaSecp256k1, OneByOne::boxed(Secp256k1), Exact::Yes)
}

/// Finds the signer. libsecp256k1 recovers from high `s` too.
pub(crate) fn recover(job: &RecoverJob) -> Option<Address> {
    if !is_low_s(&job.signature) {
        return None;
    }
    let id = if job.odd_y { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&job.signature, id).ok()?;
    let key = SECP256K1.recover_ecdsa(Digest::from_digest(job.digest), &signature).ok()?;
    Some(address(&without_tag(&key.serialize_uncompressed())))
}

/// Makes a signing key.
pub(crate) fn signer(secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
    let secret = SecretKey::from_byte_array(*secret).map_err(|_| SignerError::Secret)?;
    let public = without_tag(&PublicKey::from_secret_key(SECP256K1, &secret).serialize_uncompressed());
    Ok(Box::new(Signer { secret, public }))
}

struct Secp256k1;

impl Call for Secp256k1 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    type Key = PublicKey;

    fn parse(&self, key: &[u8]) -> Option<PublicKey> {
        PublicKey::from_slice(&sec1(key)?).ok()
    }

    fn holds(&self, key: &PublicKey, message: Message<'_>, signature: &[u8]) -> bool {
        // Refuses high `s` by itself.
        Signature::from_compact(signature).is_ok_and(|signature| {
            SECP256K1.verify_ecdsa(Digest::from_digest(digest(message, keccak)), &signature, key).is_ok()
        })
    }
}

struct Signer {
    secret: SecretKey,
    public: [u8; 64],
}

impl Drop for Signer {
    fn drop(&mut self) {
        // As far as a language with moves can.
        self.secret.non_secure_erase();
    }
}

impl Signs for Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EcdsaSecp256k1
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        let digest = Digest::from_digest(digest(message, keccak));
        SECP256K1.sign_ecdsa(digest, &self.secret).serialize_compact().to_vec()
    }

    fn sign_recoverable(&self, digest: &[u8; 32]) -> Option<([u8; 64], bool)> {
        let signature = SECP256K1.sign_ecdsa_recoverable(Digest::from_digest(*digest), &self.secret);
        let (id, signature) = signature.serialize_compact();
        match id {
            RecoveryId::Zero => Some((signature, false)),
            RecoveryId::One => Some((signature, true)),
            // The nonce point has x >= n: one signature of 2^127. Ethereum cannot express it.
            RecoveryId::Two | RecoveryId::Three => None,
        }
    }
}
