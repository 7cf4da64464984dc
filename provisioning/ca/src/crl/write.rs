//! Making a list.

use std::collections::BTreeMap;

use der::{Encode, asn1::Uint};
use x509_cert::{
    Version,
    crl::{RevokedCert, TbsCertList},
    ext::pkix::{CrlNumber, CrlReason},
    name::Name,
};

use super::{Crl, CrlError, Revocation};
use crate::{
    Authority, Serial, UnixTime,
    key::{self, ecdsa_sha256},
    limits::REVOKED_MAX,
    profile::{authority_key_identifier, extension},
};

/// What an authority revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// One more than the last list's.
    pub number: u64,
    /// Now.
    pub this_update: UnixTime,
    /// By when there will be a later one.
    pub next_update: UnixTime,
    /// The certificates, and why. Those that have expired can be left out.
    pub revoked: BTreeMap<Serial, Revocation>,
}

impl Authority {
    /// Signs a list of what it revoked. It was checked against the authority's key when this returns.
    ///
    /// # Errors
    ///
    /// [`CrlError`]; [`SignError::WrongKey`](crate::SignError::WrongKey) in it names a device that signs by another
    /// key.
    pub async fn revoke(&self, list: &RevocationList) -> Result<Crl, CrlError> {
        if list.next_update < list.this_update {
            return Err(CrlError::Reversed);
        }
        if list.revoked.len() > REVOKED_MAX {
            return Err(CrlError::TooMany(list.revoked.len()));
        }
        let content = list.content(self.certificate().subject(), self.key_identifier()).map_err(CrlError::Write)?;
        let der = key::seal(self.signer(), &content).await.map_err(CrlError::Sign)?;
        Crl::from_der(&der, self.certificate())
    }
}

impl RevocationList {
    fn content(&self, issuer: &Name, authority_key: &[u8]) -> der::Result<Vec<u8>> {
        let entries = self.revoked.iter().map(|(serial, revocation)| entry(serial, *revocation));
        let entries = entries.collect::<der::Result<Vec<_>>>()?;
        let content = TbsCertList {
            version: Version::V2,
            signature: ecdsa_sha256(),
            issuer: issuer.clone(),
            this_update: self.this_update.encode()?,
            next_update: Some(self.next_update.encode()?),
            revoked_certificates: Some(entries).filter(|entries| !entries.is_empty()),
            crl_extensions: Some(vec![
                extension(false, &authority_key_identifier(authority_key)?)?,
                extension(false, &CrlNumber(Uint::new(&self.number.to_be_bytes())?))?,
            ]),
        };
        content.to_der()
    }
}

fn entry(serial: &Serial, revocation: Revocation) -> der::Result<RevokedCert> {
    let reason = revocation.reason;
    // RFC 5280 §5.3.1 wants no extension where nothing is said.
    let extensions = (reason != CrlReason::Unspecified).then(|| extension(false, &reason)).transpose()?;
    Ok(RevokedCert {
        serial_number: serial.encode()?,
        revocation_date: revocation.date.encode()?,
        crl_entry_extensions: extensions.map(|extension| vec![extension]),
    })
}
