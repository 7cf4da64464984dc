//! The database's column families, key layouts and options.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use alloy_primitives::B256;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, DBPinnableSlice, Direction,
    ErrorKind, IteratorMode, Options, PrefixRange, ReadOptions, WriteBatch, WriteOptions,
};

use crate::StoreError;

/// Version of every layout in this module; a change of any of them raises it.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// Column families. Heights are 8 bytes big-endian, so that keys sort by height.
pub(crate) mod cf {
    /// `version`, `genesis`, `head` (height), `floor` (lowest height whose state is kept). While the database is being
    /// filled, `filling` and the records of `snapshot/records.rs` instead of all but the first.
    pub(crate) const META: &str = "meta";
    /// height -> RLP header. In a database that was filled from other boxes also those of earlier epochs' last blocks,
    /// which have nothing else but a certificate.
    pub(crate) const HEADERS: &str = "headers";
    /// height -> RLP block body, compressed.
    pub(crate) const BODIES: &str = "bodies";
    /// height -> RLP list of receipts without their bloom filters, compressed.
    pub(crate) const RECEIPTS: &str = "receipts";
    /// height -> 256-byte bloom, only for blocks that have logs.
    pub(crate) const BLOOMS: &str = "blooms";
    /// block hash -> height.
    pub(crate) const HASHES: &str = "hashes";
    /// transaction hash -> height, index (4 bytes big-endian).
    pub(crate) const TRANSACTIONS: &str = "transactions";
    /// keccak(address) -> RLP account.
    pub(crate) const ACCOUNTS: &str = "accounts";
    /// keccak(address) keccak(slot) -> value without leading zeros.
    pub(crate) const SLOTS: &str = "slots";
    /// code hash -> code.
    pub(crate) const CODE: &str = "code";
    /// keccak(address) height -> RLP account before that block, empty where there was none.
    pub(crate) const ACCOUNT_HISTORY: &str = "account_history";
    /// keccak(address) keccak(slot) height -> value before that block.
    pub(crate) const SLOT_HISTORY: &str = "slot_history";
    /// height -> RLP list of the keys that the block changed: 32 bytes an account, 64 bytes a slot.
    pub(crate) const CHANGES: &str = "changes";

    /// epoch -> its record, as the governance contract answered it.
    pub(crate) const EPOCHS: &str = "epochs";
    /// height -> RLP certificate, for blocks that have one of their own: each epoch's last among them.
    pub(crate) const CERTIFICATES: &str = "certificates";

    pub(crate) const ALL: [&str; 15] = [
        META,
        HEADERS,
        BODIES,
        RECEIPTS,
        BLOOMS,
        HASHES,
        TRANSACTIONS,
        ACCOUNTS,
        SLOTS,
        CODE,
        ACCOUNT_HISTORY,
        SLOT_HISTORY,
        CHANGES,
        EPOCHS,
        CERTIFICATES,
    ];
}

/// Keys of [`cf::META`].
pub(crate) mod meta {
    pub(crate) const VERSION: &[u8] = b"version";
    pub(crate) const GENESIS: &[u8] = b"genesis";
    pub(crate) const HEAD: &[u8] = b"head";
    pub(crate) const FLOOR: &[u8] = b"floor";
    pub(crate) const FILLING: &[u8] = b"filling";
}

/// Memory for blocks read from disk. Latest state is in the trie, so this serves history and old blocks.
const BLOCK_CACHE_BYTES: usize = 32 << 20;
/// Memory for writes not yet in sorted files, over all column families.
const WRITE_BUFFERS_BYTES: usize = 64 << 20;
/// Write-ahead log kept at most; above it RocksDB flushes the oldest column family.
const WAL_BYTES_MAX: u64 = 128 << 20;

/// A key and its value.
pub(crate) type Entry = (Box<[u8]>, Box<[u8]>);

/// An open database. Every error names the directory and what was being done.
pub(crate) struct Db {
    db: DB,
    path: PathBuf,
    /// Dropped after the database: see [`Closing`].
    open: Arc<()>,
}

