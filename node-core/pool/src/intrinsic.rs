//! Intrinsic gas: what a transaction costs before its first instruction, by Osaka's rules.

use alloy_consensus::Transaction as _;
use dolmen_types::Transaction;

/// Every transaction (Yellow Paper, Gtransaction).
const TX_GAS: u64 = 21_000;
/// Contract creation on top of it (EIP-2).
const TX_CREATE_GAS: u64 = 32_000;
/// A 32-byte word of initcode (EIP-3860).
const INITCODE_WORD_GAS: u64 = 2;
/// A zero byte of calldata; a non-zero one counts as four (EIP-2028, EIP-7623's tokens).
const TOKEN_GAS: u64 = 4;
/// Tokens of a non-zero byte of calldata (EIP-7623).
const NONZERO_BYTE_TOKENS: u64 = 4;
/// A token's floor price (EIP-7623).
const TOKEN_FLOOR_GAS: u64 = 10;
/// An address in the access list (EIP-2930).
const ACCESS_LIST_ADDRESS_GAS: u64 = 2400;
/// A storage key in the access list (EIP-2930).
const ACCESS_LIST_STORAGE_KEY_GAS: u64 = 1900;
/// An authorization tuple, valid or not (EIP-7702, PER_EMPTY_ACCOUNT_COST).
const AUTHORIZATION_GAS: u64 = 25_000;

/// The two lower bounds of a transaction's gas limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntrinsicGas {
    /// Charged before execution.
    pub intrinsic: u64,
    /// Charged at least, in the end (EIP-7623).
    pub floor: u64,
}

/// Computes both bounds. Saturates instead of overflowing, which no transaction that fits in memory reaches.
pub fn intrinsic_gas(transaction: &Transaction) -> IntrinsicGas {
    let input = transaction.input();
    let zero_bytes = input.iter().filter(|byte| **byte == 0).count() as u64;
    let bytes = input.len() as u64;
    let tokens = zero_bytes + (bytes - zero_bytes).saturating_mul(NONZERO_BYTE_TOKENS);

    let creation = if transaction.is_create() { TX_CREATE_GAS + bytes.div_ceil(32) * INITCODE_WORD_GAS } else { 0 };
    let access = transaction.access_list().map_or(0, |list| {
        let keys: u64 = list.iter().map(|item| item.storage_keys.len() as u64).sum();
        (list.len() as u64) * ACCESS_LIST_ADDRESS_GAS + keys * ACCESS_LIST_STORAGE_KEY_GAS
    });
    let authorizations = transaction.authorization_list().map_or(0, |list| list.len() as u64) * AUTHORIZATION_GAS;

    IntrinsicGas {
        intrinsic: [creation, tokens.saturating_mul(TOKEN_GAS), access, authorizations]
            .into_iter()
            .fold(TX_GAS, u64::saturating_add),
        floor: tokens.saturating_mul(TOKEN_FLOOR_GAS).saturating_add(TX_GAS),
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip7702, TxLegacy};
    use alloy_eips::{
        eip2930::{AccessList, AccessListItem},
        eip7702::{Authorization, SignedAuthorization},
    };
    use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};

    use super::*;

    fn gas(intrinsic: u64, floor: u64) -> IntrinsicGas {
        IntrinsicGas { intrinsic, floor }
    }

    fn legacy(to: TxKind, input: &[u8]) -> IntrinsicGas {
        let unsigned = TxLegacy { to, input: Bytes::copy_from_slice(input), ..Default::default() };
        intrinsic_gas(&unsigned.into_signed(Signature::test_signature()).into())
    }

    #[test]
    fn calls() {
        let call = TxKind::Call(Address::ZERO);
        assert_eq!(legacy(call, &[]), gas(21_000, 21_000));
        // Two zero bytes and one other: 2 + 4 tokens.
        assert_eq!(legacy(call, &[0, 0, 7]), gas(21_024, 21_060));
        // An ERC-20 transfer's 68 bytes, 44 of them zero: 44 + 24 * 4 = 140 tokens.
        let mut erc20 = [0_u8; 68];
        erc20[..24].fill(0xab);
        assert_eq!(legacy(call, &erc20), gas(21_560, 22_400));
    }

    #[test]
    fn creations() {
        assert_eq!(legacy(TxKind::Create, &[]), gas(53_000, 21_000));
        // 33 bytes are two words: 33 * 16 + 2 * 2.
        assert_eq!(legacy(TxKind::Create, &[1; 33]), gas(53_000 + 528 + 4, 21_000 + 1320));
    }

    #[test]
    fn access_lists_and_authorizations() {
        let access_list = AccessList(vec![
            AccessListItem { address: Address::ZERO, storage_keys: vec![B256::ZERO; 3] },
            AccessListItem { address: Address::ZERO, storage_keys: vec![] },
        ]);
        let unsigned = TxEip1559 { access_list: access_list.clone(), ..Default::default() };
        let transaction = unsigned.into_signed(Signature::test_signature()).into();
        assert_eq!(intrinsic_gas(&transaction), gas(53_000 + 4800 + 5700, 21_000));

        let tuple = Authorization { chain_id: U256::ZERO, address: Address::ZERO, nonce: 0 };
        let tuple = SignedAuthorization::new_unchecked(tuple, 9, U256::ZERO, U256::ZERO);
        let unsigned = TxEip7702 { access_list, authorization_list: vec![tuple; 2], ..Default::default() };
        let transaction = unsigned.into_signed(Signature::test_signature()).into();
        assert_eq!(intrinsic_gas(&transaction), gas(21_000 + 4800 + 5700 + 50_000, 21_000));
    }
}
