//! OpenSSL 3, the system's: what most programs on a Linux machine verify with.
//!
//! ECDSA goes through `ECDSA_do_verify`, the shortest way to the curve code (no DER, no provider dispatch). SM2 has no
//! such way: `EVP_PKEY_verify` on the digest, with DER. Its `Z` is kept with the key and hashed with OpenSSL's SM3, so
//! that it pays for no more than an optimised caller would.

use dolmen_accel_api::{Algorithm, Message};
use openssl::{
    bn::{BigNum, BigNumContext},
    ec::{EcGroup, EcKey, EcPoint, PointConversionForm},
    ecdsa::EcdsaSig,
    error::ErrorStack,
    hash::{self, MessageDigest},
    nid::Nid,
    pkey::{Id, PKey, Private, Public},
    pkey_ctx::PkeyCtx,
    sign,
};

use crate::{
    call::{Call, OneByOne},
    encoding::{SM2_IDENTITY, bytes, digest, is_low_s, keccak, sec1, without_tag},
    peer::{Exact, Parts},
    signing::{SignerError, Signs},
};

/// The constants `a || b || x(G) || y(G)` of the curve of GB/T 32918.5-2017, which `Z` is made of.
const SM2_CURVE: [&str; 4] = [
    "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc",
    "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93",
    "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7",
    "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0",
];

/// What OpenSSL can do here. It has no recovery, no cofactored Ed25519 and no BLS.
///
/// # Panics
///
/// If the system's OpenSSL was built without one of the curves, SM2 above all.
pub(crate) fn parts() -> Parts {
    let group = |nid| EcGroup::from_curve_name(nid).expect("OpenSSL has the curves secp256k1, P-256 and SM2");
    Parts {
        rules: vec![
            (Algorithm::EcdsaSecp256k1, OneByOne::boxed(Secp256k1(group(Nid::SECP256K1))), Exact::Yes),
            (Algorithm::EcdsaP256, OneByOne::boxed(P256(group(Nid::X9_62_PRIME256V1))), Exact::Yes),
            (Algorithm::Sm2, OneByOne::boxed(Sm2(group(Nid::SM2))), Exact::Yes),
            // RFC 8032 §5.1.7 without the cofactor, by comparing the bytes of R.
            (Algorithm::Ed25519, OneByOne::boxed(Ed25519), Exact::Near),
        ],
        ..Parts::default()
    }
}

/// Makes a signing key. `None` where OpenSSL does not sign by our rule: it makes secp256k1 signatures with high `s`.
pub(crate) fn signer(algorithm: Algorithm, secret: &[u8; 32]) -> Option<Result<Box<dyn Signs>, SignerError>> {
    let nid = match algorithm {
        Algorithm::EcdsaP256 => Nid::X9_62_PRIME256V1,
        Algorithm::Sm2 => Nid::SM2,
        Algorithm::Ed25519 => return Some(Ed25519Signer::boxed(secret).map_err(|_| SignerError::Secret)),
        Algorithm::EcdsaSecp256k1 | Algorithm::Bls12381 => return None,
    };
    Some(match EcSigner::new(algorithm, nid, secret) {
        Ok(Some(signer)) => Ok(Box::new(signer)),
        Ok(None) | Err(_) => Err(SignerError::Secret),
    })
}

struct Secp256k1(EcGroup);

impl Call for Secp256k1 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaSecp256k1;
    type Key = EcKey<Public>;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        parse(&self.0, key)
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        is_low_s(signature) && ecdsa(key, &digest(message, keccak), signature).unwrap_or(false)
    }
}

struct P256(EcGroup);

impl Call for P256 {
    const ALGORITHM: Algorithm = Algorithm::EcdsaP256;
    type Key = EcKey<Public>;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        parse(&self.0, key)
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        ecdsa(key, &digest(message, openssl::sha::sha256), signature).unwrap_or(false)
    }
}

struct Sm2(EcGroup);

/// An SM2 key with its `Z`.
struct Sm2Key {
    key: PKey<Public>,
    z: [u8; 32],
}

impl Call for Sm2 {
    const ALGORITHM: Algorithm = Algorithm::Sm2;
    type Key = Sm2Key;

    fn parse(&self, key: &[u8]) -> Option<Sm2Key> {
        let z = sm2_z(key).ok()?;
        Some(Sm2Key { key: PKey::from_ec_key(parse(&self.0, key)?).ok()?, z })
    }

    fn holds(&self, key: &Sm2Key, message: Message<'_>, signature: &[u8]) -> bool {
        let verify = || {
            let e = sm2_e(&key.z, message)?;
            let mut context = PkeyCtx::new(&key.key)?;
            context.verify_init()?;
            context.verify(&e, &components(signature)?.to_der()?)
        };
        // OpenSSL tells of a point at infinity as of an error; for us it is a signature that does not hold.
        verify().unwrap_or(false)
    }
}

struct Ed25519;

impl Call for Ed25519 {
    const ALGORITHM: Algorithm = Algorithm::Ed25519;
    type Key = PKey<Public>;

    fn parse(&self, key: &[u8]) -> Option<Self::Key> {
        PKey::public_key_from_raw_bytes(key, Id::ED25519).ok()
    }

    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool {
        let verify = || sign::Verifier::new_without_digest(key)?.verify_oneshot(signature, bytes(message));
        verify().unwrap_or(false)
    }
}

