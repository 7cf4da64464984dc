//! Vouchers.

use dolmen_provisioning_ca::{Certificate, UnixTime};
use serde::{Deserialize, Serialize};

use crate::{
    JsonError, KeyIdentifier, Nonce, OwnershipEpoch, SerialNumber,
    json::{self, present},
};

/// What the authority knows of who owns the box (RFC 8366 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assertion {
    /// That it was sold to this organisation.
    Verified,
    /// Nothing. It writes down whom it gave a voucher.
    Logged,
    /// That the box was connected to this organisation's registrar when it asked.
    Proximity,
}

/// What keeps a voucher from being followed twice: at least one of the two, so that none is good for ever.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// The nonce of the box that asked.
    Nonce(Nonce),
    /// An epoch that the box has not reached yet.
    Epoch(OwnershipEpoch),
    /// Both.
    Both(Nonce, OwnershipEpoch),
}

impl Freshness {
    /// Of what there is; none where there is neither.
    #[must_use]
    pub fn new(nonce: Option<Nonce>, epoch: Option<OwnershipEpoch>) -> Option<Self> {
        match (nonce, epoch) {
            (Some(nonce), None) => Some(Self::Nonce(nonce)),
            (None, Some(epoch)) => Some(Self::Epoch(epoch)),
            (Some(nonce), Some(epoch)) => Some(Self::Both(nonce, epoch)),
            (None, None) => None,
        }
    }

    /// The nonce, where there is one.
    #[must_use]
    pub const fn nonce(&self) -> Option<&Nonce> {
        match self {
            Self::Nonce(nonce) | Self::Both(nonce, _) => Some(nonce),
            Self::Epoch(_) => None,
        }
    }

    /// The epoch, where there is one.
    #[must_use]
    pub const fn epoch(&self) -> Option<OwnershipEpoch> {
        match self {
            Self::Epoch(epoch) | Self::Both(_, epoch) => Some(*epoch),
            Self::Nonce(_) => None,
        }
    }
}

/// What the authority says of a box. Holding one says nothing about who wrote it: [`accept`](crate::accept()) does.
///
/// The JSON has the one member `ietf-voucher:voucher`, and in it the members of RFC 8366 §5.3 and
/// `dolmen-voucher:ownership-epoch`. Other members are refused, `last-renewal-date` among them: a box must not follow
/// what it does not understand, and none renews vouchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// When it was made; for people.
    pub created_on: UnixTime,
    /// Until when whoever keeps it should hand it to the box. The box, which knows no time, does not look at it.
    pub expires_on: Option<UnixTime>,
    /// What the authority knows.
    pub assertion: Assertion,
    /// Which box.
    pub serial_number: SerialNumber,
    /// Which maker's.
    pub idevid_issuer: Option<KeyIdentifier>,
    /// Whose the box is: the registrar's certificate, or one of an authority that its certificate comes from.
    pub pinned_domain_cert: Certificate,
    /// Whether the box is to ask if that certificate was revoked. Ours cannot, and refuse a voucher that says so.
    pub domain_cert_revocation_checks: Option<bool>,
    /// What keeps it from being followed twice.
    pub freshness: Freshness,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "ietf-voucher:voucher")]
    voucher: Members,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Members {
    created_on: UnixTime,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    expires_on: Option<UnixTime>,
    assertion: Assertion,
    serial_number: SerialNumber,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    idevid_issuer: Option<KeyIdentifier>,
    pinned_domain_cert: Certificate,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    domain_cert_revocation_checks: Option<bool>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    /// Not of RFC 8366: members of another module have its name before theirs (RFC 7951 §4).
    #[serde(
        rename = "dolmen-voucher:ownership-epoch",
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    ownership_epoch: Option<OwnershipEpoch>,
}

impl Voucher {
    /// Its JSON, the same bytes whenever it says the same.
    ///
    /// # Errors
    ///
    /// [`JsonError::Bytes`] where it would be too large.
    pub fn to_json(&self) -> Result<Vec<u8>, JsonError> {
        let voucher = Members {
            created_on: self.created_on,
            expires_on: self.expires_on,
            assertion: self.assertion,
            serial_number: self.serial_number.clone(),
            idevid_issuer: self.idevid_issuer.clone(),
            pinned_domain_cert: self.pinned_domain_cert.clone(),
            domain_cert_revocation_checks: self.domain_cert_revocation_checks,
            nonce: self.freshness.nonce().cloned(),
            ownership_epoch: self.freshness.epoch(),
        };
        json::write(&Document { voucher })
    }

    /// Reads JSON.
    ///
    /// # Errors
    ///
    /// [`JsonError::Bytes`], [`JsonError::Json`], and [`JsonError::Neither`] for one without nonce and epoch.
    pub fn from_json(json: &[u8]) -> Result<Self, JsonError> {
        let Document { voucher } = json::read(json)?;
        Ok(Self {
            created_on: voucher.created_on,
            expires_on: voucher.expires_on,
            assertion: voucher.assertion,
            serial_number: voucher.serial_number,
            idevid_issuer: voucher.idevid_issuer,
            pinned_domain_cert: voucher.pinned_domain_cert,
            domain_cert_revocation_checks: voucher.domain_cert_revocation_checks,
            freshness: Freshness::new(voucher.nonce, voucher.ownership_epoch).ok_or(JsonError::Neither)?,
        })
    }
}
