//! Times, which callers pass in: nothing here reads a clock.

use std::{fmt, str::FromStr, time::Duration};

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use der::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use x509_cert::time::Time;

use crate::limits::TIME_CHARS_MAX;

/// A second, as certificates know it: from 1970 to the end of the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime(u64);

/// Why a time is none of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// After the last one.
    #[error("{0} seconds after 1970 is after the year 9999; look whether the time is in seconds")]
    TooLate(u64),
    /// A text that is none.
    #[error("a time is written as 2026-11-22T08:00:00Z, of the years 1970 to 9999")]
    Text,
    /// An end before its beginning.
    #[error("a validity from {from} ends at {to}, before it begins; give the earlier time first")]
    Reversed {
        /// The first second.
        from: UnixTime,
        /// The last one.
        to: UnixTime,
    },
}

impl UnixTime {
    /// 9999-12-31 23:59:59, which means that there is no end (RFC 5280 §4.1.2.5).
    pub const MAX: Self = Self(253_402_300_799);

    /// Seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`TimeError::TooLate`].
    pub const fn from_secs(seconds: u64) -> Result<Self, TimeError> {
        if seconds > Self::MAX.0 { Err(TimeError::TooLate(seconds)) } else { Ok(Self(seconds)) }
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    pub(crate) fn of(time: Time) -> Self {
        Self(time.to_unix_duration().as_secs())
    }

    /// With two digits for the year up to 2049, with four from 2050 on (RFC 5280 §4.1.2.5).
    pub(crate) fn encode(self) -> der::Result<Time> {
        DateTime::from_unix_duration(Duration::from_secs(self.0)).map(Time::from)
    }
}

/// As RFC 3339 has it, in UTC.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(self.0)) {
            Ok(time) => f.pad(&time.to_string()),
            Err(_) => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// Any time of RFC 3339. Parts of a second are cut off.
impl FromStr for UnixTime {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let short = Some(text).filter(|text| text.len() <= TIME_CHARS_MAX).ok_or(TimeError::Text)?;
        let time = OffsetDateTime::parse(short, &Rfc3339).map_err(|_| TimeError::Text)?;
        let seconds = u64::try_from(time.unix_timestamp()).map_err(|_| TimeError::Text)?;
        Self::from_secs(seconds).map_err(|_| TimeError::Text)
    }
}

/// As RFC 3339 has it, in UTC.
impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// From when to when a certificate holds; both seconds are within it (RFC 5280 §4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Validity {
    not_before: UnixTime,
    not_after: UnixTime,
}

impl Validity {
    /// From one second to another.
    ///
    /// # Errors
    ///
    /// [`TimeError::Reversed`].
    pub fn new(not_before: UnixTime, not_after: UnixTime) -> Result<Self, TimeError> {
        if not_after < not_before {
            return Err(TimeError::Reversed { from: not_before, to: not_after });
        }
        Ok(Self { not_before, not_after })
    }

    /// The first second.
    #[must_use]
    pub const fn not_before(self) -> UnixTime {
        self.not_before
    }

    /// The last one.
    #[must_use]
    pub const fn not_after(self) -> UnixTime {
        self.not_after
    }

    /// Whether a second is within it.
    #[must_use]
    pub fn contains(self, time: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_end_with_the_year_9999() {
        assert_eq!(UnixTime::MAX.to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixTime::from_secs(253_402_300_799), Ok(UnixTime::MAX));
        for seconds in [253_402_300_800, u64::MAX] {
            assert_eq!(UnixTime::from_secs(seconds), Err(TimeError::TooLate(seconds)));
        }
        assert_eq!(UnixTime::of(UnixTime::MAX.encode().unwrap()), UnixTime::MAX);
        assert_eq!(UnixTime(0).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn years_have_four_digits_from_2050_on() {
        let before = UnixTime(2_524_607_999);
        assert_eq!(before.to_string(), "2049-12-31T23:59:59Z");
        assert!(matches!(before.encode(), Ok(Time::UtcTime(_))));
        assert!(matches!(UnixTime(2_524_608_000).encode(), Ok(Time::GeneralTime(_))));
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T08:00:00Z", 1_795_334_400),
            ("2026-11-22T08:00:00.987654321Z", 1_795_334_400),
            ("2026-11-22T16:00:00+08:00", 1_795_334_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            let time: UnixTime = text.parse().unwrap();
            assert_eq!(time, UnixTime(seconds), "{text}");
            assert_eq!(time.to_string().parse(), Ok(time));
        }
        assert_eq!(UnixTime(1_795_334_400).to_string(), "2026-11-22T08:00:00Z");
        let long = format!("2026-11-22T08:00:00.{}Z", "0".repeat(40));
        for text in [
            "",
            "2026-11-22",
            "2026-11-22T08:00:00",
            "1969-12-31T23:59:59Z",
            "2026-02-30T08:00:00Z",
            "9999-12-31T23:59:59-01:00",
            &long,
        ] {
            assert_eq!(text.parse::<UnixTime>(), Err(TimeError::Text), "{text:?}");
        }
    }

    #[test]
    fn both_ends_are_within() {
        let [one, two, three, four] = [1, 2, 3, 4].map(UnixTime);
        let validity = Validity::new(two, three).unwrap();
        assert_eq!([one, two, three, four].map(|time| validity.contains(time)), [false, true, true, false]);
        assert_eq!(Validity::new(three, two), Err(TimeError::Reversed { from: three, to: two }));
        assert!(Validity::new(two, two).is_ok());
    }
}
