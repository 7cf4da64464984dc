//! What the box can show of its boot: the logs of what was measured, and which image it says it is.

use std::{fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, ensure};
use dolmen_image_boot::os_release::OsRelease;
use dolmen_image_bundle::Hash;
use dolmen_provisioning_appraisal::{Bytes, Claim, Logs};

use super::Provisioning;

/// Bytes of a text about the image.
const TEXT_BYTES_MAX: u64 = 64 << 10;

/// Where it stands.
pub(crate) struct Evidence(Provisioning);

impl Evidence {
    pub(crate) fn new(settings: &Provisioning) -> Self {
        Self(settings.clone())
    }

    /// Reads it all: the logs grow while the system runs.
    pub(crate) fn read(&self) -> anyhow::Result<(Logs, Claim)> {
        let Provisioning { firmware_log, userspace_log, os_release, command_line, .. } = &self.0;
        let firmware = log(firmware_log)?.with_context(|| {
            format!(
                "there is no log of the firmware, {}; the kernel has one where the firmware has a TPM",
                firmware_log.display()
            )
        })?;
        let logs = Logs { firmware, userspace: log(userspace_log)? };
        let release = OsRelease::read(os_release).with_context(|| format!("cannot read {}", os_release.display()))?;
        let version = release.version();
        let version = version.with_context(|| format!("{} names no version of an image", os_release.display()))?;
        let root_hash = text(command_line)?;
        let root_hash = root_hash.split_ascii_whitespace().find_map(|word| word.strip_prefix("roothash="));
        let root_hash =
            root_hash.context("the kernel's command line has no roothash: this is not the image of a box")?;
        let claim =
            Claim { version: version.parse()?, root_hash: root_hash.parse::<Hash>().map_err(anyhow::Error::msg)? };
        Ok((logs, claim))
    }
}

/// A log, if it is there.
fn log<const MAX: usize>(path: &Path) -> anyhow::Result<Option<Bytes<MAX>>> {
    let Some(bytes) = read(path, MAX as u64)? else { return Ok(None) };
    Ok(Some(Bytes::new(bytes).with_context(|| format!("{} is longer than any log of a boot", path.display()))?))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = read(path, TEXT_BYTES_MAX)?.with_context(|| format!("there is no {}", path.display()))?;
    ensure!(bytes.len() as u64 <= TEXT_BYTES_MAX, "{} is too long", path.display());
    String::from_utf8(bytes).with_context(|| format!("{} is no text", path.display()))
}

/// A file, or one byte more than so many of it.
fn read(path: &Path, bytes_max: u64) -> anyhow::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(bytes))
}
