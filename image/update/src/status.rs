//! What is where.

use dolmen_image_bundle::SecurityVersion;
use semver::Version;
use serde::Serialize;

use crate::{
    Disk, Esp, SlotName, Tries, UpdateError, Updater,
    efivars::{self, BOOT_COUNT_PATH, ENTRY_SELECTED},
    slots::{Slot, Slots},
    ukis::{self, UkiFile},
};

/// A box's slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Which is running.
    pub running: SlotName,
    /// Its version.
    pub version: Version,
    /// Its security version.
    pub security_version: SecurityVersion,
    /// Whether systemd-boot counted this start (`LoaderBootCountPath`), be it blessed by now or not.
    pub counted: bool,
    /// The UKI that systemd-boot chose, by its name at that time (`LoaderEntrySelected`).
    pub selected: Option<String>,
    /// The UKI that `loader.conf` names as the default, after a roll-back.
    pub pinned: Option<String>,
    /// A and B.
    pub slots: [SlotStatus; 2],
}

/// A slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SlotStatus {
    /// Which.
    pub slot: SlotName,
    /// What starts it; none where it is empty, or half written.
    pub entry: Option<EntryStatus>,
}

/// A UKI and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EntryStatus {
    /// Its file's name.
    pub file: String,
    /// Its version.
    pub version: Version,
    /// Its security version.
    pub security_version: SecurityVersion,
    /// None once it is blessed.
    pub tries: Option<Tries>,
}

impl<D: Disk, E: Esp> Updater<D, E> {
    /// Looks, also while somebody else updates.
    ///
    /// # Errors
    ///
    /// [`UpdateError::Table`] and others where this is no box, and [`UpdateError::Io`].
    pub fn status(&mut self) -> Result<Status, UpdateError> {
        let slots = Slots::read(&mut self.disk, &self.running.root_hash)?;
        let ukis = ukis::read(&self.esp)?;
        let running = slots.running.name;
        let mut slots = [slots.running, slots.other].map(|slot| status_of(&slot, &ukis));
        slots.sort_unstable_by_key(|slot| slot.slot == SlotName::B);
        Ok(Status {
            running,
            version: self.running.version.clone(),
            security_version: self.running.security_version,
            counted: efivars::read(&self.efivars, BOOT_COUNT_PATH)?.is_some(),
            selected: efivars::read(&self.efivars, ENTRY_SELECTED)?,
            pinned: self.pinned()?,
            slots,
        })
    }
}

fn status_of(slot: &Slot, ukis: &[UkiFile]) -> SlotStatus {
    let entry = ukis.iter().find(|file| slot.is(&file.uki.root_hash)).map(|found| EntryStatus {
        file: found.file.clone(),
        version: found.uki.version.clone(),
        security_version: found.uki.security_version,
        tries: found.name.tries,
    });
    SlotStatus { slot: slot.name, entry }
}
