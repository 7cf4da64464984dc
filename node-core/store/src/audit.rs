//! Reading a database as it lies on the disk, without its lock and without a change to it: for backups, exports and
//! `dolmen verify`.

use std::{
    collections::{BTreeMap, HashMap, btree_map},
    iter::Peekable,
    path::Path,
    sync::Arc,
};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Decodable as _;
use dolmen_types::{Block, Certificate, Receipt, receipt};

use crate::{
    Account, State, StoreError,
    code::CodeStore,
    db::{Db, Entry, cf, damaged, height_key, history_key, meta, read_height},
    history::{history_family, undo_changes},
    state::AccountLeaf,
    store::decode_account,
    trie::{StorageTrie, Trie},
};

/// A key and its value.
pub type Record = (Box<[u8]>, Box<[u8]>);

/// What keys held before some blocks that changed them; empty for nothing.
type Overlay = BTreeMap<Vec<u8>, Box<[u8]>>;

/// A kind of record; see `db.rs` for the layouts of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Version, genesis hash, heights of head and floor.
    Meta,
    /// Headers by height.
    Headers,
    /// Block bodies by height.
    Bodies,
    /// Receipts by height.
    Receipts,
    /// Bloom filters of blocks with logs, by height.
    Blooms,
    /// Heights by block hash.
    Hashes,
    /// Positions by transaction hash.
    Transactions,
    /// Accounts by keccak256 of the address.
    Accounts,
    /// Slots by both hashes.
    Slots,
    /// Code by its hash.
    Code,
    /// Accounts before a block, by hash and height.
    AccountHistory,
    /// Slots before a block, by both hashes and height.
    SlotHistory,
    /// The keys that a block changed, by height.
    Changes,
    /// Records of epochs, by epoch.
    Epochs,
    /// Certificates by height.
    Certificates,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Meta,
        Self::Headers,
        Self::Bodies,
        Self::Receipts,
        Self::Blooms,
        Self::Hashes,
        Self::Transactions,
        Self::Accounts,
        Self::Slots,
        Self::Code,
        Self::AccountHistory,
        Self::SlotHistory,
        Self::Changes,
        Self::Epochs,
        Self::Certificates,
    ];

    /// The column family's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => cf::META,
            Self::Headers => cf::HEADERS,
            Self::Bodies => cf::BODIES,
            Self::Receipts => cf::RECEIPTS,
            Self::Blooms => cf::BLOOMS,
            Self::Hashes => cf::HASHES,
            Self::Transactions => cf::TRANSACTIONS,
            Self::Accounts => cf::ACCOUNTS,
            Self::Slots => cf::SLOTS,
            Self::Code => cf::CODE,
            Self::AccountHistory => cf::ACCOUNT_HISTORY,
            Self::SlotHistory => cf::SLOT_HISTORY,
            Self::Changes => cf::CHANGES,
            Self::Epochs => cf::EPOCHS,
            Self::Certificates => cf::CERTIFICATES,
        }
    }
}

/// A piece of the state, in the order of the trie: each account, then its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateRecord {
    /// An account.
    Account {
        /// keccak256 of its address.
        key: B256,
        /// The account.
        account: Account,
    },
    /// A slot of the account before it.
    Slot {
        /// keccak256 of its number.
        key: B256,
        /// Its value, which is not zero.
        value: U256,
    },
}

/// A database as it was when it was opened.
///
/// # Beside a running box
///
/// What this shows is what RocksDB's manifest and write-ahead log held when it was opened; nothing that the box writes
/// later shows. Every table file is opened then, and a file that the box deletes later stays readable for whoever has it
/// open. One gap is left, in the opening itself: between the reading of the manifest and the opening of a file that it
/// names the box may have deleted that file. A missing table file is an error. A missing log, however, is not noticed by
/// RocksDB and leaves out some commits from between others. So whoever reads beside a running box checks what it read,
/// and opens again where it does not fit; everything in a database can be checked: blocks by their hashes, the state,
/// bodies and receipts by the roots in the headers.
pub struct ReadOnly {
    db: Arc<Db>,
}

