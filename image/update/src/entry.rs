//! Names of UKIs, in which systemd-boot counts.
//!
//! Source: systemd's "Automatic Boot Assessment", and `boot_entry_parse_tries` of systemd-boot 257: the last `+` begins
//! the counter, `+LEFT-DONE` or `+LEFT`, and it ends right before `.efi`.

use std::fmt;

use semver::Version;
use serde::Serialize;

const PREFIX: &str = "dolmen_";
const SUFFIX: &str = ".efi";

/// Of a UKI of ours in `EFI/Linux`: `dolmen_1.2.3.efi`, or while it is on trial `dolmen_1.2.3+2-1.efi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryName {
    /// The image's.
    pub version: Version,
    /// None once it is blessed.
    pub tries: Option<Tries>,
}

/// How often systemd-boot starts an image that nobody has blessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tries {
    /// How often it still will be. At 0 all others come first.
    pub left: u32,
    /// How often it was.
    pub done: u32,
}

impl EntryName {
    /// Reads a file's name, in any case, as FAT has them; none if it is none of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let (version, tries) = match middle.rsplit_once('+') {
            Some((version, counter)) => (version, Some(Tries::parse(counter)?)),
            None => (middle, None),
        };
        let version = Version::parse(version).ok().filter(|version| version.build.is_empty())?;
        Some(Self { version, tries })
    }

    /// Whether systemd-boot was told to start others first.
    pub(crate) fn is_bad(&self) -> bool {
        self.tries.is_some_and(|tries| tries.left == 0)
    }
}

/// Whether a file was once one of ours, even if its name is damaged.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with(PREFIX) && name.ends_with(SUFFIX)
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.version)?;
        match self.tries {
            None => {}
            Some(Tries { left, done: 0 }) => write!(f, "+{left}")?,
            Some(Tries { left, done }) => write!(f, "+{left}-{done}")?,
        }
        f.write_str(SUFFIX)
    }
}

impl Tries {
    fn parse(text: &str) -> Option<Self> {
        let (left, done) = text.split_once('-').unwrap_or((text, "0"));
        Some(Self { left: number(left)?, done: number(done)? })
    }
}

/// Digits, up to what a C `int` holds.
fn number(text: &str) -> Option<u32> {
    let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|number| *number <= i32::MAX.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(version: &str, tries: Option<(u32, u32)>) -> EntryName {
        let tries = tries.map(|(left, done)| Tries { left, done });
        EntryName { version: version.parse().unwrap(), tries }
    }

    #[test]
    fn names_are_read_and_written() {
        for (text, entry) in [
            ("dolmen_1.2.3.efi", name("1.2.3", None)),
            ("dolmen_1.2.3+3.efi", name("1.2.3", Some((3, 0)))),
            ("dolmen_1.2.3+2-1.efi", name("1.2.3", Some((2, 1)))),
            ("dolmen_1.2.3+0-3.efi", name("1.2.3", Some((0, 3)))),
            ("dolmen_1.2.3-rc.1+1-2.efi", name("1.2.3-rc.1", Some((1, 2)))),
            ("dolmen_1.2.3+2147483647-2147483647.efi", name("1.2.3", Some((2_147_483_647, 2_147_483_647)))),
        ] {
            assert_eq!(EntryName::parse(text), Some(entry.clone()), "{text}");
            assert_eq!(entry.to_string(), text);
        }
    }

    #[test]
    fn other_ways_to_write_are_read() {
        assert_eq!(EntryName::parse("DOLMEN_1.2.3+2-1.EFI"), Some(name("1.2.3", Some((2, 1)))));
        assert_eq!(EntryName::parse("dolmen_1.2.3+3-0.efi"), Some(name("1.2.3", Some((3, 0)))));
        assert_eq!(EntryName::parse("dolmen_1.2.3+003-01.efi"), Some(name("1.2.3", Some((3, 1)))));
    }

    #[test]
    fn others_are_not_ours() {
        for text in [
            "",
            "dolmen_.efi",
            "dolmen_1.2.efi",
            "dolmen_1.2.3",
            "dolmen-1.2.3.efi",
            "dolmen_1.2.3+.efi",
            "dolmen_1.2.3+-1.efi",
            "dolmen_1.2.3+3-.efi",
            "dolmen_1.2.3+3-1-1.efi",
            "dolmen_1.2.3+x.efi",
            "dolmen_1.2.3+-3.efi",
            "dolmen_1.2.3+ 3.efi",
            "dolmen_1.2.3+2147483648.efi",
            "dolmen_1.2.3+1+3.efi",
            "dolmen_1.2.3.efi.new",
            "linux_1.2.3.efi",
        ] {
            assert_eq!(EntryName::parse(text), None, "{text}");
        }
    }

    /// As systemd-boot renames it at every start.
    #[test]
    fn three_tries_are_counted_down() {
        let mut names = vec![name("1.0.0", Some((3, 0)))];
        for (left, done) in [(2, 1), (1, 2), (0, 3)] {
            assert!(!names[names.len() - 1].is_bad());
            names.push(name("1.0.0", Some((left, done))));
        }
        assert!(names[3].is_bad() && !name("1.0.0", None).is_bad());
    }
}
