//! What must not show, and what is kept of it.

use std::{fmt, io};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};
use zeroize::{Zeroize as _, Zeroizing};

/// Crockford's Base32, as claim codes have it: no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A password, a code or a token. It is wiped when it is dropped, and `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl PartialSchema for Secret {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Password);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Secret {}

/// Random bytes for keys. Tests pass their own.
pub trait Random: Send {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// The system's.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()>;
}

/// OpenSSL's generator, which the kernel seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        openssl::rand::rand_bytes(bytes).map_err(io::Error::other)
    }
}

/// Bytes in hexadecimal: salts, digests and keys in the file. They are wiped when dropped, and compared in constant time.
#[derive(Clone)]
pub(crate) struct Bytes<const N: usize>([u8; N]);

impl<const N: usize> Bytes<N> {
    pub(crate) const fn new(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    pub(crate) fn random(random: &mut dyn Random) -> io::Result<Self> {
        let mut bytes = Self([0; N]);
        random.fill(&mut bytes.0)?;
        Ok(bytes)
    }

    pub(crate) const fn get(&self) -> &[u8; N] {
        &self.0
    }

    pub(crate) fn hex(&self) -> String {
        const_hex::encode(self.0)
    }
}

impl Bytes<32> {
    /// SHA-256.
    pub(crate) fn digest(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl<const N: usize> Drop for Bytes<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<const N: usize> PartialEq for Bytes<N> {
    fn eq(&self, other: &Self) -> bool {
        openssl::memcmp::eq(&self.0, &other.0)
    }
}

impl<const N: usize> Eq for Bytes<N> {}

impl<const N: usize> fmt::Debug for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({N})")
    }
}

impl<const N: usize> Serialize for Bytes<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(self.hex()))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Bytes<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        // The error of hex would show a character.
        const_hex::decode_to_array(&*text).map(Self).map_err(|_| D::Error::custom("not as many hexadecimal digits"))
    }
}

/// A code of groups of four characters, five bits each, for people to copy.
pub(crate) fn code(random: &mut dyn Random, groups: usize) -> io::Result<Secret> {
    let mut bytes = Zeroizing::new(vec![0; groups * 4]);
    random.fill(&mut bytes)?;
    let mut text = String::with_capacity(groups * 5);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(Secret::from(text))
}

/// What is kept of a code: the digest of its characters, whatever their case, with or without hyphens and spaces. Those
/// that look alike are one (Crockford's Base32).
pub(crate) fn code_digest(text: &str) -> Bytes<32> {
    let mut plain = Zeroizing::new(Vec::with_capacity(text.len()));
    plain.extend(text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(
        |byte| match byte.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            byte => byte,
        },
    ));
    Bytes::digest(&plain)
}

/// The digest of the claim code that the box's screen shows: who reads it is in front of the box.
///
/// It has 60 bits, so that nobody has to wait because others guess: a million guesses a second take 18,000 years on
/// average. The code itself is not kept, so that it cannot show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimCode(pub(crate) Bytes<32>);

impl ClaimCode {
    /// Of the code, as the screen shows it.
    #[must_use]
    pub fn of(code: &str) -> Self {
        Self(code_digest(code.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_copy_it() {
        let shown = ClaimCode::of("AB01-CDEF-GH1J");
        for typed in ["ab01-cdef-gh1j", " AB01 CDEF GH1J\n", "abolcdefghij", "ABOICDEFGHLJ"] {
            assert_eq!(ClaimCode::of(typed), shown, "{typed}");
        }
        assert_ne!(ClaimCode::of("AB01-CDEF-GH1K"), shown);
        assert_ne!(ClaimCode::of(""), shown);
    }

    #[test]
    fn nothing_shows_secrets() {
        let code = code(&mut SystemRandom, RECOVERY).unwrap();
        assert_eq!(code.expose().len(), RECOVERY * 5 - 1);
        let bytes = Bytes::new([7; 16]);
        assert_eq!(format!("{code:?} {bytes:?} {:?}", ClaimCode::of("AAAA")), "Secret Bytes(16) ClaimCode(Bytes(32))");
        let error = serde_json::from_str::<Bytes<4>>("\"0102z304\"").unwrap_err().to_string();
        assert!(!error.contains('z'), "{error}");
    }

    const RECOVERY: usize = crate::limits::RECOVERY_GROUPS;
}
