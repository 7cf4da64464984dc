//! The lock: exactly which packages an image is made of (`image/recipes/box.lock`).
//!
//! Debian's archive moves. What the recipe asks for by name is looked up once, by [`resolve`], and written down with
//! sizes and hashes; a build takes those files and no others, whatever the archive has by then. The lock is committed,
//! so that a change of it is a change that people see.

mod mirror;
mod resolve;

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

pub use mirror::{MirrorError, mirror};
pub use resolve::{ResolveError, resolve};

use crate::{
    file::{self, FileError},
    recipe::Debian,
};

/// The format that is written here.
const FORMAT: u32 = 1;
const HEAD: &str = "\
# Which packages the image is made of. Written by `dolmen-image lock`; commit it, and do not edit it.
# What the recipe asked for comes first, then each package with its place in Debian's archive.
";

/// Why there is no lock that fits the recipe.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something in it cannot be.
    #[error("{} is damaged; get it back from git, or write it anew with `dolmen-image lock`", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be.
    #[error("{} says of {package}: {reason}; write it anew with `dolmen-image lock`", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Which package.
        package: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Another version of this program wrote it.
    #[error("{} has format {found}, and this program knows {FORMAT}; write it anew with `dolmen-image lock`",
            path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: u32,
    },
    /// The recipe asks for something else than when it was written.
    #[error("{} is older than the recipe's [debian]; write it anew with `dolmen-image lock`", path.display())]
    Stale {
        /// The file.
        path: PathBuf,
    },
}

/// All packages, by what they are for.
///
/// Holding one says that names are unique and hashes are hashes. That it [fits](Self::check) a recipe is another
/// question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: u32,
    /// What the recipe asked for.
    asked: Debian,
    /// Packages that are installed in the root.
    #[serde(default)]
    pub install: Vec<Locked>,
    /// Packages that are taken apart.
    #[serde(default)]
    pub unpack: Vec<Locked>,
    /// Packages whose programs the build runs.
    #[serde(default)]
    pub tools: Vec<Locked>,
}

/// One package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version, as dpkg has it.
    pub version: String,
    /// Its place below the archive's root.
    pub path: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

impl Lock {
    /// Of what was found. Packages are sorted.
    #[must_use]
    pub fn new(asked: Debian, mut install: Vec<Locked>, mut unpack: Vec<Locked>, mut tools: Vec<Locked>) -> Self {
        for packages in [&mut install, &mut unpack, &mut tools] {
            packages.sort();
        }
        Self { format: FORMAT, asked, install, unpack, tools }
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`LockError`] says what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, LockError> {
        Self::parse(&file::read_text(path)?, path)
    }

    /// Reads its text. `path` is for errors.
    ///
    /// # Errors
    ///
    /// [`LockError`] says what is wrong with it.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        let lock: Self = toml::from_str(text)
            .map_err(|source| LockError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        if lock.format != FORMAT {
            return Err(LockError::Format { path: path.to_owned(), found: lock.format });
        }
        for packages in [&lock.install, &lock.unpack, &lock.tools] {
            let mut names = BTreeSet::new();
            for package in packages {
                let wrong = package.wrong().or((!names.insert(&package.name)).then_some("it is there twice"));
                if let Some(reason) = wrong {
                    let package = package.name.clone();
                    return Err(LockError::Package { path: path.to_owned(), package, reason });
                }
            }
        }
        Ok(lock)
    }

    /// Says whether it is what this recipe asks for.
    ///
    /// # Errors
    ///
    /// [`LockError::Stale`] if not.
    pub fn check(&self, recipe: &Debian, path: &Path) -> Result<(), LockError> {
        if self.asked == *recipe { Ok(()) } else { Err(LockError::Stale { path: path.to_owned() }) }
    }

