//! What systemd-stub says about itself.

use super::UkiError;
use crate::pe::Image;

/// The section where it does: `#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####`.
const MAGIC_SECTION: &str = ".sdmagic";
const MAGIC: &[u8] = b"LoaderInfo: systemd-stub ";
/// The first version whose measurements are those of today but for sections that it does not know yet.
const OLDEST: StubVersion = StubVersion(252);

/// The version of systemd that a stub is of, without what comes after a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StubVersion(pub u32);

impl StubVersion {
    /// Reads it from a stub, or from an image that begins with one.
    ///
    /// # Errors
    ///
    /// [`UkiError::StubVersion`] if there is none, [`UkiError::StubTooOld`] for what is not known here.
    pub fn of(image: &Image<'_>) -> Result<Self, UkiError> {
        let magic = image.section(MAGIC_SECTION).map(|section| image.data(section)).ok_or(UkiError::StubVersion)?;
        let start = magic.windows(MAGIC.len()).position(|window| window == MAGIC).ok_or(UkiError::StubVersion)?;
        let version = &magic[start + MAGIC.len()..];
        let digits = version.iter().take(6).take_while(|byte| byte.is_ascii_digit()).copied().collect();
        let version = String::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let version = Self(version.ok_or(UkiError::StubVersion)?);
        if version < OLDEST { Err(UkiError::StubTooOld(version.0)) } else { Ok(version) }
    }
}
