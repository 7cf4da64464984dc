//! What a box prints on its consoles while it starts.

use dolmen_image_vmtest::{Found, Pattern, Running, VmError};

/// The first process of a box found no root that it may start, and starts the machine again.
pub(crate) const CANNOT_START: &str = "dolmen: cannot start: ";
/// The data partition was made.
pub(crate) const CREATED: &str = "dolmen: data created";
/// It was opened.
pub(crate) const UNLOCKED: &str = "dolmen: data unlocked";
/// It was not.
pub(crate) const REFUSED: &str = "dolmen: data refused: ";
/// It is there, and systemd starts.
pub(crate) const READY: &str = "dolmen: data ready";
/// Somebody is asked for the recovery key.
pub(crate) const ASKED: &str = "Recovery key (try ";

/// The recovery key: eight groups of eight letters that are the same on most keyboards (systemd-cryptenroll(1)).
pub(crate) fn recovery_key(running: &mut Running<'_>) -> Result<String, VmError> {
    let key = Pattern::regex("dolmen: recovery key: ((?:[cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8})$")?;
    Ok(running.wait_for(key)?.group(1).to_owned())
}

/// A root that its hash vouches for; the first eight digits of the hash.
pub(crate) fn verified_root(running: &mut Running<'_>) -> Result<String, VmError> {
    let root = Pattern::regex("dolmen: root verified ([0-9a-f]{8})$")?;
    Ok(running.wait_for(root)?.group(1).to_owned())
}

/// Whichever of the two comes first: the data was opened, or made.
pub(crate) fn opened(running: &mut Running<'_>) -> Result<Found, VmError> {
    running.wait_for(Pattern::regex("dolmen: data (unlocked|created)$")?)
}
