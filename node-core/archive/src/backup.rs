//! Backups of a running box: a full one of everything, then the blocks since the one before.
//!
//! A full backup has all blocks with their receipts, certificates and the records of epochs, and the state after the
//! last of them that has a certificate; so it needs no trust: whoever restores it checks the state's root against a
//! header that a quorum signed. An incremental one has blocks alone: executing them again gives the rest.
//!
//! What a backup never has are keys and the log of votes. A log of votes that was restored knows less than the box has
//! signed since, so the box could vote twice for what it has forgotten; that is why a box with an old log, or without
//! one, is fenced (decision 0006). A key that is lost is replaced by admitting another.
//!
//! Files appear under their names when they are whole and on the disk, and the manifest names them after that. A backup
//! that was interrupted leaves those before it as they were.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use alloy_primitives::B256;
use dolmen_store::ReadOnly;

use crate::{
    Chain, Recipients, SourceError, Watch,
    files::{PARTIAL, Partial},
    format::{Content, FileHeader, RecordWriter},
    manifest::{Backup, BackupKind, DataContent, DataFile, Manifest, ManifestError},
    seal::Sealer,
    source::{copy_blocks, copy_state, read_settled},
};

/// Held by whoever writes to the directory.
const LOCK: &str = ".lock";

/// Why no backup was made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory.
    #[error("cannot use the directory {path}; check free space and permissions there")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another backup is being made there.
    #[error("another backup is being made in {0}; wait for it to end")]
    Locked(PathBuf),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest was lost.
    #[error(
        "{0} has files of backups, but no manifest.json: put it back from another copy, or choose another directory"
    )]
    NoManifest(PathBuf),
    /// The directory holds another chain's backups.
    #[error("{path} has backups of the chain with genesis {found}, this box has {expected}; choose another directory")]
    OtherChain {
        /// The directory.
        path: PathBuf,
        /// Genesis hash in its manifest.
        found: B256,
        /// The chain's.
        expected: B256,
    },
    /// A file that the manifest names is gone.
    #[error("{0} is missing or has another size, so there is nothing to add to; make a full backup with --full")]
    Incomplete(PathBuf),
    /// The last backup ends with a block that this box does not have.
    #[error(
        "the last backup in {path} ends with block {height} ({hash}), which this box does not have; \
         run `dolmen verify`, or make a full backup elsewhere"
    )]
    Fork {
        /// The directory.
        path: PathBuf,
        /// Height of the backup's last block.
        height: u64,
        /// Its hash.
        hash: B256,
    },
    /// No block can be proven, or none whose state is kept.
    #[error("no block whose state this box keeps has a certificate; wait for more blocks, or set history.depth higher")]
    NothingProven,
    /// The database or the files.
    #[error("no backup was made")]
    Source(#[from] SourceError),
}

/// Adds a backup of the database in `database` to the directory `dir`: the blocks since the last one, or, where there
/// is none or `full` is set, everything. `None` where there is nothing new. A box may be running on the database.
pub fn backup(
    chain: &Chain,
    database: &Path,
    dir: &Path,
    recipients: &Recipients,
    full: bool,
    watch: Watch<'_>,
) -> Result<Option<Backup>, BackupError> {
    let directory = |source| BackupError::Directory { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(directory)?;
    let _lock = lock(dir)?;
    let (expected, chain_id) = (chain.hash(), chain.genesis().file().chain_id);
    let mut manifest = match Manifest::load(dir)? {
        Some(manifest) => manifest,
        None => {
            // Written before any file, so that files without a manifest are those of one that was lost.
            if has_data(dir).map_err(directory)? {
                return Err(BackupError::NoManifest(dir.to_owned()));
            }
            let manifest = Manifest::new(chain_id, expected);
            manifest.save(dir)?;
            manifest
        }
    };
    if manifest.genesis_hash != expected {
        return Err(BackupError::OtherChain { path: dir.to_owned(), found: manifest.genesis_hash, expected });
    }
    let number = manifest.backups.last().map_or(1, |last| last.number.saturating_add(1));
    remove_leftovers(dir, number).map_err(directory)?;
    let last = manifest.backups.last().filter(|_| !full);
    if last.is_some() {
        check_files(dir, manifest.latest())?;
    }
    let made = read_settled(chain, database, |database| {
        let range = match plan(database, last)? {
            Plan::Range(range) => range,
            other => return Ok(Err(other)),
        };
        let copy = Copying { chain, database, dir, recipients, number, range, is_full: last.is_none() };
        copy.run(&mut *watch).map(Ok)
    })?;
    let (files, (from, to), hash) = match made {
        Ok(made) => made,
        Err(Plan::Fork { height, hash }) => return Err(BackupError::Fork { path: dir.to_owned(), height, hash }),
        Err(Plan::Unproven) => return Err(BackupError::NothingProven),
        Err(Plan::Range(_) | Plan::NothingNew) => return Ok(None),
    };
    let mut kept = Vec::new();
    for (partial, file) in files {
        partial.keep().map_err(directory)?;
        kept.push(file);
    }
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let backup = Backup {
        number,
        kind: if last.is_none() { BackupKind::Full } else { BackupKind::Incremental },
        from,
        to,
        hash,
        created: since_1970.as_secs(),
        recipients: recipients.names(),
        files: kept,
    };
    manifest.backups.push(backup.clone());
    manifest.save(dir)?;
    Ok(Some(backup))
}

/// Keeps other processes from writing to the directory for as long as it is held.
fn lock(dir: &Path) -> Result<File, BackupError> {
    let directory = |source| BackupError::Directory { path: dir.to_owned(), source };
    let file = File::create(dir.join(LOCK)).map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(directory(source)),
    }
}

