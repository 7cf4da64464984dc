//! Leaving the initrd: its memory is freed, and another file system becomes the root.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::statfs,
    io::Errno,
    process::{chdir, chroot},
};

use crate::mount::{self, MountError};

/// Mounts that the initrd's programs made and the system goes on using.
const KEPT: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

/// File systems that an initrd can be, `linux/magic.h`.
const IN_MEMORY: [i64; 2] = [RAMFS_MAGIC, TMPFS_MAGIC];
const RAMFS_MAGIC: i64 = 0x8584_58f6;
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Why the root is still the initrd.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Somebody tries it on a running system, whose root would be deleted.
    #[error("this is no initrd, or not its first process; only the kernel can start it")]
    NoInitrd,
    /// Not on a file system of its own.
    #[error("{0} is no mounted file system; mount the root there first")]
    NotMounted(PathBuf),
    /// The kernel refused.
    #[error("cannot make {root} the root")]
    Enter {
        /// What should be it.
        root: PathBuf,
        /// The kernel's reason.
        #[source]
        source: Errno,
    },
    /// A mount that does not follow.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// One of the two cannot be looked at.
    #[error("cannot look at {path}")]
    Look {
        /// Which.
        path: PathBuf,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
}

/// Makes what is mounted at `root` the root of this process, which must be the machine's first, and so of the kernel
/// and of all processes that are started from now on. The kernel's file systems and `/run` move along, and whatever
/// else the initrd holds is deleted.
///
/// # Errors
///
/// [`HandoverError`]. Then nothing is usable any more, and the machine has to be left; but for
/// [`HandoverError::NoInitrd`], when nothing was done.
pub fn enter(root: &Path) -> Result<(), HandoverError> {
    let in_memory = |path: &str| statfs(path).is_ok_and(|found| IN_MEMORY.contains(&found.f_type));
    if std::process::id() != 1 || !in_memory("/") {
        return Err(HandoverError::NoInitrd);
    }
    let device = |path: &Path| {
        fs::metadata(path)
            .map(|metadata| metadata.dev())
            .map_err(|source| HandoverError::Look { path: path.into(), source })
    };
    let initrd = device(Path::new("/"))?;
    if device(root)? == initrd {
        return Err(HandoverError::NotMounted(root.into()));
    }
    for name in KEPT {
        mount::move_to(Path::new(name), &root.join(name.trim_start_matches('/')))?;
    }
    delete(Path::new("/"), initrd);
    let failed = |source| HandoverError::Enter { root: root.into(), source };
    chdir(root).map_err(failed)?;
    mount::move_to(Path::new("."), Path::new("/"))?;
    chroot(".").and_then(|()| chdir("/")).map_err(failed)
}

/// Deletes what is below a directory and on its device. What cannot be deleted only takes memory.
fn delete(directory: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        // Of the entry itself, where another file system is mounted of that.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.dev() != device {
            continue;
        }
        if metadata.is_dir() {
            delete(&path, device);
            let _ = fs::remove_dir(&path);
        } else {
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_system_keeps_its_root() {
        let error = enter(Path::new("/nowhere")).unwrap_err();
        assert!(matches!(error, HandoverError::NoInitrd), "{error}");
    }

    #[test]
    fn another_device_is_not_deleted() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("a/b")).unwrap();
        fs::write(directory.path().join("a/b/c"), "").unwrap();
        let device = fs::metadata(directory.path()).unwrap().dev();
        delete(directory.path(), device + 1);
        assert!(directory.path().join("a/b/c").exists());
        delete(directory.path(), device);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
