//! The recipe: all that is decided about an image, on one page (`image/recipes/box.toml`).
//!
//! Holding a [`Recipe`] says that the page has every field and no other, and that sizes and names are within bounds.
//! It says nothing about whether the packages, modules and files exist that it names: each step says so when it looks
//! for them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dolmen_image_installer::layout::DISK_BYTES_MIN;
use serde::Deserialize;

use crate::{
    file::{self, FileError},
    limits::PAGE_BYTES_MAX,
    pattern::Pattern,
};

/// Why there is no recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// Its file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is too large to be one.
    #[error("{} has more than {PAGE_BYTES_MAX} bytes and is no recipe; name image/recipes/box.toml", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A field is missing, unknown or of another kind.
    #[error("{} is no recipe; mend the line that follows", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Which line, and what is wrong with it.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be.
    #[error("{} says {field} = {found}, but {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
}

/// The page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// How people call it: in `os-release`, and so in the boot menu.
    pub title: String,
    /// Raised when an older image must never run again: a box's TPM remembers the highest that it has run.
    pub security_version: u8,
    /// The time of all files, in seconds since 1970, where neither `SOURCE_DATE_EPOCH` nor a git commit says one.
    pub epoch: u64,
    /// Where packages come from, and which.
    pub debian: Debian,
    /// What stays of them, and what is laid over.
    pub root: Root,
    /// Kernel and modules.
    pub kernel: Kernel,
    /// How a box boots.
    pub boot: Boot,
    /// The disk of a box.
    pub disk: Disk,
    /// The stick that installs.
    pub stick: Stick,
}

/// `[debian]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Debian {
    /// The release, e.g. `trixie`.
    pub suite: String,
    /// The part of the archive, e.g. `main`.
    pub component: String,
    /// As dpkg calls it.
    pub architecture: String,
    /// Installed in the root, with all that they depend on and with what Debian holds for essential.
    pub install: Vec<String>,
    /// Taken apart without being installed, with what they depend on in exactly their version.
    pub unpack: Vec<String>,
    /// Programs that the build runs, with all that they depend on. They are not part of the image.
    pub tools: Vec<String>,
}

/// `[root]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Root {
    /// Programs in `/usr/bin` and `/usr/sbin` that stay. All others go.
    pub programs: Vec<String>,
    /// systemd's units that stay. All others go.
    pub units: Vec<String>,
    /// Folders of which nothing but these names stays.
    pub only: BTreeMap<String, Vec<String>>,
    /// Libraries that programs look for only when they need them, so that no program's headers name them.
    pub libraries: Vec<String>,
    /// Packages of which nothing stays.
    pub drop_packages: Vec<String>,
    /// What else goes.
    pub drop: Vec<Pattern>,
}

/// `[kernel]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kernel {
    /// Modules that stay, by their paths below `kernel/`, and what they depend on. All others go.
    pub modules: Vec<Pattern>,
    /// Exceptions from those: they stay only where another module depends on them.
    pub except: Vec<Pattern>,
}

/// `[boot]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Boot {
    /// The kernel's command line behind `roothash=`.
    pub command_line: String,
    /// Modules of the initrd by name; what they depend on comes along.
    pub modules: Vec<String>,
    /// Who is said to have put the Secure Boot certificates into the firmware. Register 7 depends on it.
    pub owner: String,
}

/// `[disk]`. The partitions' sizes are the same in every image: a box is updated in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disk {
    /// MiB of the whole image. On a box the data partition grows to the disk's end.
    pub image_mib: u64,
}

/// `[stick]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stick {
    /// The kernel's command line.
    pub command_line: String,
    /// Modules of the initrd by name.
    pub modules: Vec<String>,
    /// MiB of the EFI System partition.
    pub esp_mib: u64,
}

impl Recipe {
    /// Reads the page.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] names the line.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        if file::length(path)? > PAGE_BYTES_MAX {
            return Err(RecipeError::TooLarge { path: path.to_owned() });
        }
        Self::parse(&file::read_text(path)?, path)
    }

    /// Reads its text. `path` is for errors.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] names the line.
    pub fn parse(text: &str, path: &Path) -> Result<Self, RecipeError> {
        let recipe: Self = toml::from_str(text)
            .map_err(|source| RecipeError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        recipe.check(path)?;
        Ok(recipe)
    }

    fn check(&self, path: &Path) -> Result<(), RecipeError> {
        let value = |field, found: &dyn ToString, expected| {
            Err(RecipeError::Value { path: path.to_owned(), field, found: found.to_string(), expected })
        };
        if self.title.is_empty() || self.title.contains(|c: char| c.is_control() || c == '"' || c == '\\') {
            return value("title", &self.title, "it is one line without quotes and backslashes");
        }
        if !(1..=64).contains(&self.security_version) {
            return value("security-version", &self.security_version, "a TPM counts them from 1 to 64");
        }
        if self.boot.command_line.contains("roothash=") {
            return value("boot.command-line", &self.boot.command_line, "the build itself adds roothash=");
        }
        for (field, mib, least, most) in [
            ("disk.image-mib", self.disk.image_mib, DISK_BYTES_MIN >> 20, 65_536),
            // A FAT32 needs so much.
            ("stick.esp-mib", self.stick.esp_mib, 64, 2048),
        ] {
            if !(least..=most).contains(&mib) {
                return value(field, &mib, "no disk or partition is that small or large");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: &str = include_str!("../../recipes/box.toml");

    fn parse(text: &str) -> Result<Recipe, RecipeError> {
        Recipe::parse(text, Path::new("box.toml"))
    }

    fn replaced(from: &str, to: &str) -> RecipeError {
        assert!(BOX.contains(from), "{from}");
        parse(&BOX.replacen(from, to, 1)).unwrap_err()
    }

    #[test]
    fn the_box_is_a_recipe() {
        let recipe = parse(BOX).unwrap();
        assert_eq!((recipe.title.as_str(), recipe.debian.suite.as_str()), ("Dolmen", "trixie"));
        assert_eq!((recipe.disk.image_mib, recipe.stick.esp_mib), (2048, 64));
    }

    #[test]
    fn unknown_and_missing_fields_are_refused() {
        for (from, to) in
            [("\n[root]", "\ncolour = \"grey\"\n[root]"), ("image-mib = 2048", "image-mib = 2048\nimage-gib = 2")]
        {
            let error = replaced(from, to);
            let RecipeError::Toml { source, .. } = &error else { panic!("{error}") };
            assert!(source.to_string().contains("unknown field"), "{source}");
        }
        let RecipeError::Toml { source, .. } = replaced("image-mib = 2048\n", "") else { panic!("another error") };
        assert!(source.to_string().contains("missing field `image-mib`"), "{source}");
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for (from, to) in [
            ("title = \"", "title = \"a\\\"b"),
            ("security-version = 1", "security-version = 65"),
            ("command-line = \"", "command-line = \"roothash=0 "),
            ("image-mib = 2048", "image-mib = 512"),
            ("esp-mib = 64", "esp-mib = 32"),
        ] {
            let error = replaced(from, to);
            assert!(matches!(error, RecipeError::Value { .. }), "{to}: {error}");
        }
    }

    #[test]
    fn patterns_are_checked() {
        let RecipeError::Toml { source, .. } = replaced("drop = [", "drop = [\"/etc\",") else { panic!() };
        assert!(source.to_string().contains("no path of the root"), "{source}");
    }
}
