//! The locked packages as files: fetched once, kept by their hashes, checked at every use.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    file::{self, FileError},
    lock::Locked,
    process::{self, ProcessError},
    progress::Progress,
};

/// apt's own program that fetches files, with this machine's proxies and credentials.
const HELPER: &str = "/usr/lib/apt/apt-helper";
/// Files in one run of it: so many fit a command line, and progress is seen in between.
const BATCH: usize = 40;

/// Why the packages are not all there.
#[derive(Debug, thiserror::Error)]
pub enum DebsError {
    /// The cache cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mirror does not give them.
    #[error(
        "the mirror does not give {package} (and {others} more); if it has only a later one by now, run \
         `dolmen-image lock` and review what changed, or copy the file from a machine that still has it to {}",
        place.display()
    )]
    Fetch {
        /// The first that is missing, and its version.
        package: String,
        /// How many more.
        others: usize,
        /// Where it would lie.
        place: PathBuf,
        /// What apt said.
        #[source]
        source: Box<ProcessError>,
    },
    /// A file is not the one that was locked.
    #[error(
        "{} is not the locked {package}: its SHA-256 is {found} instead of {locked}; remove it and build again",
        place.display()
    )]
    Changed {
        /// Which package, and its version.
        package: String,
        /// The file.
        place: PathBuf,
        /// The hash that it has.
        found: String,
        /// The hash that the lock has.
        locked: String,
    },
    /// dpkg cannot read a package.
    #[error("cannot read what is in the package {name}")]
    Read {
        /// Which.
        name: String,
        /// What dpkg said.
        #[source]
        source: ProcessError,
    },
}

/// The folder with the files. The same file serves every lock that names it.
#[derive(Clone, Debug)]
pub struct Debs {
    folder: PathBuf,
}

impl Debs {
    /// In the cache's folder `debs`.
    #[must_use]
    pub fn new(cache: &Path) -> Self {
        Self { folder: cache.join("debs") }
    }

    /// Where a package's file lies.
    #[must_use]
    pub fn place(&self, package: &Locked) -> PathBuf {
        self.folder.join(format!("{}.deb", package.sha256))
    }

