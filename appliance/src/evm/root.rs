//! Hashes that a state test compares: the post-state's root and the hash of the logs.

use alloy_primitives::{Address, B256, Log, keccak256};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use revm::{database::PlainAccount, state::AccountInfo};

/// Root of the state trie that holds exactly these accounts. A storage slot of value zero does not exist.
pub(super) fn state_root<'a>(accounts: impl IntoIterator<Item = (Address, &'a PlainAccount)>) -> B256 {
    state_root_unhashed(accounts.into_iter().map(|(address, account)| (address, trie_account(account))))
}

fn trie_account(account: &PlainAccount) -> TrieAccount {
    let slots = account.storage.iter().filter(|(_, value)| !value.is_zero());
    let AccountInfo { nonce, balance, code_hash, .. } = account.info;
    let storage_root = storage_root_unhashed(slots.map(|(slot, value)| (B256::from(*slot), *value)));
    TrieAccount { nonce, balance, storage_root, code_hash }
}

/// Keccak-256 of the RLP list of the logs.
pub(super) fn logs_hash(logs: &[Log]) -> B256 {
    let mut encoded = Vec::new();
    alloy_rlp::encode_list(logs, &mut encoded);
    keccak256(encoded)
}
