//! Opening a database, its head, and the commit of a finalized block.

use std::{
    num::NonZeroU64,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable as _;
use dolmen_types::{Block, Certificate, Genesis, Receipt, receipt};
use parking_lot::RwLock;

use crate::{
    Account, AccountChange, Closing, SlotChange, State, StateDiff, StoreError,
    code::CodeStore,
    db::{self, Batch, Db, cf, damaged, height_key, history_key, meta, slot_key},
    history::history_family,
    state::{AccountLeaf, root_from_nothing},
    trie::{StorageTrie, Trie},
};

/// How much of the past a box keeps.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Blocks behind the head whose state can be read.
    pub history_depth: NonZeroU64,
    /// Blocks behind the head that are kept, with their receipts.
    pub block_depth: NonZeroU64,
}

impl Options {
    /// Everything.
    pub const ARCHIVE: Self = Self { history_depth: NonZeroU64::MAX, block_depth: NonZeroU64::MAX };

    /// All blocks, and the states of so many.
    pub const fn history(history_depth: NonZeroU64) -> Self {
        Self { history_depth, ..Self::ARCHIVE }
    }
}

/// The last finalized block and the state after it.
pub struct Head {
    /// The block.
    pub block: Arc<Block>,
    /// The state after it.
    pub state: State,
}

/// A block with what executing it yielded; [`Store::commit`] takes it once the block is finalized.
pub struct Executed {
    /// The block.
    pub block: Arc<Block>,
    /// One receipt a transaction, in order.
    pub receipts: Vec<Receipt>,
    /// What changed.
    pub diff: StateDiff,
    /// The state after it; its root is the header's `stateRoot`.
    pub state: State,
    /// The next epoch and its record, where the block is an epoch's last.
    pub record: Option<(u64, Bytes)>,
}

/// What a chain starts from.
pub struct Origin {
    /// Block zero.
    pub block: Block,
    /// The accounts after it.
    diff: StateDiff,
    /// The record of epoch zero.
    pub(crate) record: Bytes,
}

impl Origin {
    /// The start that a genesis file describes, with contracts that are part of every chain.
    pub fn new(genesis: &Genesis, contracts: StateDiff, record: Bytes) -> Self {
        let mut diff = accounts_of(genesis);
        diff.accounts.extend(contracts.accounts);
        diff.codes.extend(contracts.codes);
        Self { block: genesis.block(root_from_nothing(&diff)), diff, record }
    }

    /// Code of its accounts, by hash.
    pub(crate) fn codes(&self) -> &[(B256, Bytes)] {
        &self.diff.codes
    }

    /// The start of a chain that nobody governs, for tests of parts that know nothing of it.
    pub fn of_accounts(genesis: &Genesis) -> Self {
        Self::new(genesis, StateDiff::default(), Bytes::new())
    }
}

/// Blocks, or states, that a commit prunes at most: lowering a depth later does not make one commit huge.
const PRUNED_AT_ONCE: u64 = 2;

/// The finalized chain of one box.
pub struct Store {
    pub(crate) db: Arc<Db>,
    head: RwLock<Arc<Head>>,
    /// Lowest height whose state can be read.
    pub(crate) floor: AtomicU64,
    /// Height of the first block above block zero.
    first_block: AtomicU64,
    options: Options,
}

impl Store {
    /// Tells when the database is closed, after all who share it have let go of it.
    pub fn closing(&self) -> Closing {
        self.db.closing()
    }

