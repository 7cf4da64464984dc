//! What is hashed before every block.

use std::fmt;

use sha2::{Digest, Sha256};

use super::{VerityError, root::DIGEST_BYTES};
use crate::limits::SALT_BYTES_MAX;

/// A salt of up to 256 bytes. It is no secret: it keeps equal blocks of two images from having equal hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt(Vec<u8>);

impl Salt {
    /// Of its bytes.
    ///
    /// # Errors
    ///
    /// [`VerityError::Salt`] where there are too many.
    pub fn new(bytes: &[u8]) -> Result<Self, VerityError> {
        if bytes.len() > SALT_BYTES_MAX {
            return Err(VerityError::Salt(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// As the kernel's table and `veritysetup` have it: hexadecimal digits, or `-` where there is none.
impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.pad("-") } else { f.pad(&const_hex::encode(&self.0)) }
    }
}

/// Hashes blocks after a salt.
pub(super) struct Hasher(Sha256);

impl Hasher {
    pub(super) fn new(salt: &Salt) -> Self {
        Self(Sha256::new_with_prefix(&salt.0))
    }

    pub(super) fn hash(&self, block: &[u8]) -> [u8; DIGEST_BYTES] {
        self.0.clone().chain_update(block).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_has_256_bytes_at_most() {
        assert_eq!(Salt::new(&[0xab, 1]).unwrap().to_string(), "ab01");
        assert_eq!(Salt::new(&[]).unwrap().to_string(), "-");
        assert_eq!(Salt::new(&[1; 256]).unwrap().as_bytes(), [1; 256]);
        assert!(matches!(Salt::new(&[0; 257]), Err(VerityError::Salt(257))));
    }

    #[test]
    fn it_comes_before_the_block() {
        let hash = Hasher::new(&Salt::new(b"ab").unwrap()).hash(b"c");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(const_hex::encode(hash), abc);
    }
}