/// Tells when a database is closed. Whoever ends the process before that ends it in the middle of RocksDB's own threads,
/// whose library then aborts it.
#[derive(Clone, Debug)]
pub struct Closing(Weak<()>);

impl Closing {
    /// Whether nobody has it open any more.
    pub fn is_closed(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Db {
    pub(crate) fn closing(&self) -> Closing {
        Closing(Arc::downgrade(&self.open))
    }

    /// Opens the database in `path`, creating it where there is none. A database of another format is refused before
    /// anything in it is changed: opening adds the column families that it lacks.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(stamp) = read_stamp(path) {
            check_version(&stamp)?;
        }
        let db = Self::open_families(path)?;
        match db.get(cf::META, meta::VERSION)? {
            Some(stamp) => check_version(&stamp)?,
            None => {
                let mut batch = db.batch();
                batch.put(cf::META, meta::VERSION, &FORMAT_VERSION.to_be_bytes());
                batch.commit()?;
            }
        }
        Ok(db)
    }

    fn open_families(path: &Path) -> Result<Self, StoreError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options.set_max_open_files(512);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 << 20);
        options.set_max_background_jobs(2);
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = cf::ALL.map(|name| ColumnFamilyDescriptor::new(name, family_options(name, &cache)));
        match DB::open_cf_descriptors(&options, path, families) {
            Ok(db) => Ok(Self { db, path: path.to_owned(), open: Arc::default() }),
            Err(source) if says_in_use(source.as_ref()) => Err(StoreError::Locked(path.to_owned())),
            Err(source) => Err(failed("open", path, source)),
        }
    }

    /// Opens the database in `path` as it is at this moment: without its lock and without a change to it, also while a
    /// box runs on it. See `audit.rs` for what may be relied on then.
    pub(crate) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        // RocksDB's binding would make the directory.
        if !path.is_dir() {
            return Err(StoreError::NoDatabase(path.to_owned()));
        }
        if let Some(stamp) = read_stamp(path) {
            check_version(&stamp)?;
        }
        let mut options = Options::default();
        // Opens every table file now: what a running box deletes later stays readable for whoever has it open.
        options.set_max_open_files(-1);
        let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
        let families = cf::ALL.map(|name| ColumnFamilyDescriptor::new(name, family_options(name, &cache)));
        match DB::open_cf_descriptors_read_only(&options, path, families, false) {
            Ok(db) => Ok(Self { db, path: path.to_owned(), open: Arc::default() }),
            Err(source) => Err(failed("open for reading", path, source)),
        }
    }

    /// First and last keys of the table files of a column family, ascending: places to go on at behind a damaged one.
    pub(crate) fn table_keys(&self, family: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let files = self.db.live_files().map_err(self.error("list files"))?;
        let mut keys: Vec<_> = files
            .into_iter()
            .filter(|file| file.column_family_name == family)
            .flat_map(|file| [file.start_key, file.end_key])
            .flatten()
            .collect();
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn family(&self, name: &str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("every column family is opened in `open`")
    }

    fn error(&self, operation: &'static str) -> impl FnOnce(rocksdb::Error) -> StoreError {
        let path = self.path.clone();
        move |source| failed(operation, &path, source)
    }

    pub(crate) fn get(&self, family: &str, key: &[u8]) -> Result<Option<DBPinnableSlice<'_>>, StoreError> {
        self.db.get_pinned_cf(self.family(family), key).map_err(self.error("read"))
    }

    /// First entry whose key begins with `prefix` and is `from` or follows it.
    pub(crate) fn seek(&self, family: &str, prefix: &[u8], from: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut options = ReadOptions::default();
        // Where there is no such entry, RocksDB would else walk over all that was deleted behind the prefix.
        options.set_iterate_range(PrefixRange(prefix));
        self.iterate(family, from, options).next().transpose()
    }

    /// Last entry whose key is `from` or comes before it.
    pub(crate) fn seek_back(&self, family: &str, from: &[u8]) -> Result<Option<Entry>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mode = IteratorMode::From(from, Direction::Reverse);
        let last = self.db.iterator_cf_opt(self.family(family), options, mode).next();
        last.transpose().map_err(self.error("scan"))
    }

    /// Entries in key order, starting at `from`.
    pub(crate) fn scan<'a>(
        &'a self,
        family: &str,
        from: &[u8],
    ) -> impl Iterator<Item = Result<Entry, StoreError>> + use<'a> {
        self.iterate(family, from, ReadOptions::default())
    }

    fn iterate<'a>(
        &'a self,
        family: &str,
        from: &[u8],
        mut options: ReadOptions,
    ) -> impl Iterator<Item = Result<Entry, StoreError>> + use<'a> {
        let mode = IteratorMode::From(from, Direction::Forward);
        options.set_total_order_seek(true);
        self.db.iterator_cf_opt(self.family(family), options, mode).map(|entry| entry.map_err(self.error("scan")))
    }

    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { db: self, batch: WriteBatch::default() }
    }
}

