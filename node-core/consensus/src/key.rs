//! The box's key: what consensus and the transport sign with, and the commonware forms of keys.

use std::sync::Arc;

use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{Signer as _, ed25519};
use commonware_math::algebra::Random;
use commonware_utils::union_unique;
use dolmen_hsm_api::{Algorithm, Domain, Message, Signer};
use dolmen_types::PublicKey;
use futures::executor::block_on;
use rand::CryptoRng;

use crate::ConsensusError;

/// The public key of a box, which must be an Ed25519 key.
pub fn public_key(key: &dyn Signer) -> Result<PublicKey, ConsensusError> {
    let bytes = (key.algorithm() == Algorithm::Ed25519).then(|| key.public_key().try_into().ok()).flatten();
    let wrong = || ConsensusError::KeyAlgorithm { uri: key.uri().to_string(), algorithm: key.algorithm() };
    bytes.map(PublicKey).ok_or_else(wrong)
}

/// The box's key as the transport signs with it, wherever it lives.
#[derive(Clone)]
pub(crate) struct TransportKey {
    public_key: ed25519::PublicKey,
    secret: Secret,
}

#[derive(Clone)]
enum Secret {
    Held(Arc<dyn Signer>),
    /// For commonware's own tests, which ask every key to be able to come from nowhere.
    Fresh(Box<ed25519::PrivateKey>),
}

impl TransportKey {
    pub(crate) fn new(key: Arc<dyn Signer>) -> Result<Self, ConsensusError> {
        let public_key = to_commonware(&public_key(&*key)?)?;
        Ok(Self { public_key, secret: Secret::Held(key) })
    }
}

impl Random for TransportKey {
    fn random(rng: impl CryptoRng) -> Self {
        let key = ed25519::PrivateKey::random(rng);
        Self { public_key: key.public_key(), secret: Secret::Fresh(Box::new(key)) }
    }
}

impl commonware_cryptography::Signer for TransportKey {
    type Signature = ed25519::Signature;
    type PublicKey = ed25519::PublicKey;

    fn public_key(&self) -> ed25519::PublicKey {
        self.public_key.clone()
    }

    /// Handshakes are seldom: waiting for a device here delays the connection and nobody else's.
    fn sign(&self, namespace: &[u8], message: &[u8]) -> ed25519::Signature {
        let key = match &self.secret {
            Secret::Held(key) => key,
            Secret::Fresh(key) => return key.sign(namespace, message),
        };
        let message = union_unique(namespace, message);
        let signature = block_on(key.sign(Domain::Transport, Message::Bytes(&message))).unwrap_or_else(|error| {
            tracing::error!(key = %key.uri(), %error, "no session with another box can be made");
            // The trait knows no failure. The other box refuses this and the connection ends.
            dolmen_hsm_api::Signature([0; 64])
        });
        signature_to_commonware(&signature)
    }
}

pub(crate) fn signature_to_commonware(signature: &dolmen_hsm_api::Signature) -> ed25519::Signature {
    ed25519::Signature::decode(Copying(&signature.0[..])).expect("any 64 bytes have the form of a signature")
}

pub(crate) fn to_commonware(key: &PublicKey) -> Result<ed25519::PublicKey, ConsensusError> {
    ed25519::PublicKey::decode(Copying(key.0.as_slice())).map_err(|_| ConsensusError::PublicKey(*key))
}

pub(crate) fn from_commonware(key: &ed25519::PublicKey) -> PublicKey {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(key.as_ref());
    PublicKey(bytes)
}
