//! Why a root cannot be read or written.

use std::{io, path::PathBuf};

/// Why a tree is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// An archive that cannot be read.
    #[error("cannot read the archive {}", archive.display())]
    Archive {
        /// Which.
        archive: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something in an archive that no root has.
    #[error("the archive {} has {what} at {path:?}, which no root may have; take that package out", archive.display())]
    Entry {
        /// Which archive.
        archive: PathBuf,
        /// Where in it.
        path: String,
        /// What.
        what: &'static str,
    },
    /// A folder of this machine that cannot be laid over the root.
    #[error("cannot lay {} over the root", path.display())]
    Overlay {
        /// The folder, or what is in it.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A text that leads nowhere.
    #[error("{0:?} is no path of a root")]
    Path(String),
    /// Something is to be put into what is no folder.
    #[error("cannot put {path} into the root: {parent} is no folder there")]
    Parent {
        /// What.
        path: String,
        /// What is no folder.
        parent: String,
    },
    /// More than a root has.
    #[error("the root has more than {} files", crate::limits::NODES_MAX)]
    TooMany,
    /// Links that lead to each other.
    #[error("links at {0} lead to each other")]
    Loop(String),
    /// A file that is missing.
    #[error("the root has no file {0}; the package that has it may be missing in the recipe, or dropped by it")]
    NotFound(String),
    /// A file that cannot be read.
    #[error("cannot read {path} of the root")]
    Read {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}
