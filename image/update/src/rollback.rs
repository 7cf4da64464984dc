//! Going to the other slot by hand.

use std::cell::RefCell;

use dolmen_image_disk::verity::{self, Superblock};
use semver::Version;

use crate::{
    Disk, Esp, Floor, UpdateError, Updater,
    region::Region,
    slots::Slots,
    ukis::{self, UkiFile},
};

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Makes the next start that of the other slot's version, and says which that is. It is back to an older one, or
    /// forth again. Nothing but a line of `loader.conf` changes: an older version is named there, since systemd-boot
    /// prefers the newest.
    ///
    /// All of the other slot is read first, so that a damaged one is not started.
    ///
    /// # Errors
    ///
    /// [`UpdateError::NothingThere`], [`UpdateError::NeverGood`], [`UpdateError::SecurityVersion`] where the TPM would
    /// not open the data, [`UpdateError::Damaged`], and those of the system. Nothing has changed then.
    pub fn rollback(&mut self, floor: &mut dyn Floor) -> Result<Version, UpdateError> {
        self.lock()?;
        let slots = Slots::read(&mut self.disk, &self.running.root_hash)?;
        let mut ukis = ukis::read(&self.esp)?;
        ukis.retain(|file| slots.other.is(&file.uki.root_hash));
        let file = ukis.into_iter().next().ok_or(UpdateError::NothingThere(slots.other.name))?;
        let older = file.name.version < self.running.version;
        // systemd-boot counts tries of what it prefers, but not of what it is told to start.
        if file.name.is_bad() || older && file.name.tries.is_some() {
            return Err(UpdateError::NeverGood(file.file));
        }
        let floor = floor.read().map_err(|source| {
            let operation = "read the lowest security version that this box opens its data to";
            UpdateError::Floor { operation, source }
        })?;
        let found = file.uki.security_version;
        if let Some(floor) = floor.filter(|floor| found < *floor) {
            return Err(UpdateError::SecurityVersion { what: "the other slot", found, floor });
        }
        self.check_other(&slots, &file)?;
        self.pin(older.then_some(&file.file))?;
        Ok(file.name.version)
    }

    /// Whether the slot is what its UKI's root hash says. How many blocks that is about is only the slot's own word, which
    /// is enough against damage.
    fn check_other(&mut self, slots: &Slots, file: &UkiFile) -> Result<(), UpdateError> {
        let slot = &slots.other;
        let disk = RefCell::new(&mut self.disk);
        let mut root = Region::new(&disk, slots.bytes_of(&slot.root));
        let mut hashes = Region::new(&disk, slots.bytes_of(&slot.verity));
        Superblock::read(&mut hashes)
            .and_then(|superblock| {
                verity::verify(&mut root, &mut hashes, superblock.data_blocks, &file.uki.root_hash, &mut |_| {})
            })
            .map_err(|source| UpdateError::Damaged { slot: slot.name, source })
    }
}
