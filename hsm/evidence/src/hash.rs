//! Hashes, as a TPM numbers them.

use openssl::md::{Md, MdRef};
use sha2::{Digest, Sha256, Sha384, Sha512};
use sm3::Sm3;

use crate::EvidenceError;

/// A hash that a key, a signature or a bank of registers may have. SHA-1 is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SM3 (GB/T 32905-2016).
    Sm3,
}

impl HashAlgorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sha256, Self::Sha384, Self::Sha512, Self::Sm3];

    /// `TPM_ALG_ID`, Part 2 §6.3.
    pub const fn id(self) -> u16 {
        match self {
            Self::Sha256 => 0x000b,
            Self::Sha384 => 0x000c,
            Self::Sha512 => 0x000d,
            Self::Sm3 => 0x0012,
        }
    }

    /// The name in event logs and in tpm2-tools.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Sm3 => "sm3_256",
        }
    }

    /// Bytes of a digest.
    pub const fn length(self) -> usize {
        match self {
            Self::Sha256 | Self::Sm3 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest of the parts one after the other.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Sha256 => digest::<Sha256>(parts),
            Self::Sha384 => digest::<Sha384>(parts),
            Self::Sha512 => digest::<Sha512>(parts),
            Self::Sm3 => digest::<Sm3>(parts),
        }
    }

    pub(crate) fn from_id(id: u16) -> Result<Self, EvidenceError> {
        let known = Self::ALL.into_iter().find(|hash| hash.id() == id);
        known.ok_or(EvidenceError::Unsupported { what: "the hash", id: id.into() })
    }

    /// For OpenSSL's HMAC, OAEP and RSASSA.
    pub(crate) fn md(self) -> &'static MdRef {
        match self {
            Self::Sha256 => Md::sha256(),
            Self::Sha384 => Md::sha384(),
            Self::Sha512 => Md::sha512(),
            Self::Sm3 => Md::sm3(),
        }
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use openssl::md_ctx::MdCtx;

    use super::*;

    #[test]
    fn lengths_and_openssl_agree() {
        for hash in HashAlgorithm::ALL {
            let digest = hash.digest(&[b"ab", b"", b"c"]);
            assert_eq!(digest.len(), hash.length());
            let mut theirs = vec![0_u8; hash.md().size()];
            let mut context = MdCtx::new().unwrap();
            context.digest_init(hash.md()).unwrap();
            context.digest_update(b"abc").unwrap();
            context.digest_final(&mut theirs).unwrap();
            assert_eq!(digest, theirs, "{}", hash.name());
            assert_eq!(HashAlgorithm::from_id(hash.id()).unwrap(), hash);
        }
        assert!(matches!(HashAlgorithm::from_id(4), Err(EvidenceError::Unsupported { id: 4, .. })));
    }
}
