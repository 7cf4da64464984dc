//! A database from a backup, onto a box that has none.
//!
//! Blocks, receipts and state of the full backup are written as they are, once they are proven: the blocks by the
//! genesis file and their certificates, receipts and state by the headers. The blocks of the incremental ones are
//! proven and then executed. All of it happens beside the place where the database is to be, which is renamed at the
//! end: a restore that was interrupted leaves nothing that a box would start on.

use std::{
    collections::HashSet,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_primitives::{B256, KECCAK256_EMPTY};
use dolmen_store::{LoadError, Loader, Options, Store, StoreError};
use dolmen_types::receipt;
use serde::Serialize;

use crate::{
    Chain, Fault, FollowError, Follower, Identities, Progress, ReplayError, SealError, StreamError, Watch,
    blocks::{BlockReader, Item},
    files::sync_directory_of,
    format::{Content, Kind, RecordReader},
    manifest::{Backup, DataContent, Manifest, ManifestError},
    replay::Replay,
    seal,
    state_file::{decode_account, decode_slots},
};

/// The database's name in `data_dir`, as the node has it.
const DATABASE: &str = "db";
/// Its name until it is whole.
const UNFINISHED: &str = "db.restoring";
/// Held for as long as a restore takes.
const LOCK: &str = "restore.lock";
/// Between two reports of progress: blocks, or records of a state.
const REPORT: u64 = 256;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is no backup.
    #[error("there is no full backup in {0}; give the directory of a `dolmen backup`")]
    NoBackup(PathBuf),
    /// The backup is another chain's.
    #[error("the backup in {path} is of the chain with genesis {found}, the genesis file gives {expected}")]
    OtherChain {
        /// The directory.
        path: PathBuf,
        /// Genesis hash in the manifest.
        found: B256,
        /// The chain's.
        expected: B256,
    },
    /// Something is there already.
    #[error(
        "{path} is not empty: it has {found}; stop the box and move what is there away, a restore overwrites nothing"
    )]
    NotEmpty {
        /// `data_dir`.
        path: PathBuf,
        /// A file or directory in it.
        found: String,
    },
    /// Another restore is at work.
    #[error("another restore is at work in {0}; wait for it to end")]
    Locked(PathBuf),
    /// The data directory.
    #[error("cannot use {path}; check free space and permissions there")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the backup.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A file of the backup holds something else than blocks.
    #[error("{path} cannot be restored; take it from another copy of the backup")]
    Stream {
        /// The file.
        path: PathBuf,
        /// What is wrong, and at which block.
        #[source]
        source: StreamError,
    },
    /// The file of the state holds something else.
    #[error("{path} cannot be restored; take it from another copy of the backup")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Fault,
    },
    /// A block is not the chain's.
    #[error(
        "block {height} of the backup is not the chain's: somebody else made this backup, \
         or the genesis file is another"
    )]
    Proof {
        /// Its height.
        height: u64,
        /// What is wrong with it.
        #[source]
        source: FollowError,
    },
    /// The last block has no certificate.
    #[error("the backup ends with block {to}, but certificates prove its blocks up to {proven} alone")]
    Unproven {
        /// Its last block.
        to: u64,
        /// The last one that is proven.
        proven: u64,
    },
    /// Receipts that are not the block's.
    #[error("the receipts of block {0} in the backup are not those that its header commits to")]
    Receipts(u64),
    /// Code that an account names is not there.
    #[error("the backup lacks the code {0}, which an account has")]
    Code(B256),
    /// The records make no database.
    #[error("the backup's records make no database")]
    Load(#[from] LoadError),
    /// A block could not be executed.
    #[error("block {height} of the backup could not be executed")]
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

/// What was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Height of the state that was loaded.
    pub loaded: u64,
    /// Height of the database's last block.
    pub head: u64,
    /// Its hash.
    pub hash: B256,
    /// Backups that were used.
    pub backups: usize,
}

