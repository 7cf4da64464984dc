//! What an installation does to a disk, decided before any of it is done.

use std::ops::Range;

use dolmen_image_bundle::{Manifest, PartName, SecurityVersion, answer::Action};
use dolmen_image_disk::gpt::{Gpt, GptError, Uuid};

use crate::{
    layout::{self, DATA, DATA_HEADER_BYTES, ESP, Guids},
    prior::{Content, Data, Foreign, Installed, Prior},
};

/// What can be done to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The image on a disk with nothing to lose.
    Install,
    /// The image anew, and the data as it is.
    ReimageKeep,
    /// The image anew, and nothing of what was there before, least of all the data's keys.
    ReimageWipe,
}

impl Change {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Install, Self::ReimageKeep, Self::ReimageWipe];

    /// As answer files have it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::ReimageKeep => "reimage-keep",
            Self::ReimageWipe => "reimage-wipe",
        }
    }

    /// The change that an action is, or none where it changes nothing.
    #[must_use]
    pub const fn of(action: Action) -> Option<Self> {
        match action {
            Action::Install => Some(Self::Install),
            Action::ReimageKeep => Some(Self::ReimageKeep),
            Action::ReimageWipe => Some(Self::ReimageWipe),
            Action::Verify | Action::Support => None,
        }
    }
}

/// A change of one disk.
///
/// Holding one says that the disk may be changed so, if it is still as it was found.
#[derive(Debug)]
pub struct Plan {
    /// What is done.
    pub change: Change,
    /// The table that the disk gets.
    pub table: Gpt,
    /// Boot sectors of the EFI system partitions that are there, which are made unusable before all else.
    pub old_boot_sectors: Vec<u64>,
    /// Where the new boot sector goes in the end. Until then it says that the disk is not whole.
    pub boot_sector: u64,
    /// LUKS volumes whose keys are destroyed. Only to wipe, where what is left of the old table goes too.
    pub erase: Vec<Range<u64>>,
    /// The beginning of the data partition that is zeroed, so that the box makes its data. None where it is kept.
    pub empty_data: Option<Range<u64>>,
}

/// Why a disk is left alone.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Data of a box.
    #[error(
        "the disk holds a box's data; choose to reimage and keep them, or to reimage and wipe them if nobody needs them \
         any more"
    )]
    HasData,
    /// Somebody else's.
    #[error("the disk is not empty: it has {0}; take another disk, or reimage and wipe if nobody needs what is there")]
    Foreign(Foreign),
    /// No data to keep.
    #[error("there are no data of a box to keep; the disk holds {0}; install instead, or take another disk")]
    NothingToKeep(String),
    /// A data partition that no box would use.
    #[error(
        "the data partition is not what a box makes (LUKS2); save what is in it if anybody needs it, then reimage and \
         wipe"
    )]
    OtherData,
    /// The partitions do not fit.
    #[error("the image's partitions do not fit this disk")]
    Layout(#[source] GptError),
    /// The image does not fit its slots.
    #[error(
        "{part} has {bytes} bytes and its partition {room}; the image needs a newer installer: make the stick anew"
    )]
    SlotBytes {
        /// The part.
        part: PartName,
        /// Bytes of it.
        bytes: u64,
        /// Bytes of its partition.
        room: u64,
    },
    /// The machine's TPM has seen newer images.
    #[error(
        "the image has security version {image}, and this machine's TPM takes none below {floor}: its data would stay \
         locked; make a stick with a newer image"
    )]
    SecurityVersion {
        /// The image's.
        image: SecurityVersion,
        /// The least that the TPM takes.
        floor: u8,
    },
}

/// Decides what a change does to a disk.
///
/// `floor` is the least security version that the machine's TPM takes, if it has one. `guids` gives new GUIDs.
///
/// # Errors
///
/// Any [`Refusal`].
pub fn plan(
    change: Change,
    prior: Prior,
    manifest: &Manifest,
    floor: Option<u8>,
    guids: &mut dyn FnMut() -> Uuid,
) -> Result<Plan, Refusal> {
    if let Some(floor) = floor.filter(|floor| manifest.security_version.get() < *floor) {
        return Err(Refusal::SecurityVersion { image: manifest.security_version, floor });
    }
    for (part, room) in [(PartName::Root, layout::ROOT_BYTES), (PartName::Verity, layout::VERITY_BYTES)] {
        let bytes = manifest.part(part).bytes;
        if bytes > room {
            return Err(Refusal::SlotBytes { part, bytes, room });
        }
    }
    let mut guids = Guids::from_source(guids);
    let table = match (change, prior.content) {
        (Change::ReimageKeep, Content::Dolmen(installed)) => keeping(prior.disk, manifest, &installed, &mut guids),
        (Change::ReimageKeep, other) => return Err(Refusal::NothingToKeep(other.to_string())),
        (Change::Install, Content::Dolmen(installed)) if installed.data != Data::Empty => return Err(Refusal::HasData),
        (Change::Install, Content::Foreign(foreign)) => return Err(Refusal::Foreign(foreign)),
        (Change::Install | Change::ReimageWipe, _) => {
            layout::table(prior.disk, &manifest.root_hash, &guids).map_err(Refusal::Layout)
        }
    }?;
    let (_, data) = layout::find(&table, DATA).map_err(Refusal::Layout)?;
    let (_, esp) = layout::find(&table, ESP).map_err(Refusal::Layout)?;
    Ok(Plan {
        change,
        old_boot_sectors: prior.boot_sectors,
        boot_sector: esp.start,
        erase: if change == Change::ReimageWipe { prior.encrypted } else { vec![] },
        empty_data: (change != Change::ReimageKeep).then(|| data.start..data.start + DATA_HEADER_BYTES),
        table,
    })
}

/// The image's table with the data where it is, and the EFI system partition as the firmware remembers it.
fn keeping(
    disk: dolmen_image_disk::gpt::Geometry,
    manifest: &Manifest,
    installed: &Installed,
    guids: &mut Guids,
) -> Result<Gpt, Refusal> {
    if installed.data == Data::Other {
        return Err(Refusal::OtherData);
    }
    let (esp, _) = layout::find(&installed.table, ESP).map_err(Refusal::Layout)?;
    guids.esp = esp.identity.guid;
    let image = layout::table(disk, &manifest.root_hash, guids).map_err(Refusal::Layout)?;
    image.keeping(DATA, &installed.table, disk).map_err(Refusal::Layout)
}
