//! An image from end to end.
//!
//! ```text
//! packages -> root -> what no box needs goes, ours is laid over -> erofs -> hash tree -> root hash
//! root hash, kernel, initrd -> UKI -> signed, measured -> EFI System partition
//! all of it -> dolmen.img; manifest, signed -> bundle; bill of materials
//! ```
//!
//! Each step has what the one before it made, so that none can be left out.

use std::{io::BufReader, path::PathBuf};

use dolmen_image_bundle::{SecurityVersion, SignedManifest, Version};
use dolmen_image_disk::verity::{self, BLOCK_BYTES, RootHash, Salt, Superblock, VerityError};
use dolmen_image_uki::measure::MeasureError;

use crate::{
    boot::{self, BootError, Ingredients},
    erofs::{self, ErofsError},
    file::{self, FileError},
    identity,
    initrd::{Initrd, InitrdError},
    kernel::KernelError,
    limits::ROOT_BYTES_AIM,
    materials::Materials,
    programs::{self, Early, ProgramsError},
    progress::{Progress, megabytes},
    result::{DISK, Parts, ResultError, SBOM, bundle_name},
    root::{self, RootError},
    sbom::{self, CratesError, Sbom},
    system::{self, OsRelease, OsReleaseError, Package, Programs, SystemError},
    tree::{Tree, TreeError},
};

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Debian's root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Our programs.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The version.
    #[error(transparent)]
    OsRelease(#[from] OsReleaseError),
    /// What is taken out and laid over.
    #[error(transparent)]
    System(#[from] SystemError),
    /// Files in the root.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Its file system.
    #[error(transparent)]
    Erofs(#[from] ErofsError),
    /// Its hash tree.
    #[error("cannot make the hash tree of the root")]
    Verity(#[from] VerityError),
    /// Kernel modules.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The initrd.
    #[error(transparent)]
    Initrd(#[from] InitrdError),
    /// Boot files.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// Who put the certificates into the firmware.
    #[error("boot.owner of the recipe is no GUID")]
    Owner(#[source] MeasureError),
    /// Disk and bundle.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// Crates.
    #[error(transparent)]
    Crates(#[from] CratesError),
    /// Files of this machine.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is to be built.
#[derive(Clone, Debug)]
pub struct Request {
    /// The image's version.
    pub version: Version,
    /// Its security version.
    pub security_version: SecurityVersion,
    /// The time of all files.
    pub seconds: u64,
    /// The node.
    pub dolmen: PathBuf,
    /// The first process of a box; none to build it.
    pub initrd: Option<PathBuf>,
    /// What opens its data partition; none to build it.
    pub data: Option<PathBuf>,
    /// The checkout of which the programs are.
    pub workspace: PathBuf,
    /// Files that are laid over the root.
    pub overlay: PathBuf,
    /// Where roots are kept.
    pub cache: PathBuf,
    /// Where the result goes.
    pub out: PathBuf,
}

/// The root as a file system.
struct Root {
    erofs: PathBuf,
    verity: PathBuf,
    hash: RootHash,
    packages: Vec<Package>,
}

/// Builds all of a result but the stick's.
///
/// # Errors
///
/// [`ImageError`] says which step failed, why, and what to do.
pub fn build(request: &Request, materials: &Materials, progress: &Progress) -> Result<SignedManifest, ImageError> {
    let Request { version, security_version, seconds, out, .. } = request;
    file::create_folder(out)?;
    let os_release = OsRelease::new(&materials.recipe.title, version, *security_version)?;
    let root = build_root(request, materials, &os_release, progress)?;
    let (loader, uki) = build_boot(request, materials, &os_release, &root.hash, progress)?;
    let parts = Parts {
        version,
        security_version: *security_version,
        seconds: *seconds,
        loader: &loader,
        uki: &uki,
        root: &root.erofs,
        verity: &root.verity,
        root_hash: &root.hash,
        disk_mib: materials.recipe.disk.image_mib,
        owner: materials.recipe.boot.owner.parse().map_err(ImageError::Owner)?,
    };
    let signed = parts.write(&materials.keys, out)?;
    progress.note(&format!("{DISK}: {} MiB, most of it empty", parts.disk_mib));
    progress.note(&format!("{}: {}", bundle_name(version), megabytes(signed.bundle_bytes())));
    let sbom = build_sbom(request, materials, &root)?;
    file::write(&out.join(SBOM), &sbom.json())?;
    progress.note(&format!("{SBOM}: {} packages and crates", sbom.len()));
    Ok(signed)
}

fn build_root(
    request: &Request,
    materials: &Materials,
    os_release: &OsRelease,
    progress: &Progress,
) -> Result<Root, ImageError> {
    let Materials { recipe, lock, debs, tools, kernel, .. } = materials;
    let work = materials.work.path();
    let archive = root::root(lock, recipe.epoch, debs, &request.cache, progress)?;
    let dolmen = programs::strip(&request.dolmen, work)?;
    let dolmen_data = Early::Data.get(request.data.as_deref(), &request.workspace, progress)?;
    let mut tree = Tree::default();
    tree.read_tar(&archive)?;
    let programs = Programs { dolmen, dolmen_data };
    let (overlay, keys) = (&request.overlay, &materials.keys);
    let mut packages = system::assemble(&mut tree, recipe, overlay, kernel, &programs, os_release, keys)?;
    packages.extend(materials.unpacked.iter().cloned());
    let (erofs, verity) = (work.join("root.erofs"), work.join("root.verity"));
    let id = identity::uuid("root", format!("{}{}", lock.text(), os_release.text()).as_bytes());
    progress.note(&format!("compressing {} of files", megabytes(tree.bytes())));
    erofs::make(&tree, &erofs, id, request.seconds, tools)?;
    let bytes = file::length(&erofs)?;
    progress.note(&format!("root.erofs: {}", megabytes(bytes)));
    if bytes > ROOT_BYTES_AIM {
        progress.note(&format!("warning: that is more than the {} that it should have", megabytes(ROOT_BYTES_AIM)));
    }
    let salt = Salt::new(identity::uuid("salt", id.as_bytes()).as_bytes())?;
    let data_blocks = bytes / BLOCK_BYTES as u64;
    let superblock = Superblock { uuid: identity::uuid("verity", id.as_bytes()), data_blocks, salt };
    let mut hashes = file::create(&verity)?;
    let hash = verity::format(&mut BufReader::new(file::open(&erofs)?), &mut hashes, &superblock, &mut |_| {})?;
    progress.note(&format!("root hash {hash}"));
    Ok(Root { erofs, verity, hash, packages })
}

/// systemd-boot and the UKI, signed.
fn build_boot(
    request: &Request,
    materials: &Materials,
    os_release: &OsRelease,
    root_hash: &RootHash,
    progress: &Progress,
) -> Result<(Vec<u8>, Vec<u8>), ImageError> {
    let Materials { recipe, keys, tools, kernel, stub, .. } = materials;
    let init = Early::Initrd.get(request.initrd.as_deref(), &request.workspace, progress)?;
    let modules = kernel.load(&recipe.boot.modules, tools)?;
    let os_release = os_release.text();
    let initrd = Initrd { init: &file::read(&init)?, modules: &modules, os_release: &os_release, files: &[] };
    let initrd = initrd.assemble(request.seconds)?;
    let command_line = format!("roothash={root_hash} {}", recipe.boot.command_line);
    let command_line = command_line.as_str();
    let (linux, uname) = (kernel.image(), kernel.release());
    let ingredients = Ingredients { stub, linux, uname, initrd: &initrd, command_line, os_release: &os_release };
    let uki = ingredients.sign_uki(keys, request.seconds, true)?;
    let sizes = (megabytes(uki.len() as u64), modules.len(), megabytes(initrd.len() as u64));
    progress.note(&format!("uki.efi: {}, with {} modules in an initrd of {}", sizes.0, sizes.1, sizes.2));
    Ok((boot::sign("systemd-boot", &materials.loader, keys, request.seconds)?, uki))
}

fn build_sbom(request: &Request, materials: &Materials, root: &Root) -> Result<Sbom, ImageError> {
    let crates = sbom::crates(&request.workspace, &sbom::PROGRAMS)?;
    let (version, locked) = (&request.version, materials.lock.files());
    Ok(Sbom::new(version, request.seconds, root.hash.as_bytes(), &root.packages, &locked, &crates))
}