/// Writes that take effect together or not at all.
pub(crate) struct Batch<'a> {
    db: &'a Db,
    batch: WriteBatch,
}

impl Batch<'_> {
    pub(crate) fn put(&mut self, family: &str, key: &[u8], value: &[u8]) {
        self.batch.put_cf(self.db.family(family), key, value);
    }

    pub(crate) fn delete(&mut self, family: &str, key: &[u8]) {
        self.batch.delete_cf(self.db.family(family), key);
    }

    /// Deletes all keys from the first one on, without the other.
    pub(crate) fn delete_range(&mut self, family: &str, from: &[u8], to: &[u8]) {
        self.batch.delete_range_cf(self.db.family(family), from, to);
    }

    /// Writes and syncs: when this returns, a power cut loses nothing of it.
    pub(crate) fn commit(self) -> Result<(), StoreError> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.db.write_opt(self.batch, &options).map_err(self.db.error("write"))
    }
}

/// The version stamp of the database in `path`, read without its lock and without a change to it; `None` where there is
/// none yet. Whatever else keeps it from being read here keeps the database from being opened, with an error that says
/// more.
fn read_stamp(path: &Path) -> Option<Vec<u8>> {
    let db = DB::open_cf_for_read_only(&Options::default(), path, [cf::META], false).ok()?;
    db.get_cf(db.cf_handle(cf::META)?, meta::VERSION).ok()?
}

fn check_version(stamp: &[u8]) -> Result<(), StoreError> {
    let found = stamp.try_into().map(u32::from_be_bytes).map_err(|_| damaged("version", meta::VERSION))?;
    if found == FORMAT_VERSION { Ok(()) } else { Err(StoreError::Version { found, expected: FORMAT_VERSION }) }
}

/// The error for an operation that RocksDB refused: where its files are damaged, space and permissions do not help. That
/// a file is not there which another one names is damage too.
fn failed(operation: &'static str, path: &Path, source: rocksdb::Error) -> StoreError {
    let path = path.to_owned();
    let message: &str = source.as_ref();
    let is_gone = message.starts_with("IO error: No such file or directory: While open");
    if is_gone || source.kind() == ErrorKind::Corruption {
        StoreError::Corrupt { operation, path, source }
    } else {
        StoreError::Database { operation, path, source }
    }
}

/// Whether RocksDB's message says that the lock is held: by another process, or by this one. Other errors name the lock
/// file too, such as a refused permission.
fn says_in_use(message: &str) -> bool {
    ["IO error: While lock file: ", "IO error: lock hold by current process"]
        .iter()
        .any(|start| message.starts_with(start))
}

fn family_options(name: &str, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    // Hashes and balances do not compress; bodies and receipts halve.
    let compression = match name {
        cf::BODIES | cf::RECEIPTS | cf::CODE | cf::HEADERS => DBCompressionType::Lz4,
        _ => DBCompressionType::None,
    };
    options.set_compression_type(compression);
    options
}

/// The key of a height.
pub(crate) const fn height_key(height: u64) -> [u8; 8] {
    height.to_be_bytes()
}

/// The key of a storage slot: both hashes, joined.
pub(crate) fn slot_key(account: &B256, slot: &B256) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(account.as_slice());
    key[32..].copy_from_slice(slot.as_slice());
    key
}

