//! What a database being filled has, and what has to be written as it gets more.
//!
//! The one rule: accounts and slots are only where a record says so. An account's slots belong to the part of the
//! account trie that the account is in, unless its storage is a trie of its own: then they are in that trie's parts,
//! and stay when the account's part goes. So whatever the state of another block says of some keys, all of them can be
//! made as it says, and nothing is left that nobody knows of.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use dolmen_types::{Block, Receipt};

use super::{AccountEntry, Part, Pivot, Prefix, Slot, StorageEntry, TrieId, Write, records, write::Operation};
use crate::db::{cf, slot_key};

/// What a database being filled has of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// All of it.
    Whole,
    /// Parts below it, right or wrong: the nodes above them tell.
    Parts,
    /// Nothing.
    Nothing,
}

/// What a database being filled has. Every change appends to a [`Write`] what makes it durable; these must be written
/// in the order of the changes.
#[derive(Debug)]
pub struct Progress {
    genesis: B256,
    pivot: Option<Pivot>,
    is_whole: bool,
    accounts: BTreeMap<Prefix, AccountPart>,
    storages: BTreeMap<B256, Storage>,
    codes: BTreeSet<B256>,
    /// Code that accounts have and the database does not, with the number of parts that have such accounts.
    codes_missing: BTreeMap<B256, usize>,
    blocks: BTreeMap<u64, B256>,
}

#[derive(Debug)]
struct AccountPart {
    hash: B256,
    codes: BTreeSet<B256>,
}

/// The storage of an account that is a trie of its own.
#[derive(Debug)]
struct Storage {
    root: B256,
    is_whole: bool,
    parts: BTreeMap<Prefix, B256>,
}

impl Progress {
    pub(super) fn new(genesis: B256, pivot: Option<Pivot>, is_whole: bool) -> Self {
        Self {
            genesis,
            pivot,
            is_whole,
            accounts: BTreeMap::new(),
            storages: BTreeMap::new(),
            codes: BTreeSet::new(),
            codes_missing: BTreeMap::new(),
            blocks: BTreeMap::new(),
        }
    }

    /// Hash of block zero.
    pub const fn genesis(&self) -> B256 {
        self.genesis
    }

    /// The block whose state is being fetched, once there is one.
    pub const fn pivot(&self) -> Option<&Pivot> {
        self.pivot.as_ref()
    }

    /// Whether all accounts and slots are there. Code and blocks may still be missing.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Code that is missing so far, in ascending order of hash.
    pub fn missing_codes(&self) -> impl Iterator<Item = &B256> {
        self.codes_missing.keys()
    }

    /// How much code is missing so far.
    pub fn codes_missing(&self) -> usize {
        self.codes_missing.len()
    }

    /// Whether an account has this code and the database does not.
    pub fn is_code_missing(&self, hash: &B256) -> bool {
        self.codes_missing.contains_key(hash)
    }

    /// Whether the block is there, with its receipts.
    pub fn has_block(&self, number: u64, hash: &B256) -> bool {
        self.blocks.get(&number) == Some(hash)
    }

    /// Accounts that begin with a prefix and whose storage is a trie of its own.
    pub fn storages(&self, prefix: &Prefix) -> Vec<B256> {
        let from = self.storages.range(*prefix.first()..);
        from.map(|(account, _)| *account).take_while(|account| prefix.contains(account)).collect()
    }

    /// The root of a storage that is a trie of its own, and whether all of it is there.
    pub fn storage(&self, account: &B256) -> Option<(B256, bool)> {
        self.storages.get(account).map(|storage| (storage.root, storage.is_whole))
    }

    /// Goes for the state of another block, a later one.
    pub fn move_to(&mut self, pivot: Pivot, write: &mut Write) {
        write.put(cf::META, records::PIVOT.to_vec(), alloy_rlp::encode(&pivot));
        self.pivot = Some(pivot);
    }

    /// What there is of the part with this hash. Data that is there instead of it, for this part or for one around it,
    /// is removed.
    pub fn reconcile(&mut self, trie: TrieId, prefix: &Prefix, hash: &B256, write: &mut Write) -> Held {
        match trie {
            TrieId::Accounts => {
                if self.accounts.get(prefix).is_some_and(|part| part.hash == *hash) {
                    return Held::Whole;
                }
                for stale in around(&self.accounts, prefix) {
                    self.drop_accounts(&stale, write);
                }
                if below(&self.accounts, prefix).is_empty() { Held::Nothing } else { Held::Parts }
            }
            TrieId::Storage(account) => {
                let Some(storage) = self.storages.get_mut(&account) else { return Held::Nothing };
                if storage.parts.get(prefix) == Some(hash) {
                    return Held::Whole;
                }
                for stale in around(&storage.parts, prefix) {
                    storage.drop_part(&account, &stale, write);
                }
                if below(&storage.parts, prefix).is_empty() { Held::Nothing } else { Held::Parts }
            }
        }
    }

