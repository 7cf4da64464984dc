//! A root as Debian installs it, from the locked packages alone.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

use crate::{
    debs::{Debs, DebsError},
    file::{self, FileError},
    lock::Lock,
    process::{self, ProcessError},
    progress::{Progress, megabytes},
};

/// Changes when the same packages are installed in another way.
const FORMAT: &str = "dolmen-image root 1";
/// What no box reads. dpkg does not even unpack it.
const EXCLUDED: [&str; 6] = ["doc", "info", "lintian", "locale", "man", "bug"];

/// Why there is no root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The cache, or a folder for it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The packages.
    #[error(transparent)]
    Debs(#[from] DebsError),
    /// mmdebstrap fails.
    #[error("cannot install the locked packages; if packages are missing, `dolmen-image lock` finds them anew")]
    Install(#[source] ProcessError),
}

/// The archive of a root in which the lock's packages are installed, in the cache's folder `roots`. `epoch` is the time
/// that Debian's scripts see.
///
/// # Errors
///
/// [`RootError`].
pub fn root(lock: &Lock, epoch: u64, debs: &Debs, cache: &Path, progress: &Progress) -> Result<PathBuf, RootError> {
    let folder = cache.join("roots");
    let digest = Sha256::new_with_prefix(FORMAT).chain_update(epoch.to_le_bytes()).chain_update(lock.install_digest());
    let archive = folder.join(format!("{}.tar", &const_hex::encode(digest.finalize())[..32]));
    if archive.exists() {
        progress.note(&format!("root of {} packages: cached", lock.install.len()));
        return Ok(archive);
    }
    progress.note(&format!("installing {} packages into a root; half a minute", lock.install.len()));
    file::create_folder(&folder)?;
    let work = tempfile::tempdir_in(cache).map_err(file::failed("make a folder in", cache))?;
    debs.repository(&lock.install, work.path())?;
    let part = work.path().join("root.tar");
    process::run(&mut mmdebstrap(lock, epoch, work.path(), &part)).map_err(RootError::Install)?;
    file::rename(&part, &archive)?;
    progress.note(&format!("root: {}", megabytes(file::length(&archive)?)));
    Ok(archive)
}

fn mmdebstrap(lock: &Lock, epoch: u64, repository: &Path, archive: &Path) -> Command {
    let names: Vec<&str> = lock.install.iter().map(|package| package.name.as_str()).collect();
    let mut command = Command::new("mmdebstrap");
    command.env("SOURCE_DATE_EPOCH", epoch.to_string());
    command.args(["--variant=essential", "--format=tar", "--quiet"]);
    command.arg(format!("--include={}", names.join(",")));
    command.arg("--aptopt=Apt::Install-Recommends \"false\"");
    command.args(EXCLUDED.map(|folder| format!("--dpkgopt=path-exclude=/usr/share/{folder}/*")));
    // The hashes in its index are those of the lock: no signature has to say more.
    command.arg("").arg(archive).arg(format!("deb [trusted=yes] copy:{} ./", repository.display()));
    command
}
