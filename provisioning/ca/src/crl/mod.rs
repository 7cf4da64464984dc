//! Lists of revoked certificates (RFC 5280 §5): read, and made.

mod error;
mod write;

use std::{collections::BTreeMap, fmt};

use der::{Decode, Encode, oid::AssociatedOid};
use x509_cert::{
    Version,
    crl::{CertificateList, RevokedCert, TbsCertList},
    ext::{
        Extension,
        pkix::{AuthorityKeyIdentifier, CrlNumber, CrlReason},
    },
    name::Name,
};

pub use error::CrlError;
pub use write::RevocationList;

use crate::{
    Certificate, PublicKey, Serial, UnixTime,
    limits::{CRL_BYTES_MAX, REVOKED_MAX},
    name::shown,
};

/// A list of revoked certificates, complete for its issuer, and signed by him.
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    issuer: Name,
    key: PublicKey,
    number: u64,
    this_update: UnixTime,
    next_update: UnixTime,
    revoked: BTreeMap<Serial, Revocation>,
}

/// What a list says of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Since when.
    pub date: UnixTime,
    /// Why.
    pub reason: CrlReason,
}

impl Crl {
    /// Reads the list of `issuer`, and checks that his key signed it.
    ///
    /// Lists of changes, of a part of an issuer's certificates, and of several issuers are refused.
    ///
    /// # Errors
    ///
    /// [`CrlError`]; bytes behind it and forms that are not DER are errors.
    pub fn from_der(der: &[u8], issuer: &Certificate) -> Result<Self, CrlError> {
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::Bytes(der.len()));
        }
        let list = CertificateList::from_der(der).map_err(CrlError::Der)?;
        if list.to_der().ok().as_deref() != Some(der) {
            return Err(CrlError::Malformed("it is not in DER"));
        }
        let content = list.tbs_cert_list;
        if content.version != Version::V2 || content.signature != list.signature_algorithm {
            return Err(CrlError::Malformed("its version is not 2, or it names two algorithms"));
        }
        if content.issuer != *issuer.subject() {
            return Err(CrlError::OtherIssuer { issuer: shown(&content.issuer), taken: shown(issuer.subject()) });
        }
        if !issuer.is_authority() || !issuer.signs_crls() {
            return Err(CrlError::NotAllowed(shown(issuer.subject())));
        }
        let key = issuer.public_key().map_err(CrlError::Key)?;
        let message = content.to_der().map_err(CrlError::Der)?;
        if !key.verify(&list.signature_algorithm, &message, &list.signature) {
            return Err(CrlError::Signature(shown(issuer.subject())));
        }
        Self::read(der, content, key)
    }

    fn read(der: &[u8], content: TbsCertList, key: PublicKey) -> Result<Self, CrlError> {
        let mut number = None;
        for extension in content.crl_extensions.iter().flatten() {
            match extension.extn_id {
                CrlNumber::OID => number = Some(read_number(extension)?),
                AuthorityKeyIdentifier::OID => {}
                other if extension.critical => return Err(CrlError::Critical(other)),
                _ => {}
            }
        }
        let number = number.ok_or(CrlError::Malformed("it has no number"))?;
        let this_update = UnixTime::of(content.this_update);
        let next_update = content.next_update.map(UnixTime::of);
        let next_update = next_update.filter(|next| *next >= this_update);
        let next_update = next_update.ok_or(CrlError::Malformed("it does not say until when it holds"))?;
        let entries = content.revoked_certificates.unwrap_or_default();
        if entries.len() > REVOKED_MAX {
            return Err(CrlError::TooMany(entries.len()));
        }
        let mut revoked = BTreeMap::new();
        for entry in entries {
            let (serial, revocation) = read_entry(&entry)?;
            if revoked.insert(serial, revocation).is_some() {
                return Err(CrlError::Malformed("it has a serial number twice"));
            }
        }
        Ok(Self { der: der.to_vec(), issuer: content.issuer, key, number, this_update, next_update, revoked })
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its number. An issuer's later lists have greater ones.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// When it was made.
    #[must_use]
    pub const fn this_update(&self) -> UnixTime {
        self.this_update
    }

    /// By when there is a later one.
    #[must_use]
    pub const fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// Whether nobody has to ask for a later one at this time. What it says is revoked stays revoked after that.
    #[must_use]
    pub fn is_current(&self, now: UnixTime) -> bool {
        (self.this_update..=self.next_update).contains(&now)
    }

    /// Whether it is of the certificates that `issuer` issued.
    #[must_use]
    pub fn is_of(&self, issuer: &Certificate) -> bool {
        self.issuer == *issuer.subject() && issuer.public_key().is_ok_and(|key| key == self.key)
    }

    /// Whether its issuer's certificate with this serial number is revoked.
    #[must_use]
    pub fn is_revoked(&self, serial: &Serial) -> bool {
        self.revoked.contains_key(serial)
    }

    /// What it says of its issuer's certificate with this serial number.
    #[must_use]
    pub fn revocation(&self, serial: &Serial) -> Option<Revocation> {
        self.revoked.get(serial).copied()
    }

    /// All entries, by serial number.
    pub fn revoked(&self) -> impl Iterator<Item = (&Serial, Revocation)> {
        self.revoked.iter().map(|(serial, revocation)| (serial, *revocation))
    }
}

/// Whose it is, and its number.
impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crl({}, {}, {} revoked)", shown(&self.issuer), self.number, self.revoked.len())
    }
}

fn read_number(extension: &Extension) -> Result<u64, CrlError> {
    let number = CrlNumber::from_der(extension.extn_value.as_bytes()).map_err(CrlError::Der)?;
    let mut bytes = [0; size_of::<u64>()];
    let found = number.0.as_bytes();
    let zeros = bytes.len().checked_sub(found.len()).ok_or(CrlError::Malformed("its number has more than 64 bits"))?;
    bytes[zeros..].copy_from_slice(found);
    Ok(u64::from_be_bytes(bytes))
}

fn read_entry(entry: &RevokedCert) -> Result<(Serial, Revocation), CrlError> {
    let serial = Serial::read(&entry.serial_number);
    let serial = serial.ok_or(CrlError::Malformed("a serial number is not positive or too long"))?;
    let mut reason = CrlReason::Unspecified;
    for extension in entry.crl_entry_extensions.iter().flatten() {
        match extension.extn_id {
            CrlReason::OID => {
                reason = CrlReason::from_der(extension.extn_value.as_bytes()).map_err(CrlError::Der)?;
            }
            other if extension.critical => return Err(CrlError::Critical(other)),
            _ => {}
        }
    }
    if reason == CrlReason::RemoveFromCRL {
        return Err(CrlError::Malformed("it is a list of changes"));
    }
    Ok((serial, Revocation { date: UnixTime::of(entry.revocation_date), reason }))
}
