//! How messages are written: JSON with one text for each message.

use std::fmt;

use openssl::base64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, de::Error as _};

use crate::limits::base64_bytes;

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// More than any message has.
    #[error("{what} has {found} bytes or parts, {limit} at most can be; send what the box's own software makes")]
    TooLong {
        /// The message or a part of it.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another message, or one of another time.
    #[error("the message is {found:?}, not {expected:?}; update the older side of the two")]
    Format {
        /// What it says.
        found: String,
        /// What was to come.
        expected: &'static str,
    },
    /// No such message.
    #[error("the message cannot be read; send it as `to_json` writes it")]
    Json(#[source] serde_json::Error),
    /// A second text for the same message.
    #[error(
        "the message is not written as it must be; send the bytes as `to_json` writes them, and do not format them"
    )]
    Form,
    /// A register that no quote is made of.
    #[error("the message names the register {0}; a TPM has 0 to 23")]
    Register(u8),
}

/// What a message keeps.
pub(crate) mod sealed {
    use super::MessageError;

    /// Messages are those of this crate.
    pub trait Checked {
        /// Bounds that the members' types do not have.
        fn check(&self) -> Result<(), MessageError>;
    }
}

/// A message between a box and its registrar.
///
/// Its text is `{"format":FORMAT,"body":{...}}` without spaces, members in the order of the fields, bytes in Base64
/// (RFC 4648 §4) and digests in hexadecimal digits as in manifests. There is no other text for the same message, so that
/// the hash of a text is one of the message.
pub trait Message: Serialize + DeserializeOwned + sealed::Checked {
    /// What the text says that it is.
    const FORMAT: &'static str;
    /// Bytes of the longest text.
    const JSON_BYTES_MAX: usize;

    /// The text.
    ///
    /// # Errors
    ///
    /// [`MessageError`] for what [`from_json`](Self::from_json) would refuse.
    fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        self.check()?;
        let json = serde_json::to_vec(&Envelope { format: Self::FORMAT, body: self }).map_err(MessageError::Json)?;
        check_length::<Self>(&json)?;
        Ok(json)
    }

    /// Reads a text.
    ///
    /// # Errors
    ///
    /// [`MessageError`] says what is wrong with it.
    fn from_json(json: &[u8]) -> Result<Self, MessageError> {
        check_length::<Self>(json)?;
        // Another format has other members; it should be named rather than these.
        let Format { format } = serde_json::from_slice(json).map_err(MessageError::Json)?;
        if format != Self::FORMAT {
            let found = format.chars().take(Self::FORMAT.len() * 2).collect();
            return Err(MessageError::Format { found, expected: Self::FORMAT });
        }
        let Envelope { body, .. } =
            serde_json::from_slice::<Envelope<String, Self>>(json).map_err(MessageError::Json)?;
        if body.to_json()? == json { Ok(body) } else { Err(MessageError::Form) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<F, T> {
    format: F,
    body: T,
}

/// Of any message, whatever else it says.
#[derive(Deserialize)]
struct Format {
    format: String,
}

fn check_length<T: Message>(json: &[u8]) -> Result<(), MessageError> {
    check_count(T::FORMAT, json.len(), T::JSON_BYTES_MAX)
}

pub(crate) fn check_count(what: &'static str, found: usize, limit: usize) -> Result<(), MessageError> {
    if found > limit { Err(MessageError::TooLong { what, found, limit }) } else { Ok(()) }
}

/// Up to `MAX` bytes, whatever they are.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Bytes<MAX> {
    /// Takes them.
    ///
    /// # Errors
    ///
    /// [`MessageError::TooLong`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, MessageError> {
        check_count("a part of a message", bytes.len(), MAX)?;
        Ok(Self(bytes))
    }

    /// Them.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

/// How many there are: logs are long, and nobody reads a key.
impl<const MAX: usize> fmt::Debug for Bytes<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> Serialize for Bytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode_block(&self.0))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Bytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode(&text, MAX).map(Self).map_err(D::Error::custom)
    }
}

/// `N` bytes: a nonce, or a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed<const N: usize>(pub [u8; N]);

impl<const N: usize> Serialize for Fixed<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode_block(&self.0))
    }
}

impl<'de, const N: usize> Deserialize<'de> for Fixed<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = decode(&String::deserialize(deserializer)?, N).map_err(D::Error::custom)?;
        let found = bytes.len();
        bytes.try_into().map(Self).map_err(|_| D::Error::custom(format!("{found} bytes instead of {N}")))
    }
}

/// The bytes of a text in Base64. What has other texts too is caught where the whole message is compared.
fn decode(text: &str, max: usize) -> Result<Vec<u8>, String> {
    if text.len() > base64_bytes(max) {
        return Err(format!("more than {max} bytes"));
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = base64::decode_block(text).map_err(|_| "no Base64".to_owned())?;
    if bytes.len() > max { Err(format!("more than {max} bytes")) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_base64() {
        let bytes: Bytes<4> = serde_json::from_str("\"AAECAw==\"").unwrap();
        assert_eq!(bytes.as_slice(), [0, 1, 2, 3]);
        assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"AAECAw==\"");
        assert_eq!(serde_json::from_str::<Bytes<4>>("\"\"").unwrap().as_slice(), b"");
        for text in ["\"AAECAwQ=\"", "\"AAECAwQFBgc=\"", "\"AAE\"", "\"A\"", "\"****\"", "7", "null"] {
            assert!(serde_json::from_str::<Bytes<4>>(text).is_err(), "{text}");
        }
        assert!(matches!(Bytes::<4>::new(vec![0; 5]), Err(MessageError::TooLong { found: 5, limit: 4, .. })));
        assert!(serde_json::from_str::<Fixed<4>>("\"AAEC\"").is_err());
        assert_eq!(serde_json::from_str::<Fixed<3>>("\"AAEC\"").unwrap(), Fixed([0, 1, 2]));
    }
}
