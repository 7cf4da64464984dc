//! Hashing by libraries, one message after the other.

use dolmen_accel_api::{HashAlgorithm, Hasher};
use openssl::{
    error::ErrorStack,
    md::{Md, MdRef},
    md_ctx::MdCtx,
};
use sha2::Sha256;
use sha3::{Digest, Keccak256};
use sm3::Sm3;

use crate::Library;

/// The hashes of a [`Library`]; see [`Library::hasher`].
pub struct LibraryHasher(Kind);

enum Kind {
    OpenSsl { sm3: Md, sha256: Md },
    RustCrypto,
}

impl LibraryHasher {
    pub(crate) fn new(library: Library) -> Option<Self> {
        match library {
            // Looked up once: OpenSSL 3 takes longer to find a hash by its name than to hash 64 bytes.
            Library::OpenSsl => Some(Self(Kind::OpenSsl {
                sm3: Md::fetch(None, "SM3", None).ok()?,
                sha256: Md::fetch(None, "SHA256", None).ok()?,
            })),
            Library::RustCrypto => Some(Self(Kind::RustCrypto)),
            _ => None,
        }
    }

    /// What it hashes by. OpenSSL 3.0 has SHA3-256 but not Keccak-256.
    pub const fn algorithms(&self) -> &'static [HashAlgorithm] {
        match self.0 {
            Kind::OpenSsl { .. } => &[HashAlgorithm::Sm3, HashAlgorithm::Sha256],
            Kind::RustCrypto => &HashAlgorithm::ALL,
        }
    }
}

impl Hasher for LibraryHasher {
    /// # Panics
    ///
    /// Also if `algorithm` is none of [`algorithms`](LibraryHasher::algorithms).
    fn hash(&self, algorithm: HashAlgorithm, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
        assert_eq!(messages.len(), digests.len(), "one digest per message");
        match (&self.0, algorithm) {
            (Kind::OpenSsl { sm3, .. }, HashAlgorithm::Sm3) => openssl_all(sm3, messages, digests),
            (Kind::OpenSsl { sha256, .. }, HashAlgorithm::Sha256) => openssl_all(sha256, messages, digests),
            (Kind::OpenSsl { .. }, HashAlgorithm::Keccak256) => panic!("OpenSSL has no Keccak-256"),
            (Kind::RustCrypto, HashAlgorithm::Sm3) => all::<Sm3>(messages, digests),
            (Kind::RustCrypto, HashAlgorithm::Sha256) => all::<Sha256>(messages, digests),
            (Kind::RustCrypto, HashAlgorithm::Keccak256) => all::<Keccak256>(messages, digests),
        }
    }
}

fn all<D: Digest>(messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    for (message, digest) in messages.iter().zip(digests) {
        digest.copy_from_slice(&D::digest(message));
    }
}

fn openssl_all(md: &MdRef, messages: &[&[u8]], digests: &mut [[u8; 32]]) {
    let hash = || -> Result<(), ErrorStack> {
        let mut context = MdCtx::new()?;
        for (message, digest) in messages.iter().zip(digests) {
            context.digest_init(md)?;
            context.digest_update(message)?;
            context.digest_final(digest)?;
        }
        Ok(())
    };
    hash().expect("hashing fails only without memory");
}
