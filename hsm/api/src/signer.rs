//! A key that signs.

use std::{fmt, str::FromStr};

use dolmen_accel_api::{Algorithm, Message};
use futures::future::BoxFuture;

use crate::{KeyError, KeyUri};

/// What a signature is for. A key signs for what it was made for and refuses the rest, so that no part of a box can be
/// talked into signing another's messages.
///
/// It changes no byte of what is signed: votes, sessions and certificates have contexts of their own in their formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// Votes of a validator.
    Vote,
    /// Sessions between boxes.
    Transport,
    /// TLS, of the page and of provisioning.
    Tls,
    /// Certificates and requests for them.
    Certificate,
    /// Whatever a program on the box asks for.
    Api,
}

impl Domain {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Vote, Self::Transport, Self::Tls, Self::Certificate, Self::Api];

    /// The name in command lines and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vote => "vote",
            Self::Transport => "transport",
            Self::Tls => "tls",
            Self::Certificate => "certificate",
            Self::Api => "api",
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|domain| domain.name() == name)
            .ok_or_else(|| format!("{name:?} is nothing that a key signs for; it may be {names}"))
    }
}

/// What a key may sign for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Domains(u8);

impl Domains {
    /// Whether `domain` is among them.
    #[must_use]
    pub fn contains(self, domain: Domain) -> bool {
        self.0 >> domain as u8 & 1 == 1
    }

    /// Whether a key may sign for this.
    ///
    /// # Errors
    ///
    /// [`KeyError::Domain`] if it may not.
    pub fn check(self, uri: &KeyUri, domain: Domain) -> Result<(), KeyError> {
        if self.contains(domain) { Ok(()) } else { Err(KeyError::Domain { uri: uri.clone(), domain, allowed: self }) }
    }

    /// Those that are there.
    pub fn iter(self) -> impl Iterator<Item = Domain> {
        Domain::ALL.into_iter().filter(move |domain| self.contains(*domain))
    }
}

impl FromIterator<Domain> for Domains {
    fn from_iter<I: IntoIterator<Item = Domain>>(domains: I) -> Self {
        Self(domains.into_iter().fold(0, |set, domain| set | 1 << domain as u8))
    }
}

/// The names with commas between them, or `nothing`.
impl fmt::Display for Domains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Domain::name).collect();
        f.pad(if names.is_empty() { "nothing".to_owned() } else { names.join(",") }.as_str())
    }
}

/// A signature as [`Algorithm`] writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

/// Where the secret of an open key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// In this process's memory, unsealed or decrypted.
    Memory,
    /// In a device that does not give it away.
    Device,
}

impl Residence {
    /// The name in command lines and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Device => "device",
        }
    }
}

/// A device's signed statement that it holds a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What the other fields are: `tpm2-certify` for `TPMS_ATTEST`, `TPMT_SIGNATURE` and `TPMT_PUBLIC` (TPM 2.0 Library,
    /// Part 3 §18.2).
    pub format: &'static str,
    /// What the device signed; it has the nonce and the key's name in it.
    pub statement: Vec<u8>,
    /// The signature over it.
    pub signature: Vec<u8>,
    /// The public area of the key that it is about.
    pub subject: Vec<u8>,
    /// The public area of the key that signed.
    pub attester: Vec<u8>,
    /// The maker's certificate of the device, where it has one; DER.
    pub certificate: Option<Vec<u8>>,
}

/// An open key. Dropping the last one wipes what secret it holds in memory.
pub trait Signer: Send + Sync + fmt::Debug {
    /// Its name.
    fn uri(&self) -> &KeyUri;

    /// How it signs.
    fn algorithm(&self) -> Algorithm;

    /// The public key as [`Algorithm`] writes it.
    fn public_key(&self) -> &[u8];

    /// What it may sign for.
    fn domains(&self) -> Domains;

    /// Signs. The same key and message give the same signature where the algorithm allows it.
    ///
    /// # Errors
    ///
    /// [`KeyError::Domain`] if the key was not made for `domain`, and whatever goes wrong with its device.
    fn sign<'a>(&'a self, domain: Domain, message: Message<'a>) -> BoxFuture<'a, Result<Signature, KeyError>>;

    /// Where the secret is while the key is open.
    fn residence(&self) -> Residence;

    /// The device's statement about the key with `nonce` in it, 32 bytes at most; none where there is no such device.
    ///
    /// # Errors
    ///
    /// Whatever goes wrong with the device.
    fn attest<'a>(&'a self, nonce: &'a [u8]) -> BoxFuture<'a, Result<Option<Attestation>, KeyError>> {
        let _ = nonce;
        Box::pin(async { Ok(None) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_a_set() {
        let some: Domains = [Domain::Tls, Domain::Vote, Domain::Tls].into_iter().collect();
        assert_eq!(some.to_string(), "vote,tls");
        assert_eq!(Domain::ALL.into_iter().collect::<Domains>().iter().collect::<Vec<_>>(), Domain::ALL);
        assert_eq!(Domains::default().to_string(), "nothing");
        for domain in Domain::ALL {
            assert_eq!(domain.name().parse(), Ok(domain));
            assert_eq!(some.contains(domain), matches!(domain, Domain::Tls | Domain::Vote));
        }
        assert!("votes".parse::<Domain>().unwrap_err().contains("vote, transport"));
    }
}