impl ReadOnly {
    /// Opens the database in `path`. Takes as many open files as it has table files.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = Db::open_read_only(path)?;
        if db.get(cf::META, meta::FILLING)?.is_some() {
            return Err(StoreError::Filling(path.to_owned()));
        }
        Ok(Self { db: Arc::new(db) })
    }

    /// Version of the format; `None` where the database does not say.
    pub fn version(&self) -> Result<Option<u32>, StoreError> {
        let stamp = self.get(Family::Meta, meta::VERSION)?;
        let read = |stamp: Vec<u8>| stamp.as_slice().try_into().map(u32::from_be_bytes);
        stamp.map(read).transpose().map_err(|_| damaged("version", meta::VERSION))
    }

    /// Hash of block zero.
    pub fn genesis_hash(&self) -> Result<B256, StoreError> {
        let hash = self.get(Family::Meta, meta::GENESIS)?.ok_or_else(|| damaged("genesis", meta::GENESIS))?;
        B256::try_from(hash.as_slice()).map_err(|_| damaged("genesis", meta::GENESIS))
    }

    /// Height of the last block.
    pub fn head(&self) -> Result<u64, StoreError> {
        let head = self.get(Family::Meta, meta::HEAD)?.ok_or_else(|| damaged("head", meta::HEAD))?;
        read_height(&head, "head")
    }

    /// Height of the first block above block zero: 1, unless the database was filled from other boxes or pruned. Such a
    /// one has headers and certificates before that, of epochs' last blocks.
    pub fn first_block(&self) -> Result<Option<u64>, StoreError> {
        let record = self.db.scan(cf::BODIES, &height_key(1)).next().transpose()?;
        record.map(|(key, _)| read_height(&key, "body")).transpose()
    }

    /// Lowest height whose state is kept.
    pub fn floor(&self) -> Result<u64, StoreError> {
        self.get(Family::Meta, meta::FLOOR)?.map_or(Ok(0), |floor| read_height(&floor, "floor"))
    }

    /// The value at a key.
    pub fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(family.name(), key)?.map(|value| value.to_vec()))
    }

    /// Records in the order of their keys, from `from` on. Ends with the first error.
    pub fn scan<'a>(
        &'a self,
        family: Family,
        from: &[u8],
    ) -> impl Iterator<Item = Result<Record, StoreError>> + use<'a> {
        self.db.scan(family.name(), from)
    }

    /// First and last keys of the table files that hold a family's records, ascending: places to go on at behind a
    /// damaged one.
    pub fn table_keys(&self, family: Family) -> Result<Vec<Vec<u8>>, StoreError> {
        self.db.table_keys(family.name())
    }

    /// The header at a height.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::HEADERS, &key)? else { return Ok(None) };
        Header::decode(&mut &*bytes).map(Some).map_err(|_| damaged("header", &key))
    }

    /// The block at a height. That its body is the header's is not checked.
    pub fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let key = height_key(number);
        let Some(header) = self.header(number)? else { return Ok(None) };
        let body = self.db.get(cf::BODIES, &key)?.ok_or_else(|| damaged("body", &key))?;
        Block::from_parts(header, &body).map(Some).map_err(|_| damaged("body", &key))
    }

    /// The receipts of the block at a height.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::RECEIPTS, &key)? else { return Ok(None) };
        receipt::decode_list(&bytes).map(Some).map_err(|_| damaged("receipts", &key))
    }

    /// The certificate of the block at a height, where it has one of its own. Its signatures are not checked.
    pub fn certificate(&self, number: u64) -> Result<Option<Certificate>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::CERTIFICATES, &key)? else { return Ok(None) };
        Certificate::decode(&bytes).map(Some).map_err(|_| damaged("certificate", &key))
    }

    /// The record of an epoch.
    pub fn epoch_record(&self, epoch: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get(Family::Epochs, &height_key(epoch))?.map(Bytes::from))
    }

    /// The highest block of `from..=to` that has a certificate; block zero needs none.
    pub fn last_certified(&self, from: u64, to: u64) -> Result<Option<u64>, StoreError> {
        for number in (from..=to).rev() {
            if number == 0 || self.get(Family::Certificates, &height_key(number))?.is_some() {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The keys that the block at a height changed: 32 bytes an account, 64 bytes a slot.
    pub fn changed_keys(&self, number: u64) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::CHANGES, &key)? else { return Ok(None) };
        let mut rest = &*bytes;
        let list = Vec::<Bytes>::decode(&mut rest).map_err(|_| damaged("changes", &key))?;
        let whole = rest.is_empty() && list.iter().all(|key| matches!(key.len(), 32 | 64));
        if whole { Ok(Some(list.into_iter().map(Vec::from).collect())) } else { Err(damaged("changes", &key)) }
    }

    /// What a key held before the block at a height that changed it; empty where it held nothing.
    pub fn replaced(&self, key: &[u8], number: u64) -> Result<Option<Box<[u8]>>, StoreError> {
        let found = self.db.get(history_family(key), &history_key(key, number))?;
        Ok(found.map(|value| Box::from(&*value)))
    }

    /// Shows the state after the block at a height that is still kept. Takes memory for what later blocks changed, and
    /// ends with the first error, its own or the visitor's.
    pub fn visit_state<E: From<StoreError>>(
        &self,
        number: u64,
        mut visit: impl FnMut(StateRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        let (accounts, slots) = self.replaced_since(number)?;
        let mut slots = Merged::new(self.db.scan(cf::SLOTS, &[]), slots).peekable();
        for entry in Merged::new(self.db.scan(cf::ACCOUNTS, &[]), accounts) {
            let (key, value) = entry?;
            let bad = || damaged("account", &key);
            let account = decode_account(&value, &key)?.ok_or_else(bad)?;
            visit(StateRecord::Account { key: B256::try_from(&*key).map_err(|_| bad())?, account })?;
            let is_own = |entry: &Result<Entry, StoreError>| match entry {
                Ok((slot, _)) => slot.starts_with(&key),
                Err(_) => true,
            };
            while let Some(entry) = slots.next_if(is_own) {
                let (slot, value) = entry?;
                let bad = || damaged("slot", &slot);
                let hash = slot.get(32..).and_then(|hash| B256::try_from(hash).ok()).ok_or_else(bad)?;
                let value = U256::try_from_be_slice(&value).filter(|value| !value.is_zero()).ok_or_else(bad)?;
                visit(StateRecord::Slot { key: hash, value })?;
            }
        }
        match slots.next() {
            Some(Ok((slot, _))) => Err(damaged("slot of a missing account", &slot).into()),
            Some(Err(error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// What accounts and slots held after the block at a height, where later blocks changed them.
    fn replaced_since(&self, number: u64) -> Result<(Overlay, Overlay), StoreError> {
        let (head, floor) = (self.head()?, self.floor()?);
        if number > head {
            return Err(StoreError::UnknownBlock { number, head });
        }
        if number < floor {
            return Err(StoreError::Pruned { number, floor });
        }
        let (mut accounts, mut slots) = (Overlay::new(), Overlay::new());
        for later in number + 1..=head {
            let keys = self.changed_keys(later)?.ok_or_else(|| damaged("changes", &height_key(later)))?;
            for key in keys {
                let replaced = if key.len() == 32 { &mut accounts } else { &mut slots };
                if let btree_map::Entry::Vacant(entry) = replaced.entry(key) {
                    let before = self.replaced(entry.key(), later)?;
                    let before = before.ok_or_else(|| damaged("history", &history_key(entry.key(), later)))?;
                    entry.insert(before);
                }
            }
        }
        Ok((accounts, slots))
    }
}

/// Records of the database with others over them, in the order of their keys. One over it takes a record's place, or
/// takes it away where it is empty.
struct Merged<I: Iterator<Item = Result<Entry, StoreError>>> {
    base: Peekable<I>,
    over: Peekable<btree_map::IntoIter<Vec<u8>, Box<[u8]>>>,
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Merged<I> {
    fn new(base: I, over: Overlay) -> Self {
        Self { base: base.peekable(), over: over.into_iter().peekable() }
    }
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Iterator for Merged<I> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let base_first = match (self.base.peek(), self.over.peek()) {
                (Some(Err(_)), _) | (_, None) => true,
                (Some(Ok((key, _))), Some((over, _))) => {
                    if **key == **over {
                        self.base.next();
                        continue;
                    }
                    **key < **over
                }
                (None, Some(_)) => false,
            };
            if base_first {
                return self.base.next();
            }
            let (key, value) = self.over.next()?;
            if !value.is_empty() {
                return Some(Ok((key.into(), value)));
            }
        }
    }
}

/// An account by hash, with its slots by hash.
pub type AccountWithSlots = (B256, Account, Vec<(B256, U256)>);

/// A state in memory that goes back block by block.
pub struct Rewind {
    state: State,
}

impl Rewind {
    /// Builds the state of these accounts with their slots, both in ascending order of their hashed keys. Takes the
    /// memory that a running box takes for it.
    pub fn new(database: &ReadOnly, accounts: Vec<AccountWithSlots>) -> Result<Self, StoreError> {
        let mut leaves = Vec::with_capacity(accounts.len());
        for (key, account, slots) in accounts {
            let storage = StorageTrie::from_sorted(slots).map_err(|_| damaged("slots", key.as_slice()))?;
            leaves.push((key, AccountLeaf { account, storage }));
        }
        let accounts = Trie::from_sorted(leaves).map_err(|_| damaged("accounts", &[]))?;
        Ok(Self { state: State::new(accounts, Arc::new(CodeStore::new(database.db.clone()))) })
    }

    /// The state root.
    pub fn root(&self) -> B256 {
        self.state.root()
    }

    /// Gives keys back what they held before a block: an account's RLP or a slot's value without leading zeros, empty
    /// for nothing.
    pub fn undo(&mut self, replaced: HashMap<Vec<u8>, Box<[u8]>>) -> Result<(), StoreError> {
        self.state = self.state.apply_hashed(undo_changes(&self.state, replaced)?);
        Ok(())
    }
}

/// Writes or deletes one record past every check. For tests of `dolmen verify`: it makes a database worthless.
#[cfg(feature = "damage")]
pub fn damage(path: &Path, family: Family, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError> {
    let db = Db::open(path)?;
    let mut batch = db.batch();
    match value {
        Some(value) => batch.put(family.name(), key, value),
        None => batch.delete(family.name(), key),
    }
    batch.commit()
}
