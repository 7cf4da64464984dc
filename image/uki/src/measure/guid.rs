//! Identifiers of UEFI.

use std::{fmt, str::FromStr};

use super::MeasureError;

/// A GUID as firmware has it: the first three of its five numbers with the low byte first (UEFI 2.10 appendix A).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guid(pub [u8; 16]);

/// Where the bytes of the text are in it.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
/// Hexadecimal digits between the dashes.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

impl Guid {
    /// From the number whose digits are those of the text.
    pub(super) const fn new(number: u128) -> Self {
        let (text, mut bytes, mut index) = (number.to_be_bytes(), [0; 16], 0);
        while index < 16 {
            bytes[ORDER[index]] = text[index];
            index += 1;
        }
        Self(bytes)
    }
}

impl FromStr for Guid {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups = text.split('-').map(str::len);
        let digits = text.replace('-', "");
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| groups.eq(GROUPS) && !digits.contains('+'));
        number.map(Self::new).ok_or_else(|| MeasureError::Guid(text.to_owned()))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = const_hex::encode(ORDER.map(|index| self.0[index]));
        let mut rest = &digits[..];
        for (index, length) in GROUPS.into_iter().enumerate() {
            let (group, after) = rest.split_at(length);
            write!(f, "{}{group}", if index == 0 { "" } else { "-" })?;
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes() {
        let text = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
        let guid: Guid = text.parse().unwrap();
        assert_eq!(
            guid.0,
            [0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c]
        );
        assert_eq!(guid.to_string(), text);
        for wrong in ["", "8be4df6193ca11d2aa0d00e098032b8c", "8be4df61-93ca-11d2-aa0d-+0e098032b8c", &text[1..]] {
            assert!(matches!(wrong.parse::<Guid>(), Err(MeasureError::Guid(_))), "{wrong}");
        }
    }
}