/// `key` followed by a height: where the value before that height's block is kept.
pub(crate) fn history_key(key: &[u8], height: u64) -> Vec<u8> {
    [key, &height_key(height)].concat()
}

/// Reads a height from a value or the end of a key.
pub(crate) fn read_height(bytes: &[u8], what: &'static str) -> Result<u64, StoreError> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| damaged(what, bytes))
}

/// The error for a record that breaks the format.
pub(crate) fn damaged(what: &'static str, key: &[u8]) -> StoreError {
    StoreError::Damaged { what, key: alloy_primitives::hex::encode_prefixed(key) }
}

#[cfg(test)]
mod tests {
    use rocksdb::{PerfContext, PerfMetric, PerfStatsLevel, perf::set_perf_stats};

    use super::*;

    #[test]
    fn damage_is_told_from_what_the_disk_refuses() {
        let dir = tempfile::tempdir().unwrap();
        drop(Db::open(dir.path()).unwrap());
        for damaged in ["MANIFEST", "MANIFEST-999999\n"] {
            std::fs::write(dir.path().join("CURRENT"), damaged).unwrap();
            let opened = Db::open(dir.path());
            assert!(matches!(opened, Err(StoreError::Corrupt { operation: "open", .. })), "{:?}", opened.err());
        }
        let file = dir.path().join("CURRENT");
        let opened = Db::open(&file);
        assert!(matches!(opened, Err(StoreError::Database { operation: "open", .. })), "{:?}", opened.err());
    }

    #[test]
    fn another_format_is_refused_before_anything_is_added() {
        let dir = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let db = DB::open_cf(&options, dir.path(), [cf::META]).unwrap();
        db.put_cf(db.cf_handle(cf::META).unwrap(), meta::VERSION, 99_u32.to_be_bytes()).unwrap();
        // The version is told even while another program has it open.
        assert!(matches!(Db::open(dir.path()), Err(StoreError::Version { found: 99, expected: FORMAT_VERSION })));
        drop(db);
        assert!(matches!(Db::open(dir.path()), Err(StoreError::Version { found: 99, expected: FORMAT_VERSION })));
        let mut families = DB::list_cf(&options, dir.path()).unwrap();
        families.sort();
        assert_eq!(families, ["default", cf::META]);
    }

    #[test]
    fn only_a_held_lock_is_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let _db = Db::open(dir.path()).unwrap();
        assert!(matches!(Db::open(dir.path()), Err(StoreError::Locked(_))));
        assert!(says_in_use("IO error: While lock file: /data/chain/LOCK: Resource temporarily unavailable"));
        assert!(!says_in_use("IO error: while open a file for lock: /data/chain/LOCK: Permission denied"));
        assert!(!says_in_use("Corruption: CURRENT file does not end with newline: /srv/LOCKERS/chain/CURRENT"));
    }

    /// Pruning leaves many deleted entries; a read of a key without history must not walk over its neighbours'.
    #[test]
    fn a_seek_stays_within_its_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path()).unwrap();
        let (key, neighbour) = ([1; 32], [2; 32]);
        let mut batch = db.batch();
        for height in 0..100 {
            batch.put(cf::ACCOUNT_HISTORY, &history_key(&neighbour, height), &[]);
        }
        for height in 0..100 {
            batch.delete(cf::ACCOUNT_HISTORY, &history_key(&neighbour, height));
        }
        batch.put(cf::ACCOUNT_HISTORY, &history_key(&neighbour, 100), &[7]);
        batch.put(cf::ACCOUNT_HISTORY, &history_key(&key, 3), &[9]);
        batch.commit().unwrap();
        let seek = |height| db.seek(cf::ACCOUNT_HISTORY, &key, &history_key(&key, height)).unwrap();
        assert_eq!(seek(2).map(|(_, value)| value.to_vec()), Some(vec![9]));
        set_perf_stats(PerfStatsLevel::EnableCount);
        let mut counters = PerfContext::default();
        counters.reset();
        assert_eq!(seek(4), None);
        assert_eq!(counters.metric(PerfMetric::InternalDeleteSkippedCount), 0);
    }
}
