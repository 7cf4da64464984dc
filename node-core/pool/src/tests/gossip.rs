//! The wire format, and what a pool announces.

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Bytes, hex};
use dolmen_types::transaction::DecodeError;
use proptest::prelude::*;

use super::{CHAIN_ID, Fixture, address, config, sign, transfer, unsigned, verify};
use crate::{
    Origin, PoolConfig, VerifiedTransaction,
    gossip::{GossipError, GossipLimits, decode_gossip, encode_gossip},
    outgoing::Outgoing,
};

fn verified(count: u64) -> Vec<VerifiedTransaction> {
    (0..count).map(|nonce| verify(transfer(1, nonce, 1), CHAIN_ID).unwrap()).collect()
}

fn limits() -> GossipLimits {
    GossipLimits::default()
}

#[test]
fn messages_round_trip() {
    for count in [1, 2, 50] {
        let transactions = verified(count);
        let decoded = decode_gossip(&encode_gossip(&transactions), &limits()).unwrap();
        let sent = |item: &VerifiedTransaction| (item.transaction().clone(), Some(item.sender()));
        assert_eq!(decoded, transactions.iter().map(sent).collect::<Vec<_>>());
    }
}

/// The format is fixed: a change of these bytes cuts a chain of mixed versions in two.
#[test]
fn encoding_is_frozen() {
    let item = verified(1)[0].transaction().encoded_2718();
    assert_eq!(item.len(), 0x67);
    let expected = [&hex!("f87db87b")[..], address(1).as_slice(), &item].concat();
    assert_eq!(encode_gossip(&verified(1)), expected);
}

#[test]
fn what_a_peer_must_not_send() {
    let message = encode_gossip(&verified(3));
    let decode = |bytes: &[u8]| decode_gossip(bytes, &limits()).unwrap_err();
    assert_eq!(decode(&[0xc0]), GossipError::Empty);
    assert!(matches!(decode(&[]), GossipError::Rlp(_)));
    assert!(matches!(decode(&[0x80]), GossipError::Rlp(_)));
    assert!(matches!(decode(&[0xc1, 0xc0]), GossipError::Rlp(_)));
    assert!(matches!(decode(&[0xc1, 0x01]), GossipError::Rlp(_)));
    assert!(matches!(decode(&[0xc1, 0x80]), GossipError::Rlp(_)), "no room for a sender");
    let with_sender = |transaction: &[u8]| {
        let len = u8::try_from(20 + transaction.len()).unwrap();
        [&[0xc1 + len, 0x80 + len][..], &[7; 20], transaction].concat()
    };
    assert_eq!(decode(&with_sender(&[])), GossipError::Transaction { index: 0, source: DecodeError::Empty });
    assert_eq!(decode(&[&message[..], &[0]].concat()), GossipError::TrailingBytes(1));
    assert!(matches!(decode(&message[..message.len() - 1]), GossipError::Rlp(_)));
    // A length of 2^64 - 1 bytes.
    assert!(matches!(decode(&hex!("ffffffffffffffffff")), GossipError::Rlp(_)));
    let blob = with_sender(&[0x03, 0xc0]);
    assert_eq!(decode(&blob), GossipError::Transaction { index: 0, source: DecodeError::UnsupportedType(3) });

    let strict = GossipLimits { transactions_max: 2, ..limits() };
    assert_eq!(decode_gossip(&message, &strict), Err(GossipError::TooMany { max: 2 }));
    let strict = GossipLimits { message_bytes_max: message.len() - 1, ..limits() };
    let error = GossipError::MessageTooLarge { bytes: message.len(), max: message.len() - 1 };
    assert_eq!(decode_gossip(&message, &strict), Err(error));
    let strict = GossipLimits { tx_bytes_max: 102, ..limits() };
    let error = GossipError::TransactionTooLarge { index: 0, bytes: 103, max: 102 };
    assert_eq!(decode_gossip(&message, &strict), Err(error));
}

#[test]
fn local_transactions_are_announced_in_messages_within_the_limits() {
    let fixture = Fixture::new();
    fixture.pool.add(transfer(2, 0, 1), Origin::Peer, 0).unwrap();
    for nonce in 0..10 {
        fixture.pool.add(transfer(1, nonce, 1), Origin::Local, 0).unwrap();
    }
    // 20 and 103 bytes and a header of two each; 3 * 125 + 3 for the list.
    let small = GossipLimits { message_bytes_max: 378, ..limits() };
    let mut sizes = Vec::new();
    let mut nonces = Vec::new();
    while let Some(message) = fixture.pool.take_outgoing(&small, 0) {
        assert!(message.len() <= 378);
        let decoded = decode_gossip(&message, &small).unwrap();
        sizes.push(decoded.len());
        nonces.extend(decoded.iter().map(|(transaction, _)| alloy_consensus::Transaction::nonce(transaction)));
    }
    assert_eq!(sizes, [3, 3, 3, 1]);
    assert!(nonces.into_iter().eq(0..10));
}

#[test]
fn what_left_the_pool_is_not_announced() {
    let fixture = Fixture::new();
    fixture.pool.add(transfer(1, 0, 1), Origin::Local, 0).unwrap();
    fixture.finalize(1, |account| account.nonce = 1);
    assert_eq!(fixture.pool.take_outgoing(&limits(), 0), None);
}

