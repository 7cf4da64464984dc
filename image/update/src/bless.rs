//! Saying that what is running is good.

use dolmen_image_bundle::SecurityVersion;

use crate::{Disk, EntryName, Esp, Floor, UpdateError, Updater, ukis};

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blessed {
    /// The UKI's name now, if it was on trial.
    pub entry: Option<EntryName>,
    /// The floor now, if it was lower.
    pub floor: Option<SecurityVersion>,
}

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Blesses the running image: systemd-boot no longer counts its starts, and the TPM's floor rises to its security
    /// version. To be called at every start, once the box does what it is for; does nothing where there is nothing to
    /// do.
    ///
    /// The UKI is found by its root hash, not by `LoaderBootCountPath`: that one names the file as it was when the box
    /// started, and is not set where firmware could not rename it.
    ///
    /// The counter goes first. The other way round, a box that loses power in between could be left with an image on
    /// trial, and none that may open the data if it fails.
    ///
    /// # Errors
    ///
    /// [`UpdateError::NoRunningUki`], [`UpdateError::Locked`], [`UpdateError::Floor`] and [`UpdateError::Io`]. The next
    /// call does what is left.
    pub fn bless(&mut self, floor: &mut dyn Floor) -> Result<Blessed, UpdateError> {
        self.lock()?;
        self.remove_staged()?;
        let mut ukis = ukis::read(&self.esp)?;
        ukis.retain(|file| file.uki.root_hash == self.running.root_hash);
        if ukis.is_empty() {
            return Err(UpdateError::NoRunningUki(self.running.root_hash));
        }
        let mut entry = None;
        for file in ukis.iter().filter(|file| file.name.tries.is_some()) {
            let good = EntryName { tries: None, ..file.name.clone() };
            let renamed = self.esp.rename(&file.path(), &ukis::path(&good.to_string()));
            renamed.and_then(|()| self.esp.sync(ukis::FOLDER)).map_err(UpdateError::io("rename a file on the ESP"))?;
            entry = Some(good);
        }
        Ok(Blessed { entry, floor: self.raise(floor)? })
    }

    fn raise(&self, floor: &mut dyn Floor) -> Result<Option<SecurityVersion>, UpdateError> {
        let failed = |operation| move |source| UpdateError::Floor { operation, source };
        let ours = self.running.security_version;
        let found = floor.read().map_err(failed("read the lowest security version that this box opens its data to"))?;
        if found.is_some_and(|found| found >= ours) {
            return Ok(None);
        }
        floor.raise(ours).map_err(failed("raise the lowest security version that this box opens its data to"))?;
        Ok(Some(ours))
    }
}
