//! Where letters and replies are on a stick.

use std::{fmt, str::FromStr};

use dolmen_provisioning_voucher::SerialNumber;

use crate::limits::NUMBER_DIGITS_MAX;

/// The directory on a stick that has a directory for each box.
pub const DIRECTORY: &str = "dolmen";

/// What the directory of a box is called in [`DIRECTORY`]: its serial number, in which each byte but letters, digits,
/// `-` and `_` is `%` and two digits. Nothing in it leads elsewhere. File systems of sticks do not tell `a` from `A`:
/// what is in a file says whose it is.
#[must_use]
pub fn directory(serial_number: &SerialNumber) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let bytes = serial_number.as_str().bytes();
    bytes.map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// What a file on a stick is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Of a box, to its registrar.
    Letter,
    /// Of a registrar, to a box.
    Reply,
}

/// What a file in a box's directory is called: `letter-7.cms`, and `reply-7.cms` for the reply to it. `reply-0.cms`
/// is one that was written ahead.
///
/// A name says where to look. What counts is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// What it is.
    pub kind: Kind,
    /// The letter's number.
    pub number: u64,
}

/// Why a file is neither a letter nor a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("files of boxes and registrars are called letter-7.cms and reply-7.cms; leave this one alone")]
pub struct NameError;

impl Name {
    /// Of a letter.
    #[must_use]
    pub const fn letter(number: u64) -> Self {
        Self { kind: Kind::Letter, number }
    }

    /// Of the reply to that letter.
    #[must_use]
    pub const fn reply(number: u64) -> Self {
        Self { kind: Kind::Reply, number }
    }

    /// Of the reply that was written ahead.
    pub const AHEAD: Self = Self::reply(0);

    /// The letter of the greatest number among a directory's files, which is the one to answer. Other files are passed
    /// over.
    pub fn latest_letter<'a>(files: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let names = files.into_iter().filter_map(|file| file.parse().ok());
        names.filter(|name: &Self| name.kind == Kind::Letter).max()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Letter => "letter",
            Kind::Reply => "reply",
        };
        write!(f, "{kind}-{}.cms", self.number)
    }
}

/// There is one name for a file.
impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, rest) = text.split_once('-').ok_or(NameError)?;
        let digits = rest.strip_suffix(".cms").filter(|digits| digits.len() <= NUMBER_DIGITS_MAX).ok_or(NameError)?;
        let kind = match kind {
            "letter" => Kind::Letter,
            "reply" => Kind::Reply,
            _ => return Err(NameError),
        };
        let name = Self { kind, number: digits.parse().map_err(|_| NameError)? };
        if name.to_string() == text { Ok(name) } else { Err(NameError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_text() {
        for (text, name) in [
            ("letter-1.cms", Name::letter(1)),
            ("reply-0.cms", Name::AHEAD),
            ("reply-18446744073709551615.cms", Name::reply(u64::MAX)),
        ] {
            assert_eq!((text.parse(), name.to_string()), (Ok(name), text.to_owned()));
        }
        for text in [
            "",
            "letter",
            "letter-.cms",
            "letter-01.cms",
            "letter-+1.cms",
            "letter--1.cms",
            "letter-1",
            "letter-1.cms ",
            "Letter-1.cms",
            "LETTER-1.CMS",
            "letter-18446744073709551616.cms",
            "../letter-1.cms",
            "other-1.cms",
            "letter-1.cms.cms",
            "letter-000000000000000000001.cms",
        ] {
            assert_eq!(text.parse::<Name>(), Err(NameError), "{text}");
        }
    }

    #[test]
    fn the_latest_letter_is_the_one_to_answer() {
        let files = ["reply-9.cms", "letter-2.cms", "letter-10.cms", "letter-x.cms", "readme.txt"];
        assert_eq!(Name::latest_letter(files), Some(Name::letter(10)));
        assert_eq!(Name::latest_letter(["reply-1.cms"]), None);
    }

    #[test]
    fn directories_lead_nowhere_else() {
        for (serial, expected) in [
            ("BOX-0001_a", "BOX-0001_a"),
            ("..", "%2E%2E"),
            ("../a b", "%2E%2E%2Fa%20b"),
            ("50%", "50%25"),
            ("C:\\", "C%3A%5C"),
        ] {
            assert_eq!(directory(&serial.parse().unwrap()), expected);
        }
        assert_eq!(directory(&"~".repeat(64).parse().unwrap()).len(), 192);
    }
}
