//! Blocks of a box in one file, for whoever wants to check or to have them without a box.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Chain, SourceError, Watch,
    files::Partial,
    format::{Content, FileHeader, RecordWriter},
    source::{copy_blocks, read_settled},
};

/// Why blocks were not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file is there.
    #[error("{0} exists; choose another file, exports overwrite none")]
    Exists(PathBuf),
    /// The file could not be made.
    #[error("cannot write {path}; check free space and permissions there")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Block zero is what the genesis file says; it is in no file.
    #[error("block 0 is the genesis file's and never exported; begin with 1")]
    BlockZero,
    /// No block of the range is proven to be final.
    #[error("none of the blocks {from} to {to} has a certificate; ask for a longer range or wait for more blocks")]
    Nothing {
        /// First block asked for.
        from: u64,
        /// Last block asked for, or the last one that there is.
        to: u64,
    },
    /// The database.
    #[error("the blocks were not exported")]
    Source(#[from] SourceError),
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Height of the first block.
    pub from: u64,
    /// Height of the last block, which has a certificate.
    pub to: u64,
    /// Certificates.
    pub certificates: u64,
    /// Blocks at the end of the range that no certificate proves yet, and that are not in the file.
    pub left_out: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes the blocks of the database in `database` from `from` to `to`, the last one if not given, into the new file
/// `out`: as far as a certificate proves them. A box may be running on the database.
pub fn export(
    chain: &Chain,
    database: &Path,
    out: &Path,
    from: u64,
    to: Option<u64>,
    watch: Watch<'_>,
) -> Result<Exported, ExportError> {
    if from == 0 {
        return Err(ExportError::BlockZero);
    }
    if out.exists() {
        return Err(ExportError::Exists(out.to_owned()));
    }
    let file = |source| ExportError::File { path: out.to_owned(), source };
    let found = read_settled(chain, database, |database| {
        let head = database.head()?;
        let asked = to.map_or(head, |to| to.min(head));
        let Some(last) = database.last_certified(from, asked)? else { return Ok(Err(asked)) };
        let partial = Partial::create(out)?;
        let header = FileHeader { content: Content::Export, genesis: chain.hash(), first: from, last };
        let mut records = RecordWriter::new(partial, &header)?;
        let certificates = copy_blocks(chain, database, &mut records, (from, last), false, &mut *watch)?;
        Ok(Ok((records.finish()?, asked, last, certificates)))
    })?;
    let (partial, asked, last, certificates) = found.map_err(|to| ExportError::Nothing { from, to })?;
    partial.keep().map_err(file)?;
    let bytes = fs::metadata(out).map_err(file)?.len();
    Ok(Exported { from, to: last, certificates, left_out: asked - last, bytes })
}
