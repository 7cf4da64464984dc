//! Bytes in JSON: hashes in digits, as policies and people have them, and messages in base64.

/// 64 hexadecimal digits.
pub(crate) mod digits {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&const_hex::encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        const_hex::decode_to_array(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Base64.
pub(crate) mod bytes {
    use std::convert::Infallible;

    use dolmen_provisioning_ca::base64;
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(bytes, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        base64::deserialize(deserializer, Ok::<_, Infallible>)
    }
}
