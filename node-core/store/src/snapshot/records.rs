//! Keys of what a database being filled has beside the data: records in [`cf::META`](crate::db::cf::META), whose keys
//! all begin with the mark's.

use alloy_primitives::B256;

use super::Prefix;
use crate::db::meta;

/// -> RLP of the block whose state is being fetched.
pub(super) const PIVOT: &[u8] = b"filling.pivot";
/// Present once all accounts and slots are there.
pub(super) const WHOLE: &[u8] = b"filling.whole";
/// And a packed prefix -> hash of that part of the account trie.
pub(super) const ACCOUNT_PARTS: &[u8] = b"filling/a";
/// And a hashed address -> root of its storage, and 1 where all of it is there, else 0.
pub(super) const STORAGES: &[u8] = b"filling/s";
/// And a hashed address, and a packed prefix -> hash of that part of the account's storage trie.
pub(super) const SLOT_PARTS: &[u8] = b"filling/t";

/// Above every key in any column family that begins with a hash.
const LAST: [u8; 65] = [0xff; 65];

/// The first key of all these records, and the first behind them.
pub(super) fn all() -> (Vec<u8>, Vec<u8>) {
    let mut end = meta::FILLING.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    (meta::FILLING.to_vec(), end)
}

pub(super) fn account_part(prefix: &Prefix) -> Vec<u8> {
    [ACCOUNT_PARTS, &prefix.packed()].concat()
}

pub(super) fn storage(account: &B256) -> Vec<u8> {
    [STORAGES, account.as_slice()].concat()
}

pub(super) fn slot_part(account: &B256, prefix: &Prefix) -> Vec<u8> {
    [SLOT_PARTS, account.as_slice(), &prefix.packed()].concat()
}

/// The first key of the records of an account's slots, and the first behind them.
pub(super) fn slot_parts(account: &B256) -> (Vec<u8>, Vec<u8>) {
    ([SLOT_PARTS, account.as_slice()].concat(), [SLOT_PARTS, &behind_account(account)].concat())
}

/// The first key of accounts, or of slots, behind those of the accounts that begin with a prefix.
pub(super) fn behind(prefix: &Prefix) -> Vec<u8> {
    prefix.end().map_or_else(|| LAST.to_vec(), |end| end.to_vec())
}

/// The first key of slots behind an account's.
pub(super) fn behind_account(account: &B256) -> Vec<u8> {
    behind(&Prefix::of(account, u8::MAX))
}

/// The first key of an account's slots that begin with a prefix, and the first behind them.
pub(super) fn slots(account: &B256, prefix: &Prefix) -> (Vec<u8>, Vec<u8>) {
    let first = [account.as_slice(), prefix.first().as_slice()].concat();
    let behind = prefix.end().map(|end| [account.as_slice(), end.as_slice()].concat());
    (first, behind.unwrap_or_else(|| behind_account(account)))
}
