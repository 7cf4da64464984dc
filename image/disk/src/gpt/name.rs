//! What people call a partition.

use std::{fmt, iter};

use super::GptError;

/// 16-bit units of a name, UEFI 2.10 Table 5.6.
const UNITS: usize = 36;

/// A partition's name: 36 units of UTF-16 at most. On a disk it may be no valid UTF-16, which is kept as it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PartitionName([u16; UNITS]);

impl PartitionName {
    /// Of text.
    ///
    /// # Errors
    ///
    /// [`GptError::Name`] for one that is too long or has a NUL, which ends names.
    pub fn new(name: &str) -> Result<Self, GptError> {
        let mut units = [0; UNITS];
        if name.encode_utf16().count() > UNITS || name.contains('\0') {
            return Err(GptError::Name(name.to_owned()));
        }
        units.iter_mut().zip(name.encode_utf16()).for_each(|(unit, from)| *unit = from);
        Ok(Self(units))
    }

    /// From an entry. What follows a NUL does not belong to the name.
    pub(super) fn decode(bytes: [u8; 2 * UNITS]) -> Self {
        let mut units = [0; UNITS];
        let (pairs, _) = bytes.as_chunks();
        let named = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).take_while(|unit| *unit != 0);
        units.iter_mut().zip(named).for_each(|(unit, from)| *unit = from);
        Self(units)
    }

    pub(super) fn encode(self) -> [u8; 2 * UNITS] {
        let mut bytes = [0; 2 * UNITS];
        let (pairs, _) = bytes.as_chunks_mut();
        iter::zip(pairs, self.0).for_each(|(pair, unit)| *pair = unit.to_le_bytes());
        bytes
    }
}

impl PartialEq<str> for PartitionName {
    fn eq(&self, other: &str) -> bool {
        self.0.into_iter().take_while(|unit| *unit != 0).eq(other.encode_utf16())
    }
}

/// With `U+FFFD` for what is no valid UTF-16.
impl fmt::Display for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.into_iter().take_while(|unit| *unit != 0);
        let text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        f.pad(&text)
    }
}

impl fmt::Debug for PartitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_utf16_of_36_units() {
        let name = PartitionName::new("dolmen_1.0 数据").unwrap();
        assert_eq!(name.to_string(), "dolmen_1.0 数据");
        assert!(name == *"dolmen_1.0 数据" && name != *"dolmen_1.0" && name != *"dolmen_1.0 数据 ");
        assert_eq!(name.encode()[..6], [b'd', 0, b'o', 0, b'l', 0]);
        assert_eq!(PartitionName::decode(name.encode()), name);
        let longest = "𝄞".repeat(18);
        assert_eq!(PartitionName::new(&longest).unwrap().to_string(), longest);
        assert!(matches!(PartitionName::new(&"a".repeat(37)), Err(GptError::Name(_))));
        assert!(matches!(PartitionName::new("a\0"), Err(GptError::Name(_))));
    }

    #[test]
    fn what_is_no_text_is_kept() {
        let mut bytes = [0; 72];
        bytes[..6].copy_from_slice(&[b'a', 0, 0x00, 0xd8, b'b', 0]);
        let name = PartitionName::decode(bytes);
        assert_eq!(name.to_string(), "a\u{fffd}b");
        assert_eq!(name.encode(), bytes);
        // After a NUL is nothing.
        bytes[2..4].fill(0);
        assert_eq!(PartitionName::decode(bytes), PartitionName::new("a").unwrap());
    }
}
