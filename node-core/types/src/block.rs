//! Blocks: standard Ethereum Osaka blocks with four fields fixed for a BFT chain.
//!
//! - `extraData` is the proposal time in Unix milliseconds, 8 bytes big-endian, and `timestamp` is that time in whole
//!   seconds: several blocks may share one `timestamp`, never one order.
//! - `baseFeePerGas` is the epoch's parameter; EIP-1559's adjustment, made for 12-second blocks, would double the
//!   fee within a tenth of a second here.
//! - `prevRandao` is keccak256 of the parent hash and `parentBeaconBlockRoot` is the parent hash: there is no beacon
//!   chain. Contracts must not use `prevRandao` as a source of secrets; a proposer knows it in advance.
//! - No ommers, no withdrawals, no blobs. An epoch's last block has one EIP-7685 request, the next epoch's record.

use std::sync::OnceLock;

use alloy_consensus::{BlockBody, EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS, proofs};
use alloy_eips::{eip2718::Encodable2718 as _, eip4895::Withdrawals, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{Buf as _, Decodable as _, Encodable as _, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_with_encoder;

use crate::{Transaction, genesis::GAS_LIMIT_MAX};

/// No transaction uses less gas (EIP-2).
pub const TRANSACTION_GAS_MIN: u64 = 21_000;

/// Why bytes from a peer or from disk are not a block, or a block breaks a rule that needs no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BlockError {
    /// Larger than the chain's `block_bytes_max`.
    #[error("block has {bytes} bytes, the chain allows {max}")]
    TooLarge {
        /// Encoded size.
        bytes: usize,
        /// The chain's limit.
        max: usize,
    },
    /// More transactions than its gas limit has room for.
    #[error("block has more than {max} transactions, the most that its gas limit has room for")]
    TransactionCount {
        /// Most transactions.
        max: u64,
    },
    /// RLP decoding failed.
    #[error("block is not valid RLP")]
    Rlp(#[from] alloy_rlp::Error),
    /// The bytes are not the one canonical encoding.
    #[error("block encoding is not canonical")]
    NotCanonical,
    /// A header field differs from what the parent, the body or the chain's rules require.
    #[error("header field `{0}` breaks the chain's rules")]
    Field(&'static str),
    /// A transaction type that the chain does not carry.
    #[error("block carries a blob transaction")]
    Blob,
}

/// A block with its hash; the body is known to match the header's `transactionsRoot`.
#[derive(Clone, Debug)]
pub struct Block {
    hash: B256,
    inner: alloy_consensus::Block<Transaction>,
    /// The canonical encoding, made once: consensus, its archives and the store all write it.
    encoded: OnceLock<Bytes>,
    sender_hints: Vec<Address>,
}

impl PartialEq for Block {
    /// Hints are no part of a block.
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.inner == other.inner
    }
}

impl Eq for Block {}

impl Block {
    /// Seals a header built by this node with its transactions, filling in `transactionsRoot`.
    pub fn seal(mut header: Header, transactions: Vec<Transaction>) -> Self {
        header.transactions_root = proofs::calculate_transaction_root(&transactions);
        let body = BlockBody { transactions, ommers: vec![], withdrawals: Some(Withdrawals::default()) };
        Self::new(alloy_consensus::Block { header, body }, OnceLock::new())
    }

    fn new(inner: alloy_consensus::Block<Transaction>, encoded: OnceLock<Bytes>) -> Self {
        Self { hash: inner.header.hash_slow(), inner, encoded, sender_hints: Vec::new() }
    }

    /// Decodes a block, accepting only its canonical encoding of at most `max` bytes with a body that the header
    /// commits to, so that two blocks with one hash are the same bytes. A body with more transactions than can be
    /// valid is refused before it takes memory.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Self, BlockError> {
        if bytes.len() > max {
            return Err(BlockError::TooLarge { bytes: bytes.len(), max });
        }
        check_transaction_count(bytes)?;
        let mut rest = bytes;
        let inner = alloy_consensus::Block::<Transaction>::decode(&mut rest)?;
        let encoded = alloy_rlp::encode(&inner);
        if !rest.is_empty() || encoded != bytes {
            return Err(BlockError::NotCanonical);
        }
        if inner.body.transactions.iter().any(Transaction::is_eip4844) {
            return Err(BlockError::Blob);
        }
        if !inner.body.ommers.is_empty() || inner.body.withdrawals.as_ref().is_none_or(|list| !list.is_empty()) {
            return Err(BlockError::Field("body"));
        }
        if transactions_root(bytes)? != inner.header.transactions_root {
            return Err(BlockError::Field("transactionsRoot"));
        }
        Ok(Self::new(inner, OnceLock::from(Bytes::from(encoded))))
    }

    /// The canonical RLP encoding: `[header, transactions, ommers, withdrawals]`.
    pub fn encoded(&self) -> &Bytes {
        self.encoded.get_or_init(|| alloy_rlp::encode(&self.inner).into())
    }

    /// RLP of the body alone: `[transactions, ommers, withdrawals]`.
    pub fn encode_body(&self) -> Vec<u8> {
        let (_, items) = header_and_rest(self.encoded()).expect("a canonical encoding decodes");
        let header = RlpHeader { list: true, payload_length: items.len() };
        let mut body = Vec::with_capacity(header.length_with_payload());
        header.encode(&mut body);
        body.extend_from_slice(items);
        body
    }

    /// Joins a header and a body that this node stored, where they were checked before.
    pub fn from_parts(header: Header, mut body: &[u8]) -> Result<Self, BlockError> {
        let body = BlockBody::<Transaction>::decode(&mut body)?;
        Ok(Self::new(alloy_consensus::Block { header, body }, OnceLock::new()))
    }

    /// Size of [`Self::encoded`] in bytes.
    pub fn encoded_len(&self) -> usize {
        self.encoded.get().map_or_else(|| self.inner.length(), |encoded| encoded.len())
    }

    /// keccak256 of the header: the block's identity, and what validators vote for.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.inner.header
    }

    /// Height above genesis.
    pub const fn number(&self) -> u64 {
        self.inner.header.number
    }

    /// Says who signed each transaction: a help for whoever checks the signatures, which nothing vouches for. Hints are
    /// not encoded, and the hash does not cover them. More of them than transactions are dropped.
    #[must_use]
    pub fn with_sender_hints(mut self, mut hints: Vec<Address>) -> Self {
        hints.truncate(self.transactions().len());
        self.sender_hints = hints;
        self
    }

    /// Who is said to have signed the transactions, from the first one on; there may be none, and any may be wrong.
    pub fn sender_hints(&self) -> &[Address] {
        &self.sender_hints
    }

    /// The transactions in execution order.
    pub fn transactions(&self) -> &[Transaction] {
        &self.inner.body.transactions
    }

    /// Proposal time in Unix milliseconds, or `None` where `extraData` does not hold one.
    pub fn timestamp_ms(&self) -> Option<u64> {
        timestamp_ms(self.header())
    }
}

