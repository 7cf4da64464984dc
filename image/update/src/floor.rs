//! The lowest security version that this box's data are opened to.

use std::error::Error;

use dolmen_image_bundle::SecurityVersion;

/// Whatever went wrong with the TPM.
pub type FloorError = Box<dyn Error + Send + Sync>;

/// What remembers the floor where nobody with the disk in his hands can lower it: the TPM.
pub trait Floor {
    /// The floor; none where none was ever set.
    ///
    /// # Errors
    ///
    /// Whatever went wrong. Where there is no TPM this is an error, not the absence of a floor.
    fn read(&mut self) -> Result<Option<SecurityVersion>, FloorError>;

    /// Raises the floor. It never falls: one that is higher already stays.
    ///
    /// # Errors
    ///
    /// Whatever went wrong. The floor is the old one or the new one.
    fn raise(&mut self, to: SecurityVersion) -> Result<(), FloorError>;
}
