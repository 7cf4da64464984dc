//! Parts of a state, given out and checked.

use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable as _;
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};

use super::{AccountEntry, Prefix, RangeLimits, Slot, StorageEntry, TrieId};
use crate::{
    Account, State,
    state::AccountLeaf,
    trie::{Leaf, StorageTrie, TrieError, subtree_hash},
};

/// What a box answers when it is asked for a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excerpt<T> {
    /// The leaves in ascending order of key.
    Leaves(Vec<T>),
    /// They are too many: the RLP of the node at the top, and of the branch below it where that is an extension.
    TooLarge(Vec<Bytes>),
}

/// Why leaves are no part of any trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// None at all.
    #[error("there are no leaves")]
    Empty,
    /// A key that does not begin with the prefix.
    #[error("key {0} does not begin with the prefix")]
    Outside(B256),
    /// A key that is not above the one before it.
    #[error("key {0} is not above the one before it")]
    Order(B256),
    /// A slot of zero, which is none.
    #[error("slot {0} holds zero, which a state does not store")]
    ZeroSlot(B256),
    /// More slots with an account than may be.
    #[error("account {account} comes with {slots} slots, of {max} at most")]
    Inline {
        /// Its hashed key.
        account: B256,
        /// How many there are.
        slots: usize,
        /// The most.
        max: usize,
    },
}

/// An account with the root of its storage stands in for the leaf that has the storage.
impl Leaf for TrieAccount {
    fn encode(&self, out: &mut Vec<u8>) {
        alloy_rlp::Encodable::encode(self, out);
    }
}

impl State {
    /// The part of the account trie at a prefix; `None` where no node begins there.
    pub fn account_range(&self, prefix: &Prefix, limits: &RangeLimits) -> Option<Excerpt<AccountEntry>> {
        let subtree = self.accounts().subtree(prefix)?;
        let entries = subtree.iter().map(|(key, leaf)| entry_of(key, leaf, limits));
        Some(
            collect(entries, limits, AccountEntry::length)
                .map_or_else(|| Excerpt::TooLarge(subtree.nodes()), Excerpt::Leaves),
        )
    }

    /// The part of an account's storage trie at a prefix; `None` where no node begins there, or there is no such
    /// account.
    pub fn storage_range(&self, account: &B256, prefix: &Prefix, limits: &RangeLimits) -> Option<Excerpt<Slot>> {
        let subtree = self.accounts().get(account)?.storage.subtree(prefix)?;
        let slots = subtree.iter().map(|(key, value)| Slot { key: *key, value: *value });
        Some(collect(slots, limits, Slot::length).map_or_else(|| Excerpt::TooLarge(subtree.nodes()), Excerpt::Leaves))
    }

    /// The RLP of the node that begins at a prefix, and of the branch below it where that is an extension; `None` where
    /// none begins there.
    pub fn nodes(&self, trie: TrieId, prefix: &Prefix) -> Option<Vec<Bytes>> {
        match trie {
            TrieId::Accounts => Some(self.accounts().subtree(prefix)?.nodes()),
            TrieId::Storage(account) => Some(self.accounts().get(&account)?.storage.subtree(prefix)?.nodes()),
        }
    }
}

/// All leaves, or `None` where they are more than one and too large together: stops looking there.
fn collect<T>(leaves: impl Iterator<Item = T>, limits: &RangeLimits, size: impl Fn(&T) -> usize) -> Option<Vec<T>> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for leaf in leaves {
        bytes += size(&leaf);
        if bytes > limits.bytes && !all.is_empty() {
            return None;
        }
        all.push(leaf);
    }
    Some(all)
}

fn entry_of(key: &B256, leaf: &AccountLeaf, limits: &RangeLimits) -> AccountEntry {
    let few = limits.inline_slots;
    let mut slots: Vec<_> =
        leaf.storage.iter().take(few + 1).map(|(key, value)| Slot { key: *key, value: *value }).collect();
    slots.shrink_to_fit();
    let storage =
        if slots.len() > few { StorageEntry::Large(leaf.storage.root_hash()) } else { StorageEntry::Slots(slots) };
    AccountEntry { key: *key, account: leaf.account, storage }
}

/// The hash of the node at a prefix of the account trie below which there are exactly these accounts.
pub fn accounts_hash(prefix: &Prefix, entries: &[AccountEntry], limits: &RangeLimits) -> Result<B256, RangeError> {
    let mut leaves = Vec::with_capacity(entries.len());
    for AccountEntry { key, account, storage } in entries {
        let storage_root = match storage {
            StorageEntry::Large(root) => *root,
            StorageEntry::Slots(slots) if slots.is_empty() => EMPTY_ROOT_HASH,
            StorageEntry::Slots(slots) if slots.len() > limits.inline_slots => {
                let (slots, max) = (slots.len(), limits.inline_slots);
                return Err(RangeError::Inline { account: *key, slots, max });
            }
            StorageEntry::Slots(slots) => StorageTrie::from_sorted(slot_pairs(slots)?).map_err(order)?.root_hash(),
        };
        let Account { nonce, balance, code_hash } = *account;
        leaves.push((*key, TrieAccount { nonce, balance, storage_root, code_hash }));
    }
    part_hash(prefix, leaves)
}

/// The hash of the node at a prefix of a storage trie below which there are exactly these slots.
pub fn slots_hash(prefix: &Prefix, slots: &[Slot]) -> Result<B256, RangeError> {
    part_hash(prefix, slot_pairs(slots)?)
}

fn slot_pairs(slots: &[Slot]) -> Result<Vec<(B256, alloy_primitives::U256)>, RangeError> {
    match slots.iter().find(|slot| slot.value.is_zero()) {
        Some(slot) => Err(RangeError::ZeroSlot(slot.key)),
        None => Ok(slots.iter().map(|slot| (slot.key, slot.value)).collect()),
    }
}

fn part_hash<V: Leaf>(prefix: &Prefix, leaves: Vec<(B256, V)>) -> Result<B256, RangeError> {
    if leaves.is_empty() {
        return Err(RangeError::Empty);
    }
    if let Some((key, _)) = leaves.iter().find(|(key, _)| !prefix.contains(key)) {
        return Err(RangeError::Outside(*key));
    }
    subtree_hash(prefix, leaves).map_err(order)
}

fn order(error: TrieError) -> RangeError {
    let TrieError::NotAscending { key, .. } = error;
    RangeError::Order(key)
}
