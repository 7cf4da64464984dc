//! The UKIs on the ESP, and what they say.

use std::str;

use dolmen_image_bundle::SecurityVersion;
use dolmen_image_disk::verity::RootHash;
use dolmen_image_uki::pe::Image;
use semver::Version;

use crate::{
    Esp, UpdateError,
    entry::{EntryName, is_ours},
    limits::{ENTRIES_MAX, UKI_BYTES_MAX},
    release::{root_hash, security_version, version},
};

/// Where systemd-boot looks for them.
pub(crate) const FOLDER: &str = "EFI/Linux";
/// What is being written has this name, in every folder. It is none that anything starts.
pub(crate) const STAGED: &str = "dolmen.new";

/// What a UKI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Uki {
    /// On its command line.
    pub(crate) root_hash: RootHash,
    /// In its `os-release`.
    pub(crate) version: Version,
    /// Likewise.
    pub(crate) security_version: SecurityVersion,
}

impl Uki {
    /// Reads its sections. Nothing is said about who signed it: firmware asks that.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, UpdateError> {
        let image = Image::parse(bytes).map_err(UpdateError::Uki)?;
        let text = |name| {
            let data = image.section(name).map(|section| image.data(section))?;
            str::from_utf8(data).ok().map(|text| text.trim_end_matches('\0'))
        };
        let of = "the UKI";
        let missing = |missing| UpdateError::Release { of, missing };
        let os_release = text(".osrel").ok_or(missing(".osrel"))?;
        let cmdline = text(".cmdline").ok_or(missing(".cmdline"))?;
        Ok(Self {
            root_hash: root_hash(cmdline).ok_or(missing("roothash"))?,
            version: version(os_release).ok_or(missing("version"))?,
            security_version: security_version(os_release).ok_or(missing("security version"))?,
        })
    }
}

/// A UKI of ours on the ESP.
#[derive(Clone, Debug)]
pub(crate) struct UkiFile {
    /// Its name in the folder, as it is written there.
    pub(crate) file: String,
    /// The same, read.
    pub(crate) name: EntryName,
    pub(crate) uki: Uki,
}

impl UkiFile {
    pub(crate) fn path(&self) -> String {
        path(&self.file)
    }
}

/// A file in their folder.
pub(crate) fn path(file: &str) -> String {
    format!("{FOLDER}/{file}")
}

/// All of ours that are whole enough to say what they are. Others, on blocks that cannot be read too, are nobody's.
pub(crate) fn read(esp: &impl Esp) -> Result<Vec<UkiFile>, UpdateError> {
    let mut found = Vec::new();
    for file in ours(esp)? {
        let Some(name) = EntryName::parse(&file) else { continue };
        let Ok(bytes) = esp.read(&path(&file), UKI_BYTES_MAX) else { continue };
        if let Ok(uki) = Uki::parse(&bytes) {
            found.push(UkiFile { file, name, uki });
        }
    }
    Ok(found)
}

/// Names of all that are or were ours, damaged ones too.
pub(crate) fn ours(esp: &impl Esp) -> Result<Vec<String>, UpdateError> {
    let mut files = esp.list(FOLDER).map_err(UpdateError::io("look what is on the ESP"))?;
    files.retain(|file| is_ours(file));
    if files.len() > ENTRIES_MAX {
        return Err(UpdateError::Entries(files.len()));
    }
    Ok(files)
}
