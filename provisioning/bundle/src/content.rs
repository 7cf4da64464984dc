//! The JSON of bundles and admissions: what both have in common.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

/// What is wrong with the JSON of a bundle or an admission.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// Larger than any, or empty.
    #[error("{what} has {found} bytes, 1 to {limit} can be; have it made again, with less in it")]
    Bytes {
        /// Which.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Of another version, or something else.
    #[error("the format is {found:?}, not {expected:?}; have it made for this version of Dolmen")]
    Format {
        /// What it says, cut where it gets long.
        found: String,
        /// What it would have to say.
        expected: &'static str,
    },
    /// Not this JSON, or a member that is unknown, missing, there twice, or of another kind.
    #[error("the {0} cannot be read; have it made again for this version of Dolmen")]
    Json(&'static str, #[source] serde_json::Error),
    /// A member with a value that it cannot have.
    #[error("{0}; have it made again")]
    Invalid(&'static str),
}

/// A text that is signed.
pub(crate) trait Content: Serialize + DeserializeOwned {
    /// For people.
    const WHAT: &'static str;
    /// What the member `format` says.
    const FORMAT: &'static str;
    /// Bytes of the longest text.
    const BYTES_MAX: usize;

    /// Bounds that the members' types do not have.
    fn check(&self) -> Result<(), ContentError>;
}

/// As registrars and boxes write all that they send each other: `{"format":FORMAT,"body":{...}}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<F, T> {
    format: F,
    body: T,
}

/// Of any text, whatever else it says.
#[derive(Deserialize)]
struct Format {
    format: String,
}

pub(crate) fn write<T: Content>(content: &T) -> Result<Vec<u8>, ContentError> {
    content.check()?;
    let json = serde_json::to_vec(&Envelope { format: T::FORMAT, body: content });
    let json = json.map_err(|error| ContentError::Json(T::WHAT, error))?;
    check_bytes(T::WHAT, json.len(), T::BYTES_MAX)?;
    Ok(json)
}

pub(crate) fn read<T: Content>(json: &[u8]) -> Result<T, ContentError> {
    let error = |error| ContentError::Json(T::WHAT, error);
    check_bytes(T::WHAT, json.len(), T::BYTES_MAX)?;
    // Another format has other members; it should be named rather than these.
    let Format { format } = serde_json::from_slice(json).map_err(error)?;
    if format != T::FORMAT {
        let found = format.chars().take(T::FORMAT.len() * 2).collect();
        return Err(ContentError::Format { found, expected: T::FORMAT });
    }
    let Envelope { body, .. } = serde_json::from_slice::<Envelope<String, T>>(json).map_err(error)?;
    body.check()?;
    Ok(body)
}

pub(crate) fn check_bytes(what: &'static str, found: usize, limit: usize) -> Result<(), ContentError> {
    if found == 0 || found > limit { Err(ContentError::Bytes { what, found, limit }) } else { Ok(()) }
}

/// A member that is there: `null` is no value of it.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
