//! Why nobody vouches for a certificate.

use std::fmt;

use openssl::error::ErrorStack;

use crate::{Certificate, Serial, UnixTime, name::shown};

/// Which certificate of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Its place: 0 is the one that was asked for, 1 its issuer's.
    pub depth: usize,
    /// Its subject, as RFC 4514 writes names, cut where it gets long.
    pub subject: String,
    /// Its number.
    pub serial: Serial,
}

impl Which {
    pub(super) fn of(depth: usize, certificate: &Certificate) -> Self {
        Self { depth, subject: shown(certificate.subject()), serial: certificate.serial().clone() }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {} of the path ({:?}, serial {})", self.depth, self.subject, self.serial)
    }
}

/// Why there is no path.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// More than are tried.
    #[error("there are {found} {what}, {limit} at most are tried; leave those away that are not needed")]
    TooMany {
        /// Certificates, or roots.
        what: &'static str,
        /// How many.
        found: usize,
        /// The most.
        limit: usize,
    },
    /// Its time is over.
    #[error("{which} has expired at {end}; renew it, or set the clock if it is wrong")]
    Expired {
        /// Which one.
        which: Which,
        /// Its last second.
        end: UnixTime,
    },
    /// Its time has not begun.
    #[error("{which} begins at {begin}; set the clock, or wait")]
    NotYetValid {
        /// Which one.
        which: Which,
        /// Its first second.
        begin: UnixTime,
    },
    /// Nobody trusted issued it.
    #[error("{0} was issued by nobody who is trusted; add its issuer's certificate, or the root if you trust it")]
    Untrusted(Which),
    /// Somebody changed it, or pretends to be its issuer.
    #[error("{0} is not signed by its issuer; do not use it, somebody changed or forged it")]
    Signature(Which),
    /// Its subject may issue nothing.
    #[error("{0} has issued a certificate and is no authority's; do not use what is under it")]
    NotAuthority(Which),
    /// Too many authorities under one that limits them.
    #[error("{0} allows fewer authorities under it than there are; have the certificate issued higher up")]
    PathLength(Which),
    /// Longer than any.
    #[error("{0} is too far from a root; have the certificate issued higher up")]
    TooLong(Which),
    /// Something that has to be understood, and is not.
    #[error("{0} has a critical extension that nobody here knows; have it issued without")]
    CriticalExtension(Which),
    /// It is for something else.
    #[error("{which} is not for {purpose}; take one that was issued for that")]
    Purpose {
        /// Which one.
        which: Which,
        /// What it was to be used for.
        purpose: &'static str,
    },
    /// Its issuer took it back.
    #[error("{which} was revoked at {date}; do not use it, and ask its issuer for another")]
    Revoked {
        /// Which one.
        which: Which,
        /// Since when.
        date: UnixTime,
    },
    /// Anything else that OpenSSL finds wrong.
    #[error("{which} is not accepted: {reason}; have it issued anew, by RFC 5280")]
    Refused {
        /// Which one.
        which: Which,
        /// OpenSSL's words.
        reason: String,
    },
    /// OpenSSL failed, for want of memory or of an algorithm.
    #[error("cannot check the path of {which}; check that this machine's OpenSSL is whole and knows its key")]
    OpenSsl {
        /// The certificate that was asked for.
        which: Which,
        /// Its errors.
        #[source]
        source: ErrorStack,
    },
}

impl ChainError {
    /// Its name in audit logs, which never changes.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooMany { .. } => "too-many",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Untrusted(_) => "untrusted",
            Self::Signature(_) => "signature",
            Self::NotAuthority(_) => "not-authority",
            Self::PathLength(_) => "path-length",
            Self::TooLong(_) => "too-long",
            Self::CriticalExtension(_) => "critical-extension",
            Self::Purpose { .. } => "purpose",
            Self::Revoked { .. } => "revoked",
            Self::Refused { .. } => "refused",
            Self::OpenSsl { .. } => "openssl",
        }
    }

    /// The certificate that it is about; none where it is about how many there are.
    #[must_use]
    pub const fn which(&self) -> Option<&Which> {
        match self {
            Self::TooMany { .. } => None,
            Self::Expired { which, .. }
            | Self::NotYetValid { which, .. }
            | Self::Untrusted(which)
            | Self::Signature(which)
            | Self::NotAuthority(which)
            | Self::PathLength(which)
            | Self::TooLong(which)
            | Self::CriticalExtension(which)
            | Self::Purpose { which, .. }
            | Self::Revoked { which, .. }
            | Self::Refused { which, .. }
            | Self::OpenSsl { which, .. } => Some(which),
        }
    }
}
