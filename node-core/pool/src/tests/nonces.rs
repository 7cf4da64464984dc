//! Pending and queued, replacement, and what finalization and time do to them.

use alloy_primitives::U256;

use super::{Fixture, address, config, places, transfer, transfer_cost};
use crate::{AddError, Origin, Placement, PoolConfig, SenderContent, sender::Changes};

fn placed(content: SenderContent) -> (Vec<u64>, Vec<u64>) {
    let nonces = |list: Vec<(u8, u64)>| list.into_iter().map(|(_, nonce)| nonce).collect();
    (nonces(places(content.pending)), nonces(places(content.queued)))
}

fn content(fixture: &Fixture, key: u8) -> (Vec<u64>, Vec<u64>) {
    placed(fixture.pool.content(&address(key)))
}

#[test]
fn a_gap_queues_until_it_closes() {
    let fixture = Fixture::new();
    fixture.set(1, |account| account.nonce = 3);
    assert_eq!(fixture.pool.pending_nonce(&address(1)), 3);
    fixture.add_all(&[(1, 3, 1), (1, 5, 1), (1, 6, 1), (1, 8, 1)]);
    assert_eq!(content(&fixture, 1), (vec![3], vec![5, 6, 8]));
    assert_eq!(fixture.pool.pending_nonce(&address(1)), 4);
    fixture.add_all(&[(1, 4, 1)]);
    assert_eq!(content(&fixture, 1), (vec![3, 4, 5, 6], vec![8]));
    assert_eq!(fixture.pool.pending_nonce(&address(1)), 7);
    assert_eq!(fixture.pool.senders(), [address(1)]);
    assert_eq!(content(&fixture, 2), (vec![], vec![]));
}

#[test]
fn a_replacement_pays_ten_percent_more_on_both_caps() {
    let fixture = Fixture::new();
    let old = transfer(1, 0, 100);
    fixture.add(&old).unwrap();
    let caps = |fee, tip| {
        let mut unsigned = super::unsigned(0, tip);
        unsigned.max_fee_per_gas = fee;
        super::sign(unsigned, 1)
    };
    for (fee, tip) in [(219, 110), (220, 109), (220, 100), (200, 110), (100, 10)] {
        let error = fixture.add(&caps(fee, tip)).unwrap_err();
        assert_eq!(error.to_string(), "replacement transaction underpriced", "fee {fee} tip {tip}");
    }
    let new = caps(220, 110);
    let added = fixture.add(&new).unwrap();
    assert_eq!((added.placement, added.replaced), (Placement::Pending, Some(*old.tx_hash())));
    assert!(!fixture.pool.contains(old.tx_hash()));
    assert_eq!(fixture.pool.get(new.tx_hash()).unwrap().hash(), *new.tx_hash());
    assert_eq!(fixture.counts(), (1, 0));
    assert_eq!(fixture.pool.status().bytes, alloy_eips::eip2718::Encodable2718::encode_2718_len(&new));
}

#[test]
fn a_replacement_of_nothing_must_still_pay_more() {
    let fixture = Fixture::with(PoolConfig { base_fee_per_gas: 0, ..config() });
    let caps = |fee| {
        let mut unsigned = super::unsigned(0, fee);
        unsigned.max_fee_per_gas = fee;
        super::sign(unsigned, 1)
    };
    fixture.add(&caps(0)).unwrap();
    let mut same = super::unsigned(0, 0);
    (same.max_fee_per_gas, same.value) = (0, U256::ONE);
    assert_eq!(fixture.add(&super::sign(same, 1)), Err(AddError::ReplacementUnderpriced));
    assert!(fixture.add(&caps(1)).unwrap().replaced.is_some());
}

#[test]
fn a_queued_transaction_can_be_replaced() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 2, 100)]);
    let added = fixture.add(&transfer(1, 2, 200)).unwrap();
    assert_eq!(added.placement, Placement::Queued);
    assert!(added.replaced.is_some());
    assert_eq!(fixture.counts(), (0, 1));
}

#[test]
fn a_sender_has_its_limits() {
    let fixture = Fixture::with(PoolConfig { per_sender_max: 4, queued_per_sender_max: 2, ..config() });
    fixture.add_all(&[(1, 2, 1), (1, 3, 1)]);
    let error = fixture.add(&transfer(1, 4, 1)).unwrap_err();
    assert_eq!(error.to_string(), "account limit exceeded: pooled 2 txs");
    // What closes the gap has room.
    fixture.add_all(&[(1, 0, 1), (1, 1, 1)]);
    assert_eq!(content(&fixture, 1), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(fixture.add(&transfer(1, 4, 1)), Err(AddError::AccountLimitExceeded { pooled: 4 }));
}

#[test]
fn finalization_drops_what_was_used_and_promotes_the_rest() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1), (1, 1, 1), (1, 2, 1), (1, 5, 1), (2, 0, 1)]);
    let block: Vec<_> = fixture.pool.content(&address(1)).pending;
    fixture.set(1, |account| account.nonce = 2);
    // The sender stands in the block, so it need not be named again.
    fixture.pool.finalized(&block[..2], [], 0);
    assert_eq!(content(&fixture, 1), (vec![2], vec![5]));
    // A block with transactions that this pool never saw closes the gap.
    fixture.finalize(1, |account| account.nonce = 5);
    assert_eq!(content(&fixture, 1), (vec![5], vec![]));
    fixture.finalize(1, |account| account.nonce = 9);
    assert_eq!(fixture.counts(), (1, 0));
    assert_eq!(fixture.pool.senders(), [address(2)]);
}

