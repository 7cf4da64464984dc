//! What vouchers and requests say, each a type of its own.

use std::{fmt, str::FromStr};

use dolmen_provisioning_ca::{Certificate, base64};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::limits::{KEY_IDENTIFIER_BYTES_MAX, NONCE_BYTES_MAX, NONCE_BYTES_MIN, SERIAL_NUMBER_CHARACTERS_MAX};

/// Why a value is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No serial number.
    #[error("a serial number has 1 to 64 printable ASCII characters; copy it from the box's label")]
    SerialNumber,
    /// No nonce.
    #[error("a nonce has 8 to 32 bytes, not {0}; make up another")]
    Nonce(usize),
    /// No key identifier.
    #[error("a key identifier has 1 to 64 bytes, not {0}; take it from the box's certificate")]
    KeyIdentifier(usize),
    /// No epoch.
    #[error("an ownership epoch is a number below 2^64 without leading zeros; take it from the list of what was sold")]
    OwnershipEpoch,
}

/// The serial number of a box: 1 to 64 printable ASCII characters. Its first certificate has it in its subject.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialNumber(String);

impl SerialNumber {
    /// Of the box that a certificate is of, whoever issued it; none where its subject does not name one machine.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Option<Self> {
        certificate.machine_serial()?.parse().ok()
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SerialNumber {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if text.is_empty() || text.len() > SERIAL_NUMBER_CHARACTERS_MAX || !printable {
            return Err(ValueError::SerialNumber);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a box made up when it asked, 8 to 32 bytes. A voucher that repeats it is the answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Of its bytes, which nobody can guess.
    ///
    /// # Errors
    ///
    /// [`ValueError::Nonce`] for too few or too many.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        match bytes.len() {
            NONCE_BYTES_MIN..=NONCE_BYTES_MAX => Ok(Self(bytes)),
            length => Err(ValueError::Nonce(length)),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Which key made a certificate: the field `keyIdentifier` of its authority key identifier (RFC 5280 §4.2.1.1). With
/// it the serial numbers of two makers are never the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyIdentifier(Vec<u8>);

impl KeyIdentifier {
    /// Of its bytes.
    ///
    /// # Errors
    ///
    /// [`ValueError::KeyIdentifier`] for none or more than 64.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, ValueError> {
        let bytes = bytes.into();
        match bytes.len() {
            1..=KEY_IDENTIFIER_BYTES_MAX => Ok(Self(bytes)),
            length => Err(ValueError::KeyIdentifier(length)),
        }
    }

    /// Of the key that made a certificate; none where it does not say which.
    #[must_use]
    pub fn of_issuer(certificate: &Certificate) -> Option<Self> {
        certificate.authority_key_identifier().and_then(|bytes| Self::from_bytes(bytes).ok())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How often a box has changed hands. Each voucher without a nonce has a greater one than the one before, and the box
/// keeps the last that it followed where nobody can set it back. In JSON it is a string, as all numbers of 64 bits are
/// (RFC 7951 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnershipEpoch(u64);

impl OwnershipEpoch {
    /// The number. A box that nobody owned yet has 0.
    #[must_use]
    pub const fn new(epoch: u64) -> Self {
        Self(epoch)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The one after it; none after the last.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }
}

impl fmt::Display for OwnershipEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// There is one text for a number.
impl FromStr for OwnershipEpoch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
        number.map(Self).ok_or(ValueError::OwnershipEpoch)
    }
}

/// Types that are a string in JSON.
macro_rules! string {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

/// Types that are base64 in JSON.
macro_rules! binary {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                base64::serialize(self.as_bytes(), serializer)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                base64::deserialize(deserializer, Self::from_bytes)
            }
        }
    )*};
}

string!(SerialNumber, OwnershipEpoch);
binary!(Nonce, KeyIdentifier);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_printable() {
        let longest = "x".repeat(64);
        for text in ["A", "BOX-0001", "a b~", &longest] {
            assert_eq!(text.parse::<SerialNumber>().map(|number| number.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "a\n", "\u{e9}", "\x7f", &"x".repeat(65)] {
            assert_eq!(text.parse::<SerialNumber>(), Err(ValueError::SerialNumber), "{text:?}");
        }
    }

    #[test]
    fn lengths_have_bounds() {
        for (length, allowed) in [(0, false), (7, false), (8, true), (32, true), (33, false)] {
            assert_eq!(Nonce::from_bytes(vec![1; length]).is_ok(), allowed, "{length}");
        }
        for (length, allowed) in [(0, false), (1, true), (64, true), (65, false)] {
            assert_eq!(KeyIdentifier::from_bytes(vec![1; length]).is_ok(), allowed, "{length}");
        }
    }

    #[test]
    fn epochs_are_in_order_and_end() {
        let epoch = OwnershipEpoch::new(7);
        assert!(epoch.next() > Some(epoch));
        assert_eq!(epoch.next().map(OwnershipEpoch::get), Some(8));
        assert_eq!(OwnershipEpoch::new(u64::MAX).next(), None);
        assert_eq!("18446744073709551615".parse(), Ok(OwnershipEpoch::new(u64::MAX)));
        for text in ["", "07", "+7", "-7", " 7", "7.0", "0x7", "18446744073709551616"] {
            assert_eq!(text.parse::<OwnershipEpoch>(), Err(ValueError::OwnershipEpoch), "{text:?}");
        }
    }
}
