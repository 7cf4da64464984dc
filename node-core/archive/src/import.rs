//! Blocks from a file into a database, by proving and executing them.
//!
//! The file is read twice. The first time every block, certificate and record is checked against the genesis file,
//! which says how far the file is proven; a file that is damaged, cut or another chain's changes nothing. The second
//! time the proven blocks are executed and committed, those that the database has left out: so an import that was
//! interrupted is run again. The file must not change in between.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::B256;
use dolmen_store::{Store, StoreError};
use serde::Serialize;

use crate::{
    Chain, FollowError, Follower, Progress, ReplayError, StreamError, Watch, blocks::BlockReader, format::Content,
    replay::Replay,
};

/// Blocks between two reports of progress.
const REPORT_BLOCKS: u64 = 64;

/// Why blocks were not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be opened.
    #[error("cannot open {path}; give the file of a `dolmen export`")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is damaged, cut, or something else.
    #[error("{path} was not imported")]
    Stream {
        /// The file.
        path: PathBuf,
        /// What is wrong, and at which block.
        #[source]
        source: StreamError,
    },
    /// A block in the file is not the chain's.
    #[error("nothing was imported: block {height} in the file is not the chain's")]
    Proof {
        /// The block.
        height: u64,
        /// What is wrong with it.
        #[source]
        source: FollowError,
    },
    /// The file begins above the database's last block.
    #[error(
        "the file begins with block {first}, the database ends with block {head}; import the blocks in between first"
    )]
    Gap {
        /// First block in the file.
        first: u64,
        /// Last block in the database.
        head: u64,
    },
    /// No certificate proves any block in the file.
    #[error("no certificate in {0} proves a block; export a longer range")]
    Nothing(PathBuf),
    /// File and database have different final blocks.
    #[error("block {height} in the file is {file}, this box has {own}: one chain cannot have both; ask for help")]
    Fork {
        /// Their height.
        height: u64,
        /// Hash of the file's.
        file: B256,
        /// Hash of the database's.
        own: B256,
    },
    /// A block could not be executed.
    #[error("block {height} was not imported; those before it were")]
    Replay {
        /// Its height.
        height: u64,
        /// Why.
        #[source]
        source: ReplayError,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Blocks that were executed and committed.
    pub imported: u64,
    /// Blocks of the file that the database had.
    pub skipped: u64,
    /// Blocks at the end of the file that no certificate proves, and that were left out.
    pub left_out: u64,
    /// Height of the database's last block now.
    pub head: u64,
}

/// Imports the blocks in `path` into a database.
pub fn import(chain: &Chain, store: &Arc<Store>, path: &Path, watch: Watch<'_>) -> Result<Imported, ImportError> {
    let (proven, last) = prove(chain, store, path, watch)?;
    let head = store.head().block.number();
    let mut replay = Replay::new(chain, store.clone());
    let mut reader = open(chain, path)?;
    let first = reader.first();
    let stream = |source| ImportError::Stream { path: path.to_owned(), source };
    let mut imported = 0_u64;
    while let Some(item) = reader.read().map_err(stream)? {
        let height = item.block.number();
        if height > proven {
            break;
        }
        if height <= head {
            continue;
        }
        replay
            .apply(chain, item.block, item.certificate.as_ref())
            .map_err(|source| ImportError::Replay { height, source })?;
        imported += 1;
        if imported.is_multiple_of(REPORT_BLOCKS) || height == proven {
            watch(Progress { step: "executing", done: imported, total: proven.saturating_sub(head) });
        }
    }
    let skipped = head.min(proven).saturating_add(1).saturating_sub(first);
    Ok(Imported { imported, skipped, left_out: last - proven, head: store.head().block.number() })
}

/// Checks all of the file. The heights up to which its blocks are proven, and of its last block.
fn prove(chain: &Chain, store: &Store, path: &Path, watch: Watch<'_>) -> Result<(u64, u64), ImportError> {
    let mut reader = open(chain, path)?;
    let stream = |source| ImportError::Stream { path: path.to_owned(), source };
    let head = store.head().block.number();
    let (first, total) = (reader.first(), reader.last().saturating_add(1).saturating_sub(reader.first()));
    if first > head + 1 {
        return Err(ImportError::Gap { first, head });
    }
    let before = first.saturating_sub(1);
    let proof = |height| move |source| ImportError::Proof { height, source };
    let mut follower = if before == 0 {
        Follower::new(chain)
    } else {
        let header = store.header(before)?.ok_or(StoreError::UnknownBlock { number: before, head })?;
        let epoch = chain.epochs().of(first);
        let record = store.epoch_record(epoch)?;
        let record =
            record.ok_or_else(|| StoreError::Damaged { what: "record of an epoch", key: epoch.to_string() })?;
        Follower::after(chain, header, &record).map_err(proof(before))?
    };
    while let Some(item) = reader.read().map_err(stream)? {
        let (height, file) = (item.block.number(), item.block.hash());
        follower.block(&item.block).map_err(proof(height))?;
        if let Some(certificate) = &item.certificate {
            follower.certificate(certificate).map_err(proof(height))?;
        }
        if let Some((epoch, record)) = &item.record {
            follower.record(*epoch, record).map_err(proof(height))?;
        }
        if let Some(own) = store.hash_of(height)?.filter(|own| *own != file) {
            return Err(ImportError::Fork { height, file, own });
        }
        let done = height + 1 - first;
        if done.is_multiple_of(REPORT_BLOCKS) || done == total {
            watch(Progress { step: "checking", done, total });
        }
    }
    let (proven, last) = (follower.proven(), follower.height());
    if proven == before { Err(ImportError::Nothing(path.to_owned())) } else { Ok((proven, last)) }
}

fn open(chain: &Chain, path: &Path) -> Result<BlockReader<BufReader<File>>, ImportError> {
    let file = File::open(path).map_err(|source| ImportError::File { path: path.to_owned(), source })?;
    let input = BufReader::with_capacity(1 << 20, file);
    BlockReader::new(input, Content::Export, chain)
        .map_err(|source| ImportError::Stream { path: path.to_owned(), source })
}
