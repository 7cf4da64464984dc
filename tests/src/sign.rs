//! Signed transactions.

use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex};
use secp256k1::{Message, SECP256K1, SecretKey, ecdsa::RecoveryId};

use crate::Account;

/// Ten times the base fee of a development chain, in wei per gas.
const MAX_FEE: u128 = 10_000_000_000;

/// A transfer (EIP-1559): its hash, and the bytes that `eth_sendRawTransaction` takes.
pub fn transfer(chain_id: u64, from: &Account, nonce: u64, to: Address, wei: u64) -> (B256, String) {
    let value = U256::from(wei);
    sign(from, TxEip1559 { chain_id, nonce, gas_limit: 21_000, to: TxKind::Call(to), value, ..Default::default() })
}

/// A call of a contract, or its creation, in the same form.
pub fn call(
    chain_id: u64,
    from: &Account,
    nonce: u64,
    to: TxKind,
    input: impl Into<Bytes>,
    gas_limit: u64,
) -> (B256, String) {
    sign(from, TxEip1559 { chain_id, nonce, gas_limit, to, input: input.into(), ..Default::default() })
}

fn sign(from: &Account, unsigned: TxEip1559) -> (B256, String) {
    let transaction = TxEip1559 { max_fee_per_gas: MAX_FEE, max_priority_fee_per_gas: MAX_FEE / 10, ..unsigned };
    let key = SecretKey::from_byte_array(from.private_key.0).expect("devnet.json holds valid keys");
    let digest = Message::from_digest(transaction.signature_hash().0);
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(digest, &key).serialize_compact();
    let odd_y = matches!(id, RecoveryId::One | RecoveryId::Three);
    let signed = transaction.into_signed(Signature::from_bytes_and_parity(&compact, odd_y));
    let mut encoded = Vec::with_capacity(signed.eip2718_encoded_length());
    signed.eip2718_encode(&mut encoded);
    (*signed.hash(), hex::encode_prefixed(encoded))
}
