//! Who a certificate is for: its subject, and how names are shown.

use std::fmt::Write as _;

use der::{
    Any, Decode, Encode,
    asn1::{ObjectIdentifier, PrintableString, SetOfVec},
};
use x509_cert::{attr::AttributeTypeAndValue, ext::pkix::name::DirectoryString, name::Name};

use crate::{
    limits::{NAME_CHARS_MAX, SHOWN_CHARS_MAX},
    oid::{COMMON_NAME, ORGANISATION, SERIAL_NUMBER},
};

/// The subject of a certificate that is issued here: an organisation, a name in it, and for a box its machine's serial
/// number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    organisation: String,
    common_name: String,
    machine_serial: Option<String>,
}

/// Why something is no name of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// An organisation's or box's name.
    #[error("{0:?} is no name: it has 1 to 64 characters, none of them a control character or at an end a blank")]
    Text(String),
    /// A machine's serial number.
    #[error("{0:?} is no serial number of a machine: it has 1 to 64 letters, digits and characters of -./:+")]
    MachineSerial(String),
    /// A subject that was not made here.
    #[error("the subject {0:?} has other parts than an organisation, a name and a serial number, or not these")]
    Subject(String),
    /// A name of the DNS.
    #[error("{0:?} is no name of the DNS; write it in letters, digits, hyphens and dots")]
    Dns(String),
    /// A URI.
    #[error("{0:?} is no URI: 255 bytes at most, with a scheme, without blanks")]
    Uri(String),
    /// An alternative name of a kind that nothing here asks for.
    #[error("an alternative name is {0}; there may be names of the DNS and addresses")]
    Kind(&'static str),
    /// More than are read.
    #[error("there are {0} alternative names, 16 at most can be; ask for fewer")]
    TooMany(usize),
}

impl Subject {
    /// In an organisation.
    ///
    /// # Errors
    ///
    /// [`NameError::Text`].
    pub fn new(organisation: &str, common_name: &str) -> Result<Self, NameError> {
        let text = |text: &str| if is_text(text) { Ok(text.to_owned()) } else { Err(NameError::Text(shorten(text))) };
        Ok(Self { organisation: text(organisation)?, common_name: text(common_name)?, machine_serial: None })
    }

    /// The same, of a machine with this serial number.
    ///
    /// # Errors
    ///
    /// [`NameError::MachineSerial`].
    pub fn with_machine_serial(self, serial: &str) -> Result<Self, NameError> {
        // What both a PrintableString and a URN can hold.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-./:+".contains(&byte);
        if !(1..=NAME_CHARS_MAX).contains(&serial.len()) || !serial.bytes().all(allowed) {
            return Err(NameError::MachineSerial(shorten(serial)));
        }
        Ok(Self { machine_serial: Some(serial.to_owned()), ..self })
    }

    /// Reads one that was made here, as it is when a certificate is renewed.
    ///
    /// # Errors
    ///
    /// [`NameError::Subject`] for all others, and for what [`new`](Self::new) and
    /// [`with_machine_serial`](Self::with_machine_serial) refuse.
    pub fn read(name: &Name) -> Result<Self, NameError> {
        let other = || NameError::Subject(shown(name));
        let mut parts = Vec::new();
        for part in name.iter() {
            let text: DirectoryString = part.value.decode_as().map_err(|_| other())?;
            parts.push((part.oid, text.value().into_owned()));
        }
        let subject = match &parts[..] {
            [(ORGANISATION, organisation), (COMMON_NAME, common_name)] => Self::new(organisation, common_name)?,
            [(ORGANISATION, organisation), (COMMON_NAME, common_name), (SERIAL_NUMBER, serial)] => {
                Self::new(organisation, common_name)?.with_machine_serial(serial)?
            }
            _ => return Err(other()),
        };
        // Other kinds of strings, and parts that stand beside each other.
        if subject.encode().ok().as_ref() == Some(name) { Ok(subject) } else { Err(other()) }
    }

    /// The organisation.
    #[must_use]
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// The name in it: a box's, or an authority's.
    #[must_use]
    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    /// The machine's serial number.
    #[must_use]
    pub fn machine_serial(&self) -> Option<&str> {
        self.machine_serial.as_deref()
    }

    pub(crate) fn encode(&self) -> der::Result<Name> {
        let text = |oid, text: &String| part(oid, Any::encode_from(text)?);
        let mut parts = vec![text(ORGANISATION, &self.organisation)?, text(COMMON_NAME, &self.common_name)?];
        if let Some(serial) = &self.machine_serial {
            parts.push(part(SERIAL_NUMBER, Any::encode_from(&PrintableString::new(serial)?)?)?);
        }
        Name::from_der(&parts.to_der()?)
    }
}

fn part(oid: ObjectIdentifier, value: Any) -> der::Result<SetOfVec<AttributeTypeAndValue>> {
    SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])
}

fn is_text(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count())
        && text.trim() == text
        && !text.contains(|character: char| character.is_control())
}

/// As RFC 4514 writes names, cut where it gets long. Control characters are escaped.
pub(crate) fn shown(name: &Name) -> String {
    let mut text = String::new();
    // It fails for names that cannot be written, which were never read.
    let _ = write!(text, "{name}");
    shorten(&text)
}

pub(crate) fn shorten(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_they_were_written() {
        let plain = Subject::new("Müller & Söhne", "box-1").unwrap();
        let machine = plain.clone().with_machine_serial("S/N:12-3.4+5").unwrap();
        for subject in [plain, machine] {
            assert_eq!(Subject::read(&subject.encode().unwrap()), Ok(subject));
        }
        for other in ["CN=box-1", "O=a,CN=b", "C=DE,CN=b,O=a", "serialNumber=1,CN=b+O=a", "CN=b+serialNumber=1234,O=a"]
        {
            assert!(matches!(Subject::read(&other.parse().unwrap()), Err(NameError::Subject(_))), "{other}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let long = "ä".repeat(65);
        for text in ["", " a", "a\n", "a\0b", &long] {
            assert!(matches!(Subject::new(text, "b"), Err(NameError::Text(_))), "{text:?}");
            assert!(matches!(Subject::new("a", text), Err(NameError::Text(_))), "{text:?}");
        }
        let subject = Subject::new(&long[2..], "b").unwrap();
        for serial in ["", "a b", "a_b", "é", &"1".repeat(65)] {
            let error = subject.clone().with_machine_serial(serial).unwrap_err();
            assert!(matches!(error, NameError::MachineSerial(_)), "{serial:?}");
        }
    }
}
