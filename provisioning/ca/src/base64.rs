//! Bytes in JSON: base64 with padding (RFC 7951 §6.6, RFC 4648 §4), which has one text for the same bytes.

use std::fmt::Display;

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Writes them.
///
/// # Errors
///
/// The serializer's.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&Base64::encode_string(bytes))
}

/// What `make` makes of the bytes.
///
/// # Errors
///
/// For what is no text, or not base64, and for what `make` refuses.
pub fn deserialize<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    make: impl FnOnce(Vec<u8>) -> Result<T, E>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = Base64::decode_vec(&text).map_err(|_| D::Error::custom("text that is not base64"))?;
    make(bytes).map_err(D::Error::custom)
}
