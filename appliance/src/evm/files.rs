//! Finding the fixture files that the command line names.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories deeper than this are not searched; the deepest published fixture trees have about ten levels.
const DEPTH_MAX: usize = 32;

/// More files than this are not run at once; all published fixtures together are some tens of thousands.
const FILES_MAX: usize = 200_000;

/// What the paths of a command line lead to.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files to run: in the order of the command line, and by name within a directory.
    pub(super) files: Vec<PathBuf>,
    /// One message for each path that leads to no file, naming the path and the reason.
    pub(super) errors: Vec<String>,
}

/// Resolves files as given and directories to the `*.json` files below them. Links to directories are not followed
/// below a given directory, so a loop of links ends.
pub(super) fn collect(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = (found.files.len(), found.errors.len());
        found.search(path, 0);
        if before == (found.files.len(), found.errors.len()) {
            found.errors.push(format!("{}: the directory holds no *.json file", path.display()));
        }
    }
    if found.files.len() > FILES_MAX {
        found.errors.push(format!("more than {FILES_MAX} files: the rest was left out; give fewer directories"));
        found.files.truncate(FILES_MAX);
    }
    found
}

impl Found {
    fn push(&mut self, path: PathBuf) {
        // One past the limit is kept so that `collect` sees that it was exceeded.
        if self.files.len() <= FILES_MAX {
            self.files.push(path);
        }
    }

    fn search(&mut self, directory: &Path, depth: usize) {
        if depth > DEPTH_MAX {
            self.errors.push(format!("{}: more than {DEPTH_MAX} levels deep, not searched", directory.display()));
            return;
        }
        let entries = fs::read_dir(directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => {
                self.errors.push(format!("{}: cannot list the directory: {error}", directory.display()));
                return;
            }
        };
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.search(&path, depth + 1);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                self.push(path);
            }
        }
    }
}