    /// Removes what is there of keys that begin with a prefix, but with none of these parts' prefixes: the state has
    /// none of them.
    pub fn keep_only(&mut self, trie: TrieId, prefix: &Prefix, parts: &[Part], write: &mut Write) {
        let is_gone = |other: &Prefix| !parts.iter().any(|part| part.prefix.covers(other));
        match trie {
            TrieId::Accounts => {
                for gone in below(&self.accounts, prefix).into_iter().filter(is_gone) {
                    self.drop_accounts(&gone, write);
                }
                for account in self.storages(prefix) {
                    if is_gone(&Prefix::of(&account, u8::MAX)) {
                        self.drop_storage(&account, write);
                    }
                }
            }
            TrieId::Storage(account) => {
                let Some(storage) = self.storages.get_mut(&account) else { return };
                for gone in below(&storage.parts, prefix).into_iter().filter(is_gone) {
                    storage.drop_part(&account, &gone, write);
                }
            }
        }
    }

    /// A part of the account trie, checked against its hash.
    pub fn put_accounts(&mut self, prefix: &Prefix, hash: &B256, entries: &[AccountEntry], write: &mut Write) {
        for stale in overlapping(&self.accounts, prefix) {
            self.drop_accounts(&stale, write);
        }
        let large: BTreeMap<B256, B256> = entries
            .iter()
            .filter_map(|entry| match entry.storage {
                StorageEntry::Large(root) => Some((entry.key, root)),
                StorageEntry::Slots(_) => None,
            })
            .collect();
        for account in self.storages(prefix) {
            if !large.contains_key(&account) {
                self.drop_storage(&account, write);
            }
        }
        let mut codes = BTreeSet::new();
        for AccountEntry { key, account, storage } in entries {
            write.put(cf::ACCOUNTS, key.to_vec(), alloy_rlp::encode(account));
            if let StorageEntry::Slots(slots) = storage {
                slots.iter().for_each(|slot| put_slot(key, slot, write));
            }
            if account.code_hash != KECCAK256_EMPTY {
                codes.insert(account.code_hash);
            }
        }
        for (account, root) in large {
            self.announce(account, root, write);
        }
        self.load_part(*prefix, *hash);
        codes.iter().for_each(|code| self.require_code(prefix, *code));
        write.put(cf::META, records::account_part(prefix), hash.to_vec());
    }

    /// A part of an account's storage trie, checked against its hash.
    pub fn put_slots(&mut self, account: &B256, prefix: &Prefix, hash: &B256, slots: &[Slot], write: &mut Write) {
        let Some(storage) = self.storages.get_mut(account) else { return };
        for stale in overlapping(&storage.parts, prefix) {
            storage.drop_part(account, &stale, write);
        }
        slots.iter().for_each(|slot| put_slot(account, slot, write));
        storage.parts.insert(*prefix, *hash);
        write.put(cf::META, records::slot_part(account, prefix), hash.to_vec());
    }

    /// All slots of a storage are there.
    pub fn finish_storage(&mut self, account: &B256, write: &mut Write) {
        let Some(storage) = self.storages.get_mut(account) else { return };
        storage.is_whole = true;
        write.put(cf::META, records::storage(account), storage.record());
    }

    /// All accounts and slots are there.
    pub fn finish_state(&mut self, write: &mut Write) {
        self.is_whole = true;
        write.put(cf::META, records::WHOLE.to_vec(), Vec::new());
    }

    /// Code with its hash, checked.
    pub fn put_code(&mut self, hash: &B256, code: &Bytes, write: &mut Write) {
        write.put(cf::CODE, hash.to_vec(), code.to_vec());
        self.load_code(*hash);
    }

    /// A block with its receipts, checked.
    pub fn put_block(&mut self, block: Arc<Block>, receipts: Vec<Receipt>, write: &mut Write) {
        self.load_block(block.number(), block.hash());
        write.operations.push(Operation::Block { block, receipts });
    }

    /// All is there: once this is written, the database is one like any other.
    pub fn finish(&self, write: &mut Write) {
        if let Some(pivot) = &self.pivot {
            write.operations.push(Operation::Finish(Box::new(pivot.clone())));
        }
    }

