//! From revm's record of a block to the store's.

use alloy_primitives::{KECCAK256_EMPTY, U256};
use dolmen_store::{Account, AccountChange, SlotChange, StateDiff};
use revm::{
    database::{BundleAccount, BundleState},
    state::AccountInfo,
};

/// What the block changed, leaving out what was only touched; in address order, so that a diff has one form.
pub(crate) fn state_diff(bundle: BundleState) -> StateDiff {
    let mut accounts: Vec<_> =
        bundle.state.into_iter().filter_map(|(address, account)| change(address, &account)).collect();
    accounts.sort_unstable_by_key(|change| change.address);
    let codes = bundle
        .contracts
        .into_iter()
        .filter(|(hash, _)| *hash != KECCAK256_EMPTY)
        .map(|(hash, code)| (hash, code.original_bytes()))
        .collect();
    StateDiff { accounts, codes }
}

fn change(address: alloy_primitives::Address, account: &BundleAccount) -> Option<AccountChange> {
    let before = account.original_info.as_ref().map(to_account);
    let after = account.info.as_ref().map(to_account);
    let mut slots: Vec<_> = account
        .storage
        .iter()
        .filter(|(_, value)| value.previous_or_original_value != value.present_value)
        .map(|(&slot, value)| SlotChange { slot, before: value.previous_or_original_value, after: value.present_value })
        .collect();
    slots.sort_unstable_by_key(|change| change.slot);
    if after.is_none() {
        // Since EIP-6780 only an account created in the same transaction goes, and it had no slots before the block.
        slots.retain(|change| change.before != U256::ZERO);
    }
    (before != after || !slots.is_empty()).then_some(AccountChange { address, before, after, slots })
}

fn to_account(info: &AccountInfo) -> Account {
    Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
}
