//! What a bundle consists of.

use std::{
    fmt,
    io::{self, Read},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    BundleError, Hash,
    limits::{BOOT_BYTES_MAX, ROOT_BYTES_MAX, UKI_BYTES_MAX, VERITY_BYTES_MAX},
};

/// All parts, in the order that they have in a manifest and in a bundle.
pub const PART_NAMES: [PartName; 4] = [PartName::Boot, PartName::Uki, PartName::Verity, PartName::Root];

/// Which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartName {
    /// systemd-boot, signed for Secure Boot.
    #[serde(rename = "boot.efi")]
    Boot,
    /// Kernel, command line and first file system, signed for Secure Boot.
    #[serde(rename = "uki.efi")]
    Uki,
    /// The hash tree of the root file system, with its superblock.
    #[serde(rename = "root.verity")]
    Verity,
    /// The root file system.
    #[serde(rename = "root.erofs")]
    Root,
}

impl PartName {
    /// As manifests have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Boot => "boot.efi",
            Self::Uki => "uki.efi",
            Self::Verity => "root.verity",
            Self::Root => "root.erofs",
        }
    }

    /// Bytes that such a part has at most.
    pub(crate) const fn bytes_max(self) -> u64 {
        match self {
            Self::Boot => BOOT_BYTES_MAX,
            Self::Uki => UKI_BYTES_MAX,
            Self::Verity => VERITY_BYTES_MAX,
            Self::Root => ROOT_BYTES_MAX,
        }
    }

    /// Its place among [`PART_NAMES`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Boot => 0,
            Self::Uki => 1,
            Self::Verity => 2,
            Self::Root => 3,
        }
    }
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a manifest says of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which one.
    pub name: PartName,
    /// How many bytes it has.
    pub bytes: u64,
    /// Of these bytes.
    pub sha256: Hash,
}

impl Part {
    /// Of what there is to read.
    ///
    /// # Errors
    ///
    /// The reader's.
    pub fn of(name: PartName, mut content: impl Read) -> io::Result<Self> {
        let mut sink = HashingSink { hasher: Sha256::new(), bytes: 0 };
        io::copy(&mut content, &mut sink)?;
        Ok(Self { name, bytes: sink.bytes, sha256: Hash::from_bytes(sink.hasher.finalize().into()) })
    }

    pub(crate) fn check_bytes(&self) -> Result<(), BundleError> {
        let limit = self.name.bytes_max();
        if self.bytes == 0 || self.bytes > limit {
            return Err(BundleError::PartBytes { name: self.name, found: self.bytes, limit });
        }
        Ok(())
    }
}

struct HashingSink {
    hasher: Sha256,
    bytes: u64,
}

impl io::Write for HashingSink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.hasher.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
