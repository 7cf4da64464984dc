//! Writing an archive.

use std::io::{self, Write};

use tar::{Builder, EntryType, Header};

use super::{Kind, Tree};

impl Tree {
    /// Writes it as a tar archive: in the order of paths, all with the same time.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or a file of it cannot be read any more.
    pub fn write_tar(&self, out: impl Write, seconds: u64) -> io::Result<()> {
        let mut builder = Builder::new(out);
        let mut root = header(EntryType::Directory, 0o755, 0, 0, seconds);
        builder.append_data(&mut root, "./", io::empty())?;
        for (path, node) in self.iter() {
            let entry = |kind| header(kind, node.mode, node.uid, node.gid, seconds);
            match &node.kind {
                Kind::Folder => {
                    builder.append_data(&mut entry(EntryType::Directory), format!("{path}/"), io::empty())?;
                }
                Kind::File(content) => {
                    let mut header = entry(EntryType::Regular);
                    header.set_size(content.bytes());
                    builder.append_data(&mut header, path, content.open()?)?;
                }
                Kind::Link(target) => builder.append_link(&mut entry(EntryType::Symlink), path, target)?,
            }
        }
        builder.into_inner()?.flush()
    }
}

fn header(kind: EntryType, mode: u32, uid: u64, gid: u64, seconds: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(seconds);
    header.set_size(0);
    header
}
