//! When something is signed, and what makes it unlike all else.

use dolmen_provisioning_ca::{Serial, TimeError, UnixTime, Validity};

use crate::limits::DAYS_MAX;

/// Machines whose clock is a little behind take what was just issued.
const BACKDATED_S: u64 = 3600;
const DAY_S: u64 = 86_400;

/// The time, and random bytes that are used once.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seconds since 1970.
    pub now: UnixTime,
    /// Of a source of randomness for cryptography.
    pub random: [u8; 16],
}

impl Moment {
    /// From an hour ago until so many days from now, 36,525 at most, and not after `end`.
    pub(crate) fn validity(&self, days: u32, end: UnixTime) -> Result<Validity, TimeError> {
        let now = self.now.as_secs();
        let until = UnixTime::from_secs(now.saturating_add(u64::from(days.min(DAYS_MAX)) * DAY_S))?;
        Validity::new(self.begin()?, until.min(end))
    }

    /// From an hour ago, without an end (RFC 5280 §4.1.2.5).
    pub(crate) fn endless(&self) -> Result<Validity, TimeError> {
        Validity::new(self.begin()?, UnixTime::MAX)
    }

    fn begin(&self) -> Result<UnixTime, TimeError> {
        UnixTime::from_secs(self.now.as_secs().saturating_sub(BACKDATED_S))
    }

    /// A number for a certificate.
    pub(crate) fn serial(&self) -> Serial {
        Serial::from_random(self.random)
    }
}