/// The header of an encoded block, and its other items: transactions, ommers, withdrawals.
fn header_and_rest(mut bytes: &[u8]) -> Result<(Header, &[u8]), alloy_rlp::Error> {
    let mut block = RlpHeader::decode_bytes(&mut bytes, true)?;
    Ok((Header::decode(&mut block)?, block))
}

/// `transactionsRoot` of an encoded block. Its items are the trie's values but for one thing: a transaction with a type
/// is wrapped as a string.
fn transactions_root(bytes: &[u8]) -> Result<B256, alloy_rlp::Error> {
    let (_, mut rest) = header_and_rest(bytes)?;
    let mut items = RlpHeader::decode_bytes(&mut rest, true)?;
    let mut transactions = Vec::new();
    while !items.is_empty() {
        let item = items;
        let RlpHeader { list, payload_length } = RlpHeader::decode(&mut items)?;
        let header_length = item.len() - items.len();
        transactions.push(&item[if list { 0 } else { header_length }..header_length + payload_length]);
        items.advance(payload_length);
    }
    Ok(ordered_trie_root_with_encoder(&transactions, |transaction, out| out.extend_from_slice(transaction)))
}

/// Counts the transactions of an encoded block before any is decoded: one of 10 bytes takes some 320 in memory, so the
/// bound on the bytes alone would let a block grow more than thirtyfold.
fn check_transaction_count(bytes: &[u8]) -> Result<(), BlockError> {
    let (header, mut rest) = header_and_rest(bytes)?;
    let mut transactions = RlpHeader::decode_bytes(&mut rest, true)?;
    let max = header.gas_limit.min(GAS_LIMIT_MAX) / TRANSACTION_GAS_MIN;
    let mut count = 0;
    while !transactions.is_empty() {
        if count == max {
            return Err(BlockError::TransactionCount { max });
        }
        count += 1;
        let item = RlpHeader::decode(&mut transactions)?;
        transactions.advance(item.payload_length);
    }
    Ok(())
}

