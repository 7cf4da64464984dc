//! The JSON of vouchers and requests: why it is not taken, and what both have in common.

use dolmen_provisioning_ca::{ObjectIdentifier, cms::ContentType};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::limits::CONTENT_BYTES_MAX;

/// `id-ct-animaJSONVoucher`: a voucher or a request for one (RFC 8366 §5.4, RFC 8995 §3).
pub const JSON_VOUCHER: ContentType =
    ContentType { oid: ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.40"), bytes_max: CONTENT_BYTES_MAX };

/// What is wrong with the JSON of a voucher or a request.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Larger than any, or empty.
    #[error("the voucher or request has {found} bytes, 1 to {limit} can be; have it made again")]
    Bytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Not this JSON, or a member that is unknown, missing, there twice, or of another kind.
    #[error("the voucher or request cannot be read; have it made again for this version of Dolmen")]
    Json(#[source] serde_json::Error),
    /// A voucher that could be shown to a box again and again.
    #[error("the voucher has neither a nonce nor an ownership epoch; have one made that has an epoch")]
    Neither,
    /// A request that is neither a box's nor a registrar's.
    #[error(
        "the request names the registrar's certificate and repeats another request; a box does the one, a registrar \
         the other: have it made again"
    )]
    Form,
    /// A box that says to be near a registrar, and does not say which.
    #[error("the request asserts proximity and does not have the registrar's certificate; have the box ask again")]
    Proximity,
    /// More than a box sends.
    #[error("the box's request in the registrar's has {found} bytes, 1 to {limit} can be; have the box ask again")]
    PriorBytes {
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
}

pub(crate) fn read<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    check_bytes(json.len())?;
    serde_json::from_slice(json).map_err(JsonError::Json)
}

pub(crate) fn write(value: &impl Serialize) -> Result<Vec<u8>, JsonError> {
    let json = serde_json::to_vec(value).map_err(JsonError::Json)?;
    check_bytes(json.len())?;
    Ok(json)
}

fn check_bytes(found: usize) -> Result<(), JsonError> {
    if found == 0 || found > CONTENT_BYTES_MAX {
        return Err(JsonError::Bytes { found, limit: CONTENT_BYTES_MAX });
    }
    Ok(())
}

/// A member that is there: `null` is no value of it.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
