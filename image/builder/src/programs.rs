//! Our own programs in an image: the node, and those that run before the system does.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{
    file::{self, FileError},
    process::{self, ProcessError},
    progress::Progress,
};

/// What early programs are built for, and how (see `Cargo.toml`).
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "early";
/// They bring all their libraries along.
const STATIC: &str = "-Ctarget-feature=+crt-static";

/// Why a program cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// A file that is not there.
    #[error("there is no {what} at {}; build it first, or name another file", path.display())]
    Missing {
        /// Which program.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// cargo fails.
    #[error("cannot build {package}; see above")]
    Cargo {
        /// Which package.
        package: &'static str,
        /// How it ended.
        #[source]
        source: ProcessError,
    },
    /// cargo does not say where it builds.
    #[error("cannot ask cargo where it builds; run this in a checkout of Dolmen")]
    Metadata(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// strip fails.
    #[error("cannot strip {}", path.display())]
    Strip {
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: ProcessError,
    },
    /// Files.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A program that runs before the system does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// The first process of a box.
    Initrd,
    /// What opens a box's data partition.
    Data,
    /// The first process of a stick.
    Installer,
}

impl Early {
    const fn package(self) -> &'static str {
        match self {
            Self::Initrd | Self::Data => "dolmen-image-boot",
            Self::Installer => "dolmen-image-installer",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Initrd => "dolmen-initrd",
            Self::Data => "dolmen-data",
            Self::Installer => "dolmen-installer",
        }
    }

    /// The program: the named file, or what cargo builds in the checkout at `workspace`.
    ///
    /// # Errors
    ///
    /// [`ProgramsError`].
    pub fn get(self, named: Option<&Path>, workspace: &Path, progress: &Progress) -> Result<PathBuf, ProgramsError> {
        if let Some(path) = named {
            return present(self.program(), path);
        }
        progress.note(&format!("building {}", self.program()));
        let folder = target_folder(workspace)?;
        let mut command = process::command("cargo", ["build", "--locked", "--quiet", "--profile", PROFILE]);
        command.args(["--target", TARGET, "--package", self.package(), "--bin", self.program()]);
        // Where the source lies must make no difference to what comes out.
        let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
        let remap = |from: &str, to: &str| format!("--remap-path-prefix={from}={to}");
        let sources = remap(&workspace.display().to_string(), "/dolmen");
        let flags = format!("{STATIC} {sources} {}", remap(&home.unwrap_or_default(), "/cargo"));
        command.env("RUSTFLAGS", flags).current_dir(workspace);
        let package = self.package();
        process::show(&mut command).map_err(|source| ProgramsError::Cargo { package, source })?;
        present(self.program(), &folder.join(TARGET).join(PROFILE).join(self.program()))
    }
}

/// Copies the node without its debug information, which would be three quarters of it, and without its build id, a
/// hash of what that information says of folders: the same sources are the same program wherever they lie.
///
/// # Errors
///
/// [`ProgramsError`].
pub fn strip(dolmen: &Path, work: &Path) -> Result<PathBuf, ProgramsError> {
    let (from, to) = (present("dolmen", dolmen)?, work.join("dolmen"));
    let mut command = process::command("strip", ["--strip-all", "--remove-section=.note.gnu.build-id", "-o"]);
    let failed = |source| ProgramsError::Strip { path: from.clone(), source };
    process::run(command.arg(&to).arg(&from)).map_err(failed)?;
    Ok(to)
}

fn present(what: &'static str, path: &Path) -> Result<PathBuf, ProgramsError> {
    if path.is_file() { Ok(path.to_owned()) } else { Err(ProgramsError::Missing { what, path: path.to_owned() }) }
}

/// The part of `cargo metadata` that is needed.
#[derive(Deserialize)]
struct Metadata {
    target_directory: PathBuf,
}

fn target_folder(workspace: &Path) -> Result<PathBuf, ProgramsError> {
    let mut command = process::command("cargo", ["metadata", "--locked", "--no-deps", "--format-version=1"]);
    let said = process::run(command.current_dir(workspace));
    let said = said.map_err(|error| ProgramsError::Metadata(error.into()))?;
    let metadata: Metadata = serde_json::from_slice(&said).map_err(|error| ProgramsError::Metadata(error.into()))?;
    file::create_folder(&metadata.target_directory)?;
    Ok(metadata.target_directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_named_must_be_there() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = Early::Data.get(Some(Path::new("/nowhere")), here, &Progress::silent()).unwrap_err();
        assert!(matches!(error, ProgramsError::Missing { what: "dolmen-data", .. }), "{error}");
        let this = std::env::current_exe().unwrap();
        assert_eq!(Early::Initrd.get(Some(&this), here, &Progress::silent()).unwrap(), this);
    }

    #[test]
    fn stripping_makes_it_smaller_and_the_same() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let this = std::env::current_exe().unwrap();
        let stripped = file::read(&strip(&this, first.path()).unwrap()).unwrap();
        assert!((stripped.len() as u64) < file::length(&this).unwrap());
        assert!(stripped == file::read(&strip(&this, second.path()).unwrap()).unwrap());
    }
}
