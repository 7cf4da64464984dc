use alloy_consensus::{SignableTransaction as _, TxEip1559, TxEip4844};
use alloy_primitives::{Signature, TxKind, b256};
use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

fn signature() -> Signature {
    Signature::new(U256::from(1), U256::from(2), false)
}

fn transaction(nonce: u64) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: 1337,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 7,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(5)),
        ..Default::default()
    };
    transaction.into_signed(signature()).into()
}

fn parent() -> (Header, B256) {
    let header = template(B256::repeat_byte(1), 1_790_000_000_123, 200_000_000, 7);
    let hash = header.hash_slow();
    (header, hash)
}

fn child(transactions: Vec<Transaction>) -> Block {
    let (parent, hash) = parent();
    let proposal = Proposal { timestamp_ms: 1_790_000_000_456, beneficiary: Address::repeat_byte(2) };
    Block::seal(next_header(&parent, hash, proposal, BlockRules::of(&parent)), transactions)
}

#[test]
fn a_block_survives_its_encoding() {
    let block = child((0..3).map(transaction).collect());
    assert_eq!(block.encoded_len(), alloy_rlp::encode(&block.inner).len());
    let bytes = block.encoded().clone();
    assert_eq!(bytes.len(), block.encoded_len());
    let decoded = Block::decode(&bytes, MAX).unwrap();
    assert_eq!(decoded, block);
    assert_eq!(*decoded.encoded(), bytes);
    assert_eq!(block.encode_body(), alloy_rlp::encode(&block.inner.body));
    let stored = Block::from_parts(block.header().clone(), &block.encode_body()).unwrap();
    assert_eq!((&stored, stored.encoded()), (&block, &bytes));
}

/// Blocks are signed, sent and stored by these bytes.
#[test]
fn the_encoding_is_frozen() {
    let block = child(vec![transaction(0)]);
    let expected = b256!("0x9c55bb56f94ef9e049bf0ead57edd95a1508ea7232c6bf1d29558a2885dfead2");
    assert_eq!((keccak256(block.encoded()), block.encoded_len()), (expected, 659));
}

#[test]
fn the_body_is_bound_to_the_hash() {
    let one = child(vec![transaction(0)]);
    let other = child(vec![transaction(1)]);
    let mixed = alloy_consensus::Block { header: one.inner.header.clone(), body: other.inner.body };
    assert_eq!(Block::decode(&alloy_rlp::encode(&mixed), MAX), Err(BlockError::Field("transactionsRoot")));
}

#[test]
fn other_forms_are_refused() {
    let block = child(vec![transaction(0)]);
    let mut trailing = block.encoded().to_vec();
    trailing.push(0);
    assert!(Block::decode(&trailing, MAX).is_err());
    let bytes = block.encoded();
    let too_large = BlockError::TooLarge { bytes: bytes.len(), max: bytes.len() - 1 };
    assert_eq!(Block::decode(bytes, bytes.len() - 1), Err(too_large));
    let blob = TxEip4844 { chain_id: 1337, gas_limit: 21_000, ..Default::default() };
    let blob = child(vec![blob.into_signed(signature()).into()]);
    assert_eq!(Block::decode(blob.encoded(), MAX), Err(BlockError::Blob));
    let mut without_withdrawals = block.inner.clone();
    without_withdrawals.body.withdrawals = None;
    assert!(Block::decode(&alloy_rlp::encode(&without_withdrawals), MAX).is_err());
}

/// A block with `count` of the shortest transactions that decode: 10 bytes each.
fn with_shortest(gas_limit: u64, count: usize) -> Vec<u8> {
    let header = Header { gas_limit, ..child(vec![]).header().clone() };
    let transactions = [0xc9, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x1b, 0x80, 0x80].repeat(count);
    let mut payload = alloy_rlp::encode(&header);
    RlpHeader { list: true, payload_length: transactions.len() }.encode(&mut payload);
    payload.extend_from_slice(&transactions);
    // No ommers, no withdrawals.
    payload.extend_from_slice(&[0xc0, 0xc0]);
    let mut block = Vec::new();
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut block);
    block.extend_from_slice(&payload);
    block
}

#[test]
fn more_transactions_than_gas_are_refused_undecoded() {
    let refused = |gas_limit, count| Block::decode(&with_shortest(gas_limit, count), MAX).unwrap_err();
    // That many are decoded, and only then found not to be what the header commits to.
    assert_eq!(refused(42_000, 2), BlockError::Field("transactionsRoot"));
    assert_eq!(refused(42_000, 3), BlockError::TransactionCount { max: 2 });
    assert_eq!(refused(200_000_000, 9_524), BlockError::TransactionCount { max: 9_523 });
    // A header's claim counts only up to what a chain can have.
    assert_eq!(refused(u64::MAX, 100_000), BlockError::TransactionCount { max: 47_619 });
}

#[test]
fn header_rules_name_the_field() {
    let (parent, hash) = parent();
    let good = child(vec![]);
    assert_eq!(check_header(&good, &parent, hash, BlockRules::of(&parent)), Ok(()));
    type Change = fn(&mut Header);
    let cases: [(&'static str, Change); 10] = [
        ("number", |header| header.number += 1),
        ("parentHash", |header| header.parent_hash = B256::ZERO),
        ("timestamp", |header| header.timestamp += 1),
        ("gasLimit", |header| header.gas_limit += 1),
        ("baseFeePerGas", |header| header.base_fee_per_gas = Some(8)),
        ("mixHash", |header| header.mix_hash = B256::ZERO),
        ("parentBeaconBlockRoot", |header| header.parent_beacon_block_root = None),
        ("withdrawalsRoot", |header| header.withdrawals_root = None),
        ("extraData", |header| header.extra_data = Bytes::from_static(b"no time")),
        ("extraData", |header| header.extra_data = Bytes::from(1_790_000_000_123_u64.to_be_bytes())),
    ];
    for (field, change) in cases {
        let mut header = good.header().clone();
        change(&mut header);
        assert_eq!(
            check_header(&Block::seal(header, vec![]), &parent, hash, BlockRules::of(&parent)),
            Err(BlockError::Field(field))
        );
    }
}

proptest! {
    /// Whatever a peer sends is decoded or refused, and what is decoded has one encoding.
    #[test]
    fn damaged_blocks_never_panic(at in 0_usize..900, with in any::<u8>(), cut in 0_usize..900) {
        let mut bytes = child((0..2).map(transaction).collect()).encoded().to_vec();
        let at = at % bytes.len();
        bytes[at] = with;
        bytes.truncate(bytes.len() - cut % bytes.len() / 8);
        if let Ok(block) = Block::decode(&bytes, MAX) {
            prop_assert_eq!(&block.encoded()[..], bytes);
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Block::decode(&bytes, MAX);
        let _ = crate::transaction::decode(&bytes);
        let _ = crate::receipt::decode_list(&bytes);
    }
}
