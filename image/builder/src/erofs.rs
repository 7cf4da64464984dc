//! The root's file system: read-only, compressed, the same bytes from the same tree.

use std::path::Path;

use uuid::Uuid;

use crate::{
    process::{self, ProcessError},
    tools::{Tools, ToolsError},
    tree::Tree,
};

/// LZ4 is the fastest to read; its slower compressor makes a fifth less of it.
const COMPRESSION: &str = "-zlz4hc,level=9";
/// Bytes that are compressed together at most: what is read for one byte of them.
const CLUSTER: &str = "-C65536";
/// Small files and the ends of others share clusters.
const EXTRAS: &str = "-Efragments,ztailpacking";

/// Why there is no file system.
#[derive(Debug, thiserror::Error)]
pub enum ErofsError {
    /// The program is not there.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// It fails.
    #[error("cannot make the root's file system")]
    Make(#[source] ProcessError),
}

/// Makes it of a tree. All its files have the time `seconds`.
///
/// # Errors
///
/// [`ErofsError`].
pub fn make(root: &Tree, out: &Path, uuid: Uuid, seconds: u64, tools: &Tools) -> Result<(), ErofsError> {
    let mut command = tools.command("mkfs.erofs")?;
    command.args(["--quiet", "--tar=f", COMPRESSION, CLUSTER, EXTRAS]);
    // With several threads the order of clusters would be that in which they are done.
    command.args(["--workers=1", "--all-time"]);
    command.arg(format!("-T{seconds}")).arg(format!("-U{uuid}")).arg(out);
    process::feed(&mut command, &mut |pipe| root.write_tar(pipe, seconds)).map_err(ErofsError::Make)?;
    Ok(())
}
