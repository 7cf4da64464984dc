//! The stick that installs an image: a signed boot file with the installer in it, and the bundle.

use std::path::PathBuf;

use dolmen_image_bundle::{BundleError, SignedManifest};
use dolmen_image_installer::boot_files::BOOT_LOADER;

use crate::{
    boot::{BootError, Ingredients},
    disk::{DiskError, StickDisk},
    file::{self, FileError},
    initrd::{Initrd, InitrdError},
    kernel::KernelError,
    materials::Materials,
    programs::{Early, ProgramsError},
    progress::{Progress, megabytes},
    result::{STICK, bundle_name},
    system::{OsRelease, OsReleaseError},
};

/// The key that the installer takes bundles and answers of.
const RELEASE_KEY: &str = "release.pem";
/// The folder for what people put on a stick and take from it.
const FOLDER_NOTE: &str = "dolmen/README.TXT";
const NOTE: &str = "\
Files for and from the box, and no other place on this stick is yours.\r\n\
answer.toml and answer.toml.sig: what to do without asking.\r\n\
Logs and support bundles of the machines that started from this stick appear here.\r\n";

/// Why there is no stick.
#[derive(Debug, thiserror::Error)]
pub enum StickError {
    /// The installer.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The version.
    #[error(transparent)]
    OsRelease(#[from] OsReleaseError),
    /// Kernel modules.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The initrd.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// Its boot file.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Its partitions.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The image.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Request {
    /// The time of all files.
    pub seconds: u64,
    /// The installer; none to build it.
    pub installer: Option<PathBuf>,
    /// The checkout of which it is.
    pub workspace: PathBuf,
    /// The folder with the image, where the stick goes too.
    pub out: PathBuf,
}

/// Builds the stick of an image that is there.
///
/// # Errors
///
/// [`StickError`].
pub fn build(
    request: &Request,
    image: &SignedManifest,
    materials: &Materials,
    progress: &Progress,
) -> Result<(), StickError> {
    let Materials { recipe, keys, tools, kernel, stub, .. } = materials;
    let manifest = image.manifest();
    let init = Early::Installer.get(request.installer.as_deref(), &request.workspace, progress)?;
    let modules = kernel.load(&recipe.stick.modules, tools)?;
    let title = format!("{} installer", recipe.title);
    let os_release = OsRelease::new(&title, &manifest.version, manifest.security_version)?.text();
    let files = [(RELEASE_KEY, keys.release_pem.as_bytes())];
    let initrd = Initrd { init: &file::read(&init)?, modules: &modules, os_release: &os_release, files: &files };
    let initrd = initrd.assemble(request.seconds)?;
    let command_line = recipe.stick.command_line.as_str();
    let (linux, uname) = (kernel.image(), kernel.release());
    let ingredients = Ingredients { stub, linux, uname, initrd: &initrd, command_line, os_release: &os_release };
    // Nothing on a stick is to open a box's data.
    let uki = ingredients.sign_uki(keys, request.seconds, false)?;
    progress.note(&format!("installer.efi: {}", megabytes(uki.len() as u64)));
    let files = [(BOOT_LOADER, &uki[..]), (FOLDER_NOTE, NOTE.as_bytes())];
    let bundle = request.out.join(bundle_name(&manifest.version));
    let path = request.out.join(STICK);
    let esp_mib = recipe.stick.esp_mib;
    StickDisk { esp_mib, files: &files, bundle: &bundle, root_hash: &manifest.root_hash }.write(&path)?;
    progress.note(&format!("{STICK}: {}", megabytes(file::length(&path)?)));
    Ok(())
}