    /// All packages, each file once.
    #[must_use]
    pub fn files(&self) -> Vec<&Locked> {
        let all = [&self.install, &self.unpack, &self.tools];
        let mut files: Vec<&Locked> = all.into_iter().flatten().collect();
        files.sort();
        files.dedup();
        files
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        let Debian { suite, component, architecture, install, unpack, tools } = &self.asked;
        let mut text = HEAD.to_owned();
        let _ = write!(text, "format = {FORMAT}\n\n[asked]\n");
        for (field, value) in [("suite", suite), ("component", component), ("architecture", architecture)] {
            let _ = writeln!(text, "{field} = {}", toml::Value::from(value.as_str()));
        }
        for (field, names) in [("install", install), ("unpack", unpack), ("tools", tools)] {
            let _ = writeln!(text, "{field} = {}", toml::Value::from(names.clone()));
        }
        for (field, packages) in [("install", &self.install), ("unpack", &self.unpack), ("tools", &self.tools)] {
            for Locked { name, version, path, bytes, sha256 } in packages {
                let _ = write!(text, "\n[[{field}]]\nname = \"{name}\"\nversion = \"{version}\"\npath = \"{path}\"\n");
                let _ = write!(text, "bytes = {bytes}\nsha256 = \"{sha256}\"\n");
            }
        }
        text
    }

    /// SHA-256 of all that decides what an installed root has in it.
    #[must_use]
    pub fn install_digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for Locked { name, sha256, .. } in &self.install {
            hasher.update(format!("{name} {sha256}\n"));
        }
        hasher.finalize().into()
    }
}

impl Locked {
    /// What is wrong with it, if anything: a path that leads elsewhere, or a hash that is none.
    fn wrong(&self) -> Option<&'static str> {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.~:_/%".contains(c));
        let texts = [&self.name, &self.version, &self.path];
        if texts.into_iter().any(|text| text.is_empty() || !plain(text)) || self.name.contains('/') {
            return Some("its name, version or path has characters that no package has");
        }
        if self.path.starts_with('/') || self.path.split('/').any(|part| part == ".." || part.is_empty()) {
            return Some("its path leads out of the archive");
        }
        let digits = self.sha256.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        (self.sha256.len() != 64 || !digits).then_some("its sha256 is no SHA-256")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(name: &str) -> Locked {
        Locked {
            name: name.to_owned(),
            version: "1:2.41+dfsg-3~deb13u1".to_owned(),
            path: format!("pool/main/x/{name}_2.41+dfsg-3~deb13u1_amd64.deb"),
            bytes: 4711,
            sha256: "0123456789abcdef".repeat(4),
        }
    }

    fn lock() -> Lock {
        let asked = Debian {
            suite: "trixie".to_owned(),
            component: "main".to_owned(),
            architecture: "amd64".to_owned(),
            install: vec!["udev".to_owned(), "kmod".to_owned()],
            unpack: vec![],
            tools: vec!["kmod".to_owned()],
        };
        Lock::new(asked, vec![locked("udev"), locked("libc6"), locked("kmod")], vec![], vec![locked("kmod")])
    }

    fn parse(text: &str) -> Result<Lock, LockError> {
        Lock::parse(text, Path::new("box.lock"))
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let lock = lock();
        let names: Vec<&str> = lock.install.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["kmod", "libc6", "udev"]);
        assert_eq!(parse(&lock.text()).unwrap(), lock);
        assert_eq!(lock.files().len(), 3);
    }

    #[test]
    fn another_recipe_makes_it_stale() {
        let (lock, path) = (lock(), Path::new("box.lock"));
        let mut recipe = lock.asked.clone();
        lock.check(&recipe, path).unwrap();
        recipe.install.push("dbus".to_owned());
        assert!(matches!(lock.check(&recipe, path), Err(LockError::Stale { .. })));
    }

    #[test]
    fn damage_is_named() {
        let text = lock().text();
        for (from, to) in [
            ("name = \"libc6\"", "name = \"libc 6\""),
            ("path = \"pool/main", "path = \"pool/../.."),
            ("path = \"pool", "path = \"/pool"),
            ("sha256 = \"0", "sha256 = \"x"),
            ("sha256 = \"0", "sha256 = \""),
            ("name = \"libc6\"", "name = \"kmod\""),
        ] {
            assert!(text.contains(from), "{from}");
            let error = parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(matches!(error, LockError::Package { .. }), "{to}: {error}");
        }
        assert!(matches!(parse(&text.replace("format = 1", "format = 2")), Err(LockError::Format { found: 2, .. })));
        assert!(matches!(parse(&text.replace("bytes = 4711", "octets = 4711")), Err(LockError::Toml { .. })));
    }

    #[test]
    fn a_root_depends_on_what_is_installed_alone() {
        let (lock, mut other) = (lock(), lock());
        other.tools.clear();
        assert_eq!(lock.install_digest(), other.install_digest());
        other.install[0].sha256 = "f".repeat(64);
        assert_ne!(lock.install_digest(), other.install_digest());
    }
}
