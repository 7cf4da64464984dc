//! Serial numbers of machines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::limits::SERIAL_BYTES_MAX;

/// A machine's serial number, as its voucher and its registrar's policy have it: 1 to 64 printable characters of ASCII,
/// without spaces at its ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(String);

/// Why a text is no serial number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no serial number: 1 to {SERIAL_BYTES_MAX} printable ASCII characters, without spaces at its ends")]
pub struct SerialError(String);

impl Serial {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Serial {
    type Error = SerialError;

    fn try_from(text: String) -> Result<Self, SerialError> {
        let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if text.is_empty() || text.len() > SERIAL_BYTES_MAX || !printable || text.trim() != text {
            return Err(SerialError(text.chars().take(SERIAL_BYTES_MAX).collect()));
        }
        Ok(Self(text))
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        text.to_owned().try_into()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_are_printable() {
        for text in ["7", "S4EVNX0M123456", "To be filled by O.E.M.", &"9".repeat(64)] {
            assert_eq!(text.parse::<Serial>().unwrap().to_string(), text);
        }
        for text in ["", " 7", "7 ", "7\n", "7\0", "7é", &"9".repeat(65)] {
            assert!(text.parse::<Serial>().is_err(), "{text:?}");
        }
    }
}
