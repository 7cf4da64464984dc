//! The hash that stands for a device.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::VerityError;
use crate::bytes::array_at;

/// Bytes of a SHA-256 digest.
pub(super) const DIGEST_BYTES: usize = 32;

/// A root hash. Text has 64 hexadecimal digits, as `roothash=` on the kernel's command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootHash([u8; DIGEST_BYTES]);

impl RootHash {
    /// Of its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }

    /// The unique GUID by which the root partition is found: the first 128 bits. Discoverable Partitions Specification,
    /// as systemd's `systemd-gpt-auto-generator` has it.
    #[must_use]
    pub fn root_guid(&self) -> Uuid {
        Uuid::from_bytes(array_at(&self.0, 0))
    }

    /// The unique GUID by which the partition with the hash tree is found: the last 128 bits.
    #[must_use]
    pub fn verity_guid(&self) -> Uuid {
        Uuid::from_bytes(array_at(&self.0, 16))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&const_hex::encode(self.0))
    }
}

impl FromStr for RootHash {
    type Err = VerityError;

    fn from_str(text: &str) -> Result<Self, VerityError> {
        // A prefix 0x would be taken too, but is none of systemd's.
        let digits = (text.len() == 2 * DIGEST_BYTES).then_some(text);
        let bytes = digits.and_then(|digits| const_hex::decode_to_array(digits).ok());
        bytes.map(Self).ok_or_else(|| VerityError::RootHashDigits(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    #[test]
    fn text_is_64_digits() {
        let root: RootHash = TEXT.parse().unwrap();
        assert_eq!((root.to_string().as_str(), root.as_bytes()[15]), (TEXT, 0xff));
        assert_eq!(TEXT.to_uppercase().parse::<RootHash>().unwrap(), root);
        for text in ["", &TEXT[1..], &format!("0x{}", &TEXT[2..]), &format!("0x{TEXT}"), &TEXT.replace('a', "g")] {
            assert!(matches!(text.parse::<RootHash>(), Err(VerityError::RootHashDigits(_))), "{text}");
        }
    }

    #[test]
    fn guids_are_its_halves() {
        let root: RootHash = TEXT.parse().unwrap();
        assert_eq!(root.root_guid().to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(root.verity_guid().to_string(), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0");
    }
}
