//! Where a registrar may be.

use std::fmt;

use crate::limits::HOST_CHARACTERS_MAX;

/// Who says so. None of them is trusted; who has more right to say it comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A file on a stick, which somebody carried to the box.
    Stick,
    /// An option of DHCP, which the network's administrator set. No driver gives such a hint yet.
    Dhcp,
    /// An announcement by mDNS or DNS-SD (RFC 6763), which anybody on the network can make.
    DnsSd,
}

impl Source {
    /// All of them, those first that come first.
    pub const ALL: [Self; 3] = [Self::Stick, Self::Dhcp, Self::DnsSd];

    /// Its name in logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stick => "stick",
            Self::Dhcp => "dhcp",
            Self::DnsSd => "dns-sd",
        }
    }
}

/// A place where a registrar may be. Holding one says that it can be called, and nothing about who answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    source: Source,
    host: String,
    port: u16,
}

/// Why something is no hint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a registrar is reached at a name or address of 1 to 253 characters, and a port that is not 0; look at its hint"
)]
pub struct HintError;

impl Hint {
    /// A name or an address, without brackets, and a port.
    ///
    /// # Errors
    ///
    /// [`HintError`].
    pub fn new(source: Source, host: &str, port: u16) -> Result<Self, HintError> {
        // Letters, digits, and what addresses of IPv6 with their interface have besides.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
        if !(1..=HOST_CHARACTERS_MAX).contains(&host.len()) || !host.bytes().all(allowed) || port == 0 {
            return Err(HintError);
        }
        Ok(Self { source, host: host.to_owned(), port })
    }

    /// Who says so.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The name or address.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether both lead to the same place, whoever says so.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_can_be_called() {
        for (host, shown) in [
            ("registrar.local", "registrar.local:8443"),
            ("10.0.0.1", "10.0.0.1:8443"),
            ("fe80::1%eth0", "[fe80::1%eth0]:8443"),
        ] {
            assert_eq!(Hint::new(Source::Dhcp, host, 8443).unwrap().to_string(), shown);
        }
        for host in ["", "a b", "a/b", "[::1]", "a\n", "\u{e9}", "a@b", &"a".repeat(254)] {
            assert_eq!(Hint::new(Source::DnsSd, host, 1), Err(HintError), "{host:?}");
        }
        assert_eq!(Hint::new(Source::Stick, "a", 0), Err(HintError));
    }

    #[test]
    fn sources_have_an_order_and_codes() {
        assert!(Source::ALL.is_sorted());
        assert_eq!(Source::ALL.map(Source::code), ["stick", "dhcp", "dns-sd"]);
    }
}