/// Reads `x || y`; OpenSSL checks the ranges and the curve.
fn parse(group: &EcGroup, key: &[u8]) -> Option<EcKey<Public>> {
    let mut context = BigNumContext::new().ok()?;
    let point = EcPoint::from_bytes(group, &sec1(key)?, &mut context).ok()?;
    EcKey::from_public_key(group, &point).ok()
}

fn components(signature: &[u8]) -> Result<EcdsaSig, ErrorStack> {
    let (r, s) = signature.split_at(32);
    EcdsaSig::from_private_components(BigNum::from_slice(r)?, BigNum::from_slice(s)?)
}

fn ecdsa(key: &EcKey<Public>, digest: &[u8; 32], signature: &[u8]) -> Result<bool, ErrorStack> {
    components(signature)?.verify(digest, key)
}

/// `SM3(length of identity || identity || a || b || G || key)` (GB/T 32918.2-2016 §5.5).
fn sm2_z(key: &[u8]) -> Result<[u8; 32], ErrorStack> {
    let mut hasher = hash::Hasher::new(MessageDigest::sm3())?;
    let bits = u16::try_from(SM2_IDENTITY.len() * 8).expect("the default identity is short");
    hasher.update(&bits.to_be_bytes())?;
    hasher.update(SM2_IDENTITY.as_bytes())?;
    for constant in SM2_CURVE {
        hasher.update(&BigNum::from_hex_str(constant)?.to_vec_padded(32)?)?;
    }
    hasher.update(key)?;
    Ok(array(&hasher.finish()?))
}

fn sm2_e(z: &[u8; 32], message: Message<'_>) -> Result<[u8; 32], ErrorStack> {
    match message {
        Message::Digest(e) => Ok(*e),
        Message::Bytes(bytes) => {
            let mut hasher = hash::Hasher::new(MessageDigest::sm3())?;
            hasher.update(z)?;
            hasher.update(bytes)?;
            Ok(array(&hasher.finish()?))
        }
    }
}

fn array(digest: &[u8]) -> [u8; 32] {
    digest.try_into().expect("SM3 has 32 bytes")
}

/// Signs by P-256 or SM2.
struct EcSigner {
    algorithm: Algorithm,
    key: PKey<Private>,
    public: [u8; 64],
    z: [u8; 32],
}

impl EcSigner {
    fn new(algorithm: Algorithm, nid: Nid, secret: &[u8; 32]) -> Result<Option<Self>, ErrorStack> {
        let group = EcGroup::from_curve_name(nid)?;
        let mut context = BigNumContext::new_secure()?;
        let mut scalar = BigNum::new_secure()?;
        scalar.copy_from_slice(secret)?;
        // SM2 divides by 1 + d, so its secrets end at n - 2 (GB/T 32918.1-2016 §6.1); OpenSSL takes n - 1 too.
        let mut end = BigNum::new()?;
        group.order(&mut end, &mut context)?;
        if algorithm == Algorithm::Sm2 {
            end.sub_word(1)?;
        }
        if scalar.num_bits() == 0 || scalar >= end {
            return Ok(None);
        }
        scalar.set_const_time();
        let mut point = EcPoint::new(&group)?;
        point.mul_generator2(&group, &scalar, &mut context)?;
        let key = PKey::from_ec_key(EcKey::from_private_components(&group, &scalar, &point)?)?;
        let public = without_tag(&point.to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut context)?);
        Ok(Some(Self { algorithm, key, public, z: sm2_z(&public)? }))
    }

    fn try_sign(&self, message: Message<'_>) -> Result<Vec<u8>, ErrorStack> {
        let digest = match self.algorithm {
            Algorithm::Sm2 => sm2_e(&self.z, message)?,
            _ => digest(message, openssl::sha::sha256),
        };
        let mut context = PkeyCtx::new(&self.key)?;
        context.sign_init()?;
        let mut der = Vec::new();
        context.sign_to_vec(&digest, &mut der)?;
        let signature = EcdsaSig::from_der(&der)?;
        Ok([signature.r().to_vec_padded(32)?, signature.s().to_vec_padded(32)?].concat())
    }
}

impl Signs for EcSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        self.try_sign(message).expect("OpenSSL signs with a key that it has checked")
    }
}

struct Ed25519Signer {
    key: PKey<Private>,
    public: Vec<u8>,
}

impl Ed25519Signer {
    fn boxed(secret: &[u8; 32]) -> Result<Box<dyn Signs>, ErrorStack> {
        let key = PKey::private_key_from_raw_bytes(secret, Id::ED25519)?;
        let public = key.raw_public_key()?;
        Ok(Box::new(Self { key, public }))
    }
}

impl Signs for Ed25519Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Ed25519
    }

    fn public_key(&self) -> &[u8] {
        &self.public
    }

    fn sign(&self, message: Message<'_>) -> Vec<u8> {
        let sign = || sign::Signer::new_without_digest(&self.key)?.sign_oneshot_to_vec(bytes(message));
        sign().expect("OpenSSL signs with a key that it has made")
    }
}
