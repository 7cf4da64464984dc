//! Names of keys, wherever they live.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest name that is read.
const LENGTH_MAX: usize = 2048;
/// The longest name of a key.
const NAME_MAX: usize = 64;
/// Persistent objects of a TPM (TCG "Registry of Reserved TPM 2.0 Handles and Localities" §2.3.1).
const TPM_PERSISTENT: std::ops::RangeInclusive<u32> = 0x8100_0000..=0x81ff_ffff;
/// What stands for itself in an attribute (RFC 7512 §2.3): the unreserved characters and some that are common in names.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b':');

/// Where a key is.
///
/// | form | is |
/// |---|---|
/// | `soft:NAME` | a file in the box's key directory, encrypted |
/// | `tpm:NAME` | a key of the box's TPM, whose wrapped form is in the key directory |
/// | `tpm:0x81000001` | a persistent object of the TPM |
/// | `pkcs11:token=T;object=O?module-path=/lib.so&pin-source=file:/pin` | a key on a token (RFC 7512) |
/// | `sdf:INDEX?module-path=/lib.so&pin-source=file:/pin` | a key of a GM/T 0018 device |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyUri {
    /// A key in an encrypted file.
    Soft(KeyName),
    /// A key of a TPM.
    Tpm(TpmKey),
    /// A key on a PKCS#11 token.
    Pkcs11(Box<Pkcs11Key>),
    /// A key of a GM/T 0018 device.
    Sdf(SdfKey),
}

/// Why something is not the name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// No scheme, or none of ours.
    #[error("a key's name begins with soft:, tpm:, pkcs11: or sdf:, as in soft:consensus")]
    Scheme,
    /// Longer than any name.
    #[error("a key's name has at most {LENGTH_MAX} bytes")]
    TooLong,
    /// Not a name.
    #[error("{0:?} is no name: 1 to {NAME_MAX} of a-z, 0-9, -, _ and ., beginning with a letter or digit")]
    Name(String),
    /// Not a persistent handle.
    #[error("{0:?} is no persistent TPM handle: 0x81000000 to 0x81ffffff")]
    Handle(String),
    /// Not an index.
    #[error("{0:?} is no index of a key: a number from 1 on")]
    Index(String),
    /// An attribute that is not known, where ignoring it could mean another key.
    #[error("the attribute {0:?} is not known here; see RFC 7512, section 2.3")]
    Attribute(String),
    /// An attribute that stands twice, or has no value.
    #[error("the attribute {0:?} must be there once, with a value")]
    Value(String),
    /// A PIN in a name, which is shown and logged.
    #[error(
        "a PIN does not belong into a key's name; put it into a file of mode 0600 and name that: pin-source=file:/path"
    )]
    Pin,
    /// Where the PIN comes from is not a file.
    #[error("{0:?} is no source of a PIN: file:/absolute/path")]
    PinSource(String),
    /// Not an absolute path.
    #[error("{0:?} is no absolute path")]
    Path(String),
    /// The name would fit any key of a token.
    #[error("a PKCS#11 key is named by object or id, or by both")]
    Unspecific,
    /// A class of objects that does not sign.
    #[error("{0:?} is no class of a key that signs: type=private, or leave it away")]
    Type(String),
}

/// The name of a key that this box stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = UriError;

    fn from_str(name: &str) -> Result<Self, UriError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let good = begins && name.len() <= NAME_MAX && name.bytes().all(allowed);
        if good { Ok(Self(name.to_owned())) } else { Err(UriError::Name(name.chars().take(NAME_MAX).collect())) }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key of a TPM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TpmKey {
    /// One whose wrapped form the box stores.
    Name(KeyName),
    /// A persistent object.
    Handle(u32),
}

/// A library and how to log in to what it drives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Module {
    /// The shared library; the box's configuration says which where this does not.
    pub path: Option<PathBuf>,
    /// The file that holds the PIN; the box's configuration says which where this does not.
    pub pin_source: Option<PathBuf>,
}

/// A key on a PKCS#11 token (RFC 7512 §2.3). What is not there matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pkcs11Key {
    /// Label of the token.
    pub token: Option<String>,
    /// Manufacturer of the token.
    pub manufacturer: Option<String>,
    /// Serial number of the token.
    pub serial: Option<String>,
    /// Model of the token.
    pub model: Option<String>,
    /// Number of the slot.
    pub slot_id: Option<u64>,
    /// Label of the key (`CKA_LABEL`).
    pub object: Option<String>,
    /// Identifier of the key (`CKA_ID`).
    pub id: Option<Vec<u8>>,
    /// The library.
    pub module: Module,
}

/// A signing key of a GM/T 0018 device.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SdfKey {
    /// Its index, from one on.
    pub index: u32,
    /// The library.
    pub module: Module,
}

/// Attributes by name, each once and decoded.
struct Attributes(BTreeMap<String, Vec<u8>>);

