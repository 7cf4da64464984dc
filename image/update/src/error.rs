//! Why a box is not updated.

use std::io;

use dolmen_image_bundle::{BundleError, SecurityVersion};
use dolmen_image_disk::{
    gpt::GptError,
    verity::{RootHash, VerityError},
};
use dolmen_image_uki::pe::PeError;
use semver::Version;

use crate::{FloorError, SlotName};

/// Why nothing, or not all, was done. What is running stays, whatever it is.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// Something of the system.
    #[error("cannot {operation}; look for errors of the disk in the kernel's log, and try again")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Another program of ours is at work.
    #[error("another update, roll-back or blessing is at work on this disk; wait until it has ended")]
    Locked,
    /// The TPM.
    #[error("cannot {operation}; look whether the box's TPM works")]
    Floor {
        /// What was being done.
        operation: &'static str,
        /// The TPM's error.
        #[source]
        source: FloorError,
    },
    /// A variable that systemd-boot did not write so.
    #[error("the firmware's variable {name} is no text; start the box again")]
    Variable {
        /// Its name.
        name: &'static str,
    },

    /// The bundle is wrong.
    #[error("the update is not taken; the cause says what to do")]
    Bundle(#[from] BundleError),
    /// The bundle changed while it was read.
    #[error("the bundle was changed while it was read; put it there anew, and begin again when it is complete")]
    BundleChanged,
    /// Older, or the same.
    #[error("version {found} is not newer than {running}, which is running; to go back, use `dolmen update rollback`")]
    NotNewer {
        /// The bundle's.
        found: Version,
        /// What is running.
        running: Version,
    },
    /// A release with known holes.
    #[error(
        "{what} has the security version {found}, and this box opens its data to {floor} and above; take an image with \
         security version {floor} or above"
    )]
    SecurityVersion {
        /// Of what.
        what: &'static str,
        /// Its security version.
        found: SecurityVersion,
        /// The running one's, or the TPM's floor.
        floor: SecurityVersion,
    },
    /// The image is running already, under another version.
    #[error("the update has the root file system that is running; build an image with another one")]
    SameRoot,
    /// A UKI for something else than its manifest says.
    #[error("the update's UKI says {uki} as its {what}, its manifest {manifest}; build the image anew")]
    UkiDiffers {
        /// What they say.
        what: &'static str,
        /// By the UKI.
        uki: String,
        /// By the manifest.
        manifest: String,
    },
    /// No UKI.
    #[error("the UKI cannot be read; build the image anew")]
    Uki(#[source] PeError),
    /// Something that an image has to say, and does not, or says twice or wrongly.
    #[error("{of} has no proper {missing}; build the image anew")]
    Release {
        /// What was looked at.
        of: &'static str,
        /// What is not there.
        missing: &'static str,
    },

    /// No table, or not ours.
    #[error("the disk has not the partitions of a box; give the disk that it was started from")]
    Table(#[source] GptError),
    /// The table could not be written.
    #[error("the new slot could not be named in the partition table; what was running still is: try again")]
    WriteTable(#[source] GptError),
    /// A partition with the right name and another purpose.
    #[error(
        "the partition {name} is of another type than a slot's; install the box anew from a stick, keeping its data"
    )]
    SlotType {
        /// Its name.
        name: String,
    },
    /// What is running is not on this disk.
    #[error(
        "no slot of this disk has the root hash {0}, which is running; give the disk that the box was started from"
    )]
    NoRunningSlot(RootHash),
    /// Too large.
    #[error("{part} has {bytes} bytes, and the partition of slot {slot} has room for {room}; install from a stick")]
    SlotTooSmall {
        /// Which part.
        part: &'static str,
        /// Its size.
        bytes: u64,
        /// Which slot.
        slot: SlotName,
        /// The partition's size.
        room: u64,
    },
    /// Nobody knows which file is not to be touched.
    #[error("the ESP has no UKI that can be read with the root hash {0}, which is running; look whether it is mounted")]
    NoRunningUki(RootHash),
    /// Far more than two.
    #[error("there are {0} UKIs on the ESP, two at most are ours; remove the others")]
    Entries(usize),
    /// What is running may be no good, and the other slot has what is.
    #[error("what is running is still on trial, and the other slot is the way back; wait until it is blessed")]
    OnTrial,
    /// No room.
    #[error("there is no room on the ESP; remove from it what is not Dolmen's, and try again")]
    EspFull(#[source] io::Error),
    /// Not what was written.
    #[error("what was written to slot {slot} is not what is read back; the disk is failing: replace it")]
    ReadBack {
        /// Which slot.
        slot: SlotName,
        /// What is wrong.
        #[source]
        source: VerityError,
    },
    /// Likewise, on the ESP.
    #[error("what was written to {0} on the ESP is not what is read back; the disk is failing: replace it")]
    EspReadBack(String),

    /// There is only one.
    #[error("slot {0} has no version that could be started; nothing to go back to")]
    NothingThere(SlotName),
    /// It was tried.
    #[error("{0} did not come up when it was tried, or never was; update to a version that does")]
    NeverGood(String),
    /// It is no longer what it was.
    #[error("slot {slot} is damaged; it cannot be started, update the box instead")]
    Damaged {
        /// Which slot.
        slot: SlotName,
        /// What is wrong.
        #[source]
        source: VerityError,
    },
}

impl UpdateError {
    pub(crate) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// Of reading a bundle, or of what was done with what was read.
    pub(crate) fn reading(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| match error.downcast::<BundleError>() {
            Ok(error) => Self::Bundle(error),
            Err(source) => Self::Io { operation, source },
        }
    }
}
