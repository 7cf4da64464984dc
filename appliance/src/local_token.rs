//! The token by which programs on the box's own machine read its page: who can read the file is the box's owner anyway.

use std::path::{Path, PathBuf};

use alloy_primitives::hex;
use zeroize::Zeroizing;

use crate::secret_file;

/// Its file in the box's directory.
const FILE: &str = "local-token";
const WHAT: &str = "the token of this machine";

/// Where a box's token is.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// The token of a box, made where there is none.
pub(crate) fn open_or_make(directory: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    secret_file::open_or_make(&path(directory), WHAT, || {
        Zeroizing::new(hex::encode(Zeroizing::new(rand::random::<[u8; 32]>())))
    })
}

/// The token in a file.
pub(crate) fn load(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    secret_file::load(path, WHAT)
}
