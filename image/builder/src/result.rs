//! A result: the disk of a box, the same as a signed bundle, and the manifest beside it.

use std::{
    io::{BufReader, Read},
    path::Path,
};

use dolmen_image_bundle::{
    BundleError, Manifest, PART_NAMES, Part, SecurityVersion, SignedManifest, Version, write as write_bundle,
};
use dolmen_image_disk::verity::RootHash;
use dolmen_image_installer::boot_files::{BOOT_LOADER, LOADER_CONF, LOADER_CONF_TEXT, uki_path};
use dolmen_image_uki::measure::Guid;

use crate::{
    boot::{self, BootError},
    disk::{BoxDisk, DiskError},
    file::{self, FileError},
    keys::Keys,
};

/// The disk of a box.
pub const DISK: &str = "dolmen.img";
/// The disk of a stick.
pub const STICK: &str = "dolmen-usb.img";
/// What says what an image is.
pub const MANIFEST: &str = "manifest.json";
/// Its signature.
pub const SIGNATURE: &str = "manifest.json.sig";
/// What it consists of.
pub const SBOM: &str = "sbom.json";

/// The image in one file.
#[must_use]
pub fn bundle_name(version: &Version) -> String {
    format!("dolmen-{version}.bundle")
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// What boot files leave in a TPM.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Manifest and bundle.
    #[error("cannot make the bundle")]
    Bundle(#[from] BundleError),
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a result is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The image's version.
    pub version: &'a Version,
    /// Its security version.
    pub security_version: SecurityVersion,
    /// When it was made.
    pub seconds: u64,
    /// systemd-boot, signed.
    pub loader: &'a [u8],
    /// The UKI, signed.
    pub uki: &'a [u8],
    /// The root's file system.
    pub root: &'a Path,
    /// Its hash tree.
    pub verity: &'a Path,
    /// What vouches for it.
    pub root_hash: &'a RootHash,
    /// MiB of the disk.
    pub disk_mib: u64,
    /// Who has put the certificates of Secure Boot into the firmware.
    pub owner: Guid,
}

impl Parts<'_> {
    /// Writes disk, bundle, manifest and its signature into the folder `out`. Each has its name once it is whole.
    ///
    /// # Errors
    ///
    /// [`ResultError`].
    pub fn write(&self, keys: &Keys, out: &Path) -> Result<SignedManifest, ResultError> {
        let Self { version, loader, uki, root, verity, root_hash, disk_mib, .. } = *self;
        let name = uki_path(version);
        let files = [(BOOT_LOADER, loader), (name.as_str(), uki), (LOADER_CONF, LOADER_CONF_TEXT.as_bytes())];
        BoxDisk { mib: disk_mib, files: &files, root, verity, root_hash }.write(&out.join(DISK))?;
        let signed = SignedManifest::sign(self.manifest(keys)?, &keys.release_key)?;
        let bundle = out.join(bundle_name(version));
        let mut target = file::create(&file::partial(&bundle))?;
        let (mut verity, mut root) = (file::open(verity)?, file::open(root)?);
        write_bundle(&mut target, &signed, [&mut &*loader, &mut &*uki, &mut verity, &mut root])?;
        file::rename(&file::partial(&bundle), &bundle)?;
        file::write(&out.join(MANIFEST), signed.json())?;
        file::write(&out.join(SIGNATURE), signed.signature())?;
        Ok(signed)
    }

    fn manifest(&self, keys: &Keys) -> Result<Manifest, ResultError> {
        let [loader, uki, verity, root] = PART_NAMES;
        let part =
            |name, content: &mut dyn Read, path: &Path| Part::of(name, content).map_err(file::failed("read", path));
        let file = |name, path: &Path| part(name, &mut BufReader::new(file::open(path)?), path);
        let memory = |name, mut bytes: &[u8]| part(name, &mut bytes, Path::new("a boot file"));
        Ok(Manifest {
            version: self.version.clone(),
            security_version: self.security_version,
            created: self.seconds,
            release_key: keys.release.fingerprint(),
            test_keys: keys.test,
            root_hash: *self.root_hash,
            parts: [
                memory(loader, self.loader)?,
                memory(uki, self.uki)?,
                file(verity, self.verity)?,
                file(root, self.root)?,
            ],
            measurements: boot::predict(self.loader, self.uki, keys, &self.owner)?,
        })
    }
}
