//! Crates that are linked, as cargo resolves them for one package and its target: not those of the whole workspace, of
//! tests, of build scripts or of macros.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::Deserialize;

use crate::{
    file::{self, FileError},
    process::{self, ProcessError},
};

/// What an image runs on.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What `cargo tree` says of each crate.
const FORMAT: &str = "|{p}|{f}|{l}";

/// Why they are not known.
#[derive(Debug, thiserror::Error)]
pub enum CratesError {
    /// cargo fails.
    #[error("cannot ask cargo which crates {package} is linked from")]
    Cargo {
        /// Which program.
        package: String,
        /// What cargo said.
        #[source]
        source: ProcessError,
    },
    /// Cargo.lock.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is damaged.
    #[error("Cargo.lock is damaged; get it back from git")]
    Lock(#[source] Box<toml::de::Error>),
    /// A line of cargo's that means nothing here.
    #[error("cargo tree says {0:?}, which this program does not understand; mend image/builder/src/sbom/crates.rs")]
    Line(String),
}

/// A linked crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Features that it is linked with.
    pub features: BTreeSet<String>,
    /// An SPDX expression, if it says one.
    pub license: Option<String>,
    /// SHA-256 of its archive; none for our own.
    pub checksum: Option<String>,
    /// References to the crates that it uses.
    pub depends_on: Vec<String>,
}

impl Crate {
    /// What the others call it by.
    #[must_use]
    pub fn bom_ref(&self) -> String {
        reference(&self.name, &self.version)
    }
}

fn reference(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// The part of Cargo.lock that is needed.
#[derive(Deserialize)]
struct CargoLock {
    package: Vec<CargoPackage>,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// Crates of the workspace at `workspace` that these packages are linked from, and those packages themselves.
///
/// # Errors
///
/// [`CratesError`].
pub fn crates(workspace: &Path, packages: &[&str]) -> Result<Vec<Crate>, CratesError> {
    let lock = file::read_text(&workspace.join("Cargo.lock"))?;
    let lock: CargoLock = toml::from_str(&lock).map_err(|source| CratesError::Lock(Box::new(source)))?;
    let mut found = BTreeMap::new();
    for package in packages {
        let mut command = process::command("cargo", ["tree", "--locked", "--prefix=depth", "--format", FORMAT]);
        command.args(["--edges=normal,no-proc-macro", "--target", TARGET, "--package", package]);
        let failed = |source| CratesError::Cargo { package: (*package).to_owned(), source };
        let said = process::text(command.current_dir(workspace)).map_err(failed)?;
        read_tree(&said, &mut found)?;
    }
    let mut crates: Vec<Crate> = found.into_values().collect();
    for one in &mut crates {
        let entry = lock.package.iter().find(|entry| entry.name == one.name && entry.version == one.version);
        one.checksum = entry.and_then(|entry| entry.checksum.clone());
        one.depends_on.sort();
        one.depends_on.dedup();
    }
    Ok(crates)
}

/// Lines of `DEPTH|NAME vVERSION (...)|FEATURES|LICENCE (*)`.
fn read_tree(said: &str, found: &mut BTreeMap<String, Crate>) -> Result<(), CratesError> {
    // The crates above the line, from the top.
    let mut above: Vec<String> = Vec::new();
    for line in said.lines().filter(|line| !line.is_empty()) {
        let (depth, new) = read_line(line).ok_or_else(|| CratesError::Line(line.to_owned()))?;
        let reference = new.bom_ref();
        above.truncate(depth);
        if let Some(parent) = above.last().and_then(|parent| found.get_mut(parent)) {
            parent.depends_on.push(reference.clone());
        }
        above.push(reference.clone());
        let known = found.entry(reference).or_insert_with(|| new.clone());
        known.features.extend(new.features);
    }
    Ok(())
}

fn read_line(line: &str) -> Option<(usize, Crate)> {
    let mut fields = line.split('|');
    let depth = fields.next()?.parse().ok()?;
    let mut package = fields.next()?.split_whitespace();
    let (name, version) = (package.next()?.to_owned(), package.next()?.strip_prefix('v')?.to_owned());
    let features = fields.next()?.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned).collect();
    let license = fields.next()?.trim_end_matches(" (*)").trim();
    // Old crates write `MIT/Apache-2.0`, which SPDX does not know.
    let license = (!license.is_empty() && license != "(*)").then(|| license.replace('/', " OR "));
    Some((depth, Crate { name, version, features, license, checksum: None, depends_on: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0|dolmen v0.1.0 (/src/appliance)|default,tpm|Apache-2.0\n\
        1|tokio v1.54.1|net,sync|MIT\n\
        2|bytes v1.12.1|default,std|MIT\n\
        1|bytes v1.12.1|default,std|MIT (*)\n\
        1|old v0.2.0+1.1||MIT/Apache-2.0\n\
        0|dolmen-image-boot v0.1.0 (/src/image/boot)||Apache-2.0\n\
        1|tokio v1.54.1|rt| (*)\n";

    #[test]
    fn a_tree_becomes_crates_and_what_they_use() {
        let mut found = BTreeMap::new();
        read_tree(TREE, &mut found).unwrap();
        let names: Vec<&String> = found.keys().collect();
        let expected = ["bytes@1.12.1", "dolmen-image-boot@0.1.0", "dolmen@0.1.0", "old@0.2.0%2B1.1", "tokio@1.54.1"];
        assert_eq!(names, expected.map(|name| format!("pkg:cargo/{name}")).iter().collect::<Vec<_>>());
        let dolmen = &found["pkg:cargo/dolmen@0.1.0"];
        let uses = ["tokio@1.54.1", "bytes@1.12.1", "old@0.2.0%2B1.1"];
        assert_eq!(dolmen.depends_on, uses.map(|name| format!("pkg:cargo/{name}")));
        let features: Vec<&str> = found["pkg:cargo/tokio@1.54.1"].features.iter().map(String::as_str).collect();
        assert_eq!(features, ["net", "rt", "sync"]);
        assert_eq!(found["pkg:cargo/old@0.2.0%2B1.1"].license.as_deref(), Some("MIT OR Apache-2.0"));
        assert!(matches!(read_tree("nonsense\n", &mut found), Err(CratesError::Line(_))));
    }

    #[test]
    fn this_crate_is_linked_from_others() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let crates = crates(&workspace, &["dolmen-image-builder"]).unwrap();
        let find = |name: &str| crates.iter().find(|one| one.name == name).unwrap();
        assert!(find("fatfs").checksum.as_ref().unwrap().len() == 64 && find("fatfs").features.contains("std"));
        assert!(find("dolmen-image-builder").depends_on.iter().any(|one| one.starts_with("pkg:cargo/tar@")));
        assert!(find("dolmen-image-disk").checksum.is_none());
        // A macro, and a crate for tests of others.
        assert!(!crates.iter().any(|one| one.name == "serde_derive" || one.name == "proptest"));
    }
}