/// Reads the proposal time in Unix milliseconds from `extraData`.
pub fn timestamp_ms(header: &Header) -> Option<u64> {
    header.extra_data.as_ref().try_into().ok().map(u64::from_be_bytes)
}

/// What the proposer chooses for a block, beside its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Proposal time, Unix milliseconds.
    pub timestamp_ms: u64,
    /// Where the proposer's priority fees go.
    pub beneficiary: Address,
}

/// What the epoch of a block says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRules {
    /// Gas it may use.
    pub gas_limit: u64,
    /// Wei per gas.
    pub base_fee_per_gas: u64,
}

impl BlockRules {
    /// Those that a header follows.
    pub fn of(header: &Header) -> Self {
        Self { gas_limit: header.gas_limit, base_fee_per_gas: header.base_fee_per_gas.unwrap_or(0) }
    }
}

/// The header that follows `parent`, with every field that does not depend on execution.
pub fn next_header(parent: &Header, parent_hash: B256, proposal: Proposal, rules: BlockRules) -> Header {
    let BlockRules { gas_limit, base_fee_per_gas } = rules;
    Header {
        number: parent.number + 1,
        beneficiary: proposal.beneficiary,
        ..template(parent_hash, proposal.timestamp_ms, gas_limit, base_fee_per_gas)
    }
}

/// Fields common to every header of the chain.
pub(crate) fn template(parent_hash: B256, timestamp_ms: u64, gas_limit: u64, base_fee_per_gas: u64) -> Header {
    Header {
        parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: Address::ZERO,
        state_root: B256::ZERO,
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        logs_bloom: Bloom::ZERO,
        difficulty: U256::ZERO,
        number: 0,
        gas_limit,
        gas_used: 0,
        timestamp: timestamp_ms / 1000,
        extra_data: Bytes::copy_from_slice(&timestamp_ms.to_be_bytes()),
        mix_hash: keccak256(parent_hash),
        nonce: B64::ZERO,
        base_fee_per_gas: Some(base_fee_per_gas),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(parent_hash),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    }
}

/// Checks `block` against its parent's header and the rules that need no state: everything but what execution yields
/// (`stateRoot`, `receiptsRoot`, `logsBloom`, `gasUsed`, `requestsHash`) and the beneficiary, which depends on who proposes.
pub fn check_header(block: &Block, parent: &Header, parent_hash: B256, rules: BlockRules) -> Result<(), BlockError> {
    let header = block.header();
    let timestamp_ms = block.timestamp_ms().ok_or(BlockError::Field("extraData"))?;
    if parent.number.checked_add(1) != Some(header.number) {
        return Err(BlockError::Field("number"));
    }
    if timestamp_ms <= timestamp_ms_or_zero(parent) {
        return Err(BlockError::Field("extraData"));
    }
    let expected = Header {
        state_root: header.state_root,
        receipts_root: header.receipts_root,
        transactions_root: header.transactions_root,
        logs_bloom: header.logs_bloom,
        gas_used: header.gas_used,
        requests_hash: header.requests_hash,
        ..next_header(parent, parent_hash, Proposal { timestamp_ms, beneficiary: header.beneficiary }, rules)
    };
    if header.requests_hash.is_none() {
        return Err(BlockError::Field("requestsHash"));
    }
    if *header == expected { Ok(()) } else { Err(BlockError::Field(first_difference(header, &expected))) }
}

fn timestamp_ms_or_zero(header: &Header) -> u64 {
    timestamp_ms(header).unwrap_or(0)
}

fn first_difference(header: &Header, expected: &Header) -> &'static str {
    let checks = [
        (header.parent_hash != expected.parent_hash, "parentHash"),
        (header.timestamp != expected.timestamp, "timestamp"),
        (header.gas_limit != expected.gas_limit, "gasLimit"),
        (header.base_fee_per_gas != expected.base_fee_per_gas, "baseFeePerGas"),
        (header.mix_hash != expected.mix_hash, "mixHash"),
        (header.parent_beacon_block_root != expected.parent_beacon_block_root, "parentBeaconBlockRoot"),
        (header.withdrawals_root != expected.withdrawals_root, "withdrawalsRoot"),
    ];
    checks.iter().find(|(differs, _)| *differs).map_or("other", |(_, name)| name)
}

/// Bytes that `transaction` takes in a block, its RLP string header included.
pub fn transaction_len(transaction: &Transaction) -> usize {
    let len = transaction.encode_2718_len();
    if transaction.is_legacy() { len } else { len + alloy_rlp::length_of_length(len) }
}

#[cfg(test)]
mod tests;