impl Attributes {
    fn parse(text: &str, separator: char) -> Result<Self, UriError> {
        let mut attributes = BTreeMap::new();
        for attribute in text.split(separator).filter(|attribute| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value: Vec<u8> = percent_decode_str(value).collect();
            if value.is_empty() || attributes.insert(name.to_owned(), value).is_some() {
                return Err(UriError::Value(name.to_owned()));
            }
        }
        Ok(Self(attributes))
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, UriError> {
        self.bytes(name).map(|value| String::from_utf8(value).map_err(|_| UriError::Value(name.to_owned()))).transpose()
    }

    fn path(&mut self, name: &str) -> Result<Option<PathBuf>, UriError> {
        self.text(name)?.map(absolute).transpose()
    }

    /// Fails where an attribute was not asked for.
    fn finish(mut self) -> Result<(), UriError> {
        self.0.pop_first().map_or(Ok(()), |(name, _)| Err(UriError::Attribute(name)))
    }
}

fn absolute(path: String) -> Result<PathBuf, UriError> {
    if Path::new(&path).is_absolute() { Ok(path.into()) } else { Err(UriError::Path(path)) }
}

impl Module {
    fn parse(query: &str) -> Result<Self, UriError> {
        let mut attributes = Attributes::parse(query, '&')?;
        if attributes.bytes("pin-value").is_some() {
            return Err(UriError::Pin);
        }
        let path = attributes.path("module-path")?;
        let pin_source = match attributes.text("pin-source")? {
            None => None,
            Some(source) => {
                let path = source.strip_prefix("file:").ok_or_else(|| UriError::PinSource(source.clone()))?;
                // RFC 8089 has both file:/path and file:///path.
                let path = path.strip_prefix("//").unwrap_or(path);
                Some(absolute(path.to_owned()).map_err(|_| UriError::PinSource(source.clone()))?)
            }
        };
        attributes.finish()?;
        Ok(Self { path, pin_source })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '?';
        let attributes = [("module-path=", &self.path), ("pin-source=file:", &self.pin_source)];
        for (name, path) in attributes {
            if let Some(path) = path {
                write!(f, "{separator}{name}{}", encode(&path.to_string_lossy()))?;
                separator = '&';
            }
        }
        Ok(())
    }
}

impl Pkcs11Key {
    fn parse(path: &str, query: &str) -> Result<Self, UriError> {
        let mut attributes = Attributes::parse(path, ';')?;
        let class = attributes.text("type")?;
        if let Some(class) = class.filter(|class| class != "private") {
            return Err(UriError::Type(class));
        }
        let slot_id = match attributes.text("slot-id")? {
            Some(number) => Some(number.parse().map_err(|_| UriError::Value("slot-id".to_owned()))?),
            None => None,
        };
        let key = Self {
            token: attributes.text("token")?,
            manufacturer: attributes.text("manufacturer")?,
            serial: attributes.text("serial")?,
            model: attributes.text("model")?,
            slot_id,
            object: attributes.text("object")?,
            id: attributes.bytes("id"),
            module: Module::parse(query)?,
        };
        attributes.finish()?;
        if key.object.is_none() && key.id.is_none() { Err(UriError::Unspecific) } else { Ok(key) }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let text = [
            ("token", &self.token),
            ("manufacturer", &self.manufacturer),
            ("serial", &self.serial),
            ("model", &self.model),
            ("object", &self.object),
        ];
        for (name, value) in text {
            if let Some(value) = value {
                write!(f, "{separator}{name}={}", encode(value))?;
                separator = ";";
            }
        }
        if let Some(id) = &self.id {
            write!(f, "{separator}id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
            separator = ";";
        }
        if let Some(slot_id) = self.slot_id {
            write!(f, "{separator}slot-id={slot_id}")?;
        }
        self.module.write(f)
    }
}

fn encode(value: &str) -> impl fmt::Display {
    utf8_percent_encode(value, ENCODED)
}

impl FromStr for KeyUri {
    type Err = UriError;

    fn from_str(text: &str) -> Result<Self, UriError> {
        if text.len() > LENGTH_MAX {
            return Err(UriError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(UriError::Scheme)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        match scheme {
            "soft" => Ok(Self::Soft(rest.parse()?)),
            "tpm" => Ok(Self::Tpm(match rest.strip_prefix("0x") {
                Some(digits) => {
                    let handle = u32::from_str_radix(digits, 16).ok().filter(|handle| TPM_PERSISTENT.contains(handle));
                    TpmKey::Handle(handle.ok_or_else(|| UriError::Handle(rest.to_owned()))?)
                }
                None => TpmKey::Name(rest.parse()?),
            })),
            "pkcs11" => Ok(Self::Pkcs11(Box::new(Pkcs11Key::parse(path, query)?))),
            "sdf" => {
                let index = path.parse().ok().filter(|index| *index > 0);
                let index = index.ok_or_else(|| UriError::Index(path.to_owned()))?;
                Ok(Self::Sdf(SdfKey { index, module: Module::parse(query)? }))
            }
            _ => Err(UriError::Scheme),
        }
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soft(name) => write!(f, "soft:{name}"),
            Self::Tpm(TpmKey::Name(name)) => write!(f, "tpm:{name}"),
            Self::Tpm(TpmKey::Handle(handle)) => write!(f, "tpm:0x{handle:08x}"),
            Self::Pkcs11(key) => {
                f.write_str("pkcs11:")?;
                key.write(f)
            }
            Self::Sdf(key) => {
                write!(f, "sdf:{}", key.index)?;
                key.module.write(f)
            }
        }
    }
}

#[cfg(test)]
mod tests;
