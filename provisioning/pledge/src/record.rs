//! What outlives a loss of power.

use std::fmt;

use base64ct::{Base64, Encoding as _};
use dolmen_provisioning_voucher::{Nonce, OwnershipEpoch};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

use crate::{Phase, Role, limits::RECORD_BYTES_MAX};

/// What a record begins with, with the version of its form.
const FORMAT: &str = "dolmen-pledge-record-v1";

/// What a box keeps of how far it is. Nothing in it is secret, and holding one says nothing:
/// [`Pledge::resume`](crate::Pledge::resume) looks whether it holds.
///
/// Its bytes are three lines: the format, SHA-256 of the third line in hexadecimal, and JSON. A byte that got lost or
/// changed is noticed; who wrote it is not said.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(pub(crate) Owned);

/// A voucher, and how it came to be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owned {
    pub(crate) voucher: Bytes,
    /// The registrar's certificates, as TLS showed them.
    pub(crate) registrar: Vec<Bytes>,
    pub(crate) nonce: Option<Nonce>,
    /// The epoch before.
    pub(crate) held: OwnershipEpoch,
    pub(crate) enrolled: Option<Enrolled>,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrolled {
    pub(crate) ldevid: Bytes,
    /// Certificates from EST.
    pub(crate) authorities: Vec<Bytes>,
    pub(crate) root: Bytes,
    pub(crate) bundled: Option<Bundled>,
}

/// A bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bundled {
    pub(crate) bundle: Bytes,
    pub(crate) role: Option<Role>,
}

/// Bytes, base64 in JSON.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Larger than any.
    #[error("the box's record has {found} bytes, {limit} at most can be; {NEXT}")]
    Bytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Of another version, or something else.
    #[error("the box's record does not begin with {FORMAT}; start the image that wrote it, or: {NEXT}")]
    Format,
    /// Changed since it was written.
    #[error("the box's record was changed since it was written: its checksum is another; {NEXT}")]
    Checksum,
    /// With the right checksum, and something else.
    #[error("the box's record cannot be read; {NEXT}")]
    Json(#[source] serde_json::Error),
}

/// What to do about it. The box comes back to its organisation so, with another key on the chain, unless it was revoked or
/// replaced there.
pub(crate) const NEXT: &str = "decommission the box, and have its maker issue a voucher with a greater ownership epoch";

impl Record {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts, numbers and lists alone: nothing in it can fail to be written.
        let json = serde_json::to_string(&self.0).unwrap_or_default();
        format!("{FORMAT}\n{}\n{json}\n", checksum(&json)).into_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`RecordError`] for all other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::Bytes { found: bytes.len(), limit: RECORD_BYTES_MAX });
        }
        let rest = bytes.strip_prefix(FORMAT.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
        let text = std::str::from_utf8(rest.ok_or(RecordError::Format)?).map_err(|_| RecordError::Checksum)?;
        let (sum, json) = text.split_once('\n').ok_or(RecordError::Checksum)?;
        let json = json.strip_suffix('\n').filter(|json| sum == checksum(json)).ok_or(RecordError::Checksum)?;
        serde_json::from_str(json).map(Self).map_err(RecordError::Json)
    }

    /// How far the box was.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match &self.0.enrolled {
            None => Phase::TakingOwnership,
            Some(Enrolled { bundled: None, .. }) => Phase::FetchingBundle,
            Some(Enrolled { bundled: Some(Bundled { role: None, .. }), .. }) => Phase::AwaitingAdmission,
            Some(Enrolled { bundled: Some(Bundled { role: Some(_), .. }), .. }) => Phase::Member,
        }
    }
}

/// How far it says that the box was.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Record").field(&self.phase()).finish()
    }
}

fn checksum(json: &str) -> String {
    const_hex::encode(Sha256::digest(json))
}

/// How many there are.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Base64::decode_vec(&text).map(Self).map_err(|_| D::Error::custom("text that is not base64"))
    }
}
