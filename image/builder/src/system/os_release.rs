//! Which image a box runs: `os-release`(5), in the root and, the same, in the boot file.

use dolmen_image_bundle::{PRODUCT, SecurityVersion, Version};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum OsReleaseError {
    /// A version that systemd-boot or a FAT would not take.
    #[error("the version {0} has build metadata (`+...`), which a boot file's name cannot have; leave it out")]
    Version(Version),
}

/// The fields that differ between images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsRelease {
    title: String,
    version: Version,
    security_version: SecurityVersion,
}

impl OsRelease {
    /// Of an image.
    ///
    /// # Errors
    ///
    /// [`OsReleaseError::Version`].
    pub fn new(title: &str, version: &Version, security_version: SecurityVersion) -> Result<Self, OsReleaseError> {
        if !version.build.is_empty() {
            return Err(OsReleaseError::Version(version.clone()));
        }
        Ok(Self { title: title.to_owned(), version: version.clone(), security_version })
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { title, version, security_version } = self;
        format!(
            "ID={PRODUCT}\nNAME=\"{title}\"\nPRETTY_NAME=\"{title} {version}\"\nVERSION_ID={version}\n\
             IMAGE_ID={PRODUCT}\nIMAGE_VERSION={version}\nDOLMEN_SECURITY_VERSION={security_version}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(version: &str) -> Result<OsRelease, OsReleaseError> {
        OsRelease::new("Dolmen", &Version::parse(version).unwrap(), SecurityVersion::new(3).unwrap())
    }

    #[test]
    fn it_has_what_updates_look_for() {
        let text = new("1.2.3-rc.1").unwrap().text();
        for line in ["VERSION_ID=1.2.3-rc.1", "IMAGE_VERSION=1.2.3-rc.1", "DOLMEN_SECURITY_VERSION=3"] {
            assert!(text.lines().any(|other| other == line), "{text}");
        }
        assert!(text.contains("PRETTY_NAME=\"Dolmen 1.2.3-rc.1\"\n"), "{text}");
        assert!(matches!(new("1.2.3+4"), Err(OsReleaseError::Version(_))));
    }
}
