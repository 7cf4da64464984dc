//! Conversions between the interface's bytes and what libraries want.

use dolmen_accel_api::{Address, Message};
use sha3::{Digest as _, Keccak256};

/// The default identity of an SM2 signer (GB/T 35276-2017 §10).
pub(crate) const SM2_IDENTITY: &str = "1234567812345678";

/// `x || y` as the uncompressed point of SEC 1 §2.3.3.
pub(crate) fn sec1(key: &[u8]) -> Option<[u8; 65]> {
    let mut point = [4; 65];
    point[1..].copy_from_slice(<&[u8; 64]>::try_from(key).ok()?);
    Some(point)
}

/// `x || y` of an uncompressed point of SEC 1 §2.3.3.
///
/// # Panics
///
/// If it is not 65 bytes long.
pub(crate) fn without_tag(point: &[u8]) -> [u8; 64] {
    point[1..].try_into().expect("an uncompressed point has a tag and 64 bytes")
}

/// Whether `s` of a secp256k1 signature is at most half the order (EIP-2).
pub(crate) fn is_low_s(signature: &[u8]) -> bool {
    const HALF_ORDER: [u8; 32] = [
        0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57,
        0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
    ];
    signature[32..] <= HALF_ORDER[..]
}

/// The digest of a message, made with `hash` unless it came as a digest.
pub(crate) fn digest(message: Message<'_>, hash: impl FnOnce(&[u8]) -> [u8; 32]) -> [u8; 32] {
    match message {
        Message::Digest(digest) => *digest,
        Message::Bytes(bytes) => hash(bytes),
    }
}

/// The bytes of a message where a digest is a message like any other.
pub(crate) fn bytes(message: Message<'_>) -> &[u8] {
    match message {
        Message::Digest(digest) => digest,
        Message::Bytes(bytes) => bytes,
    }
}

/// Keccak-256 as Ethereum uses it.
pub(crate) fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The address of a secp256k1 key `x || y`.
pub(crate) fn address(key: &[u8; 64]) -> Address {
    let [_, _, _, _, _, _, _, _, _, _, _, _, address @ ..] = keccak(key);
    address
}
