//! Hashes of the chain and of appraisals, as they are written.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// 32 bytes that stand for something: a block, or an appraisal. By which function is for those to know who compare them.
/// Text has 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Of its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// There is one text for a hash.
impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read_digits(text).map(Self).ok_or("a hash has 64 lower-case hexadecimal digits")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// 32 bytes of 64 lower-case digits.
pub(crate) fn read_digits(text: &str) -> Option<[u8; 32]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = Some(text).filter(|text| text.len() == 64 && text.bytes().all(is_digit))?;
    const_hex::decode_to_array(digits).ok()
}

/// A public key, as genesis files and settings have it.
pub(crate) mod key {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&const_hex::encode(key))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::read_digits(&text).ok_or_else(|| D::Error::custom("a public key has 64 lower-case hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_text() {
        let text = "00ff".repeat(16);
        let hash: Hash = text.parse().unwrap();
        assert_eq!((hash.to_string(), format!("{hash:?}")), (text.clone(), text.clone()));
        assert_eq!(hash, Hash::from_bytes(*hash.as_bytes()));
        for other in ["", &text[1..], &text.to_uppercase(), &format!("0x{}", &text[2..]), &text.replace('f', "g")] {
            assert!(other.parse::<Hash>().is_err(), "{other}");
        }
    }
}