    /// Opens the database in `path`, creating it with block zero where there is none, and rebuilds the state
    /// trie. Fails where the database belongs to another chain or format, or the state does not match the head.
    pub fn open(path: &Path, origin: &Origin, options: Options) -> Result<Self, StoreError> {
        let db = Arc::new(Db::open(path)?);
        if db.get(cf::META, meta::FILLING)?.is_some() {
            return Err(StoreError::Filling(path.to_owned()));
        }
        let code = Arc::new(CodeStore::new(db.clone()));
        if db.get(cf::META, meta::GENESIS)?.is_none() {
            write_genesis(&db, origin)?;
        }
        let height = match db.get(cf::META, meta::HEAD)? {
            Some(height) => db::read_height(&height, "head")?,
            None => return Err(damaged("head", meta::HEAD)),
        };
        let floor = db.get(cf::META, meta::FLOOR)?.map_or(Ok(0), |floor| db::read_height(&floor, "floor"))?;
        let first = db.scan(cf::BODIES, &height_key(1)).next().transpose()?;
        let first_block = first.map_or(Ok(1), |(key, _)| db::read_height(&key, "body"))?;
        let state = load_state(&db, code)?;
        let store = Self {
            head: RwLock::new(Arc::new(Head {
                block: Arc::new(Block::seal(Default::default(), vec![])),
                state: state.clone(),
            })),
            db,
            floor: AtomicU64::new(floor),
            first_block: AtomicU64::new(first_block),
            options,
        };
        let block = store.read_block(height)?.ok_or_else(|| damaged("block", &height_key(height)))?;
        let (found, expected) = (state.root(), block.header().state_root);
        if found != expected {
            return Err(StoreError::StateRoot { height, found, expected });
        }
        store.check_genesis(&origin.block)?;
        *store.head.write() = Arc::new(Head { block: Arc::new(block), state });
        Ok(store)
    }

    /// The last finalized block and its state.
    pub fn head(&self) -> Arc<Head> {
        self.head.read().clone()
    }

    /// Height of the first block above block zero: 1, unless the database was filled from other boxes or earlier blocks
    /// were pruned.
    pub fn first_block(&self) -> u64 {
        self.first_block.load(Ordering::Acquire)
    }

    /// Hash of block zero, the chain's identity.
    pub fn genesis_hash(&self) -> Result<B256, StoreError> {
        let hash = self.db.get(cf::META, meta::GENESIS)?.ok_or_else(|| damaged("genesis", meta::GENESIS))?;
        B256::try_from(&*hash).map_err(|_| damaged("genesis", meta::GENESIS))
    }

    /// Writes the next finalized block, its certificate where it has one, and everything that follows from it in one synced
    /// batch, then makes it the head. Calls must not overlap: the node has one committing thread.
    pub fn commit(&self, executed: &Executed, certificate: Option<&Certificate>) -> Result<(), StoreError> {
        let block = &executed.block;
        let head = self.head();
        if block.header().parent_hash != head.block.hash() || block.number() != head.block.number() + 1 {
            let (number, hash) = (block.number(), block.hash());
            return Err(StoreError::NotNext { number, hash, head: head.block.number() });
        }
        let mut batch = self.db.batch();
        write_block(&mut batch, block, &executed.receipts);
        write_diff(&mut batch, &executed.diff, Some(&head.state), block.number());
        if let Some((epoch, record)) = &executed.record {
            batch.put(cf::EPOCHS, &height_key(*epoch), record);
        }
        if let Some(certificate) = certificate {
            batch.put(cf::CERTIFICATES, &height_key(block.number()), &alloy_rlp::encode(certificate));
        }
        self.prune_history(&mut batch, block.number())?;
        self.prune_blocks(&mut batch, block.number())?;
        batch.commit()?;
        *self.head.write() = Arc::new(Head { block: block.clone(), state: executed.state.clone() });
        executed.state.code_store().settle(block.number());
        Ok(())
    }

    /// Deletes the replaced values that only states older than `history_depth` need.
    fn prune_history(&self, batch: &mut Batch<'_>, height: u64) -> Result<(), StoreError> {
        let floor = height.saturating_sub(self.options.history_depth.get());
        let old = self.floor.load(Ordering::Acquire);
        for pruned in old + 1..=floor.min(old + PRUNED_AT_ONCE) {
            // Raised first: a reader checks the floor after it read, and must not miss a value that is gone.
            self.floor.store(pruned, Ordering::Release);
            for key in self.changed_keys(pruned)? {
                batch.delete(history_family(&key), &history_key(&key, pruned));
            }
            batch.delete(cf::CHANGES, &height_key(pruned));
            batch.put(cf::META, meta::FLOOR, &height_key(pruned));
        }
        Ok(())
    }

