//! Programs of the locked release that the build runs: the same everywhere, whatever Debian the machine has.
//!
//! They are unpacked, not installed, and run by the dynamic linker and the libraries that were unpacked with them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest as _, Sha256};

use crate::{
    debs::{Debs, DebsError},
    file::{self, FileError},
    lock::Lock,
    process::{self, ProcessError},
};

/// The dynamic linker, and where libraries lie.
const LINKER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Where programs lie.
const FOLDERS: [&str; 2] = ["usr/bin", "usr/sbin"];

/// Why a tool cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ToolsError {
    /// The cache.
    #[error(transparent)]
    File(#[from] FileError),
    /// The packages.
    #[error(transparent)]
    Debs(#[from] DebsError),
    /// dpkg cannot unpack one.
    #[error("cannot unpack {package}")]
    Unpack {
        /// Which.
        package: String,
        /// What dpkg said.
        #[source]
        source: ProcessError,
    },
    /// None of the packages has it.
    #[error("no locked tool is called {0}; add its package to `tools` in the recipe and run `dolmen-image lock`")]
    Missing(String),
}

/// The folder where they are unpacked.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Unpacks the lock's tools, if they are not unpacked yet, in the cache's folder `tools`.
    ///
    /// # Errors
    ///
    /// [`ToolsError`].
    pub fn unpack(lock: &Lock, debs: &Debs, cache: &Path) -> Result<Self, ToolsError> {
        let mut hasher = Sha256::new();
        lock.tools.iter().for_each(|package| hasher.update(&package.sha256));
        let folders = cache.join("tools");
        let folder = folders.join(&const_hex::encode(hasher.finalize())[..32]);
        if folder.exists() {
            return Ok(Self { folder });
        }
        file::create_folder(&folders)?;
        let work = tempfile::tempdir_in(&folders).map_err(file::failed("make a folder in", &folders))?;
        for package in &lock.tools {
            let deb = debs.checked(package)?;
            let mut command = Command::new("dpkg-deb");
            command.arg("--extract").arg(deb).arg(work.path());
            let failed = |source| ToolsError::Unpack { package: package.name.clone(), source };
            process::run(&mut command).map_err(failed)?;
        }
        // Another build may have been faster: then this one's goes with its folder.
        let renamed = fs::rename(work.path(), &folder);
        if !folder.exists() {
            renamed.map_err(file::failed("make", &folder))?;
        }
        Ok(Self { folder })
    }

    /// A tool, to be given its arguments.
    ///
    /// # Errors
    ///
    /// [`ToolsError::Missing`].
    pub fn command(&self, name: &str) -> Result<Command, ToolsError> {
        let places = FOLDERS.map(|folder| self.folder.join(folder).join(name));
        let program = places.into_iter().find(|place| place.exists());
        let program = program.ok_or_else(|| ToolsError::Missing(name.to_owned()))?;
        let mut command = Command::new(self.folder.join(LINKER));
        command.arg("--library-path").arg(self.folder.join(LIBRARIES)).arg(program);
        Ok(command)
    }
}
