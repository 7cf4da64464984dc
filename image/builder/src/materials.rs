//! All that an image and a stick are made of and that is not made here: the recipe, the locked packages, the keys.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{
    debs::{Debs, DebsError},
    file::{self, FileError},
    kernel::{Kernel, KernelError},
    keys::{Keys, KeysError},
    lock::{Lock, LockError, Locked, MirrorError, mirror},
    progress::Progress,
    recipe::{Recipe, RecipeError},
    system::Package,
    tools::{Tools, ToolsError},
    tree::{Tree, TreeError},
};

/// systemd's programs for the firmware, in its package.
const STUB: &str = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
const LOADER: &str = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";
/// Files beside the recipe: the same name with these endings.
const LOCK: &str = "lock";
const OVERLAY: &str = "root";

/// Why something is missing.
#[derive(Debug, thiserror::Error)]
pub enum MaterialsError {
    /// The recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Its lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The mirror.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The packages.
    #[error(transparent)]
    Debs(#[from] DebsError),
    /// The tools.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The kernel.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// What is in packages.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Folders.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Places {
    /// The recipe. Its lock has the same name with `.lock`, and the files laid over the root are in `root` beside it.
    pub recipe: PathBuf,
    /// The keys' folder.
    pub keys: PathBuf,
    /// Where downloads, roots and tools are kept.
    pub cache: PathBuf,
    /// The mirror of Debian; none asks this machine's apt.
    pub mirror: Option<String>,
}

impl Places {
    /// The recipe's lock.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.recipe.with_extension(LOCK)
    }

    /// The files that are laid over the root.
    #[must_use]
    pub fn overlay(&self) -> PathBuf {
        self.recipe.with_file_name(OVERLAY)
    }

    /// The mirror.
    ///
    /// # Errors
    ///
    /// [`MirrorError`] where nobody named one and apt knows none.
    pub fn mirror(&self) -> Result<String, MirrorError> {
        let named = self.mirror.as_ref().map(|mirror| mirror.trim_end_matches('/').to_owned());
        named.map_or_else(mirror, Ok)
    }
}

/// Everything, checked.
#[derive(Debug)]
pub struct Materials {
    /// The recipe.
    pub recipe: Recipe,
    /// Its lock.
    pub lock: Lock,
    /// The keys.
    pub keys: Keys,
    /// The packages' files.
    pub debs: Debs,
    /// Programs that the build runs.
    pub tools: Tools,
    /// The kernel and its modules.
    pub kernel: Kernel,
    /// systemd's stub.
    pub stub: Vec<u8>,
    /// systemd-boot, unsigned.
    pub loader: Vec<u8>,
    /// Packages that were taken apart.
    pub unpacked: Vec<Package>,
    /// Files that are in use as long as this is.
    pub work: TempDir,
}

impl Materials {
    /// Reads, fetches and unpacks.
    ///
    /// # Errors
    ///
    /// [`MaterialsError`].
    pub fn gather(places: &Places, production: bool, progress: &Progress) -> Result<Self, MaterialsError> {
        let (recipe, lock) = recipe_and_lock(places)?;
        let keys = Keys::read(&places.keys, production)?;
        file::create_folder(&places.cache)?;
        let work = tempfile::tempdir_in(&places.cache).map_err(file::failed("make a folder in", &places.cache))?;
        let debs = fetch(places, &lock, progress)?;
        let tools = Tools::unpack(&lock, &debs, &places.cache)?;
        let (tree, unpacked) = unpack(&lock.unpack, &debs, work.path())?;
        let modules = work.path().join("modules");
        file::create_folder(&modules)?;
        let kernel = Kernel::take(&tree, &recipe, &tools, &modules)?;
        progress.note(&format!("kernel {}: modules chosen", kernel.release()));
        let (stub, loader) = (tree.read(STUB)?, tree.read(LOADER)?);
        Ok(Self { recipe, lock, keys, debs, tools, kernel, stub, loader, unpacked, work })
    }
}

/// Reads both, which have to fit.
///
/// # Errors
///
/// [`MaterialsError`].
pub fn recipe_and_lock(places: &Places) -> Result<(Recipe, Lock), MaterialsError> {
    let (recipe, path) = (Recipe::read(&places.recipe)?, places.lock());
    let lock = Lock::read(&path)?;
    lock.check(&recipe.debian, &path)?;
    Ok((recipe, lock))
}

/// Fetches what is not here yet.
///
/// # Errors
///
/// [`MaterialsError`].
pub fn fetch(places: &Places, lock: &Lock, progress: &Progress) -> Result<Debs, MaterialsError> {
    let debs = Debs::new(&places.cache);
    debs.fetch::<MaterialsError>(&lock.files(), || Ok(places.mirror()?), progress)?;
    Ok(debs)
}

fn unpack(packages: &[Locked], debs: &Debs, work: &Path) -> Result<(Tree, Vec<Package>), MaterialsError> {
    let (mut tree, mut unpacked) = (Tree::default(), Vec::new());
    for package in packages {
        let tar = work.join(format!("{}.tar", package.name));
        debs.unpack(package, &tar)?;
        tree.read_tar(&tar)?;
        unpacked.extend(Package::unpacked(&debs.control(package)?));
    }
    Ok((tree, unpacked))
}
