//! The state of all accounts at one block: a version of the trie, its diff from its parent, and its proofs.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_rlp::{Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::TrieAccount;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::{
    StoreError,
    code::CodeStore,
    trie::{Edit, Leaf, StorageTrie, Trie},
};

/// Below this many changed accounts the updates run on the calling thread: rayon's hand-over costs more.
const PARALLEL_ACCOUNTS_MIN: usize = 64;

/// An account without its storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Account {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// keccak256 of the code; of nothing for an account without code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

/// Reads of the state at one block.
pub trait StateReader: Send + Sync {
    /// The account, or `None` where it does not exist (EIP-161).
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError>;
    /// The slot's value, zero where absent.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError>;
    /// The code with this hash.
    fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError>;
}

/// How a block changed a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotChange {
    /// The slot.
    pub slot: U256,
    /// Its value before the block.
    pub before: U256,
    /// Its value after.
    pub after: U256,
}

/// How a block changed an account; `before` equals `after` where only slots changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// The account.
    pub address: Address,
    /// The account before the block, `None` where it did not exist.
    pub before: Option<Account>,
    /// The account after, `None` where the block removed it; its slots are then all gone, listed below or not.
    pub after: Option<Account>,
    /// Changed slots. What they hold after is ignored where the account is removed.
    pub slots: Vec<SlotChange>,
}

/// Everything that a block changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Changed accounts, each once.
    pub accounts: Vec<AccountChange>,
    /// Code deployed by the block.
    pub codes: Vec<(B256, Bytes)>,
}

/// A leaf of the account trie: the account and its own storage trie.
#[derive(Clone, Debug)]
pub(crate) struct AccountLeaf {
    pub(crate) account: Account,
    pub(crate) storage: StorageTrie,
}

impl Leaf for AccountLeaf {
    fn encode(&self, out: &mut Vec<u8>) {
        let Account { nonce, balance, code_hash } = self.account;
        let storage_root = self.storage.root_hash();
        Encodable::encode(&TrieAccount { nonce, balance, storage_root, code_hash }, out);
    }
}

/// The whole state at one block, in memory. Cloning is free; versions share what did not change.
#[derive(Clone)]
pub struct State {
    accounts: Trie<AccountLeaf>,
    code: Arc<CodeStore>,
}

/// Changed keys and values by hash, as the trie takes them: `(account, its new value, (slot, value) changes)`.
pub(crate) type HashedChange = (B256, Option<Account>, Vec<(B256, U256)>);

impl State {
    pub(crate) const fn new(accounts: Trie<AccountLeaf>, code: Arc<CodeStore>) -> Self {
        Self { accounts, code }
    }

    /// The state root.
    pub fn root(&self) -> B256 {
        self.accounts.root_hash()
    }

    /// The state after `diff`, for the block at `height`. The receiver is unchanged.
    #[must_use]
    pub fn apply(&self, diff: &StateDiff, height: u64) -> Self {
        self.code.add_pending(&diff.codes, height);
        self.apply_hashed(map_maybe_parallel(&diff.accounts, hash_change))
    }

    pub(crate) fn apply_hashed(&self, changes: Vec<HashedChange>) -> Self {
        Self { accounts: apply_changes(&self.accounts, changes), code: self.code.clone() }
    }

    /// Merkle proofs of an account and some of its slots (EIP-1186).
    pub fn proof(&self, address: &Address, slots: &[U256]) -> AccountProof {
        let key = keccak256(address);
        let leaf = self.accounts.get(&key);
        let prove_slot = |slot: &U256| {
            let key = keccak256(slot.to_be_bytes::<32>());
            let storage = leaf.map(|leaf| &leaf.storage);
            let value = storage.and_then(|storage| storage.get(&key)).copied().unwrap_or_default();
            (*slot, value, storage.map(|storage| storage.proof(&key)).unwrap_or_default())
        };
        AccountProof {
            account: leaf.map(|leaf| leaf.account),
            storage_root: leaf.map_or(alloy_trie::EMPTY_ROOT_HASH, |leaf| leaf.storage.root_hash()),
            proof: self.accounts.proof(&key),
            slots: slots.iter().map(prove_slot).collect(),
        }
    }

    pub(crate) const fn accounts(&self) -> &Trie<AccountLeaf> {
        &self.accounts
    }

    pub(crate) fn account_hashed(&self, key: &B256) -> Option<Account> {
        self.accounts.get(key).map(|leaf| leaf.account)
    }

    pub(crate) fn slot_hashed(&self, account: &B256, slot: &B256) -> U256 {
        self.accounts.get(account).and_then(|leaf| leaf.storage.get(slot)).copied().unwrap_or_default()
    }

    /// All slots of an account, by hash.
    pub(crate) fn slots_hashed<'a>(&'a self, account: &B256) -> impl Iterator<Item = (&'a B256, &'a U256)> + use<'a> {
        self.accounts.get(account).into_iter().flat_map(|leaf| leaf.storage.iter())
    }

    pub(crate) const fn code_store(&self) -> &Arc<CodeStore> {
        &self.code
    }
}

impl StateReader for State {
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        Ok(self.account_hashed(&keccak256(address)))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        Ok(self.slot_hashed(&keccak256(address), &keccak256(slot.to_be_bytes::<32>())))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, StoreError> {
        self.code.get(hash)
    }
}

/// What `eth_getProof` answers.
#[derive(Clone, Debug)]
pub struct AccountProof {
    /// The account, `None` where it does not exist (the proof then shows its absence).
    pub account: Option<Account>,
    /// Root of its storage trie.
    pub storage_root: B256,
    /// RLP nodes from the state root to the account.
    pub proof: Vec<Bytes>,
    /// Slot, value, and RLP nodes from the storage root to the slot.
    pub slots: Vec<(U256, U256, Vec<Bytes>)>,
}

/// A new version of the account trie.
fn apply_changes(accounts: &Trie<AccountLeaf>, changes: Vec<HashedChange>) -> Trie<AccountLeaf> {
    let mut accounts = accounts.clone();
    accounts.apply_with(changes.into_iter().map(|(key, account, slots)| (key, (account, slots))).collect(), edit_leaf);
    accounts
}

fn edit_leaf(
    leaf: Option<&mut AccountLeaf>,
    (account, slots): (Option<Account>, Vec<(B256, U256)>),
) -> Edit<AccountLeaf> {
    let Some(account) = account else { return Edit::Remove };
    let slots = slots.into_iter().map(|(slot, value)| (slot, (!value.is_zero()).then_some(value))).collect();
    match leaf {
        Some(leaf) => {
            leaf.account = account;
            leaf.storage.apply(slots);
            Edit::Keep
        }
        None => {
            let mut storage = StorageTrie::new();
            storage.apply(slots);
            Edit::Set(AccountLeaf { account, storage })
        }
    }
}

/// The root of a state that starts from nothing.
pub(crate) fn root_from_nothing(diff: &StateDiff) -> B256 {
    apply_changes(&Trie::new(), map_maybe_parallel(&diff.accounts, hash_change)).root_hash()
}

fn hash_change(change: &AccountChange) -> HashedChange {
    let slots = change.slots.iter().map(|slot| (keccak256(slot.slot.to_be_bytes::<32>()), slot.after)).collect();
    (keccak256(change.address), change.after, slots)
}

fn map_maybe_parallel<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync + Send) -> Vec<R> {
    if items.len() < PARALLEL_ACCOUNTS_MIN {
        items.iter().map(map).collect()
    } else {
        items.par_iter().map(map).collect()
    }
}
