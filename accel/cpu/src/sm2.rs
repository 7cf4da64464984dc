//! SM2 signatures (GB/T 32918.2-2016 §7): with `t = r + s`, `[s]G + [t]Q` has the coordinate `r - e`.

use dolmen_accel_api::{Message, VerifyJob};

use crate::{
    cache::Key,
    curve::{Curve, Sm2},
    detect::Lanes,
    hash, scalar,
    u256::{self, U256},
    weierstrass::{BLOCK, Claim, Scheme},
};

/// SM2 with SM3 and the default identity.
pub(crate) struct Sm2Signatures;

/// Who signs, where nobody says otherwise (GB/T 35276-2017 §10).
const IDENTITY: &[u8; 16] = b"1234567812345678";

impl Scheme for Sm2Signatures {
    /// `Z = SM3(bits of the identity || identity || a || b || G || Q)` (GB/T 32918.2 §5.5).
    fn extra(key: &Key) -> [u8; 32] {
        let a = u256::to_be_bytes(&u256::sub(&Sm2::P, &[3, 0, 0, 0]).0);
        let b = u256::to_be_bytes(&Sm2::B);
        let (x, y) = Sm2::GENERATOR;
        let (x, y) = (u256::to_be_bytes(&x), u256::to_be_bytes(&y));
        hash::sm3_one([&[0, 128], IDENTITY, &a, &b, &x, &y, key])
    }

    fn digests(lanes: Lanes, jobs: &[VerifyJob<'_>], extras: &[[u8; 32]], digests: &mut [[u8; 32]]) {
        let mut messages: [[&[u8]; 2]; BLOCK] = [[&[], &[]]; BLOCK];
        let mut at = [0; BLOCK];
        let mut count = 0;
        for (index, (job, z)) in jobs.iter().zip(extras).enumerate() {
            match job.message {
                Message::Digest(e) => digests[index] = *e,
                Message::Bytes(bytes) => {
                    (messages[count], at[count]) = ([z, bytes], index);
                    count += 1;
                }
            }
        }
        let mut hashed = [[0; 32]; BLOCK];
        hash::sm3(lanes, &messages[..count], &mut hashed[..count]);
        for (digest, index) in hashed[..count].iter().zip(at) {
            digests[index] = *digest;
        }
    }

    fn claims(signatures: &[Option<(U256, U256)>], digests: &[[u8; 32]], claims: &mut [Option<Claim>]) {
        for (index, signature) in signatures.iter().enumerate() {
            claims[index] = signature.and_then(|(r, s)| {
                if !scalar::is_in_range::<Sm2>(&r) || !scalar::is_in_range::<Sm2>(&s) {
                    return None;
                }
                let t = scalar::add::<Sm2>(&r, &s);
                let e = scalar::reduce::<Sm2>(&u256::from_be_bytes(&digests[index]));
                (!u256::is_zero(&t)).then(|| Claim { g: s, q: t, x: scalar::sub::<Sm2>(&r, &e) })
            });
        }
    }
}
