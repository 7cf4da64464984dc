//! What an image says about itself: its `os-release` and its kernel's command line.

use std::fs;

use dolmen_image_bundle::SecurityVersion;
use dolmen_image_disk::verity::RootHash;
use semver::Version;

use crate::UpdateError;

/// By which systemd-boot sorts, the first one that is there counting.
const VERSION_FIELDS: [&str; 3] = ["IMAGE_VERSION", "VERSION", "VERSION_ID"];
const SECURITY_VERSION: &str = "DOLMEN_SECURITY_VERSION";

/// The image that is running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which its root file system is.
    pub root_hash: RootHash,
    /// Its version.
    pub version: Version,
    /// Its security version.
    pub security_version: SecurityVersion,
}

impl Running {
    /// Of the kernel's command line (`roothash=`) and of `os-release` (`IMAGE_VERSION`, `VERSION` or `VERSION_ID`, and
    /// `DOLMEN_SECURITY_VERSION`).
    ///
    /// # Errors
    ///
    /// [`UpdateError::Release`] says what is not there.
    pub fn parse(cmdline: &str, os_release: &str) -> Result<Self, UpdateError> {
        let of = "the running image";
        Ok(Self {
            root_hash: root_hash(cmdline).ok_or(UpdateError::Release { of, missing: "roothash" })?,
            version: version(os_release).ok_or(UpdateError::Release { of, missing: "version" })?,
            security_version: security_version(os_release)
                .ok_or(UpdateError::Release { of, missing: "security version" })?,
        })
    }

    /// Of this system: `/proc/cmdline` and `/usr/lib/os-release`, which the root hash vouches for.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Io`], and what [`parse`](Self::parse) says.
    pub fn of_this_system() -> Result<Self, UpdateError> {
        let read = |path| {
            let operation = "find out which image is running";
            fs::read_to_string(path).map_err(|source| UpdateError::Io { operation, source })
        };
        Self::parse(&read("/proc/cmdline")?, &read("/usr/lib/os-release")?)
    }
}

/// The only `roothash=` of a command line.
pub(crate) fn root_hash(cmdline: &str) -> Option<RootHash> {
    let mut values = cmdline.split_ascii_whitespace().filter_map(|word| word.strip_prefix("roothash="));
    let value = values.next()?;
    values.next().is_none().then(|| value.parse().ok())?
}

pub(crate) fn version(os_release: &str) -> Option<Version> {
    VERSION_FIELDS.iter().find_map(|name| field(os_release, name))?.parse().ok()
}

pub(crate) fn security_version(os_release: &str) -> Option<SecurityVersion> {
    field(os_release, SECURITY_VERSION)?.parse().ok()
}

/// A field of os-release(5), whose last line counts, without the quotes around it. Values of ours need no escapes.
fn field<'a>(os_release: &'a str, name: &str) -> Option<&'a str> {
    let value = os_release.lines().filter_map(|line| line.trim().split_once('=')).filter(|(key, _)| *key == name);
    let value = value.map(|(_, value)| value).next_back()?;
    let quoted = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    Some(quoted('"').or_else(|| quoted('\'')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const RELEASE: &str =
        "ID=dolmen\nVERSION_ID=12\nVERSION='1.0.0'\nIMAGE_VERSION=\"1.2.3\"\nDOLMEN_SECURITY_VERSION=7\n";

    #[test]
    fn the_running_image_is_known() {
        let cmdline = format!("quiet roothash={HASH} ro\n");
        let running = Running::parse(&cmdline, RELEASE).unwrap();
        assert_eq!(running.root_hash.to_string(), HASH);
        assert_eq!((running.version.to_string().as_str(), running.security_version.get()), ("1.2.3", 7));
        let missing = |cmdline: &str, release: &str| match Running::parse(cmdline, release) {
            Err(UpdateError::Release { missing, .. }) => missing,
            other => panic!("{other:?}"),
        };
        for cmdline in
            ["", "ro", "roothash=12", &format!("roothash={HASH} roothash={HASH}"), &format!("xroothash={HASH}")]
        {
            assert_eq!(missing(cmdline, RELEASE), "roothash");
        }
        assert_eq!(missing(&cmdline, &RELEASE.replace("1.2.3", "thirteen")), "version");
        assert_eq!(missing(&cmdline, &RELEASE.replace("=7", "=65")), "security version");
        assert_eq!(missing(&cmdline, ""), "version");
    }

    #[test]
    fn versions_are_those_that_systemd_boot_sorts_by() {
        assert_eq!(version("VERSION_ID=1.0.0\nVERSION=2.0.0\n"), Some(Version::new(2, 0, 0)));
        assert_eq!(version("VERSION_ID=1.0.0\nVERSION_ID=3.0.0"), Some(Version::new(3, 0, 0)));
        assert_eq!(version("VERSION=\"13 (trixie)\"\nVERSION_ID=1.0.0"), None);
    }
}