/// Makes the database in `data_dir`, which must be empty, from the last full backup in `from` and those since.
pub fn restore(
    chain: &Chain,
    from: &Path,
    identities: &Identities,
    data_dir: &Path,
    options: Options,
    watch: Watch<'_>,
) -> Result<Restored, RestoreError> {
    let manifest = Manifest::load(from)?.ok_or_else(|| RestoreError::NoBackup(from.to_owned()))?;
    let (found, expected) = (manifest.genesis_hash, chain.hash());
    if found != expected {
        return Err(RestoreError::OtherChain { path: from.to_owned(), found, expected });
    }
    let Some((full, later)) = manifest.latest().split_first() else {
        return Err(RestoreError::NoBackup(from.to_owned()));
    };
    let directory = |source| RestoreError::Directory { path: data_dir.to_owned(), source };
    fs::create_dir_all(data_dir).map_err(directory)?;
    check_empty(data_dir)?;
    let lock = lock(data_dir)?;
    let unfinished = data_dir.join(UNFINISHED);
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(directory(error)),
        _ => {}
    }
    let mut restore = Restore { chain, from, identities, follower: Follower::new(chain), watch };
    restore.check_files(manifest.latest())?;
    restore.load(full, &unfinished)?;
    if !later.is_empty() {
        let store = Store::open(&unfinished, chain.origin(), options)?;
        restore.replay(later, Arc::new(store))?;
    }
    let (head, hash) = (restore.follower.height(), restore.follower.hash());
    let database = data_dir.join(DATABASE);
    let finished = fs::rename(&unfinished, &database).and_then(|()| fs::remove_file(data_dir.join(LOCK)));
    finished.and_then(|()| sync_directory_of(&database)).map_err(directory)?;
    drop(lock);
    Ok(Restored { loaded: full.to, head, hash, backups: 1 + later.len() })
}

/// A box's data is never overwritten: whoever wants that moves it away, and can have it back.
fn check_empty(data_dir: &Path) -> Result<(), RestoreError> {
    let directory = |source| RestoreError::Directory { path: data_dir.to_owned(), source };
    for entry in fs::read_dir(data_dir).map_err(directory)? {
        let name = entry.map_err(directory)?.file_name();
        if name != UNFINISHED && name != LOCK {
            let found = name.to_string_lossy().into_owned();
            return Err(RestoreError::NotEmpty { path: data_dir.to_owned(), found });
        }
    }
    Ok(())
}

fn lock(data_dir: &Path) -> Result<File, RestoreError> {
    let directory = |source| RestoreError::Directory { path: data_dir.to_owned(), source };
    let file = File::create(data_dir.join(LOCK)).map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RestoreError::Locked(data_dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(directory(source)),
    }
}

struct Restore<'a> {
    chain: &'a Chain,
    from: &'a Path,
    identities: &'a Identities,
    /// All blocks so far, proven.
    follower: Follower<'a>,
    watch: Watch<'a>,
}

