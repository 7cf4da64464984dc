//! Entries, and the lines that they are.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};
use sha2::{Digest as _, Sha256};

use crate::{Damage, JournalError, limits::LINE_BYTES_MAX};

/// What stands between an entry and its sum.
const SUM: &[u8] = b",\"sum\":\"";
/// What stands behind the sum.
const END: &[u8] = b"\"}";
/// Digits of a sum.
const SUM_DIGITS: usize = 64;

/// A record, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry<R> {
    /// Its line, from 1.
    pub number: u64,
    /// SHA-256 of the line before it, with its end; zeros in the first.
    pub prev: LineHash,
    /// When it was written, seconds since 1970; for people.
    pub time: u64,
    /// What happened.
    pub record: R,
}

/// SHA-256 of a line with its end. In JSON it is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line has for the line before it.
    pub const NONE: Self = Self([0; 32]);

    /// Of a line, with its end.
    pub(crate) fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&const_hex::encode(self.0))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LineHash({self})")
    }
}

impl Serialize for LineHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LineHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        const_hex::decode_to_array(&text).map(Self).map_err(D::Error::custom)
    }
}

/// Where a journal ends: it names all of its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// How many lines there are.
    pub number: u64,
    /// SHA-256 of the last one; zeros where there is none.
    pub hash: LineHash,
}

impl Head {
    /// Of a journal without lines.
    pub const EMPTY: Self = Self { number: 0, hash: LineHash::NONE };

    /// The next line, with its end, and where the journal ends with it.
    pub(crate) fn line<R: Serialize>(self, time: u64, record: &R) -> Result<(Vec<u8>, Self), JournalError> {
        let number = self.number + 1;
        let entry = Entry { number, prev: self.hash, time, record };
        let mut line = serde_json::to_vec(&entry).map_err(JournalError::Encode)?;
        // The brace that ends it.
        line.pop();
        let sum = const_hex::encode(Sha256::digest(&line));
        line.extend([SUM, sum.as_bytes(), END, b"\n"].concat());
        if line.len() > LINE_BYTES_MAX {
            return Err(JournalError::LineBytes(line.len()));
        }
        let hash = LineHash::of(&line);
        Ok((line, Self { number, hash }))
    }

    /// Reads the next line, without its end: the entry's JSON, and where the journal ends with it.
    pub(crate) fn read(self, line: &[u8]) -> Result<(Vec<u8>, Self), Damage> {
        let body = line.strip_suffix(END).and_then(|line| line.split_at_checked(line.len().checked_sub(SUM_DIGITS)?));
        let (body, sum) = body.ok_or(Damage::NoSum)?;
        let body = body.strip_suffix(SUM).ok_or(Damage::NoSum)?;
        if const_hex::encode(Sha256::digest(body)).as_bytes() != sum {
            return Err(Damage::Sum);
        }
        let json = [body, b"}"].concat();
        let Entry { number, prev, .. } = serde_json::from_slice::<Entry<serde::de::IgnoredAny>>(&json)
            .map_err(|error| Damage::Form(error.to_string()))?;
        if number != self.number + 1 {
            return Err(Damage::Number(number));
        }
        if prev != self.hash {
            return Err(Damage::Prev { found: prev, expected: self.hash });
        }
        let hash = LineHash::of(&[line, b"\n"].concat());
        Ok((json, Self { number, hash }))
    }
}

/// The entry of a line that [`Head::read`] took.
pub(crate) fn decode<R: DeserializeOwned>(json: &[u8]) -> Result<Entry<R>, serde_json::Error> {
    serde_json::from_slice(json)
}
