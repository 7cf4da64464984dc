//! A root as a value: every file and folder with its owner, its rights and where its bytes are.
//!
//! The root never lies on the building machine's disk: archives are [read](Tree::read_tar) into it, folders are [laid
//! over](Tree::overlay) it, things are taken out, and in the end it is [written](Tree::write_tar) as one archive, in the
//! order of its paths. So nobody has to be root to build one, and nothing of the machine gets into it.

mod error;
mod overlay;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Cursor, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
};

pub use error::TreeError;

use crate::{
    limits::{FILE_BYTES_MAX, LINKS_MAX, NODES_MAX},
    pattern::Pattern,
};

/// Files and folders by their paths, without a slash at the beginning: `usr/bin/dolmen`.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Rights: the lower 12 bits of its mode.
    pub mode: u32,
    /// Its owner.
    pub uid: u64,
    /// Its group.
    pub gid: u64,
}

/// What a node is. Devices, sockets and pipes are in no root: the kernel and systemd make them.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file.
    File(Content),
    /// A symbolic link.
    Link(String),
}

/// Where a file's bytes are.
#[derive(Clone, Debug)]
pub enum Content {
    /// Here.
    Bytes(Arc<[u8]>),
    /// In a file of this machine.
    Part {
        /// Which.
        file: Arc<Path>,
        /// From where on.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

impl Content {
    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Part { bytes, .. } => *bytes,
        }
    }

    /// Something that gives them.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Bytes(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Self::Part { file, offset, bytes } => {
                let mut file = File::open(file)?;
                file.seek(SeekFrom::Start(*offset))?;
                Ok(Box::new(file.take(*bytes)))
            }
        }
    }
}

impl Node {
    /// A folder that everybody may read, of root's.
    #[must_use]
    pub const fn folder() -> Self {
        Self { kind: Kind::Folder, mode: 0o755, uid: 0, gid: 0 }
    }

    /// A file that everybody may read, of root's.
    #[must_use]
    pub fn file(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { kind: Kind::File(Content::Bytes(bytes.into())), mode: 0o644, uid: 0, gid: 0 }
    }

    /// A file that everybody may execute, of root's, with the bytes of a file of this machine.
    #[must_use]
    pub fn program(file: PathBuf, bytes: u64) -> Self {
        let content = Content::Part { file: file.into(), offset: 0, bytes };
        Self { kind: Kind::File(content), mode: 0o755, uid: 0, gid: 0 }
    }

    /// A symbolic link.
    #[must_use]
    pub const fn link(target: String) -> Self {
        Self { kind: Kind::Link(target), mode: 0o777, uid: 0, gid: 0 }
    }
}

