//! What a machine leaves behind, and where files of machines are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use tempfile::{Builder, TempDir};

use crate::VmError;

/// A directory that is removed when it is dropped, unless something went wrong.
pub(crate) struct Artefacts {
    directory: Option<TempDir>,
    path: PathBuf,
    keep: bool,
}

impl Artefacts {
    /// A new one for a machine of this name, in `DOLMEN_ARTEFACTS`, else in cargo's target directory.
    pub(crate) fn new(machine: &str) -> Result<Self, VmError> {
        let directory = directory(&format!("{machine}-"))?;
        let path = directory.path().to_owned();
        Ok(Self { directory: Some(directory), path, keep: false })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Something went wrong.
    pub(crate) fn keep(&mut self) {
        self.keep = true;
    }

    /// It had to go wrong.
    pub(crate) fn discard(&mut self) {
        self.keep = false;
    }
}

impl Drop for Artefacts {
    fn drop(&mut self) {
        // A failed assertion is a failure too.
        if (self.keep || std::thread::panicking())
            && let Some(directory) = self.directory.take()
        {
            let _ = directory.keep();
        }
    }
}

/// A new directory for files that may be large: not in `/tmp`, which may be in memory, and with cargo's other files
/// where that is known, so that copies of images can share their blocks.
pub(crate) fn directory(prefix: &str) -> Result<TempDir, VmError> {
    let root = root();
    fs::create_dir_all(&root).map_err(VmError::file("create", &root))?;
    Builder::new().prefix(prefix).tempdir_in(&root).map_err(VmError::file("create a directory in", &root))
}

/// The directory of all machines.
pub(crate) fn root() -> PathBuf {
    env::var_os("DOLMEN_ARTEFACTS").map(PathBuf::from).or_else(target).unwrap_or_else(env::temp_dir).join("vm")
}

/// Cargo's target directory, which has a tag that says that it is a cache.
fn target() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file()).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_go_unless_something_went_wrong() {
        let artefacts = Artefacts::new("well").unwrap();
        let path = artefacts.path().to_owned();
        assert!(path.is_dir());
        drop(artefacts);
        assert!(!path.exists());

        let mut artefacts = Artefacts::new("ill").unwrap();
        artefacts.keep();
        let path = artefacts.path().to_owned();
        drop(artefacts);
        assert!(path.is_dir());
        fs::remove_dir(path).unwrap();
    }
}
