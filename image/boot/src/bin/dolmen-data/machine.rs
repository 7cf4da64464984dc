//! What there is to decide upon, and what can be done.

use anyhow::Result;
use dolmen_image_boot::{luks::Contents, tpm::SecurityVersion};
use zeroize::Zeroizing;

use crate::recovery_key::RecoveryKey;

/// The label of LUKS2 that is being made.
pub(crate) const LABEL_NEW: &str = "dolmen-new";
/// The label of LUKS2 that is complete.
pub(crate) const LABEL_MADE: &str = "dolmen-data";

/// The key that a volume is made with, and that nothing is left of when it is made.
pub(crate) type VolumeKey = Zeroizing<[u8; 32]>;

/// The image that runs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// What the version floor is compared with.
    pub(crate) security_version: SecurityVersion,
    /// Whether systemd-boot goes back to another image, should this one not come up.
    pub(crate) on_trial: bool,
}

/// How far the data partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing is on it.
    Empty,
    /// Its data were being made when the power failed. Nobody has put anything in yet.
    Unfinished,
    /// It is LUKS2, and somebody's data may be in it.
    Made,
    /// It holds something else.
    Foreign,
}

impl State {
    /// Of what is found on it, and whether there is a mark that says that LUKS2 is being written. A header is not
    /// written at once, so that half of one would be taken for something foreign, and no box would ever come up again.
    pub(crate) fn of(contents: &Contents, marked: bool) -> Self {
        match contents {
            Contents::Luks2 { label } if label == LABEL_NEW => Self::Unfinished,
            // Also under another label: whoever gave it that can open it. The mark counts for nothing any more.
            Contents::Luks2 { .. } => Self::Made,
            Contents::Empty | Contents::Other if marked => Self::Unfinished,
            Contents::Empty => Self::Empty,
            Contents::Other => Self::Foreign,
        }
    }
}

/// What people are told.
#[derive(Debug)]
pub(crate) enum News<'a> {
    /// The data have been made.
    Created,
    /// The TPM or a recovery key has opened them.
    Unlocked,
    /// They are not opened, and why.
    Refused(String),
    /// The key that was made with the data. It is never shown again.
    RecoveryKey(&'a RecoveryKey),
    /// All is where it should be.
    Ready,
    /// Something that should not be, and does not keep the box from coming up.
    Warning(String),
}

/// A machine with a TPM, a disk with a data partition, and people before it. Every step may fail, and the power may fail
/// during each: what it does must have been done, or not, when the machine starts again, or be told by [`state`].
///
/// [`state`]: Machine::state
pub(crate) trait Machine {
    /// The lowest version that may open the data. An error also if there is no TPM.
    fn floor(&mut self) -> Result<Option<SecurityVersion>>;
    /// Has the partition reach to the disk's end, and repairs the partition table.
    fn grow_partition(&mut self) -> Result<()>;
    /// How far the partition is.
    fn state(&mut self) -> Result<State>;

    /// Makes LUKS2 that this key opens, with [`LABEL_NEW`]. Whatever was on the partition is lost.
    fn format(&mut self, key: &VolumeKey) -> Result<()>;
    /// Has the TPM open it from now on. Takes a key that opens it. Where another TPM did before under the same policy,
    /// this does nothing: have that one forgotten first.
    fn enrol_tpm(&mut self, key: &[u8]) -> Result<()>;
    /// Has no TPM open it any more. The recovery key still does.
    fn forget_tpm(&mut self) -> Result<()>;
    /// Makes a recovery key, and takes the key away that the volume was made with.
    fn enrol_recovery_key(&mut self, key: &VolumeKey) -> Result<RecoveryKey>;
    /// Opens it.
    fn unlock_by_tpm(&mut self) -> Result<()>;
    /// Opens it, or says that this is not its key.
    fn unlock_by_key(&mut self, key: &RecoveryKey) -> Result<bool>;
    /// Gives it [`LABEL_MADE`].
    fn label_made(&mut self) -> Result<()>;

    /// Makes a file system on what is open.
    fn make_file_system(&mut self) -> Result<()>;
    /// Checks the file system, and repairs what can be.
    fn check_file_system(&mut self) -> Result<()>;
    /// Mounts it.
    fn mount(&mut self) -> Result<()>;
    /// Has it reach to the end of its partition.
    fn grow_file_system(&mut self) -> Result<()>;
    /// Makes directories, shows them where programs look for them, and writes all to the disk.
    fn furnish(&mut self) -> Result<()>;

    /// Tells people.
    fn tell(&mut self, news: &News<'_>);
    /// Asks people for the recovery key. Nothing if nobody is there; [`None`] in it if what they typed is none.
    fn ask(&mut self, try_number: u32, tries: u32) -> Option<Option<RecoveryKey>>;
}
