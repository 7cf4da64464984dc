//! The libraries, by name.

use std::fmt;

use dolmen_accel_api::Algorithm;

use crate::{LibraryHasher, Peer, SignerError, Signs, aws_lc, bls, dalek, libsecp256k1, openssl, rust_crypto, zip215};

/// Versions of the crates, for reports. A test holds them against Cargo.lock.
pub(crate) const VERSIONS: [(&str, &str); 12] = [
    ("aws-lc-rs", "1.19.0"),
    ("blst", "0.3.17"),
    ("curve25519-dalek", "5.0.0"),
    ("ed25519-dalek", "3.0.0"),
    ("k256", "0.14.0"),
    ("openssl", "0.10.82"),
    ("p256", "0.14.0"),
    ("secp256k1", "0.31.1"),
    ("sha2", "0.11.1"),
    ("sha3", "0.11.0"),
    ("sm2", "0.14.0"),
    ("sm3", "0.5.0"),
];

/// A signature library of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Library {
    /// OpenSSL 3 of the system.
    OpenSsl,
    /// AWS-LC.
    AwsLc,
    /// Bitcoin Core's libsecp256k1.
    Libsecp256k1,
    /// ed25519-dalek, whole batches at once.
    Ed25519Dalek,
    /// curve25519-dalek with the rule of ZIP 215 on top.
    Curve25519Dalek,
    /// RustCrypto's k256, p256 and sm2.
    RustCrypto,
    /// blst.
    Blst,
}

impl Library {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::OpenSsl,
        Self::AwsLc,
        Self::Libsecp256k1,
        Self::Ed25519Dalek,
        Self::Curve25519Dalek,
        Self::RustCrypto,
        Self::Blst,
    ];

    /// The name in command lines and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenSsl => "openssl",
            Self::AwsLc => "aws-lc-rs",
            Self::Libsecp256k1 => "libsecp256k1",
            Self::Ed25519Dalek => "ed25519-dalek",
            Self::Curve25519Dalek => "curve25519-dalek",
            Self::RustCrypto => "rustcrypto",
            Self::Blst => "blst",
        }
    }

    /// Which version runs, for reports: of OpenSSL the one that was loaded, else of the crates that were compiled in.
    pub fn version(self) -> String {
        let crates: &[&str] = match self {
            Self::OpenSsl => return ::openssl::version::version().into(),
            Self::AwsLc => &["aws-lc-rs"],
            Self::Libsecp256k1 => &["secp256k1"],
            Self::Ed25519Dalek => &["ed25519-dalek"],
            Self::Curve25519Dalek => &["curve25519-dalek"],
            Self::RustCrypto => &["k256", "p256", "sm2", "sm3", "sha2", "sha3"],
            Self::Blst => &["blst"],
        };
        let versions = VERSIONS.iter().filter(|(name, _)| crates.contains(name));
        versions.map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
    }

    /// An engine that verifies with this library alone.
    pub fn peer(self) -> Peer {
        let (batch_preferred, parts) = match self {
            Self::OpenSsl => (1, openssl::parts()),
            Self::AwsLc => (1, aws_lc::parts()),
            Self::Libsecp256k1 => (1, libsecp256k1::parts()),
            Self::Ed25519Dalek => (1024, dalek::parts()),
            Self::Curve25519Dalek => (1, zip215::parts()),
            Self::RustCrypto => (1, rust_crypto::parts()),
            Self::Blst => (128, bls::parts()),
        };
        Peer::new(self.name(), self.version(), batch_preferred, parts)
    }

    /// Whether its rule, with what is added to it here, is exactly the one at [`Algorithm`]; see [`Peer::exact`].
    pub fn exact(self, algorithm: Algorithm) -> bool {
        self.peer().exact(algorithm)
    }

    /// The hashes of this library, where it is a peer at hashing.
    pub fn hasher(self) -> Option<LibraryHasher> {
        LibraryHasher::new(self)
    }

    /// Makes a signing key from 32 secret bytes: the scalar, big endian, on the three Weierstrass curves, the seed of
    /// RFC 8032 for Ed25519, key material for BLS.
    ///
    /// # Errors
    ///
    /// If the library does not sign by `algorithm`, or the bytes are no secret key.
    pub fn signer(self, algorithm: Algorithm, secret: &[u8; 32]) -> Result<Box<dyn Signs>, SignerError> {
        let signer = match (self, algorithm) {
            (Self::OpenSsl, _) => openssl::signer(algorithm, secret),
            (Self::AwsLc, _) => aws_lc::signer(algorithm, secret),
            (Self::RustCrypto, _) => rust_crypto::signer(algorithm, secret),
            (Self::Libsecp256k1, Algorithm::EcdsaSecp256k1) => Some(libsecp256k1::signer(secret)),
            (Self::Ed25519Dalek, Algorithm::Ed25519) => Some(Ok(dalek::signer(secret))),
            (Self::Blst, Algorithm::Bls12381) => Some(bls::signer(secret)),
            _ => None,
        };
        signer.unwrap_or(Err(SignerError::Unsupported { library: self, algorithm }))
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
