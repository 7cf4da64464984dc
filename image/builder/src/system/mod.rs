//! What a box runs: Debian's packages less what no box needs, our files laid over them, and the `dolmen` programs.

mod libraries;
mod os_release;
mod packages;
mod prune;
mod units;
mod users;

pub use libraries::LibrariesError;
pub use os_release::{OsRelease, OsReleaseError};
pub use packages::{Package, PackagesError, packages, remaining};
pub use prune::PruneError;
pub use units::UnitsError;
pub use users::UsersError;

use std::path::{Path, PathBuf};

use crate::{
    file::{self, FileError},
    kernel::{Kernel, KernelError},
    keys::Keys,
    recipe::Recipe,
    tree::{Kind, Node, Tree, TreeError},
};

/// Where our own programs go.
const DOLMEN: &str = "usr/bin/dolmen";
const DOLMEN_DATA: &str = "usr/lib/dolmen/dolmen-data";
/// The key of updates.
const RELEASE_KEY: &str = "usr/lib/dolmen/release.pem";
/// Whose vouchers boxes follow.
const MASA_ROOTS: &str = "usr/lib/dolmen/masa.pem";
/// `/etc/os-release` is a link to it.
const OS_RELEASE: &str = "usr/lib/os-release";
const SHADOW: &str = "etc/shadow";
/// Where a box mounts something before systemd runs. The root is read-only: nobody can make them then.
const MOUNT_POINTS: [&str; 9] = ["data", "dev", "efi", "etc/machine-id", "proc", "run", "sys", "tmp", "var"];

/// Why there is no system.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// Files and folders.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// Files of this machine.
    #[error(transparent)]
    File(#[from] FileError),
    /// Kernel modules.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// dpkg's records.
    #[error(transparent)]
    Packages(#[from] PackagesError),
    /// What is taken out.
    #[error(transparent)]
    Prune(#[from] PruneError),
    /// Accounts.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// Units of systemd.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// Shared libraries.
    #[error(transparent)]
    Libraries(#[from] LibrariesError),
    /// A box could not start.
    #[error("the root has no {0}, where a box mounts something: put it into the files laid over the root")]
    MountPoint(&'static str),
    /// Somebody could log in.
    #[error("the account {0} has a password or none at all; nobody may log in to a box: lock it (`!*` in /etc/shadow)")]
    Login(String),
}

/// Our own programs, as files of this machine.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The node, stripped.
    pub dolmen: PathBuf,
    /// What opens the data partition, static.
    pub dolmen_data: PathBuf,
}

/// Makes the system of what Debian installed, and gives the packages of which something is still there.
///
/// # Errors
///
/// [`SystemError`].
pub fn assemble(
    root: &mut Tree,
    recipe: &Recipe,
    overlay: &Path,
    kernel: &Kernel,
    programs: &Programs,
    os_release: &OsRelease,
    keys: &Keys,
) -> Result<Vec<Package>, SystemError> {
    let packages = packages(root)?;
    prune::prune(root, &recipe.root, &packages)?;
    kernel.install(root)?;
    root.overlay(overlay)?;
    users::apply(root)?;
    check_logins(root)?;
    check_mount_points(root)?;
    root.insert(OS_RELEASE, Node::file(os_release.text().into_bytes()))?;
    root.insert(RELEASE_KEY, Node::file(keys.release_pem.as_bytes()))?;
    root.insert(MASA_ROOTS, Node::file(keys.masa_pem.as_bytes()))?;
    for (path, program) in [(DOLMEN, &programs.dolmen), (DOLMEN_DATA, &programs.dolmen_data)] {
        root.insert(path, Node::program(program.clone(), file::length(program)?))?;
    }
    // Both are read by nobody but root.
    for path in [SHADOW, "etc/gshadow"] {
        if let Some(Node { kind: Kind::File(content), gid, .. }) = root.get(path) {
            let node = Node { kind: Kind::File(content.clone()), mode: 0o640, uid: 0, gid: *gid };
            root.insert(path, node)?;
        }
    }
    units::check(root)?;
    libraries::check(root, &recipe.root.libraries)?;
    Ok(remaining(packages, root))
}

/// No account has a password, not even an empty one.
fn check_logins(root: &Tree) -> Result<(), SystemError> {
    for line in root.read_text(SHADOW)?.lines() {
        let mut fields = line.split(':');
        let (name, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        if !password.starts_with(['*', '!']) {
            return Err(SystemError::Login(name.to_owned()));
        }
    }
    Ok(())
}

fn check_mount_points(root: &Tree) -> Result<(), SystemError> {
    let missing = MOUNT_POINTS.into_iter().find(|path| root.get(path).is_none());
    missing.map_or(Ok(()), |path| Err(SystemError::MountPoint(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_without_a_mount_point_is_refused() {
        let mut root = Tree::default();
        for path in MOUNT_POINTS {
            let error = check_mount_points(&root).unwrap_err();
            assert!(matches!(error, SystemError::MountPoint(missing) if missing == path));
            root.insert(path, Node::folder()).unwrap();
        }
        check_mount_points(&root).unwrap();
    }

    #[test]
    fn nobody_logs_in() {
        let check = |shadow: &str| {
            let mut root = Tree::default();
            root.insert(SHADOW, Node::file(shadow.as_bytes())).unwrap();
            check_logins(&root)
        };
        check("root:*:20000:0:99999:7:::\ndolmen:!*:20000::::::\n").unwrap();
        assert!(matches!(check("root::20000:0:99999:7:::\n"), Err(SystemError::Login(name)) if name == "root"));
        assert!(matches!(check("root:!:1::::::\na:$y$j9T$x:1::::::\n"), Err(SystemError::Login(name)) if name == "a"));
    }
}
