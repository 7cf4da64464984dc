//! Receipts: what executing a transaction left behind.

use alloy_consensus::{Eip658Value, ReceiptEnvelope, TxType, proofs};
use alloy_primitives::{B256, Bloom, Log};
use alloy_rlp::{Decodable as _, Encodable as _, Header as RlpHeader, RlpDecodable};

use crate::Transaction;

/// A receipt with its logs and bloom filter, typed like its transaction (EIP-658, EIP-2718).
pub type Receipt = ReceiptEnvelope<Log>;

/// Builds the receipt of `transaction`, computing the bloom filter of its logs.
pub fn receipt(transaction: &Transaction, success: bool, cumulative_gas_used: u64, logs: Vec<Log>) -> Receipt {
    Stored { kind: transaction.tx_type(), success, cumulative_gas_used, logs }.into_receipt()
}

/// The header's `receiptsRoot`.
pub fn root(receipts: &[Receipt]) -> B256 {
    proofs::calculate_receipt_root(receipts)
}

/// The header's `logsBloom`.
pub fn bloom(receipts: &[Receipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom())
}

/// A receipt as it is stored: without the bloom filter, 256 bytes that follow from the logs.
#[derive(RlpDecodable)]
struct Stored {
    kind: TxType,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
}

impl Stored {
    fn into_receipt(self) -> Receipt {
        let Self { kind, success, cumulative_gas_used, logs } = self;
        let status = Eip658Value::Eip658(success);
        let receipt = alloy_consensus::Receipt { status, cumulative_gas_used, logs }.with_bloom();
        match kind {
            TxType::Legacy => Receipt::Legacy(receipt),
            TxType::Eip2930 => Receipt::Eip2930(receipt),
            TxType::Eip1559 => Receipt::Eip1559(receipt),
            TxType::Eip4844 => Receipt::Eip4844(receipt),
            TxType::Eip7702 => Receipt::Eip7702(receipt),
        }
    }
}

/// Encodes a block's receipts for storage: an RLP list of `[type, success, cumulative gas, logs]`.
pub fn encode_list(receipts: &[Receipt]) -> Vec<u8> {
    let (mut payload, mut fields) = (Vec::new(), Vec::new());
    for receipt in receipts {
        fields.clear();
        receipt.tx_type().encode(&mut fields);
        receipt.status().encode(&mut fields);
        receipt.cumulative_gas_used().encode(&mut fields);
        alloy_rlp::encode_list::<Log, Log>(receipt.logs(), &mut fields);
        RlpHeader { list: true, payload_length: fields.len() }.encode(&mut payload);
        payload.extend_from_slice(&fields);
    }
    let mut out = Vec::with_capacity(payload.len() + 9);
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend_from_slice(&payload);
    out
}

/// Decodes what [`encode_list`] wrote.
pub fn decode_list(bytes: &[u8]) -> Result<Vec<Receipt>, alloy_rlp::Error> {
    Ok(decode_stored(bytes)?.into_iter().map(Stored::into_receipt).collect())
}

/// The logs of each receipt in what [`encode_list`] wrote. Cheaper than [`decode_list`]: no bloom filter is computed.
pub fn decode_logs(bytes: &[u8]) -> Result<Vec<Vec<Log>>, alloy_rlp::Error> {
    Ok(decode_stored(bytes)?.into_iter().map(|stored| stored.logs).collect())
}

fn decode_stored(mut bytes: &[u8]) -> Result<Vec<Stored>, alloy_rlp::Error> {
    let stored = Vec::decode(&mut bytes)?;
    if bytes.is_empty() { Ok(stored) } else { Err(alloy_rlp::Error::Custom("bytes after the receipts")) }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
    use alloy_primitives::{Address, Bytes, LogData, Signature, U256};

    use super::*;

    fn receipts() -> Vec<Receipt> {
        let signature = Signature::new(U256::from(1), U256::from(2), false);
        let legacy = TxLegacy::default().into_signed(signature).into();
        let typed = TxEip1559::default().into_signed(signature).into();
        let data = LogData::new_unchecked(vec![B256::repeat_byte(1), B256::ZERO], Bytes::from_static(&[0, 7]));
        let log = Log { address: Address::repeat_byte(3), data };
        vec![
            receipt(&legacy, true, 21_000, vec![]),
            receipt(&typed, false, 50_000, vec![]),
            receipt(&typed, true, 100_000, vec![log.clone(), log]),
        ]
    }

    #[test]
    fn receipts_survive_storage_without_their_blooms() {
        let bytes = encode_list(&receipts());
        assert_eq!(decode_list(&bytes).unwrap(), receipts());
        let logs: Vec<_> = receipts().iter().map(|receipt| receipt.logs().to_vec()).collect();
        assert_eq!(decode_logs(&bytes).unwrap(), logs);
        assert!(bytes.len() < 256, "{} bytes", bytes.len());
        let trailing = [bytes, vec![0]].concat();
        assert!(decode_list(&trailing).is_err());
    }
}