impl Tree {
    /// Everything, folders before what is in them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bytes = |node: &Node| if let Kind::File(content) = &node.kind { content.bytes() } else { 0 };
        self.nodes.values().map(bytes).sum()
    }

    /// What is at a path, links not followed.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Puts something at a path, and the folders above it where there are none.
    ///
    /// # Errors
    ///
    /// [`TreeError::Path`] for what is no path, [`TreeError::Parent`] where something else than a folder is above,
    /// [`TreeError::TooMany`].
    pub fn insert(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        if path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains('\0')) {
            return Err(TreeError::Path(path.to_owned()));
        }
        for (end, _) in path.match_indices('/') {
            let parent = self.nodes.entry(path[..end].to_owned()).or_insert_with(Node::folder);
            if !matches!(parent.kind, Kind::Folder) {
                return Err(TreeError::Parent { path: path.to_owned(), parent: path[..end].to_owned() });
            }
        }
        if self.nodes.len() >= NODES_MAX {
            return Err(TreeError::TooMany);
        }
        self.nodes.insert(path.to_owned(), node);
        Ok(())
    }

    /// Where a path leads once all links are followed, whether or not there is anything. Links out of the root lead to
    /// its top, as everywhere.
    ///
    /// # Errors
    ///
    /// [`TreeError::Loop`] where links lead to each other.
    pub fn resolve(&self, path: &str) -> Result<String, TreeError> {
        let mut open: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut found, mut links) = (Vec::<String>::new(), 0);
        while let Some(part) = open.pop() {
            match part.as_str() {
                "" | "." => {}
                ".." => drop(found.pop()),
                _ => {
                    found.push(part);
                    if let Some(Node { kind: Kind::Link(target), .. }) = self.nodes.get(&found.join("/")) {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(TreeError::Loop(path.to_owned()));
                        }
                        found.pop();
                        if target.starts_with('/') {
                            found.clear();
                        }
                        open.extend(target.split('/').rev().map(str::to_owned));
                    }
                }
            }
        }
        Ok(found.join("/"))
    }

    /// The same, but for a link at the path's end, which is not followed.
    ///
    /// # Errors
    ///
    /// [`TreeError::Loop`].
    pub fn resolve_parent(&self, path: &str) -> Result<String, TreeError> {
        match path.rsplit_once('/') {
            Some((parent, name)) => Ok(format!("{}/{name}", self.resolve(parent)?)),
            None => Ok(path.to_owned()),
        }
    }

    /// The file that a path leads to.
    ///
    /// # Errors
    ///
    /// [`TreeError::NotFound`] if there is none.
    pub fn file(&self, path: &str) -> Result<&Content, TreeError> {
        match self.nodes.get(&self.resolve(path)?) {
            Some(Node { kind: Kind::File(content), .. }) => Ok(content),
            _ => Err(TreeError::NotFound(path.to_owned())),
        }
    }

    /// The bytes of the file that a path leads to.
    ///
    /// # Errors
    ///
    /// [`TreeError::NotFound`] and [`TreeError::Read`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, TreeError> {
        let content = self.file(path)?;
        let fail = |source| TreeError::Read { path: path.to_owned(), source };
        if content.bytes() > FILE_BYTES_MAX {
            return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 512 MiB")));
        }
        let mut bytes = Vec::new();
        content.open().and_then(|mut content| content.read_to_end(&mut bytes)).map_err(fail)?;
        Ok(bytes)
    }

    /// The same as text.
    ///
    /// # Errors
    ///
    /// [`TreeError::NotFound`], and [`TreeError::Read`] also where it is no UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String, TreeError> {
        let fail = |error| TreeError::Read { path: path.to_owned(), source: io::Error::other(error) };
        String::from_utf8(self.read(path)?).map_err(fail)
    }

    /// Names of what is in a folder.
    pub fn names<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        let inside = self.nodes.range(format!("{folder}/")..).map(|(path, _)| path.as_str());
        let inside = inside.map_while(move |path| path.strip_prefix(folder)?.strip_prefix('/'));
        inside.filter(|name| !name.contains('/'))
    }

    /// Takes out what does not stay. A folder that goes takes what is in it along, and one that had something in it and
    /// has nothing any more goes too.
    pub fn retain(&mut self, mut stays: impl FnMut(&str, &Node) -> bool) {
        let before = self.with_content();
        let mut folders = BTreeSet::new();
        for (path, node) in std::mem::take(&mut self.nodes) {
            let inside = path.rsplit_once('/').is_none_or(|(parent, _)| folders.contains(parent));
            if inside && stays(&path, &node) {
                if matches!(node.kind, Kind::Folder) {
                    folders.insert(path.clone());
                }
                self.nodes.insert(path, node);
            }
        }
        loop {
            let after = self.with_content();
            let nodes = self.nodes.len();
            self.nodes.retain(|path, _| !before.contains(path) || after.contains(path));
            if self.nodes.len() == nodes {
                break;
            }
        }
    }

    /// Takes out what one of these patterns means, and gives the patterns that mean nothing.
    pub fn remove<'p>(&mut self, patterns: &'p [Pattern]) -> Vec<&'p Pattern> {
        let mut used = vec![false; patterns.len()];
        self.retain(|path, _| {
            let mut stays = true;
            for (pattern, used) in patterns.iter().zip(&mut used) {
                if pattern.matches(path) {
                    (*used, stays) = (true, false);
                }
            }
            stays
        });
        patterns.iter().zip(used).filter(|(_, used)| !used).map(|(pattern, _)| pattern).collect()
    }

    /// Folders in which there is something.
    fn with_content(&self) -> BTreeSet<String> {
        let parent = |path: &String| path.rsplit_once('/').map(|(parent, _)| parent.to_owned());
        self.nodes.keys().filter_map(parent).collect()
    }
}
