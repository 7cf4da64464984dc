//! Writing a database from a backup: blocks and state as records, without executing anything.
//!
//! Who loads checks first that the blocks are the chain's. A [`Loader`] itself checks that each block follows the one
//! before it and that the state is the last block's; nothing else could be told by a root.

use std::path::Path;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable as _;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use dolmen_types::{Block, Certificate, Receipt};

use crate::{
    Account, Origin, StoreError,
    db::{Db, cf, height_key, meta, slot_key},
    store::write_block,
};

/// Bytes that wait before they are written: each write waits for the disk, and a million small waits take hours.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// Why records make no database.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An account or slot is not above the one before it.
    #[error("{what} {key} is not above the one before it: the records are not in order")]
    Order {
        /// `account` or `slot`.
        what: &'static str,
        /// Its hashed key.
        key: B256,
    },
    /// A slot that no account has.
    #[error("slot {key} comes before any account")]
    NoAccount {
        /// Its hashed key.
        key: B256,
    },
    /// A slot that is none.
    #[error("slot {key} holds zero, which a state does not store")]
    ZeroSlot {
        /// Its hashed key.
        key: B256,
    },
    /// A block that does not follow the one before it.
    #[error("block {number} does not follow block {last}")]
    NotNext {
        /// Its height.
        number: u64,
        /// Height of the block before it.
        last: u64,
    },
    /// The accounts and slots are not the state after the last block.
    #[error("the state hashes to {found}, but the header of block {height} says {expected}")]
    StateRoot {
        /// Height of the last block.
        height: u64,
        /// The root of what was loaded.
        found: B256,
        /// The root in the header.
        expected: B256,
    },
}

/// The root of a state whose accounts and slots come in ascending order of their hashed keys, each account's slots after
/// it. Takes no memory to speak of.
#[derive(Default)]
pub struct StateHasher {
    accounts: HashBuilder,
    /// The last account, whose slots may follow.
    open: Option<(B256, Account)>,
    slots: HashBuilder,
    last_slot: Option<B256>,
}

impl StateHasher {
    /// The next account.
    pub fn account(&mut self, key: B256, account: Account) -> Result<(), LoadError> {
        if self.open.is_some_and(|(last, _)| last >= key) {
            return Err(LoadError::Order { what: "account", key });
        }
        self.close();
        self.open = Some((key, account));
        Ok(())
    }

    /// The next slot of the last account.
    pub fn slot(&mut self, key: B256, value: U256) -> Result<(), LoadError> {
        if self.open.is_none() {
            return Err(LoadError::NoAccount { key });
        }
        if self.last_slot.is_some_and(|last| last >= key) {
            return Err(LoadError::Order { what: "slot", key });
        }
        if value.is_zero() {
            return Err(LoadError::ZeroSlot { key });
        }
        self.slots.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        self.last_slot = Some(key);
        Ok(())
    }

    /// The root of all that was given.
    pub fn root(mut self) -> B256 {
        self.close();
        self.accounts.root()
    }

    fn close(&mut self) {
        let Some((key, Account { nonce, balance, code_hash })) = self.open.take() else { return };
        let storage_root = match self.last_slot.take() {
            Some(_) => std::mem::take(&mut self.slots).root(),
            None => EMPTY_ROOT_HASH,
        };
        let mut leaf = Vec::with_capacity(128);
        TrieAccount { nonce, balance, storage_root, code_hash }.encode(&mut leaf);
        self.accounts.add_leaf(Nibbles::unpack(key), &leaf);
    }
}

impl Origin {
    /// The record of epoch zero.
    pub const fn record(&self) -> &Bytes {
        &self.record
    }
}

/// Something that waits to be written.
enum Waiting {
    Block(Box<(Block, Vec<Receipt>)>),
    Record { family: &'static str, key: Vec<u8>, value: Vec<u8> },
}

/// A database in the making. Until [`Self::finish`] it is none: make it beside the place where it is to be, and rename
/// it.
pub struct Loader {
    db: Db,
    state: StateHasher,
    /// The last account, to whose slots the next ones belong.
    account: Option<B256>,
    /// Height, hash and state root of the last block.
    last: (u64, B256, B256),
    waiting: Vec<Waiting>,
    waiting_bytes: usize,
}

impl Loader {
    /// Begins a database in `path`, which must be absent or empty, with block zero.
    pub fn create(path: &Path, origin: &Origin) -> Result<Self, LoadError> {
        let (block, record) = (&origin.block, &origin.record);
        let mut loader = Self {
            db: Db::open(path)?,
            state: StateHasher::default(),
            account: None,
            last: (0, block.hash(), block.header().state_root),
            waiting: Vec::new(),
            waiting_bytes: 0,
        };
        loader.record(cf::META, meta::GENESIS.to_vec(), block.hash().to_vec())?;
        loader.write_soon(block.clone(), Vec::new())?;
        loader.epoch_record(0, record)?;
        Ok(loader)
    }

    /// The next block with its receipts, and its certificate where it has one. The caller has checked them.
    pub fn block(
        &mut self,
        block: Block,
        receipts: Vec<Receipt>,
        certificate: Option<&Certificate>,
    ) -> Result<(), LoadError> {
        let (number, (last, hash, _)) = (block.number(), self.last);
        if last.checked_add(1) != Some(number) || block.header().parent_hash != hash {
            return Err(LoadError::NotNext { number, last });
        }
        if let Some(certificate) = certificate {
            self.record(cf::CERTIFICATES, height_key(number).to_vec(), alloy_rlp::encode(certificate))?;
        }
        self.last = (number, block.hash(), block.header().state_root);
        self.write_soon(block, receipts)
    }