    /// Deletes blocks that are further back than `block_depth`.
    fn prune_blocks(&self, batch: &mut Batch<'_>, height: u64) -> Result<(), StoreError> {
        let first = height.saturating_sub(self.options.block_depth.get());
        let old = self.first_block();
        for pruned in old..first.min(old + PRUNED_AT_ONCE) {
            let block = self.read_block(pruned)?.ok_or_else(|| damaged("block", &height_key(pruned)))?;
            // Raised first, as the floor is.
            self.first_block.store(pruned + 1, Ordering::Release);
            delete_block(batch, &block);
        }
        Ok(())
    }

    fn check_genesis(&self, genesis: &Block) -> Result<(), StoreError> {
        let (found, expected) = (self.genesis_hash()?, genesis.hash());
        if found == expected { Ok(()) } else { Err(StoreError::OtherChain { found, expected }) }
    }
}

/// What creates the accounts of a genesis file.
fn accounts_of(genesis: &Genesis) -> StateDiff {
    let mut diff = StateDiff::default();
    for (&address, account) in &genesis.file().accounts {
        let code_hash = keccak256(&account.code);
        if !account.code.is_empty() {
            diff.codes.push((code_hash, account.code.clone()));
        }
        let slots = account
            .storage
            .iter()
            .map(|(slot, value)| SlotChange {
                slot: (*slot).into(),
                before: Default::default(),
                after: (*value).into(),
            })
            .collect();
        let after = Some(Account { nonce: account.nonce, balance: account.balance, code_hash });
        diff.accounts.push(AccountChange { address, before: None, after, slots });
    }
    diff
}

fn write_genesis(db: &Db, origin: &Origin) -> Result<(), StoreError> {
    let mut batch = db.batch();
    write_block(&mut batch, &origin.block, &[]);
    write_diff(&mut batch, &origin.diff, None, 0);
    batch.put(cf::EPOCHS, &height_key(0), &origin.record);
    batch.put(cf::META, meta::GENESIS, origin.block.hash().as_slice());
    batch.commit()
}

pub(crate) fn write_block(batch: &mut Batch<'_>, block: &Block, receipts: &[Receipt]) {
    let height = height_key(block.number());
    batch.put(cf::HEADERS, &height, &alloy_rlp::encode(block.header()));
    batch.put(cf::BODIES, &height, &block.encode_body());
    batch.put(cf::RECEIPTS, &height, &receipt::encode_list(receipts));
    if !block.header().logs_bloom.is_zero() {
        batch.put(cf::BLOOMS, &height, block.header().logs_bloom.as_slice());
    }
    batch.put(cf::HASHES, block.hash().as_slice(), &height);
    for (index, transaction) in (0_u32..).zip(block.transactions()) {
        let mut position = [0; 12];
        position[..8].copy_from_slice(&height);
        position[8..].copy_from_slice(&index.to_be_bytes());
        batch.put(cf::TRANSACTIONS, transaction.hash().as_slice(), &position);
    }
    batch.put(cf::META, meta::HEAD, &height);
}

/// Deletes what [`write_block`] wrote, and the certificate. Of an epoch's last block the header and the certificate stay:
/// they prove who votes in the next, and with that every later block.
fn delete_block(batch: &mut Batch<'_>, block: &Block) {
    let height = height_key(block.number());
    for family in [cf::BODIES, cf::RECEIPTS, cf::BLOOMS] {
        batch.delete(family, &height);
    }
    batch.delete(cf::HASHES, block.hash().as_slice());
    for transaction in block.transactions() {
        batch.delete(cf::TRANSACTIONS, transaction.hash().as_slice());
    }
    if block.header().requests_hash == Some(EMPTY_REQUESTS_HASH) {
        batch.delete(cf::HEADERS, &height);
        batch.delete(cf::CERTIFICATES, &height);
    }
}

