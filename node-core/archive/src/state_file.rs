//! The state in files: accounts in the order of the trie, each followed by its slots, and then the code that they name.

use alloy_primitives::{B256, U256};
use alloy_rlp::Decodable as _;
use dolmen_store::Account;

use crate::format::Fault;

/// Bytes of slots in a record, roughly: an account may have any number of them.
pub(crate) const SLOTS_BYTES: usize = 64 << 10;

pub(crate) fn encode_account(key: &B256, account: &Account) -> Vec<u8> {
    let mut bytes = key.to_vec();
    alloy_rlp::Encodable::encode(account, &mut bytes);
    bytes
}

pub(crate) fn decode_account(bytes: &[u8]) -> Result<(B256, Account), Fault> {
    let bad = || Fault::Malformed("account");
    let (key, mut rest) = bytes.split_first_chunk::<32>().ok_or_else(bad)?;
    let (key, account) = (B256::from(*key), Account::decode(&mut rest).map_err(|_| bad())?);
    if encode_account(&key, &account) == bytes { Ok((key, account)) } else { Err(bad()) }
}

/// Appends a slot to a record of them.
pub(crate) fn push_slot(record: &mut Vec<u8>, key: &B256, value: &U256) {
    let value = value.to_be_bytes_trimmed_vec();
    record.extend_from_slice(key.as_slice());
    // At most 32.
    record.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    record.extend_from_slice(&value);
}

pub(crate) fn decode_slots(mut bytes: &[u8]) -> Result<Vec<(B256, U256)>, Fault> {
    let bad = || Fault::Malformed("slots");
    let mut slots = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk::<32>().ok_or_else(bad)?;
        let (length, rest) = rest.split_first().ok_or_else(bad)?;
        let (value, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(bad)?;
        let number = U256::try_from_be_slice(value).filter(|_| value.first().is_some_and(|first| *first != 0));
        slots.push((B256::from(*key), number.ok_or_else(bad)?));
        bytes = rest;
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn accounts_and_slots_are_read_back(
            key in any::<[u8; 32]>(),
            nonce in any::<u64>(),
            balance in any::<[u8; 32]>(),
            slots in vec((any::<[u8; 32]>(), any::<[u8; 32]>()), 0..9),
        ) {
            let balance = U256::from_be_bytes(balance);
            let account = Account { nonce, balance, code_hash: B256::from(key) };
            let key = B256::from(key);
            prop_assert_eq!(decode_account(&encode_account(&key, &account)).unwrap(), (key, account));
            let slots: Vec<_> = slots
                .into_iter()
                .map(|(key, value)| (B256::from(key), U256::from_be_bytes(value) | U256::from(1)))
                .collect();
            let mut record = Vec::new();
            slots.iter().for_each(|(key, value)| push_slot(&mut record, key, value));
            prop_assert_eq!(decode_slots(&record).unwrap(), slots);
        }

        /// What decodes is the one encoding of what it decodes to.
        #[test]
        fn nothing_else_decodes(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok((key, account)) = decode_account(&bytes) {
                prop_assert_eq!(encode_account(&key, &account), bytes.clone());
            }
            if let Ok(slots) = decode_slots(&bytes) {
                let mut record = Vec::new();
                slots.iter().for_each(|(key, value)| push_slot(&mut record, key, value));
                prop_assert_eq!(record, bytes);
            }
        }
    }
}