#[test]
fn what_fits_in_no_message_does_not_block_the_others() {
    let fixture = Fixture::new();
    let mut large = unsigned(0, 1);
    (large.input, large.gas_limit) = (Bytes::from(vec![0; 1000]), 100_000);
    fixture.pool.add(sign(large, 1), Origin::Local, 0).unwrap();
    fixture.pool.add(transfer(2, 0, 1), Origin::Local, 0).unwrap();
    let small = GossipLimits { message_bytes_max: 500, ..limits() };
    let message = fixture.pool.take_outgoing(&small, 0).unwrap();
    assert_eq!(decode_gossip(&message, &small).unwrap(), [(transfer(2, 0, 1), Some(address(2)))]);
}

#[test]
fn what_stays_is_announced_again_ever_less_often() {
    let fixture = Fixture::new();
    fixture.pool.add(transfer(1, 0, 1), Origin::Local, 0).unwrap();
    assert_eq!(fixture.pool.rebroadcast(1_000_000), 0, "not announced at all yet");
    assert!(fixture.pool.take_outgoing(&limits(), 0).is_some());
    let mut at = Vec::new();
    for second in 0..10_000 {
        if fixture.pool.rebroadcast(second * 1000) == 1 {
            at.push(second);
            assert!(fixture.pool.take_outgoing(&limits(), second * 1000).is_some());
        }
    }
    assert_eq!(at, [5, 15, 35, 75, 155, 315, 635]);
}

#[test]
fn a_full_announcement_queue_leaves_it_to_the_rebroadcast() {
    let fixture = Fixture::with(PoolConfig { outgoing_max: 2, rebroadcast_max: 1, ..config() });
    for nonce in 0..4 {
        fixture.pool.add(transfer(1, nonce, 1), Origin::Local, 0).unwrap();
    }
    let message = fixture.pool.take_outgoing(&limits(), 0).unwrap();
    assert_eq!(decode_gossip(&message, &limits()).unwrap().len(), 2);
    assert_eq!(fixture.pool.rebroadcast(5000), 1);
    let message = fixture.pool.take_outgoing(&limits(), 5000).unwrap();
    assert_eq!(decode_gossip(&message, &limits()).unwrap(), [(transfer(1, 2, 1), Some(address(1)))]);
}

/// Adds `count` local transfers of `key`, announced at `now_ms`.
fn announce(fixture: &Fixture, key: u8, count: u64, now_ms: u64) {
    for nonce in 0..count {
        fixture.pool.add(transfer(key, nonce, 1), Origin::Local, now_ms).unwrap();
    }
    assert!(fixture.pool.take_outgoing(&limits(), now_ms).is_some());
}

#[test]
fn what_is_in_blocks_does_not_keep_the_rest_from_being_announced_again() {
    let fixture = Fixture::with(PoolConfig { rebroadcast_max: 2, ..config() });
    announce(&fixture, 1, 600, 0);
    announce(&fixture, 2, 3, 1);
    fixture.finalize(1, |account| account.nonce = 600);
    assert_eq!(fixture.pool.rebroadcast(5001), 2);
    let message = fixture.pool.take_outgoing(&limits(), 5001).unwrap();
    let sent = |nonce| (transfer(2, nonce, 1), Some(address(2)));
    assert_eq!(decode_gossip(&message, &limits()).unwrap(), [sent(0), sent(1)]);
    assert_eq!(fixture.pool.rebroadcast(5001), 1);
}

#[test]
fn a_rebroadcast_is_bounded_by_bytes() {
    let fixture = Fixture::with(PoolConfig { rebroadcast_bytes_max: 150, ..config() });
    announce(&fixture, 1, 3, 0);
    assert_eq!(fixture.pool.rebroadcast(5000), 2, "103 bytes each");
    assert_eq!(fixture.pool.rebroadcast(5000), 1);
}

#[test]
fn what_finds_the_schedule_full_is_counted() {
    let mut outgoing = Outgoing::new(&PoolConfig { transactions_max: 1, outgoing_max: 1, ..config() });
    verified(4).into_iter().for_each(|transaction| outgoing.push(transaction, 0));
    // One is queued, one scheduled.
    assert_eq!((outgoing.take_refused(), outgoing.take_refused()), (2, 0));
    assert!(outgoing.due(4999).is_none() && outgoing.due(5000).is_some() && outgoing.due(5000).is_none());
}

#[tokio::test]
async fn a_local_transaction_wakes_the_announcer() {
    let fixture = Fixture::new();
    fixture.pool.add(transfer(1, 0, 1), Origin::Local, 0).unwrap();
    fixture.pool.outgoing_ready().await;
    assert!(fixture.pool.take_outgoing(&limits(), 0).is_some());
}

proptest! {
    #[test]
    fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        // Random bytes hold no signed transaction.
        prop_assert!(decode_gossip(&bytes, &limits()).is_err());
    }

    #[test]
    fn a_damaged_message_decodes_to_another_or_not_at_all(at in 0_usize..378, value in any::<u8>()) {
        let mut message = encode_gossip(&verified(3));
        let old = std::mem::replace(&mut message[at], value);
        if let Ok(decoded) = decode_gossip(&message, &limits()) {
            let sent = |item: &VerifiedTransaction| (item.transaction().clone(), Some(item.sender()));
            let same = decoded == verified(3).iter().map(sent).collect::<Vec<_>>();
            prop_assert_eq!(same, old == value);
        }
    }
}
