//! The JSON of letters and replies: what both have in common.

use std::fmt;

use dolmen_provisioning_bundle::Hash;
use dolmen_provisioning_ca::base64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::limits::HEADER_CHARACTERS_MAX;

/// What is wrong with the JSON of a letter or a reply.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// More than any, or none where there has to be one.
    #[error("{what} has {found} bytes or parts, {limit} at most can be; have it made again, with less in it")]
    Bytes {
        /// The text or a part of it.
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

/// Bytes, base64 in JSON. How many there may be is for the text to say that they are in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

/// How many there are: most are long, and nobody reads them.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        base64::deserialize(deserializer, |bytes| Ok::<_, std::convert::Infallible>(Self(bytes)))
    }
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
    check_count(T::WHAT, json.len(), T::BYTES_MAX)?;
    Ok(json)
}

pub(crate) fn read<T: Content>(json: &[u8]) -> Result<T, ContentError> {
    let error = |error| ContentError::Json(T::WHAT, error);
    check_count(T::WHAT, json.len(), T::BYTES_MAX)?;
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

pub(crate) fn check_count(what: &'static str, found: usize, limit: usize) -> Result<(), ContentError> {
    if found > limit { Err(ContentError::Bytes { what, found, limit }) } else { Ok(()) }
}

/// The value of a header: printable, and not long.
pub(crate) fn check_header(what: &'static str, value: Option<&str>) -> Result<(), ContentError> {
    let Some(value) = value else { return Ok(()) };
    check_count(what, value.len(), HEADER_CHARACTERS_MAX)?;
    if value.is_empty() || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(ContentError::Invalid("a header in it is empty, or not of printable characters of ASCII"));
    }
    Ok(())
}

/// A member that is there: `null` is no value of it.
pub(crate) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// SHA-256 of a message, by which replies name letters.
pub(crate) fn hash(message: &[u8]) -> Hash {
    Hash::from_bytes(Sha256::digest(message).into())
}
