//! Curves and points as tokens write them.
//!
//! `CKA_EC_PARAMS` is a DER `OBJECT IDENTIFIER`, or for Edwards curves a `PrintableString` (PKCS #11 3.0, section
//! 2.3.1). `CKA_EC_POINT` is the point in a DER `OCTET STRING`; some tokens leave that away, or write a `BIT STRING`.

use dolmen_hsm_api::Algorithm;

const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const SECP256K1: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a];
/// 1.2.156.10197.1.301 (GM/T 0006).
const SM2: &[u8] = &[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d];
/// RFC 8410, section 3.
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";
/// 1.3.6.1.4.1.11591.15.1, from before RFC 8410.
const ED25519_GNU: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

const OCTET_STRING: u8 = 0x04;
const BIT_STRING: u8 = 0x03;
/// An uncompressed point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;

/// How a curve is named to a token, in the order of what most understand; none for what no token has.
pub(crate) const fn names(algorithm: Algorithm) -> &'static [&'static [u8]] {
    match algorithm {
        Algorithm::EcdsaP256 => &[P256],
        Algorithm::EcdsaSecp256k1 => &[SECP256K1],
        Algorithm::Sm2 => &[SM2],
        Algorithm::Ed25519 => &[ED25519, ED25519_NAME],
        Algorithm::Bls12381 => &[],
    }
}

/// The algorithm of a curve.
pub(crate) fn algorithm(params: &[u8]) -> Option<Algorithm> {
    match params {
        P256 => Some(Algorithm::EcdsaP256),
        SECP256K1 => Some(Algorithm::EcdsaSecp256k1),
        SM2 => Some(Algorithm::Sm2),
        ED25519 | ED25519_NAME | ED25519_GNU => Some(Algorithm::Ed25519),
        _ => None,
    }
}

/// The public key as [`Algorithm`] writes it, of a token's point.
pub(crate) fn public_key(algorithm: Algorithm, point: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Ed25519 => bare(point, 32).map(<[u8]>::to_vec),
        Algorithm::EcdsaP256 | Algorithm::EcdsaSecp256k1 | Algorithm::Sm2 => {
            bare(point, 65)?.strip_prefix(&[UNCOMPRESSED]).map(<[u8]>::to_vec)
        }
        Algorithm::Bls12381 => None,
    }
}

/// The point without the string around it. Lengths tell, since the tag of a string may be that of a point.
fn bare(point: &[u8], length: usize) -> Option<&[u8]> {
    match point {
        bare if bare.len() == length => Some(bare),
        [OCTET_STRING, of, bare @ ..] if bare.len() == length && usize::from(*of) == length => Some(bare),
        [BIT_STRING, of, 0, bare @ ..] if bare.len() == length && usize::from(*of) == length + 1 => Some(bare),
        _ => None,
    }
}

/// A public key as a token takes it.
pub(crate) fn point(algorithm: Algorithm, public_key: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Ed25519 => [&[OCTET_STRING, 32][..], public_key].concat(),
        _ => [&[OCTET_STRING, 65, UNCOMPRESSED][..], public_key].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURVES: [Algorithm; 4] =
        [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1, Algorithm::Sm2, Algorithm::Ed25519];

    #[test]
    fn curves_are_known_by_their_names() {
        for curve in CURVES {
            for name in names(curve) {
                assert_eq!(algorithm(name), Some(curve));
            }
        }
        assert_eq!(algorithm(ED25519_GNU), Some(Algorithm::Ed25519));
        assert_eq!(algorithm(&[]), None);
        assert!(names(Algorithm::Bls12381).is_empty());
    }

    #[test]
    fn points_are_read_in_any_wrapping() {
        for curve in CURVES {
            let key: Vec<u8> = (0..curve.key_len()).map(|index| if index == 0 { 4 } else { 7 }).collect();
            let wrapped = point(curve, &key);
            assert_eq!(public_key(curve, &wrapped).as_deref(), Some(&key[..]), "{curve}");
            let bare = &wrapped[2..];
            assert_eq!(public_key(curve, bare).as_deref(), Some(&key[..]), "{curve}");
            let bits = [&[BIT_STRING, wrapped[1] + 1, 0][..], bare].concat();
            assert_eq!(public_key(curve, &bits).as_deref(), Some(&key[..]), "{curve}");
            assert_eq!(public_key(curve, &wrapped[..wrapped.len() - 1]), None, "{curve}");
            assert_eq!(public_key(curve, &[]), None, "{curve}");
        }
        let compressed = [&[OCTET_STRING, 33, 2][..], &[7; 32]].concat();
        assert_eq!(public_key(Algorithm::EcdsaP256, &compressed), None);
    }
}
