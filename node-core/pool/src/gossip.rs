//! The wire format of transaction gossip: an RLP list of byte strings, each the address of a transaction's sender and
//! its EIP-2718 encoding. The address is a hint: knowing whom to expect, a box checks a signature several times faster.

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::Address;
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE, Header};
use dolmen_types::{
    Transaction,
    transaction::{self, DecodeError},
};

use crate::VerifiedTransaction;

/// Bytes of a sender's address.
const HINT_LEN: usize = 20;

/// Bounds of one gossip message; sender and receiver use the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipLimits {
    /// Largest message in bytes; at least `tx_bytes_max` and thirty more, or the largest transaction fits in no message.
    pub message_bytes_max: usize,
    /// Most transactions in a message.
    pub transactions_max: usize,
    /// Largest encoded transaction in bytes.
    pub tx_bytes_max: usize,
}

impl Default for GossipLimits {
    /// 256 KiB: two of the largest transactions, or 2,048 plain ones, which one core verifies in about 0.1 s.
    fn default() -> Self {
        Self { message_bytes_max: 262_144, transactions_max: 2048, tx_bytes_max: 131_072 }
    }
}

/// Why a peer's bytes are not a gossip message. A correct peer never causes one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GossipError {
    /// The message is larger than the limit.
    #[error("gossip message has {bytes} bytes, at most {max} are read")]
    MessageTooLarge {
        /// The message's size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// There are more transactions than the limit.
    #[error("gossip message has more than {max} transactions")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// The message is an empty list.
    #[error("gossip message has no transaction")]
    Empty,
    /// The message is not an RLP list of strings.
    #[error("gossip message is not an RLP list of strings")]
    Rlp(#[source] alloy_rlp::Error),
    /// Bytes follow the list.
    #[error("{0} bytes follow the gossip message")]
    TrailingBytes(usize),
    /// A transaction is larger than the limit.
    #[error("transaction {index} of the gossip message has {bytes} bytes, at most {max} are read")]
    TransactionTooLarge {
        /// Position in the message.
        index: usize,
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A transaction does not decode.
    #[error("transaction {index} of the gossip message does not decode")]
    Transaction {
        /// Position in the message.
        index: usize,
        /// Why.
        #[source]
        source: DecodeError,
    },
}

/// Encodes one message.
pub fn encode_gossip(transactions: &[VerifiedTransaction]) -> Vec<u8> {
    let payload_length = transactions.iter().map(item_len).sum();
    let header = Header { list: true, payload_length };
    let mut out = Vec::with_capacity(payload_length + header.length());
    header.encode(&mut out);
    for transaction in transactions {
        // Never the single byte below 0x80 that RLP writes without a header.
        Header { list: false, payload_length: HINT_LEN + transaction.encoded_len() }.encode(&mut out);
        out.extend_from_slice(transaction.sender().as_slice());
        transaction.transaction().encode_2718(&mut out);
    }
    out
}

/// Bytes that a transaction takes in a message.
pub(crate) fn item_len(transaction: &VerifiedTransaction) -> usize {
    string_len(HINT_LEN + transaction.encoded_len())
}

/// Bytes of a message with this payload.
pub(crate) fn message_len(payload_len: usize) -> usize {
    string_len(payload_len)
}

fn string_len(payload_length: usize) -> usize {
    payload_length + Header { list: false, payload_length }.length()
}

/// Decodes one message from a peer, all of it or nothing: transactions, and who is said to have signed each. Signatures
/// are not checked.
pub fn decode_gossip(bytes: &[u8], limits: &GossipLimits) -> Result<Vec<(Transaction, Option<Address>)>, GossipError> {
    if bytes.len() > limits.message_bytes_max {
        return Err(GossipError::MessageTooLarge { bytes: bytes.len(), max: limits.message_bytes_max });
    }
    let mut rest = bytes;
    let mut payload = Header::decode_bytes(&mut rest, true).map_err(GossipError::Rlp)?;
    if !rest.is_empty() {
        return Err(GossipError::TrailingBytes(rest.len()));
    }
    let mut transactions = Vec::new();
    while !payload.is_empty() {
        let index = transactions.len();
        if index == limits.transactions_max {
            return Err(GossipError::TooMany { max: limits.transactions_max });
        }
        transactions.push(decode_item(&mut payload, index, limits)?);
    }
    if transactions.is_empty() { Err(GossipError::Empty) } else { Ok(transactions) }
}

fn decode_item(
    payload: &mut &[u8],
    index: usize,
    limits: &GossipLimits,
) -> Result<(Transaction, Option<Address>), GossipError> {
    // A string header first: `decode_bytes` would also take a bare byte, which is no transaction.
    if payload.first().is_some_and(|first| !(EMPTY_STRING_CODE..EMPTY_LIST_CODE).contains(first)) {
        return Err(GossipError::Rlp(alloy_rlp::Error::UnexpectedList));
    }
    let item = Header::decode_bytes(payload, false).map_err(GossipError::Rlp)?;
    let Some((hint, item)) = item.split_first_chunk::<HINT_LEN>() else {
        return Err(GossipError::Rlp(alloy_rlp::Error::InputTooShort));
    };
    if item.len() > limits.tx_bytes_max {
        return Err(GossipError::TransactionTooLarge { index, bytes: item.len(), max: limits.tx_bytes_max });
    }
    let transaction = transaction::decode(item).map_err(|source| GossipError::Transaction { index, source })?;
    Ok((transaction, Some(Address::from(hint))))
}
