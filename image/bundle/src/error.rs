//! Why a bundle is not taken, or not made.

use std::io;

use crate::{Hash, PartName, SignError};

/// What is wrong with a bundle, or with what one is to be made of.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The source or the target gave an error.
    #[error("cannot {operation}; look whether the medium is sound and has room, and try again")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It ends too early.
    #[error("the bundle ends within {0}; it was not copied completely: copy or download it again")]
    Truncated(&'static str),
    /// Something else.
    #[error("this is no bundle of an image; take the file dolmen-<version>.bundle of a release")]
    Magic,
    /// A manifest of a size that none has.
    #[error("the manifest is to have {found} bytes, {limit} at most can be; copy or download the bundle again")]
    ManifestBytes {
        /// What the bundle says.
        found: u64,
        /// The most.
        limit: usize,
    },
    /// Nobody that is trusted signed it.
    #[error(
        "the manifest is signed by none of the release keys of this machine; if the bundle is your organisation's, \
         copy or download it again; if it still is refused, somebody changed it: do not use it"
    )]
    Signature,
    /// The manifest says that another key signed it.
    #[error("the manifest names the release key {named}, but {signer} signed it; build the image anew")]
    ReleaseKey {
        /// By the manifest.
        named: Hash,
        /// Whose signature it has.
        signer: Hash,
    },
    /// The key did not sign.
    #[error("the release key does not sign; look at its device")]
    Sign(#[source] SignError),
    /// A device that signs by another key, or otherwise.
    #[error("the signature does not fit the public half of the release key; look whether the device is the key's")]
    WrongSignature,

    /// No manifest.
    #[error("the manifest cannot be read; build the image anew with this version's tool")]
    Json(#[source] serde_json::Error),
    /// An image for something else, or of another time.
    #[error("the manifest's {field} is {found:?}, this machine takes {expected:?}; get the image for it")]
    Foreign {
        /// The field.
        field: &'static str,
        /// What it says.
        found: String,
        /// What it would have to say.
        expected: &'static str,
    },
    /// A version that is none, or none that file names can have.
    #[error("{found:?} is no version of an image ({reason}); take one such as 1.2.3 or 1.3.0-rc.1")]
    Version {
        /// By the manifest.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Parts that are not all, or not in order.
    #[error("the manifest's part {index} is {found}, not {expected}; build the image anew")]
    Parts {
        /// Which place, from 0.
        index: usize,
        /// Which part is there.
        found: PartName,
        /// Which part must be there.
        expected: PartName,
    },
    /// A size that a part cannot have.
    #[error("{name} is to have {found} bytes, 1 to {limit} can be; build a smaller image")]
    PartBytes {
        /// The part.
        name: PartName,
        /// By the manifest.
        found: u64,
        /// The most.
        limit: u64,
    },
    /// A hash tree for another root file system.
    #[error(
        "root.erofs has {root} bytes and root.verity {verity}: the tree of a root file system of whole blocks of 4096 \
         bytes has another size; build the image anew"
    )]
    Tree {
        /// Bytes of the root file system.
        root: u64,
        /// Bytes of the hash tree.
        verity: u64,
    },
    /// Predictions that no TPM has.
    #[error("{0:?} is no path of boot phases, or there are too many; build the image anew")]
    PhasePath(String),

    /// A part is not what was signed.
    #[error("{name} was changed or damaged; copy or download the bundle again")]
    Part {
        /// Which.
        name: PartName,
    },
    /// Not zeros where zeros have to be.
    #[error("there are bytes after {0} that do not belong there; copy or download the bundle again")]
    Padding(&'static str),
    /// More follows.
    #[error("more follows the end of the bundle; copy or download it again")]
    Trailing,
    /// It went wrong already.
    #[error("reading the bundle failed before; begin anew")]
    Failed,
    /// What is to go in is not what the manifest says.
    #[error("{name} is not what the manifest says; make the manifest from the same files")]
    OtherPart {
        /// Which.
        name: PartName,
    },
}

impl BundleError {
    pub(crate) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }
}

/// For readers: a part that is wrong is an error of its reader. [`io::Error::downcast`] gives it back.
impl From<BundleError> for io::Error {
    fn from(error: BundleError) -> Self {
        let kind = match error {
            BundleError::Truncated(_) => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
