//! Inputs that only an attacker makes: the points and numbers at which libraries differ, or could.
//!
//! Whoever may choose the digest can make such signatures without any secret.

use dolmen_accel_api::{Algorithm, BatchVerifier as _, RecoverJob};

use super::support::{Job, Signed, holds, name, peers, peers_of};
use crate::encoding::address;

fn number(text: &str) -> [u8; 32] {
    std::array::from_fn(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap())
}

/// `number + small`, big endian.
fn plus(number: [u8; 32], small: u8) -> [u8; 32] {
    let mut sum = number;
    let mut carry = u16::from(small);
    for byte in sum.iter_mut().rev() {
        carry += u16::from(*byte);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    sum
}

/// A signature, whether it holds, and what is special about it.
type Corner = (Job, bool, &'static str);

macro_rules! ecdsa {
    () => {
        /// A signature whose sum is `[g]G + [q]Q`, with low `s`.
        fn form(of: &ProjectivePoint, g: Scalar, q: Scalar) -> Job {
            let r = x(&(ProjectivePoint::GENERATOR * g + *of * q));
            let s = r * q.invert().unwrap();
            let is_high = k256::elliptic_curve::scalar::IsHigh::is_high(&s).into();
            // The sign of s is that of the sum's y.
            job(key(of), g * s, r, if is_high { -s } else { s })
        }

        fn special() -> Vec<Corner> {
            let of = ProjectivePoint::GENERATOR * scalar(5);
            // e = -rd
            let identity = job(key(&of), -scalar(15), scalar(3), scalar(9));
            let zero = form(&of, Scalar::ZERO, scalar(4));
            vec![(identity, false, "the sum is the identity"), (zero, true, "the digest is zero")]
        }
    };
}

macro_rules! sm2_form {
    () => {
        /// A signature whose sum is `[s]G + [t]Q`.
        fn form(of: &ProjectivePoint, s: Scalar, t: Scalar) -> Job {
            let r = t - s;
            job(key(of), r - x(&(ProjectivePoint::GENERATOR * s + *of * t)), r, s)
        }

        fn special() -> Vec<Corner> {
            // s = -td, and e = r, as if the identity had x = 0.
            let identity = job(key(&(ProjectivePoint::GENERATOR * scalar(5))), scalar(18), scalar(18), -scalar(15));
            vec![(identity, false, "the sum is the identity")]
        }
    };
}

macro_rules! curve {
    ($module:ident, $curve:ident, $form:ident) => {
        mod $module {
            use $curve::{
                AffinePoint, ProjectivePoint, Scalar,
                elliptic_curve::{
                    PrimeField as _,
                    ops::Reduce as _,
                    point::{AffineCoordinates as _, DecompressPoint as _},
                    sec1::ToSec1Point as _,
                },
            };

            use super::{Corner, Job, Signed, plus};

            /// The points with the first two `x` above `from`, and those `x`.
            fn points(from: [u8; 32]) -> impl Iterator<Item = (ProjectivePoint, u8)> {
                (1..=u8::MAX)
                    .filter_map(move |small| {
                        let point = AffinePoint::decompress(&plus(from, small).into(), 0.into());
                        Some((point.into_option()?.into(), small))
                    })
                    .take(2)
            }

            fn scalar(small: u8) -> Scalar {
                Scalar::from(u64::from(small))
            }

            fn key(point: &ProjectivePoint) -> Vec<u8> {
                point.to_affine().to_sec1_point(false).as_bytes()[1..].to_vec()
            }

            fn job(key: Vec<u8>, e: Scalar, r: Scalar, s: Scalar) -> Job {
                let signature = [r.to_repr(), s.to_repr()].iter().flatten().copied().collect();
                Job { key, message: Signed::Digest(e.to_repr().into()), signature }
            }

            fn x(point: &ProjectivePoint) -> Scalar {
                Scalar::reduce(&point.to_affine().x())
            }

            $form!();

            /// Signatures at the corners of the curve with order `n` over the field of `p`.
            pub(super) fn corners(n: [u8; 32], p: [u8; 32]) -> Vec<Corner> {
                let generator = ProjectivePoint::GENERATOR;
                let mut corners = special();
                corners.extend([
                    (form(&generator, scalar(3), scalar(4)), true, "the key is G"),
                    (form(&-generator, scalar(3), scalar(4)), true, "the key is -G"),
                    (form(&(generator * scalar(2)), scalar(4), scalar(3)), true, "the key is 2G"),
                    (form(&(generator * scalar(2)), scalar(6), scalar(3)), true, "both terms are one point"),
                ]);
                for (sum, _) in points(n) {
                    let of = (sum - generator * scalar(7)) * scalar(11).invert().unwrap();
                    corners.push((form(&of, scalar(7), scalar(11)), true, "x of the sum is not below n"));
                }
                for (of, small) in points([0; 32]) {
                    let canonical = form(&of, scalar(5), scalar(6));
                    let other = canonical.with(|job| job.key[..32].copy_from_slice(&plus(p, small)));
                    corners.push((canonical, true, "x of the key is small"));
                    corners.push((other, false, "x of the key is not below p"));
                }
                corners
            }
        }
    };
}

curve!(secp256k1, k256, ecdsa);
curve!(nist, p256, ecdsa);
curve!(sm, sm2, sm2_form);

/// Asks every peer of `algorithm`.
fn all_agree(algorithm: Algorithm, corners: &[Corner]) {
    for peer in peers_of(algorithm) {
        for (job, expected, what) in corners {
            assert_eq!(holds(&peer, algorithm, job), *expected, "{algorithm} by {}: {what}", name(&peer));
        }
    }
}

fn secp256k1_corners() -> Vec<Corner> {
    let n = number("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let p = number("fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f");
    secp256k1::corners(n, p)
}

#[test]
fn secp256k1() {
    all_agree(Algorithm::EcdsaSecp256k1, &secp256k1_corners());
}

#[test]
fn p256() {
    let n = number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let p = number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    all_agree(Algorithm::EcdsaP256, &nist::corners(n, p));
}

#[test]
fn sm2() {
    let n = number("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123");
    let p = number("fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff");
    all_agree(Algorithm::Sm2, &sm::corners(n, p));
}

/// A signature whose `x` is `r + n` verifies, but Ethereum's `v` cannot say so.
#[test]
fn recovery_takes_x_for_r() {
    let corners = secp256k1_corners();
    let wrapped = corners.iter().filter(|(.., what)| what.starts_with("x of the sum"));
    let mut asked = 0;
    for (job, ..) in wrapped {
        let Signed::Digest(digest) = job.message else { panic!("these sign digests") };
        let signature = job.signature.clone().try_into().unwrap();
        let jobs = [false, true].map(|odd_y| RecoverJob { digest, signature, odd_y, hint: None });
        let found = peers().into_iter().filter(crate::Peer::recovers).map(|peer| {
            let mut signers = [None; 2];
            peer.recover(&jobs, &mut signers).unwrap();
            signers
        });
        let found: Vec<_> = found.collect();
        let signer = address(job.key[..].try_into().unwrap());
        assert!(found.iter().all(|signers| *signers == found[0] && !signers.contains(&Some(signer))));
        asked += 1;
    }
    assert_eq!(asked, 2);
}

/// A sum that is the identity has no address, and neither has a high `s`.
#[test]
fn recovery_refuses_the_identity_and_high_s() {
    // r = x(G) with e = s: Q = (sG - eG) / r.
    let generator = number("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let digest = plus([0; 32], 9);
    let identity = [generator, digest].concat().try_into().unwrap();
    let high: [u8; 64] = [[1; 32], [0x80; 32]].concat().try_into().unwrap();
    let low: [u8; 64] = [[1; 32], [0x10; 32]].concat().try_into().unwrap();
    for peer in peers().into_iter().filter(crate::Peer::recovers) {
        let job = |signature| RecoverJob { digest, signature, odd_y: false, hint: None };
        let mut signers = [None; 3];
        peer.recover(&[job(identity), job(high), job(low)], &mut signers).unwrap();
        assert_eq!((signers[0], signers[1], signers[2].is_some()), (None, None, true), "{}", name(&peer));
    }
}
