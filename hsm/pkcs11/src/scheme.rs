//! How each algorithm signs on a token.

use cryptoki::{
    mechanism::{
        Mechanism, MechanismType,
        eddsa::{EddsaParams, EddsaSignatureScheme},
        vendor_defined::{CKM_VENDOR_DEFINED, VendorDefinedMechanism},
    },
    object::{KeyType, ObjectHandle},
    session::Session,
};
use dolmen_hsm_api::{Algorithm, KeyError, Message, Signature};
use k256::ecdsa as secp256k1;
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;
use sm3::Sm3;

use crate::{
    config::{Sm2Input, Sm2Mechanisms},
    errors::Fault,
};

/// What the store is called in messages.
pub(crate) const STORE: &str = "a PKCS#11 token";
/// The algorithms, for people.
const OFFERED: &str = "ed25519, p256 and secp256k1, and with sm2 where the settings have the mechanisms of its maker";

/// SM2's default identity (GB/T 35276-2017 §10).
const SM2_IDENTITY: &[u8] = b"1234567812345678";
/// `a || b || x(G) || y(G)` of the curve (GB/T 32918.5-2017), which `Z` is made of.
const SM2_CURVE: [u8; 128] = {
    let digits = b"fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc\
                   28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93\
                   32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7\
                   bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";
    match const_hex::const_decode_to_array(digits) {
        Ok(bytes) => bytes,
        Err(_) => panic!("these are hexadecimal digits"),
    }
};

/// An algorithm, with what a device needs for it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scheme {
    P256,
    Secp256k1,
    Ed25519,
    Sm2(Sm2Mechanisms),
}

/// What a device is given to sign.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Digest([u8; 32]),
    Bytes(Vec<u8>),
}

impl Input {
    /// What the signature must hold for.
    pub(crate) fn message(&self) -> Message<'_> {
        match self {
            Self::Digest(digest) => Message::Digest(digest),
            Self::Bytes(bytes) => Message::Bytes(bytes),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Digest(digest) => digest,
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Scheme {
    /// Fails for algorithms that no token has, and for SM2 without its mechanisms.
    pub(crate) fn new(algorithm: Algorithm, sm2: Option<Sm2Mechanisms>) -> Result<Self, KeyError> {
        match (algorithm, sm2) {
            (Algorithm::EcdsaP256, _) => Ok(Self::P256),
            (Algorithm::EcdsaSecp256k1, _) => Ok(Self::Secp256k1),
            (Algorithm::Ed25519, _) => Ok(Self::Ed25519),
            (Algorithm::Sm2, Some(mechanisms)) => Ok(Self::Sm2(mechanisms)),
            (Algorithm::Sm2, None) | (Algorithm::Bls12381, _) => {
                Err(KeyError::Algorithm { store: STORE, algorithm, offered: OFFERED })
            }
        }
    }

    pub(crate) const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::EcdsaP256,
            Self::Secp256k1 => Algorithm::EcdsaSecp256k1,
            Self::Ed25519 => Algorithm::Ed25519,
            Self::Sm2(_) => Algorithm::Sm2,
        }
    }

    pub(crate) const fn key_type(self) -> KeyType {
        match self {
            Self::P256 | Self::Secp256k1 | Self::Sm2(_) => KeyType::EC,
            Self::Ed25519 => KeyType::EC_EDWARDS,
        }
    }

    /// What makes key pairs.
    pub(crate) fn key_pair_gen(self) -> Result<Mechanism<'static>, Fault> {
        match self {
            Self::P256 | Self::Secp256k1 => Ok(Mechanism::EccKeyPairGen),
            Self::Ed25519 => Ok(Mechanism::EccEdwardsKeyPairGen),
            Self::Sm2(mechanisms) => numbered(mechanisms.key_pair_gen),
        }
    }

    /// What the device signs of a message; none where it would hash a message of its own.
    pub(crate) fn input(self, public_key: &[u8], message: Message<'_>) -> Option<Input> {
        match self {
            Self::P256 => Some(Input::Digest(digest(message, |bytes| Sha256::digest(bytes).into()))),
            Self::Secp256k1 => Some(Input::Digest(digest(message, |bytes| Keccak256::digest(bytes).into()))),
            Self::Ed25519 => Some(Input::Bytes(match message {
                Message::Digest(digest) => digest.to_vec(),
                Message::Bytes(bytes) => bytes.to_vec(),
            })),
            Self::Sm2(Sm2Mechanisms { input: Sm2Input::Digest, .. }) => {
                Some(Input::Digest(digest(message, |bytes| sm2_digest(public_key, bytes))))
            }
            Self::Sm2(Sm2Mechanisms { input: Sm2Input::Message, .. }) => match message {
                Message::Digest(_) => None,
                Message::Bytes(bytes) => Some(Input::Bytes(bytes.to_vec())),
            },
        }
    }

    /// Has the device sign.
    pub(crate) fn sign(self, session: &Session, key: ObjectHandle, input: &Input) -> Result<Signature, Fault> {
        let mechanism = match self {
            Self::P256 | Self::Secp256k1 => Mechanism::Ecdsa,
            Self::Ed25519 => Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)),
            Self::Sm2(mechanisms) => numbered(mechanisms.sign)?,
        };
        let bytes = session.sign(&mechanism, key, input.bytes())?;
        let length = bytes.len();
        let signature: [u8; 64] = bytes
            .try_into()
            .map_err(|_| Fault::Reason(format!("C_Sign gave {length} bytes instead of the 64 of r || s")))?;
        if !matches!(self, Self::Secp256k1) {
            return Ok(Signature(signature));
        }
        // Devices give either of the two that hold; the rule takes the one with the low s (EIP-2).
        let signature = secp256k1::Signature::from_slice(&signature)
            .map_err(|_| Fault::Reason("C_Sign gave numbers that are no signature".to_owned()))?;
        Ok(Signature(signature.normalize_s().to_bytes().into()))
    }
}

