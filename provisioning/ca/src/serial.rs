//! Serial numbers of certificates.

use std::{fmt, str::FromStr};

use x509_cert::serial_number::SerialNumber;

/// Bytes of a serial number (RFC 5280 §4.1.2.2).
const LENGTH_MAX: usize = 20;
/// Bytes of one that we issue: 64 random bits are what keeps a signature's content from being foreseen.
const LENGTH_MIN: usize = 8;

/// A serial number: big endian, positive, without zeros in front.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Serial(Vec<u8>);

/// Why some bytes are no serial number of a new certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SerialError {
    /// Too few or too many.
    #[error("a serial number has 8 to 20 bytes, not {0}; take 16 random ones")]
    Length(usize),
    /// Negative, or shorter than it seems.
    #[error("a serial number's first byte is 0x01 to 0x7f, not {0:#04x}; set its first two bits to 01")]
    FirstByte(u8),
    /// No number.
    #[error("a serial number is written in pairs of hexadecimal digits, as `openssl x509 -serial` prints it")]
    Text,
}

impl Serial {
    /// For a new certificate. Whoever issues keeps them random and different.
    ///
    /// # Errors
    ///
    /// [`SerialError::Length`] and [`SerialError::FirstByte`].
    pub fn new(bytes: &[u8]) -> Result<Self, SerialError> {
        match bytes {
            _ if !(LENGTH_MIN..=LENGTH_MAX).contains(&bytes.len()) => Err(SerialError::Length(bytes.len())),
            [first @ (0 | 0x80..), ..] => Err(SerialError::FirstByte(*first)),
            _ => Ok(Self(bytes.to_vec())),
        }
    }

    /// For a new certificate, of random bytes, 126 bits of which it keeps.
    #[must_use]
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x3f | 0x40;
        Self(bytes.to_vec())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Of a certificate or revocation list, whoever made it; none where it is not positive or too long.
    pub(crate) fn read(number: &SerialNumber) -> Option<Self> {
        let bytes = number.as_bytes();
        let magnitude = match bytes {
            [0, rest @ ..] => rest,
            [0x80..=0xff, ..] => return None,
            _ => bytes,
        };
        (!magnitude.is_empty() && bytes.len() <= LENGTH_MAX).then(|| Self(magnitude.to_vec()))
    }

    pub(crate) fn encode(&self) -> der::Result<SerialNumber> {
        SerialNumber::new(&self.0)
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        if text.len() > 2 * LENGTH_MAX {
            return Err(SerialError::Length(text.len() / 2));
        }
        Self::new(&const_hex::decode(text).map_err(|_| SerialError::Text)?)
    }
}

/// As `openssl x509 -serial` prints it.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_ones_are_positive_and_long() {
        for length in [0, 1, 7, 21] {
            assert_eq!(Serial::new(&vec![1; length]), Err(SerialError::Length(length)));
        }
        for first in [0, 0x80, 0xff] {
            assert_eq!(Serial::new(&[first; 16]), Err(SerialError::FirstByte(first)));
        }
        for length in [8, 16, 20] {
            for first in [1, 0x7f] {
                let serial = Serial::new(&vec![first; length]).unwrap();
                assert_eq!(serial.encode().unwrap().as_bytes(), vec![first; length]);
                assert_eq!(Serial::read(&serial.encode().unwrap()), Some(serial));
            }
        }
    }

    #[test]
    fn random_bytes_always_are_one() {
        for byte in 0..=255 {
            let serial = Serial::from_random([byte; 16]);
            assert_eq!(Serial::new(serial.as_bytes()).as_ref(), Ok(&serial));
        }
        assert_eq!(Serial::from_random([0xff; 16]).to_string(), "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF");
    }

    #[test]
    fn others_may_be_short() {
        let read = |bytes: &[u8]| Serial::read(&SerialNumber::new(bytes).unwrap());
        assert_eq!(read(&[1]), Some(Serial(vec![1])));
        assert_eq!(read(&[0xff; 8]), Some(Serial(vec![0xff; 8])));
        assert_eq!(read(&[0]), None);
    }
}
