//! The order in which a block takes transactions.

use std::collections::HashMap;

use alloy_primitives::U256;

use super::{BASE_FEE, Fixture, address, places, sign, transfer, unsigned};

#[test]
fn by_tip_then_arrival_and_within_a_sender_by_nonce() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 5), (2, 0, 9), (3, 0, 5), (1, 1, 20), (2, 1, 1), (3, 2, 99)]);
    assert_eq!(places(fixture.pool.best()), [(2, 0), (1, 0), (1, 1), (3, 0), (2, 1)]);
}

#[test]
fn the_effective_tip_counts() {
    let fixture = Fixture::new();
    // Tip cap 50, but the fee cap leaves 3 above the base fee.
    let mut capped = unsigned(0, 50);
    capped.max_fee_per_gas = u128::from(BASE_FEE) + 3;
    let mut generous = unsigned(0, 4);
    generous.max_fee_per_gas = u128::from(BASE_FEE) + 500;
    fixture.add(&sign(capped, 1)).unwrap();
    fixture.add(&sign(generous, 2)).unwrap();
    fixture.add(&transfer(3, 0, 10)).unwrap();
    assert_eq!(places(fixture.pool.best()), [(3, 0), (2, 0), (1, 0)]);
}

#[test]
fn a_skipped_sender_yields_nothing_more() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 9), (1, 1, 9), (1, 2, 9), (2, 0, 5), (3, 0, 4)]);
    let mut best = fixture.pool.best();
    assert_eq!(places(best.next()), [(1, 0)]);
    best.skip_sender(address(1));
    // Not started yet.
    best.skip_sender(address(3));
    assert_eq!(places(best), [(2, 0)]);
}

#[test]
fn unfinalized_blocks_move_the_start() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 9), (1, 1, 2), (1, 2, 1), (2, 0, 5), (3, 4, 7), (3, 5, 1), (4, 0, 1)]);
    let used = HashMap::from([(address(1), 1), (address(3), 4), (address(4), 1), (address(8), 3)]);
    // Sender 3's gap is closed by blocks that are not final yet; sender 4 has nothing left.
    assert_eq!(places(fixture.pool.best_after(&used)), [(3, 4), (2, 0), (1, 1), (1, 2), (3, 5)]);
    let mut best = fixture.pool.best_after(&used);
    best.skip_sender(address(3));
    assert_eq!(places(best), [(2, 0), (1, 1), (1, 2)]);
    // A nonce that was finalized meanwhile does not lead back.
    fixture.finalize(1, |account| account.nonce = 2);
    assert_eq!(places(fixture.pool.best_after(&used)), [(3, 4), (2, 0), (1, 2), (3, 5)]);
}

#[test]
fn what_the_balance_does_not_reach_is_left_out() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 1), (1, 1, 1)]);
    fixture.finalize(1, |account| account.balance = U256::ZERO);
    let used = HashMap::from([(address(1), 0)]);
    assert_eq!(fixture.pool.best_after(&used).count(), 0);
}

#[test]
fn the_pool_may_change_while_a_block_is_built() {
    let fixture = Fixture::new();
    fixture.add_all(&[(1, 0, 9), (1, 1, 9), (2, 0, 5), (3, 0, 4), (4, 0, 3)]);
    let mut best = fixture.pool.best();
    assert_eq!(places(best.next()), [(1, 0)]);
    // Sender 1's second is now its first, and ranks after what was taken: still it comes once.
    fixture.finalize(1, |account| account.nonce = 1);
    fixture.finalize(2, |account| account.nonce = 1);
    fixture.add_all(&[(5, 0, 2)]);
    assert_eq!(places(best), [(1, 1), (3, 0), (4, 0), (5, 0)]);
}

#[test]
fn taking_a_few_leaves_the_rest_in_order() {
    let fixture = Fixture::new();
    let batch: Vec<_> = (1..10).flat_map(|key| (0..300).map(move |nonce| (transfer(key, nonce, 1), None))).collect();
    let results = fixture.pool.add_batch(batch, crate::Origin::Peer, 0);
    assert!(results.iter().all(Result::is_ok));
    let mut best = fixture.pool.best();
    let taken: Vec<_> = best.by_ref().take(5).collect();
    assert_eq!(places(taken), [(1, 0), (1, 1), (1, 2), (1, 3), (1, 4)]);
    assert_eq!(best.count(), 2695);
}
