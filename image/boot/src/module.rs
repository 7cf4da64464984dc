//! Drivers that are not part of the kernel.
//!
//! An initrd has them in `/modules`, uncompressed, and a list of their names in the order in which they must be loaded:
//! whoever made the list knew what needs what, so that nothing has to be resolved here.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use rustix::{io::Errno, system::finit_module};

use crate::{file, limits::MODULES_MAX};

/// Why a module is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// The list cannot be read.
    #[error("cannot read the list of modules {path}; build the initrd with it")]
    List {
        /// Which.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// Something that is no name of a file.
    #[error("the list of modules names {0:?}; it may have file names without directories only")]
    Name(String),
    /// More than all machines together have.
    #[error("the list of modules has more than {MODULES_MAX} names; build the initrd with fewer")]
    TooMany,
    /// The module's file cannot be opened.
    #[error("cannot open the module {path}; build the initrd with it")]
    Open {
        /// Which.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel refused.
    #[error("the kernel does not take the module {path}; its log says more")]
    Load {
        /// Which.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
}

/// Names of modules' files, in the order in which they are loaded, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleList(Vec<String>);

impl ModuleList {
    /// Reads a list.
    ///
    /// # Errors
    ///
    /// [`ModuleError::List`], [`ModuleError::Name`] and [`ModuleError::TooMany`].
    pub fn read(path: &Path) -> Result<Self, ModuleError> {
        let text = file::read_text(path).map_err(|source| ModuleError::List { path: path.into(), source })?;
        Self::parse(&text)
    }

    /// A name on each line. Empty lines and those that begin with `#` count for nothing.
    ///
    /// # Errors
    ///
    /// [`ModuleError::Name`] and [`ModuleError::TooMany`].
    pub fn parse(text: &str) -> Result<Self, ModuleError> {
        let mut names: Vec<String> = Vec::new();
        for name in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if name.contains('/') || name.starts_with('.') {
                return Err(ModuleError::Name(name.to_owned()));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
            if names.len() > MODULES_MAX {
                return Err(ModuleError::TooMany);
            }
        }
        Ok(Self(names))
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Loads all of them from a directory, in this order. One that fails does not keep the others from being loaded:
    /// `failed` hears of it, and whoever needed it says so later.
    pub fn load(&self, directory: &Path, mut failed: impl FnMut(ModuleError)) {
        for name in self.names() {
            if let Err(error) = load(&directory.join(name)) {
                failed(error);
            }
        }
    }
}

/// Loads one. One that is loaded already, or whose device this machine has not, is no error.
///
/// # Errors
///
/// [`ModuleError::Open`] and [`ModuleError::Load`].
pub fn load(path: &Path) -> Result<(), ModuleError> {
    let file = File::open(path).map_err(|source| ModuleError::Open { path: path.into(), source })?;
    match finit_module(&file, c"", 0) {
        Ok(()) | Err(Errno::EXIST | Errno::NODEV) => Ok(()),
        Err(source) => Err(ModuleError::Load { path: path.into(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_its_order() {
        let list = ModuleList::parse("# storage\nscsi_common.ko\n\n scsi_mod.ko\nsd_mod.ko\nscsi_mod.ko\n").unwrap();
        assert_eq!(list.names().collect::<Vec<_>>(), ["scsi_common.ko", "scsi_mod.ko", "sd_mod.ko"]);
        assert_eq!(ModuleList::parse("").unwrap(), ModuleList::default());
    }

    #[test]
    fn names_are_names() {
        for name in ["../evil.ko", "kernel/evil.ko", "/evil.ko", ".."] {
            assert!(matches!(ModuleList::parse(name), Err(ModuleError::Name(_))), "{name}");
        }
        let many: String = (0..=MODULES_MAX).map(|number| format!("{number}.ko\n")).collect();
        assert!(matches!(ModuleList::parse(&many), Err(ModuleError::TooMany)));
        let missing = ModuleList::read(Path::new("/nowhere/modules.load")).unwrap_err();
        assert!(matches!(missing, ModuleError::List { .. }), "{missing}");
    }

    #[test]
    fn one_that_fails_does_not_keep_the_next_from_being_tried() {
        let directory = tempfile::tempdir().unwrap();
        let list = ModuleList::parse("b.ko\na.ko\n").unwrap();
        let mut failed = Vec::new();
        list.load(directory.path(), |error| match error {
            ModuleError::Open { path, .. } => failed.push(path.file_name().unwrap().to_owned()),
            other => panic!("{other}"),
        });
        assert_eq!(failed, ["b.ko", "a.ko"]);
    }
}
