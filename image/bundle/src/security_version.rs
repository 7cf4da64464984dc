//! The number that keeps a box from going back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Counts the releases that repair what an attacker could use: a box that has run one never again opens its data to an
/// image with a lower number.
///
/// 1 to 64: a TPM keeps the highest one as a field of 64 bits, which can only be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct SecurityVersion(u8);

impl SecurityVersion {
    /// The first one.
    pub const FIRST: Self = Self(1);
    /// The last one that a TPM's field can hold.
    pub const LAST: Self = Self(64);

    /// Of a number from 1 to 64; none of others.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::FIRST.0 && number <= Self::LAST.0 { Some(Self(number)) } else { None }
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for SecurityVersion {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("a security version is a number from 1 to 64")
    }
}

impl From<SecurityVersion> for u8 {
    fn from(version: SecurityVersion) -> Self {
        version.0
    }
}

/// As `os-release` has it: decimal digits.
impl FromStr for SecurityVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0'));
        Self::try_from(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0))
    }
}

impl fmt::Display for SecurityVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_1_to_64() {
        assert_eq!((SecurityVersion::new(0), SecurityVersion::new(65)), (None, None));
        assert_eq!(SecurityVersion::new(1), Some(SecurityVersion::FIRST));
        assert_eq!(SecurityVersion::new(64), Some(SecurityVersion::LAST));
        assert_eq!("64".parse(), Ok(SecurityVersion::LAST));
        assert_eq!("1".parse::<SecurityVersion>().unwrap().to_string(), "1");
        for text in ["", "0", "65", "01", "+1", "-1", "1 ", "257"] {
            assert!(text.parse::<SecurityVersion>().is_err(), "{text}");
        }
        assert_eq!(serde_json::to_string(&SecurityVersion::LAST).unwrap(), "64");
        assert!(serde_json::from_str::<SecurityVersion>("0").is_err());
    }
}
