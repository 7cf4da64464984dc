//! The state at an earlier block, from the values that later blocks replaced.

use std::{
    collections::BTreeMap,
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

/// The state after the block at one height within `history_depth`.
pub struct HistoricalState {
    store: Arc<Store>,
    head: Arc<Head>,
    height: u64,
}

impl HistoricalState {
    /// The value that a key had after `self.height`: what the first later block that changed it replaced, else the
    /// latest value. The head was taken first, so a block committed meanwhile only adds history, which is then found.
    fn replaced(&self, family: &str, key: &[u8]) -> Result<Option<Box<[u8]>>, StoreError> {
        let from = history_key(key, self.height + 1);
        let found = self.store.db.seek(family, &from)?.filter(|(found, _)| found.starts_with(key));
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

    /// The trie after the block at `number`, at most [`PROOF_DEPTH_MAX`] blocks back, for proofs.
    pub fn trie_at(self: &Arc<Self>, number: u64) -> Result<State, StoreError> {
        let head = self.head();
        self.check_kept(number, &head)?;
        let latest = head.block.number();
        if latest - number > PROOF_DEPTH_MAX {
            return Err(StoreError::ProofTooOld { number, head: latest, max: PROOF_DEPTH_MAX });
        }
        let mut state = head.state.clone();
        for height in (number + 1..=latest).rev() {
            let changes = self.undo_changes(&state, height);
            // A commit may have pruned what was just looked for; that is no damage.
            self.check_kept(number, &head)?;
            state = state.apply_hashed(changes?);
        }
        Ok(state)
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

    /// The changes that take `state`, the state after block `height`, back to the state before it.
    fn undo_changes(&self, state: &State, height: u64) -> Result<Vec<HashedChange>, StoreError> {
        let mut accounts: BTreeMap<B256, Option<Account>> = BTreeMap::new();
        let mut slots: BTreeMap<B256, Vec<(B256, U256)>> = BTreeMap::new();
        for key in self.changed_keys(height)? {
            let (account, slot) = key.split_at_checked(32).ok_or_else(|| damaged("changes", &key))?;
            let account = B256::from_slice(account);
            let family = if slot.is_empty() { cf::ACCOUNT_HISTORY } else { cf::SLOT_HISTORY };
            let history = history_key(&key, height);
            let before = self.db.get(family, &history)?.ok_or_else(|| damaged("history", &history))?;
            if slot.is_empty() {
                accounts.insert(account, decode_account(&before, &history)?);
            } else {
                let slot = B256::try_from(slot).map_err(|_| damaged("changes", &key))?;
                let value = U256::try_from_be_slice(&before).ok_or_else(|| damaged("history", &history))?;
                slots.entry(account).or_default().push((slot, value));
            }
        }
        for key in slots.keys() {
            accounts.entry(*key).or_insert_with(|| state.account_hashed(key));
        }
        Ok(accounts.into_iter().map(|(key, account)| (key, account, slots.remove(&key).unwrap_or_default())).collect())
    }
}
