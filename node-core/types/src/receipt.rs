//! Receipts: what executing a transaction left behind.

use alloy_consensus::{Eip658Value, ReceiptEnvelope, proofs};
use alloy_eips::eip2718::{Decodable2718 as _, Encodable2718 as _};
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{Buf as _, Encodable as _, Header as RlpHeader};

use crate::Transaction;

/// A receipt with its logs and bloom filter, typed like its transaction (EIP-658, EIP-2718).
pub type Receipt = ReceiptEnvelope<Log>;

/// Builds the receipt of `transaction`, computing the bloom filter of its logs.
pub fn receipt(transaction: &Transaction, success: bool, cumulative_gas_used: u64, logs: Vec<Log>) -> Receipt {
    let receipt =
        alloy_consensus::Receipt { status: Eip658Value::Eip658(success), cumulative_gas_used, logs }.with_bloom();
    match transaction {
        Transaction::Legacy(_) => Receipt::Legacy(receipt),
        Transaction::Eip2930(_) => Receipt::Eip2930(receipt),
        Transaction::Eip1559(_) => Receipt::Eip1559(receipt),
        Transaction::Eip4844(_) => Receipt::Eip4844(receipt),
        Transaction::Eip7702(_) => Receipt::Eip7702(receipt),
    }
}

/// The header's `receiptsRoot`.
pub fn root(receipts: &[Receipt]) -> B256 {
    proofs::calculate_receipt_root(receipts)
}

/// The header's `logsBloom`.
pub fn bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom())
}

/// Encodes a block's receipts for storage: an RLP list of strings, each one EIP-2718 receipt.
pub fn encode_list(receipts: &[Receipt]) -> Vec<u8> {
    let mut payload = Vec::new();
    for receipt in receipts {
        receipt.encoded_2718().as_slice().encode(&mut payload);
    }
    let mut out = Vec::with_capacity(payload.len() + 9);
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

/// Decodes what [`encode_list`] wrote.
pub fn decode_list(mut bytes: &[u8]) -> Result<Vec<Receipt>, alloy_rlp::Error> {
    let mut payload = RlpHeader::decode_bytes(&mut bytes, true)?;
    let mut receipts = Vec::new();
    while payload.has_remaining() {
        let mut item = RlpHeader::decode_bytes(&mut payload, false)?;
        receipts.push(Receipt::decode_2718(&mut item).map_err(|_| alloy_rlp::Error::Custom("receipt"))?);
    }
    Ok(receipts)
}
