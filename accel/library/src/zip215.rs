//! Ed25519 by the rule of ZIP 215, one signature at a time, on the curve arithmetic of curve25519-dalek.

use curve25519_dalek::{
    edwards::{CompressedEdwardsY, EdwardsPoint},
    scalar::Scalar,
    traits::IsIdentity as _,
};
use dolmen_accel_api::{Algorithm, Message};
use sha2::{Digest as _, Sha512};

use crate::{
    call::{Call, OneByOne},
    encoding::bytes,
    peer::{Exact, Parts, Rule},
};

pub(crate) fn parts() -> Parts {
    Parts { rules: vec![rule()], ..Parts::default() }
}

pub(crate) fn rule() -> (Algorithm, Box<dyn Rule>, Exact) {
    (Algorithm::Ed25519, OneByOne::boxed(Ed25519), Exact::Yes)
}

struct Ed25519;

/// A key as sent, for the hash, and `-A`.
struct Key {
    bytes: [u8; 32],
    minus_a: EdwardsPoint,
}

impl Call for Ed25519 {
    const ALGORITHM: Algorithm = Algorithm::Ed25519;
    type Key = Key;

    fn parse(&self, key: &[u8]) -> Option<Key> {
        let bytes = key.try_into().ok()?;
        Some(Key { bytes, minus_a: -decompress(bytes)? })
    }

    fn holds(&self, key: &Key, message: Message<'_>, signature: &[u8]) -> bool {
        self.equation(key, bytes(message), signature).unwrap_or(false)
    }
}

impl Ed25519 {
    fn equation(&self, key: &Key, message: &[u8], signature: &[u8]) -> Option<bool> {
        let (r, s) = signature.split_at_checked(32)?;
        let s = Scalar::from_canonical_bytes(s.try_into().ok()?).into_option()?;
        let r: [u8; 32] = r.try_into().ok()?;
        let hash = Sha512::new().chain_update(r).chain_update(key.bytes).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        let difference = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &key.minus_a, &s) - decompress(r)?;
        Some(difference.mul_by_cofactor().is_identity())
    }
}

/// Reads a point with `y` taken modulo `p`, and with either sign at `x = 0`: dalek's decoding is the one of ZIP 215.
fn decompress(bytes: [u8; 32]) -> Option<EdwardsPoint> {
    CompressedEdwardsY(bytes).decompress()
}
