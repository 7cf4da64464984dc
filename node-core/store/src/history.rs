//! The state at an earlier block, from the values that later blocks replaced.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    sync::{Arc, atomic::Ordering},
};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable as _;

use crate::{
    Account, Head, State, StateReader, Store, StoreError,
    db::{cf, damaged, height_key, history_key, slot_key},
    state::HashedChange,
    store::{address_key, decode_account},
};

/// How far back `eth_getProof` reaches: the trie of that block is rebuilt by undoing the blocks since.
pub const PROOF_DEPTH_MAX: u64 = 1024;

/// Bounds of what is undone for one proof: blocks in use change many keys, and often the same ones.
#[derive(Clone, Copy)]
pub(crate) struct UndoLimits {
    /// Different keys: each costs a read from the database and some 550 bytes of trie, 110 MB and a few seconds in all.
    pub(crate) keys_max: u64,
    /// Keys in the blocks' lists of changes, repeated ones too: each costs some 100 ns to decode and look up.
    pub(crate) listed_max: u64,
}

const UNDO_LIMITS: UndoLimits = UndoLimits { keys_max: 200_000, listed_max: 5_000_000 };

/// What keys held before the first of some blocks that changed them: account and slot hash joined, or the account's
/// alone.
type Replaced = HashMap<Vec<u8>, Box<[u8]>>;

/// The state after the block at one height within `history_depth`.
struct HistoricalState {
    store: Arc<Store>,
    head: Arc<Head>,
    height: u64,
}

impl HistoricalState {
    /// The value that a key had after `self.height`: what the first later block that changed it replaced, else the
    /// latest value. The head was taken first, so a block committed meanwhile only adds history, which is then found.
    fn replaced(&self, family: &str, key: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
        let found = self.store.db.seek(family, key, &history_key(key, self.height + 1))?;
        let floor = self.store.floor.load(Ordering::Acquire);
        if self.height < floor {
            return Err(StoreError::Pruned { number: self.height, floor });
        }
        Ok(found.map(|(_, value)| value))
    }
}

impl StateReader for HistoricalState {
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        let key = address_key(address);
        match self.replaced(cf::ACCOUNT_HISTORY, key.as_slice())? {
            Some(value) => decode_account(&value, key.as_slice()),
            None => Ok(self.head.state.account_hashed(&key)),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        let (account, slot) = (address_key(address), keccak256(slot.to_be_bytes::<32>()));
        let key = slot_key(&account, &slot);
        match self.replaced(cf::SLOT_HISTORY, &key)? {
            Some(value) => U256::try_from_be_slice(&value).ok_or_else(|| damaged("slot", &key)),
            None => Ok(self.head.state.slot_hashed(&account, &slot)),
        }
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        self.head.state.code(hash)
    }
}

impl Store {
    /// The state after the block at `number`.
    pub fn state_at(self: &Arc<Self>, number: u64) -> Result<Box<dyn StateReader>, StoreError> {
        let head = self.head();
        self.check_kept(number, &head)?;
        if number == head.block.number() {
            return Ok(Box::new(head.state.clone()));
        }
        Ok(Box::new(HistoricalState { store: self.clone(), head, height: number }))
    }

    /// The trie after the block at `number`, for proofs: at most [`PROOF_DEPTH_MAX`] blocks back, and fewer where they
    /// changed much.
    pub fn trie_at(&self, number: u64) -> Result<State, StoreError> {
        self.trie_within(number, UNDO_LIMITS)
    }

    pub(crate) fn trie_within(&self, number: u64, limits: UndoLimits) -> Result<State, StoreError> {
        let head = self.head();
        self.check_kept(number, &head)?;
        let latest = head.block.number();
        if latest - number > PROOF_DEPTH_MAX {
            return Err(StoreError::ProofTooOld { number, head: latest, max: PROOF_DEPTH_MAX, what: "blocks" });
        }
        let changes = self.replaced_since(number, latest, limits).and_then(|old| undo_changes(&head.state, old));
        // A commit may have pruned what was just looked for; that is no damage.
        self.check_kept(number, &head)?;
        Ok(head.state.apply_hashed(changes?))
    }

    fn check_kept(&self, number: u64, head: &Head) -> Result<(), StoreError> {
        let (latest, floor) = (head.block.number(), self.history_floor());
        if number > latest {
            return Err(StoreError::UnknownBlock { number, head: latest });
        }
        if number < floor { Err(StoreError::Pruned { number, floor }) } else { Ok(()) }
    }

    /// Keys that the block at `height` changed: 32 bytes an account, 64 bytes a slot.
    pub(crate) fn changed_keys(&self, height: u64) -> Result<Vec<Vec<u8>>, StoreError> {
        let key = height_key(height);
        let bytes = self.db.get(cf::CHANGES, &key)?.ok_or_else(|| damaged("changes", &key))?;
        let list = Vec::<alloy_primitives::Bytes>::decode(&mut &*bytes).map_err(|_| damaged("changes", &key))?;
        Ok(list.into_iter().map(Vec::from).collect())
    }

    /// What the keys that the blocks after `number`, up to `latest`, changed held after `number`: the oldest of the
    /// values that those blocks replaced.
    fn replaced_since(&self, number: u64, latest: u64, limits: UndoLimits) -> Result<Replaced, StoreError> {
        let mut replaced = Replaced::new();
        let mut listed = 0;
        let too_old = |max, what| StoreError::ProofTooOld { number, head: latest, max, what };
        for height in number + 1..=latest {
            let keys = self.changed_keys(height)?;
            listed += keys.len() as u64;
            for key in keys {
                let hash_map::Entry::Vacant(entry) = replaced.entry(key) else { continue };
                let history = history_key(entry.key(), height);
                let before = self.db.get(history_family(entry.key()), &history)?;
                let before = before.ok_or_else(|| damaged("history", &history))?;
                entry.insert(Box::from(&*before));
                if replaced.len() as u64 > limits.keys_max {
                    return Err(too_old(limits.keys_max, "changed accounts and slots"));
                }
            }
            if listed > limits.listed_max {
                return Err(too_old(limits.listed_max, "changes of accounts and slots"));
            }
        }
        Ok(replaced)
    }
}

/// Where the values are that blocks replaced under a key: 32 bytes for an account, 64 for a slot.
pub(crate) fn history_family(key: &[u8]) -> &'static str {
    if key.len() == 32 { cf::ACCOUNT_HISTORY } else { cf::SLOT_HISTORY }
}

/// The changes that take `state` back to where keys hold what they held before.
pub(crate) fn undo_changes(state: &State, replaced: Replaced) -> Result<Vec<HashedChange>, StoreError> {
    let mut accounts: BTreeMap<B256, Option<Account>> = BTreeMap::new();
    let mut slots: BTreeMap<B256, Vec<(B256, U256)>> = BTreeMap::new();
    for (key, before) in replaced {
        let (account, slot) = key.split_at_checked(32).ok_or_else(|| damaged("changes", &key))?;
        let account = B256::from_slice(account);
        if slot.is_empty() {
            accounts.insert(account, decode_account(&before, &key)?);
        } else {
            let slot = B256::try_from(slot).map_err(|_| damaged("changes", &key))?;
            let value = U256::try_from_be_slice(&before).ok_or_else(|| damaged("history", &key))?;
            slots.entry(account).or_default().push((slot, value));
        }
    }
    for key in slots.keys() {
        accounts.entry(*key).or_insert_with(|| state.account_hashed(key));
    }
    Ok(accounts.into_iter().map(|(key, account)| (key, account, slots.remove(&key).unwrap_or_default())).collect())
}
