//! A full pool.

use alloy_primitives::Bytes;
use dolmen_types::Transaction;

use super::{Fixture, address, config, places, sign, transfer, unsigned};
use crate::{AddError, Placement, PoolConfig};

fn full(transactions_max: usize) -> Fixture {
    Fixture::with(PoolConfig { transactions_max, per_sender_max: 8, queued_per_sender_max: 4, ..config() })
}

#[test]
fn only_a_better_newcomer_pushes_out_the_worst_last_one() {
    let fixture = full(4);
    // Sender 1's first pays least, but it is not its last.
    fixture.add_all(&[(1, 0, 1), (1, 1, 9), (2, 0, 3), (3, 0, 5)]);
    assert_eq!(fixture.add(&transfer(4, 0, 3)).unwrap_err().to_string(), "txpool is full");
    assert_eq!(fixture.counts(), (4, 0));
    fixture.add_all(&[(4, 0, 4)]);
    assert_eq!(places(fixture.pool.best()), [(3, 0), (4, 0), (1, 0), (1, 1)]);
    fixture.add_all(&[(5, 0, 10), (6, 0, 10), (7, 0, 10)]);
    // 4 and 3 went, then sender 1's last, which leaves its first.
    assert_eq!(places(fixture.pool.best()), [(5, 0), (6, 0), (7, 0), (1, 0)]);
}

#[test]
fn queued_ones_go_first_whatever_they_pay() {
    let fixture = full(3);
    fixture.add_all(&[(1, 0, 1), (2, 3, 900), (2, 4, 800)]);
    // A queued newcomer must pay more than the worst queued one, and never pushes out a pending one.
    assert_eq!(fixture.add(&transfer(3, 1, 800)), Err(AddError::PoolFull));
    assert_eq!(fixture.add(&transfer(3, 1, 801)).unwrap().placement, Placement::Queued);
    fixture.add_all(&[(4, 0, 0), (5, 0, 0)]);
    assert_eq!(fixture.counts(), (3, 0));
    assert_eq!(fixture.add(&transfer(3, 1, 5000)), Err(AddError::PoolFull));
}

#[test]
fn a_sender_does_not_push_out_its_own() {
    let fixture = full(3);
    fixture.add_all(&[(1, 0, 1), (1, 1, 1), (1, 2, 1)]);
    assert_eq!(fixture.add(&transfer(1, 3, 50)), Err(AddError::PoolFull));
    // A replacement needs no room.
    fixture.add_all(&[(1, 0, 200)]);
    assert_eq!(fixture.pool.pending_nonce(&address(1)), 3);
}

fn large(key: u8, nonce: u64, tip: u128, bytes: usize) -> Transaction {
    let mut unsigned = unsigned(nonce, tip);
    unsigned.input = Bytes::from(vec![1; bytes]);
    unsigned.gas_limit = 200_000;
    sign(unsigned, key)
}

#[test]
fn bytes_are_bounded_too() {
    let bounds = PoolConfig { tx_bytes_max: 2500, total_bytes_max: 5000, ..config() };
    let fixture = Fixture::with(bounds);
    for key in 1..5 {
        fixture.add(&large(key, 0, u128::from(key), 1000)).unwrap();
    }
    assert_eq!(fixture.add(&large(5, 0, 2, 2000)), Err(AddError::PoolFull), "1 would go, but 2 is not worth less");
    assert_eq!(fixture.counts(), (4, 0));
    fixture.add(&large(5, 0, 3, 2000)).unwrap();
    assert_eq!(places(fixture.pool.best()), [(4, 0), (3, 0), (5, 0)]);
    // A replacement that grows needs room as well.
    fixture.add(&large(4, 0, 400, 2000)).unwrap();
    assert_eq!(places(fixture.pool.best()), [(4, 0), (3, 0)], "of 3 and 5, which pay the same, the later one goes");
    assert!(fixture.pool.status().bytes <= 5000);
}

#[test]
fn one_newcomer_pushes_out_a_few_at_most() {
    let bounds = PoolConfig { tx_bytes_max: 3500, total_bytes_max: 3600, ..config() };
    let fixture = Fixture::with(bounds);
    let len = alloy_eips::eip2718::Encodable2718::encode_2718_len(&transfer(1, 1, 1));
    let count = u64::try_from(3600 / len).unwrap();
    for nonce in 0..count {
        fixture.add_all(&[(1, nonce, 1)]);
    }
    let held = fixture.counts();
    assert_eq!(fixture.add(&large(2, 0, 50, 3000)), Err(AddError::PoolFull));
    assert_eq!(fixture.counts(), held);
    fixture.add(&large(2, 0, 50, 1000)).unwrap();
}
