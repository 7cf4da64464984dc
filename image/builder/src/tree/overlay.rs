//! Laying a folder of this machine over a root.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{Kind, Node, Tree, TreeError};
use crate::limits::NODES_MAX;

/// What makes git keep an empty folder.
const KEEP: &str = ".keep";

impl Tree {
    /// Puts all that is in a folder into the root, over what is there. All of it is root's, and everybody may read it;
    /// what its owner may execute, everybody may. Files named `.keep` are left out, their folders are not.
    ///
    /// # Errors
    ///
    /// [`TreeError`].
    pub fn overlay(&mut self, folder: &Path) -> Result<(), TreeError> {
        let mut paths = Vec::new();
        collect(folder, &mut paths)?;
        paths.sort();
        for path in paths {
            let fail = |source| TreeError::Overlay { path: path.clone(), source };
            let name = path.strip_prefix(folder).map_err(io::Error::other).map_err(fail)?;
            let name = name.to_str().ok_or_else(|| TreeError::Path(name.to_string_lossy().into_owned()))?;
            let metadata = fs::symlink_metadata(&path).map_err(fail)?;
            if metadata.is_dir() {
                if !matches!(self.get(name), Some(Node { kind: Kind::Folder | Kind::Link(_), .. })) {
                    self.insert(name, Node::folder())?;
                }
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(fail)?;
                let target = target.to_str().ok_or_else(|| TreeError::Path(name.to_owned()))?;
                self.insert(name, Node::link(target.to_owned()))?;
            } else if path.file_name().is_some_and(|name| name != KEEP) {
                let executable = metadata.permissions().mode() & 0o100 != 0;
                let file = Node::file(fs::read(&path).map_err(fail)?);
                self.insert(name, Node { mode: if executable { 0o755 } else { 0o644 }, ..file })?;
            }
        }
        Ok(())
    }
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), TreeError> {
    let fail = |source| TreeError::Overlay { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if paths.len() >= NODES_MAX {
            return Err(TreeError::TooMany);
        }
        paths.push(entry.path());
        if entry.file_type().map_err(fail)?.is_dir() {
            collect(&entry.path(), paths)?;
        }
    }
    Ok(())
}