    /// The record of an epoch. The caller has checked that the chain commits to it.
    pub fn epoch_record(&mut self, epoch: u64, record: &[u8]) -> Result<(), LoadError> {
        self.record(cf::EPOCHS, height_key(epoch).to_vec(), record.to_vec())
    }

    /// The next account, by keccak256 of its address.
    pub fn account(&mut self, key: B256, account: Account) -> Result<(), LoadError> {
        self.state.account(key, account)?;
        self.account = Some(key);
        self.record(cf::ACCOUNTS, key.to_vec(), alloy_rlp::encode(account))
    }

    /// The next slot of the last account, by keccak256 of its number.
    pub fn slot(&mut self, key: B256, value: U256) -> Result<(), LoadError> {
        let account = self.account.ok_or(LoadError::NoAccount { key })?;
        self.state.slot(key, value)?;
        self.record(cf::SLOTS, slot_key(&account, &key).to_vec(), value.to_be_bytes_trimmed_vec())
    }

    /// Code; answers with its hash.
    pub fn code(&mut self, code: Bytes) -> Result<B256, LoadError> {
        let hash = keccak256(&code);
        self.record(cf::CODE, hash.to_vec(), code.to_vec())?;
        Ok(hash)
    }

    /// Ends the database, durably. Its state is the last block's, or this fails; earlier states it does not have.
    pub fn finish(mut self) -> Result<(), LoadError> {
        let (height, _, expected) = self.last;
        let found = std::mem::take(&mut self.state).root();
        if found != expected {
            return Err(LoadError::StateRoot { height, found, expected });
        }
        for key in [meta::HEAD, meta::FLOOR] {
            self.record(cf::META, key.to_vec(), height_key(height).to_vec())?;
        }
        self.flush()
    }

    fn write_soon(&mut self, block: Block, receipts: Vec<Receipt>) -> Result<(), LoadError> {
        // A receipt without its logs is smaller than its transaction.
        let logs = receipts.iter().flat_map(|receipt| receipt.logs());
        let log_bytes: usize = logs.map(|log| log.data.data.len() + 32 * log.topics().len() + 64).sum();
        self.waiting_bytes += 2 * block.encoded_len() + log_bytes;
        self.waiting.push(Waiting::Block(Box::new((block, receipts))));
        self.flush_if_full()
    }

    fn record(&mut self, family: &'static str, key: Vec<u8>, value: Vec<u8>) -> Result<(), LoadError> {
        self.waiting_bytes += key.len() + value.len();
        self.waiting.push(Waiting::Record { family, key, value });
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), LoadError> {
        if self.waiting_bytes < WAITING_BYTES_MAX { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<(), LoadError> {
        let mut batch = self.db.batch();
        for waiting in self.waiting.drain(..) {
            match waiting {
                Waiting::Block(block) => write_block(&mut batch, &block.0, &block.1),
                Waiting::Record { family, key, value } => batch.put(family, &key, &value),
            }
        }
        batch.commit()?;
        self.waiting_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;
    use crate::{
        state::AccountLeaf,
        trie::{StorageTrie, Trie},
    };

    fn account(nonce: u64) -> Account {
        Account { nonce, ..Default::default() }
    }

    proptest! {
        /// A second way to the same root: the trie that a running box builds.
        #[test]
        fn the_root_is_that_of_the_trie(
            accounts in btree_map(any::<[u8; 32]>(), (any::<u64>(), btree_map(any::<[u8; 32]>(), 1..u64::MAX, 0..6)), 0..20)
        ) {
            let mut hasher = StateHasher::default();
            let mut leaves = Vec::new();
            for (key, (nonce, slots)) in accounts {
                hasher.account(B256::from(key), account(nonce)).unwrap();
                let slots: Vec<_> =
                    slots.into_iter().map(|(slot, value)| (B256::from(slot), U256::from(value))).collect();
                for (slot, value) in &slots {
                    hasher.slot(*slot, *value).unwrap();
                }
                let leaf = AccountLeaf { account: account(nonce), storage: StorageTrie::from_sorted(slots).unwrap() };
                leaves.push((B256::from(key), leaf));
            }
            prop_assert_eq!(hasher.root(), Trie::from_sorted(leaves).unwrap().root_hash());
        }
    }

    #[test]
    fn what_is_out_of_order_is_refused() {
        let key = |byte| B256::repeat_byte(byte);
        let mut hasher = StateHasher::default();
        assert!(matches!(hasher.slot(key(1), U256::from(1)), Err(LoadError::NoAccount { .. })));
        hasher.account(key(2), account(1)).unwrap();
        assert!(matches!(hasher.account(key(2), account(1)), Err(LoadError::Order { what: "account", .. })));
        hasher.slot(key(5), U256::from(1)).unwrap();
        assert!(matches!(hasher.slot(key(5), U256::from(1)), Err(LoadError::Order { what: "slot", .. })));
        assert!(matches!(hasher.slot(key(6), U256::ZERO), Err(LoadError::ZeroSlot { .. })));
        hasher.account(key(3), account(1)).unwrap();
        hasher.slot(key(1), U256::from(1)).unwrap();
    }
}