impl Restore<'_> {
    /// Compares all files with the manifest, before hours are spent on them.
    fn check_files(&mut self, backups: &[Backup]) -> Result<(), RestoreError> {
        let files = || backups.iter().flat_map(|backup| &backup.files);
        let total = files().map(|file| file.bytes).fold(0, u64::saturating_add);
        let mut done = 0;
        for file in files() {
            seal::check(&self.from.join(&file.name), file, |bytes| {
                done += bytes;
                (self.watch)(Progress { step: "comparing files", done, total });
            })?;
        }
        Ok(())
    }

    /// Writes the full backup's records into a new database.
    fn load(&mut self, backup: &Backup, path: &Path) -> Result<(), RestoreError> {
        let mut loader = Loader::create(path, self.chain.origin())?;
        self.each_block(backup, |restore, item| {
            let height = item.block.number();
            let receipts = item.receipts.unwrap_or_default();
            if receipt::root(&receipts) != item.block.header().receipts_root {
                return Err(RestoreError::Receipts(height));
            }
            loader.block(item.block, receipts, item.certificate.as_ref())?;
            if let Some((epoch, record)) = &item.record {
                loader.epoch_record(*epoch, record)?;
            }
            restore.report("blocks", height, backup.to);
            Ok(())
        })?;
        self.check_end(backup)?;
        self.load_state(backup, &mut loader)?;
        Ok(loader.finish()?)
    }

    fn load_state(&mut self, backup: &Backup, loader: &mut Loader) -> Result<(), RestoreError> {
        // A manifest names both files of a full backup, or it is refused.
        let path = self.file(backup, DataContent::State);
        let wrong = |source| RestoreError::State { path: path.clone(), source };
        let input = seal::open(&path, self.identities, &backup.recipients)?;
        let mut records = RecordReader::new(input).map_err(wrong)?;
        let (header, expected) = (*records.header(), self.chain.hash());
        if header.genesis != expected {
            return Err(wrong(Fault::OtherChain { found: header.genesis, expected }));
        }
        if header.content != Content::BackupState || header.last != backup.to {
            return Err(wrong(Fault::Misplaced("a state of another height")));
        }
        let (mut wanted, mut done) = (HashSet::new(), 0_u64);
        while let Some((kind, payload)) = records.read().map_err(wrong)? {
            match kind {
                Kind::Account => {
                    let (key, account) = decode_account(&payload).map_err(wrong)?;
                    if account.code_hash != KECCAK256_EMPTY {
                        wanted.insert(account.code_hash);
                    }
                    loader.account(key, account)?;
                }
                Kind::Slots => {
                    for (key, value) in decode_slots(&payload).map_err(wrong)? {
                        loader.slot(key, value)?;
                    }
                }
                Kind::Code => {
                    wanted.remove(&loader.code(payload.into())?);
                }
                other => return Err(wrong(Fault::Misplaced(other.name()))),
            }
            done += 1;
            // How many there are is not known.
            if done.is_multiple_of(REPORT) {
                (self.watch)(Progress { step: "state", done, total: 0 });
            }
        }
        wanted.into_iter().next().map_or(Ok(()), |hash| Err(RestoreError::Code(hash)))
    }

    /// Proves and executes the blocks of the incremental backups.
    fn replay(&mut self, backups: &[Backup], store: Arc<Store>) -> Result<(), RestoreError> {
        let mut replay = Replay::new(self.chain, store);
        for backup in backups {
            // All of it is proven before any of it is executed: certificates come after the blocks that they prove.
            self.each_block(backup, |restore, item| {
                restore.report("checking", item.block.number(), backup.to);
                Ok(())
            })?;
            self.check_end(backup)?;
            let (path, mut reader) = self.open_blocks(backup)?;
            while let Some(Item { block, certificate, .. }) = reader.read().map_err(|source| stream(&path, source))? {
                let height = block.number();
                replay
                    .apply(self.chain, block, certificate.as_ref())
                    .map_err(|source| RestoreError::Replay { height, source })?;
                self.report("executing", height, backup.to);
            }
        }
        Ok(())
    }

    /// Takes each block of a backup that follows and is proven, as far as its own certificate goes.
    fn each_block(
        &mut self,
        backup: &Backup,
        mut take: impl FnMut(&mut Self, Item) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let (path, mut reader) = self.open_blocks(backup)?;
        while let Some(item) = reader.read().map_err(|source| stream(&path, source))? {
            let height = item.block.number();
            let proof = |source| RestoreError::Proof { height, source };
            self.follower.block(&item.block).map_err(proof)?;
            if let Some(certificate) = &item.certificate {
                self.follower.certificate(certificate).map_err(proof)?;
            }
            if let Some((epoch, record)) = &item.record {
                self.follower.record(*epoch, record).map_err(proof)?;
            }
            take(self, item)?;
        }
        Ok(())
    }

    /// Whether the blocks so far are those that the backup has, and all of them are proven.
    fn check_end(&self, backup: &Backup) -> Result<(), RestoreError> {
        let (to, proven) = (self.follower.height(), self.follower.proven());
        if to == backup.to && proven == to { Ok(()) } else { Err(RestoreError::Unproven { to, proven }) }
    }

    fn open_blocks(&self, backup: &Backup) -> Result<(PathBuf, BlockReader<seal::Opened>), RestoreError> {
        let path = self.file(backup, DataContent::Blocks);
        let input = seal::open(&path, self.identities, &backup.recipients)?;
        let reader = BlockReader::new(input, Content::BackupBlocks, self.chain);
        let reader = reader.map_err(|source| stream(&path, source))?;
        Ok((path, reader))
    }

    fn file(&self, backup: &Backup, content: DataContent) -> PathBuf {
        let file = backup.files.iter().find(|file| file.content == content);
        self.from.join(file.map_or("", |file| file.name.as_str()))
    }

    fn report(&mut self, step: &'static str, done: u64, total: u64) {
        if done.is_multiple_of(REPORT) || done == total {
            (self.watch)(Progress { step, done, total });
        }
    }
}

fn stream(path: &Path, source: StreamError) -> RestoreError {
    RestoreError::Stream { path: path.to_owned(), source }
}