/// Writes what the block at `height` changed in the state `parent` before it.
fn write_diff(batch: &mut Batch<'_>, diff: &StateDiff, parent: Option<&State>, height: u64) {
    let mut changed: Vec<Vec<u8>> = Vec::new();
    for change in &diff.accounts {
        let account = keccak256(change.address);
        write_account(batch, &account, change, height, &mut changed);
        if change.after.is_some() {
            for SlotChange { slot, before, after } in &change.slots {
                let key = slot_key(&account, &keccak256(slot.to_be_bytes::<32>()));
                write_slot(batch, key, before, after, height, &mut changed);
            }
        } else {
            // Slots left behind would belong to no account, and the next start would find them.
            for (slot, before) in parent.into_iter().flat_map(|state| state.slots_hashed(&account)) {
                write_slot(batch, slot_key(&account, slot), before, &U256::ZERO, height, &mut changed);
            }
        }
    }
    for (hash, code) in &diff.codes {
        batch.put(cf::CODE, hash.as_slice(), code);
    }
    if height > 0 {
        let list: Vec<&[u8]> = changed.iter().map(Vec::as_slice).collect();
        let mut out = Vec::new();
        alloy_rlp::encode_list::<&[u8], [u8]>(&list, &mut out);
        batch.put(cf::CHANGES, &height_key(height), &out);
    }
}

fn write_account(batch: &mut Batch<'_>, key: &B256, change: &AccountChange, height: u64, changed: &mut Vec<Vec<u8>>) {
    if change.before == change.after {
        return;
    }
    match &change.after {
        Some(account) => batch.put(cf::ACCOUNTS, key.as_slice(), &alloy_rlp::encode(account)),
        None => batch.delete(cf::ACCOUNTS, key.as_slice()),
    }
    // Nothing precedes genesis, so it leaves no history.
    if height > 0 {
        let before = change.before.map(alloy_rlp::encode).unwrap_or_default();
        batch.put(cf::ACCOUNT_HISTORY, &history_key(key.as_slice(), height), &before);
        changed.push(key.to_vec());
    }
}

fn write_slot(
    batch: &mut Batch<'_>,
    key: [u8; 64],
    before: &U256,
    after: &U256,
    height: u64,
    changed: &mut Vec<Vec<u8>>,
) {
    if after.is_zero() {
        batch.delete(cf::SLOTS, &key);
    } else {
        batch.put(cf::SLOTS, &key, &after.to_be_bytes_trimmed_vec());
    }
    if height > 0 {
        batch.put(cf::SLOT_HISTORY, &history_key(&key, height), &before.to_be_bytes_trimmed_vec());
        changed.push(key.to_vec());
    }
}

/// Rebuilds the trie from the flat state, reading accounts and slots side by side in key order.
fn load_state(db: &Arc<Db>, code: Arc<CodeStore>) -> Result<State, StoreError> {
    let mut slots = db.scan(cf::SLOTS, &[]).peekable();
    let mut leaves = Vec::new();
    for entry in db.scan(cf::ACCOUNTS, &[]) {
        let (key, value) = entry?;
        let account = Account::decode(&mut &*value).map_err(|_| damaged("account", &key))?;
        let hash = B256::try_from(&*key).map_err(|_| damaged("account", &key))?;
        let mut own = Vec::new();
        while let Some(Ok((slot, _))) = slots.peek()
            && slot.starts_with(hash.as_slice())
        {
            let (slot, value) = slots.next().expect("peeked")?;
            own.push((
                B256::try_from(&slot[32..]).map_err(|_| damaged("slot", &slot))?,
                U256::try_from_be_slice(&value).ok_or_else(|| damaged("slot", &slot))?,
            ));
        }
        leaves.push((
            hash,
            AccountLeaf { account, storage: StorageTrie::from_sorted(own).map_err(|_| damaged("slots", &key))? },
        ));
    }
    match slots.next() {
        Some(Ok((slot, _))) => Err(damaged("slot of a missing account", &slot)),
        Some(Err(error)) => Err(error),
        None => Ok(State::new(Trie::from_sorted(leaves).map_err(|_| damaged("accounts", &[]))?, code)),
    }
}

/// Reads an account from a value of [`cf::ACCOUNTS`] or [`cf::ACCOUNT_HISTORY`] (empty: no account).
pub(crate) fn decode_account(mut bytes: &[u8], key: &[u8]) -> Result<Option<Account>, StoreError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Account::decode(&mut bytes).map(Some).map_err(|_| damaged("account", key))
}

/// The trie key of an address.
pub(crate) fn address_key(address: &Address) -> B256 {
    keccak256(address)
}

#[cfg(test)]
mod tests;
