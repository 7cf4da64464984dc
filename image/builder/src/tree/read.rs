//! Reading an archive.

use std::{
    fs::File,
    io::{self, BufReader},
    path::Path,
    sync::Arc,
};

use tar::{Archive, Entry, EntryType};

use super::{Content, Kind, Node, Tree, TreeError};
use crate::limits::NODES_MAX;

/// Rights that let somebody act for a file's owner. Nothing in a box needs them: services get what they need from
/// systemd.
const RIGHTS_OF_OWNERS: u32 = 0o6000;

impl Tree {
    /// Adds what is in an uncompressed tar archive of this machine. Files stay there: the archive must not change while
    /// the tree is in use.
    ///
    /// Devices are left out. setuid and setgid bits of files and capabilities are, too.
    ///
    /// # Errors
    ///
    /// [`TreeError`], by which the tree may have a part of it.
    pub fn read_tar(&mut self, archive: &Path) -> Result<(), TreeError> {
        let fail = |source| TreeError::Archive { archive: archive.to_owned(), source };
        let file: Arc<Path> = archive.into();
        let mut reader = Archive::new(BufReader::new(File::open(archive).map_err(fail)?));
        for (count, entry) in reader.entries_with_seek().map_err(fail)?.enumerate() {
            if count > NODES_MAX {
                return Err(TreeError::TooMany);
            }
            let entry = entry.map_err(fail)?;
            let refused = |path: &str, what| TreeError::Entry { archive: archive.to_owned(), path: path.into(), what };
            let path = text(&entry.path_bytes()).ok_or_else(|| refused("?", "a name that is no UTF-8"))?;
            let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
            if path.is_empty() || path == "." {
                continue;
            }
            let Some(kind) = self.kind(&entry, &file).map_err(|what| refused(&path, what))? else { continue };
            let node = node(&entry, kind).map_err(fail)?;
            // As dpkg does: a folder of another package stays what it is, a link to a folder too.
            match (self.nodes.get(&path), &node.kind) {
                (Some(Node { kind: Kind::Folder | Kind::Link(_), .. }), Kind::Folder) => {}
                _ => self.insert(&path, node)?,
            }
        }
        Ok(())
    }

    fn kind<R: io::Read>(&self, entry: &Entry<'_, R>, file: &Arc<Path>) -> Result<Option<Kind>, &'static str> {
        let target = || entry.link_name_bytes().and_then(|name| text(&name)).ok_or("a link that leads nowhere");
        match entry.header().entry_type() {
            EntryType::Directory => Ok(Some(Kind::Folder)),
            EntryType::Symlink => Ok(Some(Kind::Link(target()?))),
            EntryType::Link => {
                let target = target()?;
                match self.nodes.get(target.trim_start_matches("./")) {
                    Some(Node { kind: Kind::File(content), .. }) => Ok(Some(Kind::File(content.clone()))),
                    _ => Err("a link to a file that does not come before it"),
                }
            }
            EntryType::Regular | EntryType::Continuous => Ok(Some(Kind::File(Content::Part {
                file: Arc::clone(file),
                offset: entry.raw_file_position(),
                bytes: entry.size(),
            }))),
            EntryType::Char | EntryType::Block | EntryType::Fifo => Ok(None),
            _ => Err("something of an unknown kind"),
        }
    }
}

fn node<R: io::Read>(entry: &Entry<'_, R>, kind: Kind) -> io::Result<Node> {
    let header = entry.header();
    let mode = header.mode()? & 0o7777;
    let mode = if matches!(kind, Kind::File(_)) { mode & !RIGHTS_OF_OWNERS } else { mode };
    Ok(Node { kind, mode, uid: header.uid()?, gid: header.gid()? })
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
