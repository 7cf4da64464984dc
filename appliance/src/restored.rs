//! A chain that was restored beside a box's own, and takes its place with the next start.
//!
//! At any instant the box has one of the two, whole: what was restored is complete once it is marked so, and the mark
//! goes when it is in place.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alloy_primitives::B256;
use anyhow::Context as _;
use dolmen_hsm_api::private;
use serde::{Deserialize, Serialize};

/// What waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Waiting {
    /// Its last block.
    pub(crate) head: u64,
    /// That block's hash.
    pub(crate) hash: B256,
}

/// The places beside a box's data directory.
pub(crate) struct Place {
    data: PathBuf,
    /// What is restored.
    pub(crate) restored: PathBuf,
    /// Says that it is whole.
    mark: PathBuf,
    /// What it takes the place of, until it is gone.
    replaced: PathBuf,
}

impl Place {
    /// Beside a data directory.
    pub(crate) fn beside(data_dir: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = data_dir.file_name().unwrap_or_default().to_owned();
            name.push(suffix);
            data_dir.with_file_name(name)
        };
        Self {
            data: data_dir.to_owned(),
            restored: with(".restored"),
            mark: with(".restored.json"),
            replaced: with(".replaced"),
        }
    }

    /// What waits for the next start, if anything does.
    pub(crate) fn waiting(&self) -> anyhow::Result<Option<Waiting>> {
        match fs::read(&self.mark) {
            Ok(json) => Ok(Some(
                serde_json::from_slice(&json)
                    .with_context(|| format!("{} is damaged: remove it", self.mark.display()))?,
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", self.mark.display())),
        }
    }

    /// Says that what was restored is whole.
    pub(crate) fn mark(&self, waiting: Waiting) -> anyhow::Result<()> {
        let written = private::write(&self.mark, &serde_json::to_vec(&waiting)?);
        written.with_context(|| format!("cannot write {}", self.mark.display()))
    }

    /// Removes what was restored, whole or not.
    pub(crate) fn drop_restored(&self) -> anyhow::Result<()> {
        // The mark first: what is half removed is not whole.
        remove_file(&self.mark)?;
        remove_directory(&self.restored)
    }

    /// Puts what waits into the place of the box's chain, before anything of that is open.
    pub(crate) fn take(&self) -> anyhow::Result<()> {
        if let Some(waiting) = self.waiting()? {
            // Without it, an attempt before this one has got that far.
            if exists(&self.restored)? {
                if exists(&self.data)? {
                    remove_directory(&self.replaced)?;
                    rename(&self.data, &self.replaced)?;
                }
                rename(&self.restored, &self.data)?;
            }
            remove_file(&self.mark)?;
            tracing::warn!(head = waiting.head, hash = %waiting.hash, "the chain of this box is that of its backup now");
        }
        // What was not finished, and what was replaced.
        remove_directory(&self.restored)?;
        remove_directory(&self.replaced)
    }
}

fn exists(path: &Path) -> anyhow::Result<bool> {
    path.try_exists().with_context(|| format!("cannot read {}", path.display()))
}

fn rename(from: &Path, to: &Path) -> anyhow::Result<()> {
    let renamed = fs::rename(from, to).and_then(|()| sync_parent(to));
    renamed.with_context(|| format!("cannot move {} to {}", from.display(), to.display()))
}

fn remove_directory(path: &Path) -> anyhow::Result<()> {
    gone(fs::remove_dir_all(path)).with_context(|| format!("cannot remove {}", path.display()))
}

fn remove_file(path: &Path) -> anyhow::Result<()> {
    let removed = gone(fs::remove_file(path)).and_then(|()| sync_parent(path));
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    private::sync_directory(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Waiting = Waiting { head: 7, hash: B256::repeat_byte(7) };

    /// A box with a chain, and one that was restored; says which of them the box has.
    fn made(dir: &Path) -> (Place, impl Fn() -> String + use<>) {
        let data = dir.join("data");
        let place = Place::beside(&data);
        for (directory, text) in [(&data, "own"), (&place.restored, "restored")] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("db"), text).unwrap();
        }
        (place, move || fs::read_to_string(data.join("db")).unwrap())
    }

    #[test]
    fn what_is_whole_takes_the_place_of_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let (place, chain) = made(dir.path());
        place.mark(WAITING).unwrap();
        assert_eq!(place.waiting().unwrap(), Some(WAITING));
        place.take().unwrap();
        assert_eq!((chain(), place.waiting().unwrap()), ("restored".to_owned(), None));
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["data"]);
        place.take().unwrap();
        assert_eq!(chain(), "restored");
    }

    #[test]
    fn power_lost_on_the_way_loses_neither() {
        // After each of the steps of `take`.
        for done in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            let (place, chain) = made(dir.path());
            place.mark(WAITING).unwrap();
            if done > 0 {
                fs::rename(&place.data, &place.replaced).unwrap();
            }
            if done > 1 {
                fs::rename(&place.restored, &place.data).unwrap();
            }
            if done > 2 {
                fs::remove_file(&place.mark).unwrap();
            }
            place.take().unwrap();
            assert_eq!(chain(), "restored", "{done}");
            assert!(!place.replaced.exists() && !place.mark.exists());
        }
    }

    #[test]
    fn what_was_not_finished_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (place, chain) = made(dir.path());
        place.take().unwrap();
        assert_eq!((chain(), place.waiting().unwrap()), ("own".to_owned(), None));
        assert!(!place.restored.exists());
    }

    #[test]
    fn what_is_dropped_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let (place, chain) = made(dir.path());
        place.mark(WAITING).unwrap();
        place.drop_restored().unwrap();
        place.drop_restored().unwrap();
        place.take().unwrap();
        assert_eq!(chain(), "own");
        assert!(!place.restored.exists());
    }
}
