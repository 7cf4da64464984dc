//! The signature algorithms and the rule by which each accepts a signature.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A signature algorithm, with one acceptance rule for all engines.
///
/// Integers are big endian and 32 bytes wide unless said otherwise; `n` is the order of the group, `p` of the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// ECDSA on secp256k1 as Ethereum transactions use it (SEC 1 §4.1.4, EIP-2).
    ///
    /// Key `x || y`, on the curve, both below `p`. Signature `r || s` with `1 <= r < n` and `1 <= s <= n / 2`: high `s`
    /// is refused. A message given as bytes is hashed with Keccak-256. The signature holds if the sum `[e/s]G +
    /// [r/s]Q` is not the identity and its `x` is `r` modulo `n`. Recovery takes `x = r` only, as Ethereum's `v` does:
    /// a signature whose `x` is `r + n` verifies, but cannot be recovered.
    EcdsaSecp256k1,
    /// ECDSA with SHA-256 on P-256 (FIPS 186-5 §6.4.2).
    ///
    /// As [`Algorithm::EcdsaSecp256k1`], but high `s` is accepted, and bytes are hashed with SHA-256.
    EcdsaP256,
    /// SM2 signatures with SM3 (GB/T 32918.2-2016 §7).
    ///
    /// Key `x || y`. Signature `r || s`, both in `[1, n - 1]`, with `t = r + s mod n` not zero. Bytes are hashed as
    /// `e = SM3(Z || M)` with the default identity `1234567812345678` (GB/T 35276-2017 §10) in `Z`. The signature holds
    /// if `[s]G + [t]Q` is not the identity and `e + x = r` modulo `n`. The standard does not name the identity; it is
    /// refused, as a point without coordinates.
    Sm2,
    /// Ed25519 by the rule of ZIP 215: RFC 8032 §5.1.7 with the cofactor, made precise for every input.
    ///
    /// Key and `R` are any encoding whose `y`, taken modulo `p`, is that of a point of the curve: non-canonical `y`,
    /// `x = 0` with the sign bit, and points of small order are accepted. `S` is below the group order, little endian.
    /// The signature holds if `[8]([S]B - [k]A - R)` is the identity, with `k = SHA-512(R || A || M)` over the bytes
    /// as sent. Messages are given as bytes: a digest is a 32-byte message.
    Ed25519,
    /// BLS signatures on BLS12-381 with keys in G1 (48 bytes) and signatures in G2 (96 bytes), both compressed:
    /// `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_` (draft-irtf-cfrg-bls-signature-05 §4.2.3).
    ///
    /// A message given as a digest is the 32-byte message. Non-canonical encodings, points outside the subgroups and the identity as key or signature are refused.
    /// Aggregates are only sound for keys whose owners proved possession of the secret key; who admits a key checks it.
    Bls12381,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::EcdsaSecp256k1, Self::EcdsaP256, Self::Sm2, Self::Ed25519, Self::Bls12381];

    /// The name in command lines, metrics and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EcdsaSecp256k1 => "secp256k1",
            Self::EcdsaP256 => "p256",
            Self::Sm2 => "sm2",
            Self::Ed25519 => "ed25519",
            Self::Bls12381 => "bls12381",
        }
    }

    /// Bytes of a public key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::EcdsaSecp256k1 | Self::EcdsaP256 | Self::Sm2 => 64,
            Self::Ed25519 => 32,
            Self::Bls12381 => 48,
        }
    }

    /// Bytes of a signature.
    pub const fn signature_len(self) -> usize {
        match self {
            Self::EcdsaSecp256k1 | Self::EcdsaP256 | Self::Sm2 | Self::Ed25519 => 64,
            Self::Bls12381 => 96,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is no algorithm's.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("no signature algorithm is called {0:?}; there are secp256k1, p256, sm2, ed25519 and bls12381")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name).ok_or_else(|| UnknownAlgorithm(name.into()))
    }
}
