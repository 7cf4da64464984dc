//! Partitions of a disk, and the slot in which a root file system is.

use std::path::PathBuf;

use dolmen_image_disk::{
    gpt::{Found, Gpt, GptError, Partition, Uuid},
    verity::RootHash,
};

use super::{BlockDevices, Disk};

/// Why a disk's partitions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PartitionsError {
    /// The disk cannot be opened.
    #[error("cannot open the disk {disk}")]
    Open {
        /// Which.
        disk: PathBuf,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The disk has no table, or not this partition.
    #[error("the disk {disk} has no such partitions as an image makes")]
    Table {
        /// Which.
        disk: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<GptError>,
    },
}

/// A disk with its partition table.
#[derive(Debug)]
pub struct Partitions {
    /// The disk.
    pub disk: Disk,
    /// Its table, with the disk's size and whatever is damaged.
    pub found: Found,
}

/// The pair of partitions that a root hash vouches for.
#[derive(Debug)]
pub struct Slot {
    /// The disk that they are on.
    pub on: Partitions,
    /// The device with the root file system.
    pub root: PathBuf,
    /// The device with its hash tree.
    pub hashes: PathBuf,
}

impl Partitions {
    /// Reads a disk's table.
    ///
    /// # Errors
    ///
    /// [`PartitionsError`].
    pub fn read(disk: Disk) -> Result<Self, PartitionsError> {
        let open = |source| PartitionsError::Open { disk: disk.path.clone(), source };
        let table = |source: GptError| PartitionsError::Table { disk: disk.path.clone(), source: source.into() };
        let block_size = disk.block_size().map_err(table)?;
        let found = Gpt::read(&mut disk.open().map_err(open)?, block_size).map_err(table)?;
        Ok(Self { disk, found })
    }

    /// The device of the only partition with this name, and its entry.
    ///
    /// # Errors
    ///
    /// [`PartitionsError::Table`] if there is none, or more than one.
    pub fn named(&self, name: &str) -> Result<(PathBuf, &Partition), PartitionsError> {
        let table = |source: GptError| PartitionsError::Table { disk: self.disk.path.clone(), source: source.into() };
        self.found.table.by_name(name).map(|found| (self.disk.partition(found.number), found)).map_err(table)
    }

    /// The device of the partition with this unique GUID.
    #[must_use]
    pub fn by_guid(&self, guid: Uuid) -> Option<PathBuf> {
        self.found.table.by_guid(guid).map(|partition| self.disk.partition(partition.number))
    }
}

impl Slot {
    /// Looks for the slot whose partitions have the halves of this root hash as their unique GUIDs, on all disks that
    /// are there, with devices for both.
    ///
    /// Who copied a whole disk has two. `booted_from`, the unique GUID of the partition that systemd-boot was started
    /// from, says which; without it, or if neither has that partition, the first by name that is not connected by USB
    /// is taken, since that is how an appliance's own disk is not.
    #[must_use]
    pub fn find(devices: &BlockDevices, hash: &RootHash, booted_from: Option<Uuid>) -> Option<Self> {
        let slot = |disk| {
            let on = Partitions::read(disk).ok()?;
            let (root, hashes) = (on.by_guid(hash.root_guid())?, on.by_guid(hash.verity_guid())?);
            (root.exists() && hashes.exists()).then_some(Self { on, root, hashes })
        };
        let slots = devices.disks().ok()?.into_iter().filter_map(slot);
        let booted = |slot: &Self| booted_from.is_some_and(|guid| slot.on.by_guid(guid).is_some());
        // The first of several that are equal.
        slots.min_by_key(|slot| (!booted(slot), slot.on.disk.usb))
    }
}