    /// Removes a part of the account trie, but not the slots of storages that are tries of their own.
    fn drop_accounts(&mut self, prefix: &Prefix, write: &mut Write) {
        let Some(part) = self.accounts.remove(prefix) else { return };
        for code in part.codes {
            if let Entry::Occupied(mut parts) = self.codes_missing.entry(code) {
                *parts.get_mut() -= 1;
                if *parts.get() == 0 {
                    parts.remove();
                }
            }
        }
        write.delete(cf::META, records::account_part(prefix));
        let end = records::behind(prefix);
        write.delete_range(cf::ACCOUNTS, prefix.first().to_vec(), end.clone());
        let mut from = prefix.first().to_vec();
        for account in self.storages(prefix) {
            write.delete_range(cf::SLOTS, from, account.to_vec());
            from = records::behind_account(&account);
        }
        write.delete_range(cf::SLOTS, from, end);
    }

    fn drop_storage(&mut self, account: &B256, write: &mut Write) {
        if self.storages.remove(account).is_some() {
            write.delete(cf::META, records::storage(account));
            let (from, to) = records::slot_parts(account);
            write.delete_range(cf::META, from, to);
            write.delete_range(cf::SLOTS, account.to_vec(), records::behind_account(account));
        }
    }

    /// An account has a storage of its own, with this root.
    fn announce(&mut self, account: B256, root: B256, write: &mut Write) {
        let known = self.storages.get(&account).map(|storage| storage.root);
        if known != Some(root) {
            self.load_storage(account, root, false);
            write.put(cf::META, records::storage(&account), [root.as_slice(), &[0]].concat());
        }
    }

    fn require_code(&mut self, prefix: &Prefix, code: B256) {
        let Some(part) = self.accounts.get_mut(prefix) else { return };
        if part.codes.insert(code) && !self.codes.contains(&code) {
            *self.codes_missing.entry(code).or_default() += 1;
        }
    }
}

/// What is read at a start.
impl Progress {
    pub(super) fn load_part(&mut self, prefix: Prefix, hash: B256) {
        self.accounts.insert(prefix, AccountPart { hash, codes: BTreeSet::new() });
    }

    pub(super) fn load_storage(&mut self, account: B256, root: B256, is_whole: bool) {
        let storage = self.storages.entry(account).or_insert(Storage { root, is_whole, parts: BTreeMap::new() });
        (storage.root, storage.is_whole) = (root, is_whole);
    }

    /// False where the storage is none.
    pub(super) fn load_slots(&mut self, account: &B256, prefix: Prefix, hash: B256) -> bool {
        let storage = self.storages.get_mut(account);
        storage.map(|storage| storage.parts.insert(prefix, hash)).is_some()
    }

    pub(super) fn load_code(&mut self, hash: B256) {
        self.codes_missing.remove(&hash);
        self.codes.insert(hash);
    }

    /// The code of an account, after [`Self::load_code`] for all that is there. False where no part has the account.
    pub(super) fn load_account(&mut self, key: &B256, code: B256) -> bool {
        let candidate = self.accounts.range(..=Prefix::of(key, u8::MAX)).next_back().map(|(prefix, _)| *prefix);
        let Some(prefix) = candidate.filter(|prefix| prefix.contains(key)) else { return false };
        if code != KECCAK256_EMPTY {
            self.require_code(&prefix, code);
        }
        true
    }

    pub(super) fn load_block(&mut self, number: u64, hash: B256) {
        self.blocks.insert(number, hash);
    }
}

impl Storage {
    fn drop_part(&mut self, account: &B256, prefix: &Prefix, write: &mut Write) {
        if self.parts.remove(prefix).is_some() {
            write.delete(cf::META, records::slot_part(account, prefix));
            let (from, to) = records::slots(account, prefix);
            write.delete_range(cf::SLOTS, from, to);
        }
    }

    fn record(&self) -> Vec<u8> {
        [self.root.as_slice(), &[u8::from(self.is_whole)]].concat()
    }
}

fn put_slot(account: &B256, slot: &Slot, write: &mut Write) {
    write.put(cf::SLOTS, slot_key(account, &slot.key).to_vec(), slot.value.to_be_bytes_trimmed_vec());
}

/// The part at a prefix and those around it.
fn around<T>(parts: &BTreeMap<Prefix, T>, prefix: &Prefix) -> Vec<Prefix> {
    std::iter::once(*prefix).chain(prefix.ancestors()).filter(|part| parts.contains_key(part)).collect()
}

/// The part at a prefix and those below it.
fn below<T>(parts: &BTreeMap<Prefix, T>, prefix: &Prefix) -> Vec<Prefix> {
    parts.range(*prefix..).map(|(part, _)| *part).take_while(|part| prefix.covers(part)).collect()
}

fn overlapping<T>(parts: &BTreeMap<Prefix, T>, prefix: &Prefix) -> Vec<Prefix> {
    [around(parts, prefix), below(parts, prefix)].concat()
}