/// Removes what an interrupted backup left: unfinished files, and finished ones that the manifest does not name yet,
/// which would have had this number. Files of other names are nobody's business.
fn remove_leftovers(dir: &Path, next: u32) -> io::Result<()> {
    for name in names(dir)? {
        let whole = name.strip_suffix(PARTIAL).and_then(|name| name.strip_suffix('.'));
        let unfinished = whole.is_some_and(|whole| whole == "manifest.json" || data_number(whole).is_some());
        if unfinished || data_number(&name).is_some_and(|number| number >= next) {
            fs::remove_file(dir.join(name))?;
        }
    }
    Ok(())
}

/// Whether there are files of backups.
fn has_data(dir: &Path) -> io::Result<bool> {
    Ok(names(dir)?.iter().any(|name| data_number(name).is_some()))
}

/// The names in a directory; ours are letters and digits alone.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

fn data_name(number: u32, content: DataContent) -> String {
    let content = match content {
        DataContent::Blocks => "blocks",
        DataContent::State => "state",
    };
    format!("{number:06}-{content}.zst.age")
}

/// The number of the backup that a file of this name belongs to.
fn data_number(name: &str) -> Option<u32> {
    let number = name.split_once('-')?.0.parse().ok()?;
    let of_ours = |content: DataContent| data_name(number, content) == name;
    (of_ours(DataContent::Blocks) || of_ours(DataContent::State)).then_some(number)
}

/// An incremental backup is worth nothing without those before it.
fn check_files(dir: &Path, backups: &[Backup]) -> Result<(), BackupError> {
    for file in backups.iter().flat_map(|backup| &backup.files) {
        let path = dir.join(&file.name);
        if !fs::metadata(&path).is_ok_and(|found| found.len() == file.bytes) {
            return Err(BackupError::Incomplete(path));
        }
    }
    Ok(())
}

/// What there is to back up.
enum Plan {
    /// These blocks; none in a full backup of block zero alone.
    Range((u64, u64)),
    NothingNew,
    /// This box does not have the last backup's last block.
    Fork {
        height: u64,
        hash: B256,
    },
    /// No block's state can be proven.
    Unproven,
}

fn plan(database: &ReadOnly, last: Option<&Backup>) -> Result<Plan, SourceError> {
    let head = database.head()?;
    let Some(last) = last else {
        let to = database.last_certified(database.floor()?, head)?;
        return Ok(to.map_or(Plan::Unproven, |to| Plan::Range((1, to))));
    };
    let (height, hash) = (last.to, last.hash);
    let own = database.header(height)?.filter(|_| height <= head);
    if own.is_none_or(|own| own.hash_slow() != hash) {
        return Ok(Plan::Fork { height, hash });
    }
    let to = database.last_certified(height + 1, head)?;
    Ok(to.map_or(Plan::NothingNew, |to| Plan::Range((height + 1, to))))
}

/// Files that are finished but not in their places, the range of blocks in them, and the hash of the last one.
type Made = (Vec<(Partial, DataFile)>, (u64, u64), B256);

struct Copying<'a> {
    chain: &'a Chain,
    database: &'a ReadOnly,
    dir: &'a Path,
    recipients: &'a Recipients,
    number: u32,
    range: (u64, u64),
    is_full: bool,
}

impl Copying<'_> {
    fn run(&self, watch: Watch<'_>) -> Result<Made, SourceError> {
        let (from, to) = self.range;
        let header = self.database.header(to)?;
        let header = header.ok_or(SourceError::Missing { what: "header", place: format!("block {to}") })?;
        let mut files = vec![self.file(DataContent::Blocks, Content::BackupBlocks, from, |out| {
            copy_blocks(self.chain, self.database, out, self.range, self.is_full, &mut *watch).map(drop)
        })?];
        if self.is_full {
            files.push(self.file(DataContent::State, Content::BackupState, to, |out| {
                copy_state(self.database, out, &header, &mut *watch)
            })?);
        }
        Ok((files, self.range, header.hash_slow()))
    }

    fn file(
        &self,
        content: DataContent,
        in_header: Content,
        first: u64,
        fill: impl FnOnce(&mut RecordWriter<Sealer>) -> Result<(), SourceError>,
    ) -> Result<(Partial, DataFile), SourceError> {
        let name = data_name(self.number, content);
        let header = FileHeader { content: in_header, genesis: self.chain.hash(), first, last: self.range.1 };
        let mut out = RecordWriter::new(Sealer::create(&self.dir.join(&name), self.recipients)?, &header)?;
        fill(&mut out)?;
        let (partial, bytes, sha256) = out.finish()?.finish()?;
        Ok((partial, DataFile { content, name, bytes, sha256 }))
    }
}