#[test]
fn a_balance_that_falls_demotes_and_one_that_rises_promotes() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 0), (1, 1, 0), (1, 2, 0)]);
    fixture.finalize(1, |account| account.balance = transfer_cost(0) * U256::from(2));
    assert_eq!(content(&fixture, 1), (vec![0, 1], vec![2]));
    fixture.finalize(1, |account| account.balance = U256::ZERO);
    assert_eq!(content(&fixture, 1), (vec![], vec![0, 1, 2]));
    assert_eq!(fixture.pool.best().count(), 0);
    fixture.finalize(1, |account| account.balance = transfer_cost(0) * U256::from(3));
    assert_eq!(content(&fixture, 1), (vec![0, 1, 2], vec![]));
}

#[test]
fn what_is_demoted_beyond_the_queue_is_dropped() {
    let fixture = Fixture::with(PoolConfig { queued_per_sender_max: 2, ..config() });
    fixture.add_all(&[(1, 0, 0), (1, 1, 0), (1, 2, 0), (1, 3, 0)]);
    fixture.finalize(1, |account| account.balance = U256::ZERO);
    assert_eq!(content(&fixture, 1), (vec![], vec![0, 1]));
}

#[test]
fn an_account_that_got_code_loses_its_transactions() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1), (1, 1, 1), (1, 5, 1), (2, 0, 1)]);
    fixture.finalize(1, |account| account.has_code = true);
    assert_eq!(fixture.pool.senders(), [address(2)]);
    assert_eq!(fixture.counts(), (1, 0));
}

#[test]
fn removing_one_queues_the_later_ones() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1), (1, 1, 1), (1, 2, 1)]);
    let remove = || fixture.pool.lock().remove(address(1), 1, 0, &mut Changes::default());
    assert_eq!(remove().unwrap().hash(), *transfer(1, 1, 1).tx_hash());
    assert_eq!(remove(), None);
    assert_eq!(content(&fixture, 1), (vec![0], vec![2]));
    fixture.add_all(&[(1, 1, 1)]);
    assert_eq!(content(&fixture, 1), (vec![0, 1, 2], vec![]));
}

#[test]
fn only_queued_transactions_expire() {
    let fixture = Fixture::new();
    let lifetime_ms = fixture.pool.config().lifetime_ms;
    let add = |key, nonce, now_ms| fixture.pool.add(transfer(key, nonce, 1), Origin::Peer, now_ms).unwrap();
    add(1, 0, 0);
    add(1, 2, 0);
    add(2, 3, 10);
    assert_eq!(fixture.pool.expire(lifetime_ms - 1), 0);
    assert_eq!(fixture.pool.expire(lifetime_ms), 1);
    assert_eq!(content(&fixture, 1), (vec![0], vec![]));
    assert_eq!(fixture.counts(), (1, 1));
    // What is demoted is queued from then on.
    fixture.set(1, |account| account.balance = U256::ZERO);
    fixture.pool.finalized(&[], [address(1)], lifetime_ms);
    assert_eq!(fixture.pool.expire(lifetime_ms + 10), 1);
    assert_eq!(fixture.counts(), (0, 1));
    assert_eq!(fixture.pool.expire(2 * lifetime_ms), 1);
    assert_eq!(fixture.counts(), (0, 0));
}

#[tokio::test]
async fn the_proposer_and_subscribers_hear_of_it() {
    let fixture = Fixture::new();
    let (mut activity, mut hashes) = (fixture.pool.activity(), fixture.pool.subscribe());
    fixture.add_all(&[(1, 1, 1)]);
    activity.changed().await.unwrap();
    activity.mark_unchanged();
    fixture.add_all(&[(1, 0, 1)]);
    assert!(activity.has_changed().unwrap());
    let batch = hashes.recv().await.unwrap();
    assert_eq!(
        batch[..],
        [*transfer(1, 0, 1).tx_hash(), *transfer(1, 1, 1).tx_hash()],
        "the queued one alone is silent"
    );
    let new = transfer(1, 0, 200);
    fixture.add(&new).unwrap();
    assert_eq!(hashes.recv().await.unwrap()[..], [*new.tx_hash()]);
    fixture.finalize(1, |account| account.nonce = 2);
    drop(fixture);
    assert!(hashes.recv().await.is_none());
}