    /// Fetches what is not there yet. `mirror` is asked for only then.
    ///
    /// # Errors
    ///
    /// [`DebsError::Fetch`] says what to do if the mirror no longer has a file, [`DebsError::Changed`] if it has
    /// another.
    pub fn fetch<E: From<DebsError>>(
        &self,
        packages: &[&Locked],
        mirror: impl FnOnce() -> Result<String, E>,
        progress: &Progress,
    ) -> Result<(), E> {
        let missing: Vec<&Locked> = packages.iter().copied().filter(|package| !self.place(package).exists()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mirror = mirror()?;
        file::create_folder(&self.folder).map_err(DebsError::from)?;
        let (bytes, mut done) = (missing.iter().map(|package| package.bytes).sum::<u64>(), 0);
        for batch in missing.chunks(BATCH) {
            let of = format!("{} MB of {} packages", bytes / 1_000_000, missing.len());
            progress.note(&format!("fetching {of}: {} MB are here", done / 1_000_000));
            self.fetch_batch(batch, &mirror)?;
            done += batch.iter().map(|package| package.bytes).sum::<u64>();
        }
        Ok(())
    }

    fn fetch_batch(&self, batch: &[&Locked], mirror: &str) -> Result<(), DebsError> {
        let mut command = Command::new(HELPER);
        command.args(["-o", "APT::Sandbox::User=root", "download-file"]);
        for package in batch {
            command.arg(format!("{mirror}/{}", encoded(&package.path)));
            command.arg(file::partial(&self.place(package))).arg(format!("SHA256:{}", package.sha256));
        }
        let ran = process::run(&mut command);
        // Those that came whole are kept even if others did not.
        let mut missing = Vec::new();
        for package in batch {
            let part = file::partial(&self.place(package));
            if part.exists() {
                check(package, &part)?;
                file::rename(&part, &self.place(package))?;
            } else {
                missing.push(package);
            }
        }
        match (ran, missing.first()) {
            (_, None) => Ok(()),
            (ran, Some(first)) => Err(DebsError::Fetch {
                package: format!("{} {}", first.name, first.version),
                others: missing.len() - 1,
                place: self.place(first),
                source: Box::new(ran.err().unwrap_or_else(|| ProcessError::Io {
                    program: HELPER.into(),
                    source: io::Error::other("it said that all is well, but wrote no such file"),
                })),
            }),
        }
    }

    /// A package's file, once it is known to be the locked one.
    ///
    /// # Errors
    ///
    /// [`DebsError::Changed`] for another one, [`DebsError::File`] for none.
    pub fn checked(&self, package: &Locked) -> Result<PathBuf, DebsError> {
        let place = self.place(package);
        check(package, &place)?;
        Ok(place)
    }

    /// Makes `folder` an archive of these packages that apt can install from.
    ///
    /// # Errors
    ///
    /// [`DebsError`] for a file that is missing, or not the locked one.
    pub fn repository(&self, packages: &[Locked], folder: &Path) -> Result<(), DebsError> {
        let mut index = String::new();
        for package in packages {
            let deb = self.checked(package)?;
            let name = format!("{}.deb", package.sha256);
            let place = folder.join(&name);
            let linked = fs::hard_link(&deb, &place).or_else(|_| fs::copy(&deb, &place).map(drop));
            linked.map_err(file::failed("make", &place))?;
            let control = control(package, &deb)?;
            let (bytes, sha256) = (package.bytes, &package.sha256);
            let _ = write!(index, "{}\nFilename: ./{name}\nSize: {bytes}\nSHA256: {sha256}\n\n", control.trim_end());
        }
        Ok(file::write(&folder.join("Packages"), index.as_bytes())?)
    }

    /// A package's fields, as in an archive's index.
    ///
    /// # Errors
    ///
    /// [`DebsError`] for a file that is missing, not the locked one, or no package.
    pub fn control(&self, package: &Locked) -> Result<String, DebsError> {
        control(package, &self.checked(package)?)
    }

    /// Writes what is in a package as a tar archive.
    ///
    /// # Errors
    ///
    /// [`DebsError`] for a file that is missing, not the locked one, or no package.
    pub fn unpack(&self, package: &Locked, tar: &Path) -> Result<(), DebsError> {
        let deb = self.checked(package)?;
        let mut command = Command::new("dpkg-deb");
        command.arg("--fsys-tarfile").arg(&deb);
        let bytes = process::run(&mut command).map_err(read(package))?;
        fs::write(tar, bytes).map_err(file::failed("write", tar))?;
        Ok(())
    }
}

fn control(package: &Locked, deb: &Path) -> Result<String, DebsError> {
    let mut command = Command::new("dpkg-deb");
    command.arg("--field").arg(deb);
    process::text(&mut command).map_err(read(package))
}

fn read(package: &Locked) -> impl FnOnce(ProcessError) -> DebsError {
    |source| DebsError::Read { name: package.name.clone(), source }
}

fn check(package: &Locked, place: &Path) -> Result<(), DebsError> {
    let found = file::sha256(place)?;
    if found != package.sha256 {
        let (package, locked) = (format!("{} {}", package.name, package.version), package.sha256.clone());
        return Err(DebsError::Changed { package, place: place.to_owned(), found, locked });
    }
    Ok(())
}

/// A path in a URL: servers read `+` as a space or as itself.
fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace('+', "%2b").replace('~', "%7e").replace(':', "%3a")
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn package(content: &[u8]) -> Locked {
        Locked {
            name: "dash".to_owned(),
            version: "1".to_owned(),
            path: "pool/main/d/dash/dash_1+b2~x_amd64.deb".to_owned(),
            bytes: content.len() as u64,
            sha256: const_hex::encode(Sha256::digest(content)),
        }
    }

    #[test]
    fn a_changed_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (debs, package) = (Debs::new(folder.path()), package(b"locked"));
        file::create_folder(&folder.path().join("debs")).unwrap();
        assert!(matches!(debs.checked(&package), Err(DebsError::File(_))));
        fs::write(debs.place(&package), b"locked").unwrap();
        assert_eq!(debs.checked(&package).unwrap(), debs.place(&package));
        fs::write(debs.place(&package), b"locker").unwrap();
        let error = debs.checked(&package).unwrap_err();
        assert!(matches!(&error, DebsError::Changed { found, .. } if *found != package.sha256), "{error}");
        assert!(error.to_string().contains("remove it and build again"), "{error}");
        let repository = debs.repository(&[package], folder.path());
        assert!(matches!(repository, Err(DebsError::Changed { .. })));
    }

    #[test]
    fn what_is_here_is_not_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let (debs, package) = (Debs::new(folder.path()), package(b"locked"));
        file::create_folder(&folder.path().join("debs")).unwrap();
        fs::write(debs.place(&package), b"locked").unwrap();
        let mirror = || panic!("nobody asks for the mirror");
        debs.fetch::<DebsError>(&[&package], mirror, &Progress::silent()).unwrap();
    }

    #[test]
    fn a_file_that_is_gone_says_what_to_do() {
        let (folder, mirror) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (debs, package) = (Debs::new(folder.path()), package(b"locked"));
        let address = || Ok(format!("file://{}", mirror.path().display()));
        let error = debs.fetch::<DebsError>(&[&package], address, &Progress::silent()).unwrap_err();
        assert!(matches!(error, DebsError::Fetch { others: 0, .. }), "{error}");
        assert!(error.to_string().contains("dolmen-image lock"), "{error}");
    }

    #[test]
    fn addresses_have_no_plus() {
        assert_eq!(encoded("pool/d/dash_1+b2~x:y%_a.deb"), "pool/d/dash_1%2bb2%7ex%3ay%25_a.deb");
    }
}
