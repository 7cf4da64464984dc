//! Updates a running box.
//!
//! A box's disk has two slots, each with a root file system and its hash tree. One is running; the other has the version
//! before, or the next one. Each has a UKI in the ESP's `EFI/Linux`, and the root hash on the UKI's command line says
//! which belongs to which: names are for people and for systemd-boot.
//!
//! [`Updater::apply`] goes one way:
//!
//! 1. look: the bundle's signature, all of its parts, versions, the table, the ESP. Nothing is changed yet.
//! 2. clear: take the other slot's UKI away, so that nobody starts what is about to be overwritten, and the line of a
//!    roll-back in `loader.conf`.
//! 3. stage: boot loader and UKI onto the ESP, under names that nobody starts.
//! 4. fill: hash tree and root file system into the other slot, sync, and read them back.
//! 5. name: the slot's partitions get the GUIDs by which the root hash finds them.
//! 6. switch: the boot loader, if it is another, and then the UKI get their names, the UKI with three tries.
//!
//! Every step is on the disk before the next one begins. Until the last rename the box starts what is running now, and
//! nothing of that, neither its slot nor its UKI, is ever written to. Killed anywhere, the next run begins anew.
//!
//! systemd-boot takes one try off at every start ("Automatic Boot Assessment"). An image that comes up is blessed
//! ([`Updater::bless`]): its counter goes, and the TPM's floor rises to its security version, below which no image opens
//! this box's data. One that does not come up three times is passed over, and the version before starts again.
//! [`Updater::rollback`] goes back, or forth, by hand.

mod apply;
mod bless;
mod disk;
mod efivars;
mod entry;
mod error;
mod esp;
mod floor;
mod limits;
mod loader_conf;
mod plan;
mod region;
mod release;
mod rollback;
mod slots;
mod status;
mod ukis;
mod updater;

pub use bless::Blessed;
pub use disk::Disk;
pub use entry::{EntryName, Tries};
pub use error::UpdateError;
pub use esp::{Esp, EspFolder};
pub use floor::{Floor, FloorError};
pub use release::Running;
pub use slots::SlotName;
pub use status::{EntryStatus, SlotStatus, Status};
pub use updater::{Paths, Updater};
