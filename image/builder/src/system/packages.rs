//! What dpkg knows about the packages in a root.

use std::collections::BTreeMap;

use crate::tree::{Kind, Node, Tree, TreeError};

const STATUS: &str = "var/lib/dpkg/status";
const INFO: &str = "var/lib/dpkg/info";

/// Why packages are not known.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// dpkg's files.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A package without its list of files.
    #[error("the root does not say which files are of the package {0}; remove the cached root and build it again")]
    NoList(String),
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it was built for: `amd64` or `all`.
    pub architecture: String,
    /// The package of its source, and that one's version.
    pub source: (String, String),
    /// Where it is from, if it says so.
    pub homepage: Option<String>,
    /// Paths of its files and folders, as it names them: `/lib` may be a link by now.
    files: Vec<String>,
}

impl Package {
    /// The files as paths of the root.
    pub fn files<'a>(&'a self, root: &'a Tree) -> impl Iterator<Item = String> + 'a {
        self.files.iter().filter_map(|path| root.resolve_parent(path.trim_start_matches('/')).ok())
    }

    /// One that was unpacked and not installed, by its fields.
    #[must_use]
    pub fn unpacked(control: &str) -> Option<Self> {
        package(&fields(control))
    }
}

/// Reads dpkg's records.
///
/// # Errors
///
/// [`PackagesError`].
pub fn packages(root: &Tree) -> Result<Vec<Package>, PackagesError> {
    let status = root.read_text(STATUS)?;
    let installed = status
        .split("\n\n")
        .map(fields)
        .filter(|fields| fields.get("Status").is_some_and(|status| status == "install ok installed"));
    let mut packages = Vec::new();
    for package in installed.filter_map(|fields| package(&fields)) {
        // Only where several architectures may be there at once does the name of the list say which.
        let lists = [format!("{INFO}/{}.list", package.name), format!("{INFO}/{}:amd64.list", package.name)];
        let list = lists.iter().find(|list| root.get(list).is_some());
        let list = list.ok_or_else(|| PackagesError::NoList(package.name.clone()))?;
        let files = root.read_text(list)?.lines().map(str::to_owned).collect();
        packages.push(Package { files, ..package });
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// Those of which a file is still there.
#[must_use]
pub fn remaining(packages: Vec<Package>, root: &Tree) -> Vec<Package> {
    let file = |path: &String| matches!(root.get(path), Some(Node { kind: Kind::File(_) | Kind::Link(_), .. }));
    packages.into_iter().filter(|package| package.files(root).any(|path| file(&path))).collect()
}

fn package(fields: &BTreeMap<&str, String>) -> Option<Package> {
    let (name, version) = (fields.get("Package")?.clone(), fields.get("Version")?.clone());
    // `Source: glibc (2.41-12)`; without a version it is the package's, without a field the package itself.
    let source = fields.get("Source").map_or(name.as_str(), String::as_str);
    let source = match source.split_once(" (") {
        Some((source, version)) => (source.to_owned(), version.trim_end_matches(')').to_owned()),
        None => (source.to_owned(), version.clone()),
    };
    let (architecture, homepage) = (fields.get("Architecture")?.clone(), fields.get("Homepage").cloned());
    Some(Package { name, version, architecture, source, homepage, files: Vec::new() })
}

fn fields(paragraph: &str) -> BTreeMap<&str, String> {
    let lines = paragraph.lines().filter(|line| !line.starts_with(' '));
    let fields = lines.filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name, value.trim().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS_TEXT: &str = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc (2.41-12)\n\
        Version: 2.41-12+b1\nDescription: one\n Package: none\n\n\
        Package: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n\n\
        Package: dash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 0.5\nHomepage: http://dash.example\n";

    fn root() -> Tree {
        let mut root = Tree::default();
        for (path, content) in [
            (STATUS, STATUS_TEXT),
            ("var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib\n/lib/libc.so.6\n"),
            ("var/lib/dpkg/info/dash.list", "/.\n/bin/dash\n"),
            ("usr/lib/libc.so.6", "ELF"),
            ("usr/bin/dash", "ELF"),
        ] {
            root.insert(path, Node::file(content.as_bytes())).unwrap();
        }
        root.insert("lib", Node::link("usr/lib".to_owned())).unwrap();
        root.insert("bin", Node::link("usr/bin".to_owned())).unwrap();
        root
    }

    #[test]
    fn installed_packages_and_their_sources() {
        let packages = packages(&root()).unwrap();
        assert_eq!(packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["dash", "libc6"]);
        assert_eq!(packages[1].source, ("glibc".to_owned(), "2.41-12".to_owned()));
        assert_eq!(packages[0].source, ("dash".to_owned(), "0.5".to_owned()));
        assert_eq!(packages[0].homepage.as_deref(), Some("http://dash.example"));
    }

    #[test]
    fn those_without_files_are_not_in_the_image() {
        let mut root = root();
        let packages = packages(&root).unwrap();
        assert_eq!(remaining(packages.clone(), &root).len(), 2);
        root.retain(|path, _| path != "usr/bin/dash");
        let left = remaining(packages, &root);
        assert_eq!(left.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), ["libc6"]);
    }

    #[test]
    fn a_package_without_a_list_is_refused() {
        let mut root = root();
        root.retain(|path, _| path != "var/lib/dpkg/info/dash.list");
        assert!(matches!(packages(&root), Err(PackagesError::NoList(name)) if name == "dash"));
    }
}
