//! Transactions: Ethereum types 0, 1, 2 and 4.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};

/// A signed Ethereum transaction (EIP-2718) whose signature has not been checked.
///
/// The blob variant (type 3) exists in the type because the standard envelope has it; [`decode`] and block decoding
/// refuse it, since the chain carries no blobs.
pub type Transaction = EthereumTxEnvelope<TxEip4844>;

/// EIP-2718 type of blob transactions, which the chain does not carry.
pub const BLOB_TX_TYPE: u8 = 3;

/// Why raw bytes are not a transaction of this chain.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("empty transaction: send the signed transaction's bytes")]
    Empty,
    /// EIP-2718 or RLP decoding failed.
    #[error("rlp: {0}")]
    Rlp(String),
    /// Bytes follow the transaction.
    #[error("rlp: {0} bytes after the transaction")]
    TrailingBytes(usize),
    /// The type is not one of 0, 1, 2, 4.
    #[error("transaction type not supported: {0} (supported: 0, 1, 2, 4)")]
    UnsupportedType(u8),
}

/// Decodes the bytes that `eth_sendRawTransaction` and gossip carry: one EIP-2718 transaction, no network wrapper.
pub fn decode(mut bytes: &[u8]) -> Result<Transaction, DecodeError> {
    let first = *bytes.first().ok_or(DecodeError::Empty)?;
    if first == 0 {
        return Err(DecodeError::Rlp("a legacy transaction has no type byte: leave out the leading 00".to_owned()));
    }
    // Below 0x7f the first byte is the type (EIP-2718); naming an unknown one beats the decoder's general error.
    if first < 0x7f && !matches!(first, 1 | 2 | 4) {
        return Err(DecodeError::UnsupportedType(first));
    }
    let transaction = Transaction::decode_2718(&mut bytes).map_err(|error| match error {
        // What is no typed transaction is read as a legacy one, type 0.
        Eip2718Error::UnexpectedType(0) => DecodeError::Rlp("not the list of a legacy transaction".to_owned()),
        Eip2718Error::UnexpectedType(ty) => DecodeError::UnsupportedType(ty),
        error => DecodeError::Rlp(error.to_string()),
    })?;
    if !bytes.is_empty() {
        return Err(DecodeError::TrailingBytes(bytes.len()));
    }
    debug_assert!(!transaction.is_eip4844());
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_bytes_are_named() {
        assert_eq!(decode(&[]), Err(DecodeError::Empty));
        for ty in [3, 5, 0x6f] {
            assert_eq!(decode(&[ty, 0xc0]), Err(DecodeError::UnsupportedType(ty)));
        }
        let with_type = decode(&[0, 0xc0]).unwrap_err().to_string();
        assert_eq!(with_type, "rlp: a legacy transaction has no type byte: leave out the leading 00");
        for bytes in [&[2_u8][..], &[2, 0xc0], &[0xc0], &[0xc1, 1], &[0xde, 0xad, 0xbe, 0xef], &[0x80]] {
            assert!(matches!(decode(bytes), Err(DecodeError::Rlp(_))), "{bytes:?} gave {:?}", decode(bytes));
        }
    }
}
