//! What an authority keeps of what it did: which certificates it issued, which of them it revoked, and the number of its
//! last list.
//!
//! It is the sum of [`Event`]s. Whoever holds the key writes an event down before what came of it leaves the machine, and
//! adds all of them up when it starts again: then no certificate is out of which the authority does not know, and no two
//! lists have one number.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use x509_cert::ext::pkix::CrlReason;

use crate::{Certificate, Revocation, RevocationList, Serial, UnixTime, limits::REVOKED_MAX};

/// Something that an authority did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// It issued a certificate.
    Issued {
        /// The certificate.
        certificate: Certificate,
    },
    /// It revoked one, for good.
    Revoked {
        /// Its number.
        serial: Serial,
        /// Why.
        reason: Reason,
        /// Since when.
        date: UnixTime,
    },
    /// It signed a list of what it revoked.
    Listed {
        /// The list's number.
        number: u64,
        /// When it was made.
        this_update: UnixTime,
        /// By when there will be a later one.
        next_update: UnixTime,
    },
}

/// Why a certificate is revoked, by the names of RFC 5280 §5.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Nothing is said.
    Unspecified,
    /// Somebody else has the key, or may have.
    KeyCompromise,
    /// Somebody else has an authority's key, or may have.
    CaCompromise,
    /// The holder belongs elsewhere now.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// What it was for is no more.
    CessationOfOperation,
    /// The holder is no longer trusted with it.
    PrivilegeWithdrawn,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name of RFC 5280, as `openssl ca` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "caCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    const fn code(self) -> CrlReason {
        match self {
            Self::Unspecified => CrlReason::Unspecified,
            Self::KeyCompromise => CrlReason::KeyCompromise,
            Self::CaCompromise => CrlReason::CaCompromise,
            Self::AffiliationChanged => CrlReason::AffiliationChanged,
            Self::Superseded => CrlReason::Superseded,
            Self::CessationOfOperation => CrlReason::CessationOfOperation,
            Self::PrivilegeWithdrawn => CrlReason::PrivilegeWithdrawn,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{name:?} is no reason to revoke a certificate; take one of {names}")
        })
    }
}

/// Why an event does not follow those before it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Two certificates of one number.
    #[error("the certificate {0} was issued already; a new one has a new random number")]
    Issued(Serial),
    /// A certificate of another authority, or none.
    #[error("no certificate {0} was issued here; look at the list of what was")]
    Unknown(Serial),
    /// Twice.
    #[error("the certificate {0} was revoked already; it stays so")]
    Revoked(Serial),
    /// More than a list holds.
    #[error("there are {REVOKED_MAX} revoked certificates, and a list holds no more; make a new issuing authority")]
    Full,
    /// A number that was used.
    #[error("the list {found} follows the list {last}; numbers of lists rise")]
    Number {
        /// That of the event.
        found: u64,
        /// The last one.
        last: u64,
    },
}

/// What the events come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register {
    issued: BTreeMap<Serial, Certificate>,
    revoked: BTreeMap<Serial, Revocation>,
    list: Option<(u64, UnixTime)>,
}

impl Register {
    /// Says whether an event may follow: to be asked before it is written down.
    ///
    /// # Errors
    ///
    /// [`RegisterError`].
    pub fn check(&self, event: &Event) -> Result<(), RegisterError> {
        match event {
            Event::Issued { certificate } if self.issued.contains_key(certificate.serial()) => {
                Err(RegisterError::Issued(certificate.serial().clone()))
            }
            Event::Issued { .. } => Ok(()),
            Event::Revoked { serial, .. } => self.check_revocable(serial),
            Event::Listed { number, .. } => {
                let last = self.list.map_or(0, |(last, _)| last);
                if *number > last { Ok(()) } else { Err(RegisterError::Number { found: *number, last }) }
            }
        }
    }

    /// Adds an event. One that may not follow changes nothing.
    ///
    /// # Errors
    ///
    /// [`RegisterError`].
    pub fn apply(&mut self, event: &Event) -> Result<(), RegisterError> {
        self.check(event)?;
        match event {
            Event::Issued { certificate } => {
                self.issued.insert(certificate.serial().clone(), certificate.clone());
            }
            Event::Revoked { serial, reason, date } => {
                self.revoked.insert(serial.clone(), Revocation { date: *date, reason: reason.code() });
            }
            Event::Listed { number, next_update, .. } => self.list = Some((*number, *next_update)),
        }
        Ok(())
    }

    fn check_revocable(&self, serial: &Serial) -> Result<(), RegisterError> {
        if !self.issued.contains_key(serial) {
            return Err(RegisterError::Unknown(serial.clone()));
        }
        if self.revoked.contains_key(serial) {
            return Err(RegisterError::Revoked(serial.clone()));
        }
        if self.revoked.len() >= REVOKED_MAX { Err(RegisterError::Full) } else { Ok(()) }
    }

    /// The next list, with all that was ever revoked: boxes whose clock is not set take certificates that have expired,
    /// so that none is left out.
    #[must_use]
    pub fn next_list(&self, this_update: UnixTime, next_update: UnixTime) -> RevocationList {
        let number = self.list.map_or(0, |(last, _)| last) + 1;
        RevocationList { number, this_update, next_update, revoked: self.revoked.clone() }
    }

    /// By when a later list was promised; none where there is no list yet.
    #[must_use]
    pub fn next_update(&self) -> Option<UnixTime> {
        self.list.map(|(_, next_update)| next_update)
    }

    /// What was issued, by number, and whether it was revoked.
    pub fn issued(&self) -> impl Iterator<Item = (&Certificate, Option<Revocation>)> {
        self.issued.iter().map(|(serial, certificate)| (certificate, self.revoked.get(serial).copied()))
    }

    /// A certificate that was issued here.
    #[must_use]
    pub fn certificate(&self, serial: &Serial) -> Option<&Certificate> {
        self.issued.get(serial)
    }

    /// Whether a certificate was revoked.
    #[must_use]
    pub fn revocation(&self, serial: &Serial) -> Option<Revocation> {
        self.revoked.get(serial).copied()
    }
}

/// Hexadecimal, as `openssl x509 -serial` prints it.
impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