/// A mechanism by its number, without a parameter.
fn numbered(number: u64) -> Result<Mechanism<'static>, Fault> {
    let kind = if number < CKM_VENDOR_DEFINED {
        MechanismType::try_from(number)
    } else {
        MechanismType::new_vendor_defined(number)
    };
    let unknown = |_| {
        let from = CKM_VENDOR_DEFINED;
        Fault::Reason(format!("{number:#x} is no mechanism: neither a standard one, nor a maker's, from {from:#x} on"))
    };
    Ok(Mechanism::VendorDefined(VendorDefinedMechanism::new::<()>(kind.map_err(unknown)?, None)))
}

fn digest(message: Message<'_>, hash: impl FnOnce(&[u8]) -> [u8; 32]) -> [u8; 32] {
    match message {
        Message::Digest(digest) => *digest,
        Message::Bytes(bytes) => hash(bytes),
    }
}

/// `e = SM3(Z || M)`, with `Z = SM3(length of identity || identity || a || b || G || key)` (GB/T 32918.2-2016 §5.5).
fn sm2_digest(public_key: &[u8], message: &[u8]) -> [u8; 32] {
    const BITS: u16 = 8 * 16;
    let z = Sm3::new()
        .chain_update(BITS.to_be_bytes())
        .chain_update(SM2_IDENTITY)
        .chain_update(SM2_CURVE)
        .chain_update(public_key)
        .finalize();
    Sm3::new().chain_update(z).chain_update(message).finalize().into()
}

#[cfg(test)]
mod tests {
    use sm2::{
        dsa,
        dsa::signature::{Signer as _, hazmat::PrehashVerifier as _},
        elliptic_curve::sec1::ToSec1Point as _,
    };

    use super::*;

    #[test]
    fn sm2_digests_are_those_of_others() {
        let identity = std::str::from_utf8(SM2_IDENTITY).unwrap();
        assert_eq!(identity.len(), 16);
        let key = dsa::SigningKey::from_slice(identity, &[7; 32]).unwrap();
        let signature: dsa::Signature = key.sign(b"a message");
        let public_key = key.verifying_key().to_sec1_point(false).as_bytes()[1..].to_vec();
        let e = sm2_digest(&public_key, b"a message");
        key.verifying_key().verify_prehash(&e, &signature).unwrap();
        assert!(key.verifying_key().verify_prehash(&sm2_digest(&public_key, b"another"), &signature).is_err());
    }

    #[test]
    fn devices_that_hash_take_no_digests() {
        let sm2 = |input| Scheme::Sm2(Sm2Mechanisms { key_pair_gen: 1, sign: 2, input });
        let (message, digest) = (Message::Bytes(b"a message"), Message::Digest(&[7; 32]));
        assert!(matches!(sm2(Sm2Input::Message).input(&[7; 64], message), Some(Input::Bytes(_))));
        assert!(sm2(Sm2Input::Message).input(&[7; 64], digest).is_none());
        assert!(matches!(sm2(Sm2Input::Digest).input(&[7; 64], message), Some(Input::Digest(_))));
        assert!(matches!(sm2(Sm2Input::Digest).input(&[7; 64], digest), Some(Input::Digest([7, ..]))));
    }

    #[test]
    fn mechanisms_have_numbers() {
        assert_eq!(numbered(0x1041).unwrap().mechanism_type(), MechanismType::ECDSA);
        assert!(numbered(0x8000_0001).is_ok());
        assert!(matches!(numbered(0x7fff_0000), Err(Fault::Reason(reason)) if reason.contains("0x7fff0000")));
    }

    #[test]
    fn sm2_needs_its_mechanisms() {
        let refused = Scheme::new(Algorithm::Sm2, None).unwrap_err();
        assert!(refused.to_string().contains("where the settings have the mechanisms"), "{refused}");
        assert!(matches!(Scheme::new(Algorithm::Bls12381, None), Err(KeyError::Algorithm { .. })));
    }
}
