//! Taking out what no box needs.
//!
//! Lists of what stays are safer than lists of what goes where packages bring new things along: programs and units that
//! the recipe does not name are not in the image.

use std::collections::BTreeSet;

use super::Package;
use crate::{
    recipe::Root,
    tree::{Kind, Node, Tree, TreeError},
};

/// Where programs are.
const PROGRAMS: [&str; 2] = ["usr/bin", "usr/sbin"];
/// Where packages have their units.
const UNITS: &str = "usr/lib/systemd/system";
/// Where Debian's scripts enable and mask them: what is enabled in a box is in the recipe's own files.
const ENABLED: &str = "etc/systemd/system";
/// Folders beside a unit that belong to it: settings, and links to what it wants.
const BESIDE: [&str; 3] = [".d", ".wants", ".requires"];

/// Why the recipe does not fit the packages.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Something that is to stay is not there.
    #[error("the recipe keeps the {kind} {name}, which no package has; correct [root] in the recipe")]
    Nothing {
        /// What.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Something that is to go is not there.
    #[error("the recipe drops {0}, which is not there; take the line out of [root] in the recipe")]
    NotThere(String),
    /// Links that lead nowhere.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Takes everything out that the recipe does not keep.
///
/// # Errors
///
/// [`PruneError`] names the line of the recipe that means nothing: it would mean something else tomorrow.
pub(super) fn prune(root: &mut Tree, recipe: &Root, packages: &[Package]) -> Result<(), PruneError> {
    let dropped = dropped(root, recipe, packages)?;
    let (programs, units) = (named(&recipe.programs), named(&recipe.units));
    check_names(root, &programs, &PROGRAMS, "program")?;
    check_names(root, &units, &[UNITS], "unit")?;
    for (folder, names) in &recipe.only {
        check_names(root, &named(names), &[folder], "file")?;
    }
    if let Some(nothing) = root.remove(&recipe.drop).first() {
        return Err(PruneError::NotThere(nothing.to_string()));
    }
    let enabled = |path: &str| path.strip_prefix(ENABLED).is_some_and(|path| path.starts_with('/'));
    root.retain(|path, _| {
        !dropped.contains(path)
            && program(path).is_none_or(|name| programs.contains(name))
            && !enabled(path)
            && recipe.only.iter().all(|(folder, names)| {
                let inside = path.strip_prefix(folder.as_str()).and_then(|path| path.strip_prefix('/'));
                inside
                    .and_then(|path| path.split('/').next())
                    .is_none_or(|name| names.iter().any(|other| other == name))
            })
            && path.strip_prefix(UNITS).and_then(|path| path.strip_prefix('/')).is_none_or(|path| stays(path, &units))
    });
    dangling(root)?;
    Ok(())
}

/// Files that are of dropped packages and of no other.
fn dropped(root: &Tree, recipe: &Root, packages: &[Package]) -> Result<BTreeSet<String>, PruneError> {
    let names = named(&recipe.drop_packages);
    if let Some(name) = names.iter().find(|name| !packages.iter().any(|package| package.name == **name)) {
        return Err(PruneError::NotThere((*name).to_owned()));
    }
    let (gone, kept): (Vec<_>, Vec<_>) = packages.iter().partition(|package| names.contains(package.name.as_str()));
    let files = |packages: Vec<&Package>| -> BTreeSet<String> {
        packages.into_iter().flat_map(|package| package.files(root)).collect()
    };
    let (gone, kept) = (files(gone), files(kept));
    let folder = |path: &String| matches!(root.get(path), Some(Node { kind: Kind::Folder, .. }) | None);
    Ok(gone.difference(&kept).filter(|path| !folder(path)).cloned().collect())
}

/// Whether something among the units stays: a unit, what is beside it, and links to units that stay.
fn stays(path: &str, units: &BTreeSet<&str>) -> bool {
    let (first, inside) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let unit = BESIDE.iter().find_map(|beside| first.strip_suffix(beside)).unwrap_or(first);
    let links = first.ends_with(".wants") || first.ends_with(".requires");
    units.contains(unit) && (!links || inside.is_none_or(|link| units.contains(link)))
}

/// The name of a program by its path.
fn program(path: &str) -> Option<&str> {
    PROGRAMS.iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'))
}

fn named(names: &[String]) -> BTreeSet<&str> {
    names.iter().map(String::as_str).collect()
}

fn check_names(root: &Tree, names: &BTreeSet<&str>, folders: &[&str], kind: &'static str) -> Result<(), PruneError> {
    let there: BTreeSet<&str> = folders.iter().flat_map(|folder| root.names(folder)).collect();
    let missing = names.difference(&there).next();
    missing.map_or(Ok(()), |name| Err(PruneError::Nothing { kind, name: (*name).to_owned() }))
}

/// Takes out links to what is not there any more.
fn dangling(root: &mut Tree) -> Result<(), PruneError> {
    let mut gone = BTreeSet::new();
    for (path, node) in root.iter() {
        let Kind::Link(target) = &node.kind else { continue };
        // Where systemd and the kernel will have something.
        let runtime = ["/dev/", "/proc/", "/run/", "/sys/", "../proc/", "../run/"];
        if runtime.iter().any(|prefix| target.starts_with(prefix)) {
            continue;
        }
        let leads = root.resolve(path)?;
        if !leads.is_empty() && root.get(&leads).is_none() {
            gone.insert(path.to_owned());
        }
    }
    root.retain(|path, _| !gone.contains(path));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pattern::Pattern, system::packages};

    fn root() -> Tree {
        let mut root = Tree::default();
        for path in [
            "usr/bin/bash",
            "usr/bin/mount",
            "usr/sbin/e2fsck",
            "usr/sbin/mkfs.ext4",
            "usr/lib/systemd/system/a.service",
            "usr/lib/systemd/system/a.service.d/10.conf",
            "usr/lib/systemd/system/b.target",
            "usr/lib/systemd/system/b.target.wants/a.service",
            "usr/lib/systemd/system/b.target.wants/c.service",
            "usr/lib/systemd/system/c.service",
            "etc/systemd/system/b.target.wants/c.service",
            "usr/share/doc/x",
            "etc/x/a/b",
            "etc/x/c",
            "usr/share/shared",
        ] {
            root.insert(path, Node::file(path.as_bytes())).unwrap();
        }
        root.insert("usr/bin/sh", Node::link("bash".to_owned())).unwrap();
        root.insert("usr/lib/link", Node::link("/usr/bin/bash".to_owned())).unwrap();
        root.insert("usr/lib/systemd/system/null.service", Node::link("/dev/null".to_owned())).unwrap();
        let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
            Package: other\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n";
        root.insert("var/lib/dpkg/status", Node::file(status.as_bytes())).unwrap();
        let list = "/usr\n/usr/bin/bash\n/usr/share/shared\n";
        root.insert("var/lib/dpkg/info/bash.list", Node::file(list.as_bytes())).unwrap();
        root.insert("var/lib/dpkg/info/other.list", Node::file(*b"/usr\n/usr/share/shared\n")).unwrap();
        root
    }

    fn recipe() -> Root {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Root {
            programs: names(&["mount", "e2fsck"]),
            units: names(&["a.service", "b.target", "null.service"]),
            only: [("etc/x".to_owned(), names(&["a"]))].into(),
            libraries: vec![],
            drop_packages: names(&["bash"]),
            drop: vec![Pattern::try_from("usr/share/doc".to_owned()).unwrap()],
        }
    }

    fn prune(recipe: &Root) -> Result<Vec<String>, PruneError> {
        let mut root = root();
        let packages = packages(&root).unwrap();
        super::prune(&mut root, recipe, &packages)?;
        Ok(root
            .iter()
            .filter(|(_, node)| !matches!(node.kind, Kind::Folder))
            .map(|(path, _)| path.to_owned())
            .collect())
    }

    #[test]
    fn what_is_not_named_goes() {
        let left = prune(&recipe()).unwrap();
        let left: Vec<&str> = left.iter().map(String::as_str).filter(|path| !path.starts_with("var")).collect();
        assert_eq!(
            left,
            [
                "etc/x/a/b",
                "usr/bin/mount",
                "usr/lib/systemd/system/a.service",
                "usr/lib/systemd/system/a.service.d/10.conf",
                "usr/lib/systemd/system/b.target",
                "usr/lib/systemd/system/b.target.wants/a.service",
                "usr/lib/systemd/system/null.service",
                "usr/sbin/e2fsck",
                "usr/share/shared",
            ]
        );
    }

    #[test]
    fn lines_that_mean_nothing_are_refused() {
        let with = |change: fn(&mut Root)| {
            let mut recipe = recipe();
            change(&mut recipe);
            prune(&recipe).unwrap_err().to_string()
        };
        assert!(with(|recipe| recipe.programs.push("zsh".to_owned())).contains("program zsh"));
        assert!(with(|recipe| recipe.units.push("d.service".to_owned())).contains("unit d.service"));
        assert!(with(|recipe| recipe.only.get_mut("etc/x").unwrap().push("d".to_owned())).contains("file d"));
        assert!(with(|recipe| recipe.drop_packages.push("zsh".to_owned())).contains("zsh"));
        let nothing = |recipe: &mut Root| recipe.drop.push(Pattern::try_from("usr/games".to_owned()).unwrap());
        assert!(with(nothing).contains("usr/games"));
    }
}
