//! ECDSA (SEC 1 §4.1.4, FIPS 186-5 §6.4.2): `[e / s]G + [r / s]Q` has the coordinate `r`.

use dolmen_accel_api::{Message, VerifyJob};

use crate::{
    cache::Key,
    curve::{Curve, P256, Secp256k1},
    detect::Lanes,
    hash, scalar,
    u256::{self, U256},
    weierstrass::{BLOCK, Claim, Scheme},
};

/// ECDSA on secp256k1 with low `s` and Keccak-256, as Ethereum has it.
pub(crate) struct EcdsaSecp256k1;

/// ECDSA on P-256 with SHA-256.
pub(crate) struct EcdsaP256;

impl Scheme for EcdsaSecp256k1 {
    const HAS_ADDRESS: bool = true;

    /// The Ethereum address, and zeros.
    fn extra(key: &Key) -> [u8; 32] {
        let mut extra = [0; 32];
        extra[..20].copy_from_slice(&hash::keccak256_one([key])[12..]);
        extra
    }

    fn digests(lanes: Lanes, jobs: &[VerifyJob<'_>], _: &[[u8; 32]], digests: &mut [[u8; 32]]) {
        hash_messages(jobs, digests, |messages, digests| hash::keccak256(lanes, messages, digests));
    }

    fn claims(signatures: &[Option<(U256, U256)>], digests: &[[u8; 32]], claims: &mut [Option<Claim>]) {
        ecdsa_claims::<Secp256k1>(signatures, digests, claims, is_low);
    }
}

impl Scheme for EcdsaP256 {
    fn extra(_: &Key) -> [u8; 32] {
        [0; 32]
    }

    fn digests(lanes: Lanes, jobs: &[VerifyJob<'_>], _: &[[u8; 32]], digests: &mut [[u8; 32]]) {
        hash_messages(jobs, digests, |messages, digests| hash::sha256(lanes, messages, digests));
    }

    fn claims(signatures: &[Option<(U256, U256)>], digests: &[[u8; 32]], claims: &mut [Option<Claim>]) {
        ecdsa_claims::<P256>(signatures, digests, claims, |_| true);
    }
}

/// Whether `s <= n / 2` on secp256k1 (EIP-2).
pub(crate) fn is_low(s: &U256) -> bool {
    const HALF_PLUS_ONE: U256 = {
        let n = Secp256k1::N;
        [(n[0] >> 1 | n[1] << 63) + 1, n[1] >> 1 | n[2] << 63, n[2] >> 1 | n[3] << 63, n[3] >> 1]
    };
    u256::is_less(s, &HALF_PLUS_ONE)
}

/// Hashes the messages that are given as bytes with `hash`, and copies the digests of the others.
fn hash_messages<'a>(
    jobs: &[VerifyJob<'a>],
    digests: &mut [[u8; 32]],
    hash: impl Fn(&[[&'a [u8]; 1]], &mut [[u8; 32]]),
) {
    let mut messages: [[&[u8]; 1]; BLOCK] = [[&[]]; BLOCK];
    let mut at = [0; BLOCK];
    let mut count = 0;
    for (index, job) in jobs.iter().enumerate() {
        match job.message {
            Message::Digest(digest) => digests[index] = *digest,
            Message::Bytes(bytes) => {
                (messages[count], at[count]) = ([bytes], index);
                count += 1;
            }
        }
    }
    let mut hashed = [[0; 32]; BLOCK];
    hash(&messages[..count], &mut hashed[..count]);
    for (digest, index) in hashed[..count].iter().zip(at) {
        digests[index] = *digest;
    }
}

fn ecdsa_claims<C: Curve>(
    signatures: &[Option<(U256, U256)>],
    digests: &[[u8; 32]],
    claims: &mut [Option<Claim>],
    accepts: impl Fn(&U256) -> bool,
) {
    let in_range = |&(r, s): &(U256, U256)| scalar::is_in_range::<C>(&r) && scalar::is_in_range::<C>(&s) && accepts(&s);
    // One in place of what is out of range: it spoils no inverse.
    let mut inverses = [[1, 0, 0, 0]; BLOCK];
    for (inverse, signature) in inverses.iter_mut().zip(signatures) {
        if let Some((_, s)) = signature.filter(in_range) {
            *inverse = s;
        }
    }
    scalar::invert_all::<C, BLOCK>(&mut inverses[..signatures.len()]);
    for (index, signature) in signatures.iter().enumerate() {
        claims[index] = signature.filter(in_range).map(|(r, _)| {
            let e = scalar::reduce::<C>(&u256::from_be_bytes(&digests[index]));
            let g = scalar::montgomery_mul::<C>(&e, &inverses[index]);
            let q = scalar::montgomery_mul::<C>(&r, &inverses[index]);
            Claim { g, q, x: r }
        });
    }
}
