//! Random operations on a small pool; after each, everything incremental equals a naive recomputation.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::OnceLock,
};

use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, B256, U256};
use dolmen_types::Transaction;
use parking_lot::Mutex;
use proptest::prelude::*;

use super::{Fixture, address, config, transfer, transfer_cost};
use crate::{
    AddError, Origin, Pool, PoolConfig, StateSource as _,
    inner::Inner,
    sender::{Changes, Entry, Sender},
};

const KEYS: std::ops::Range<u8> = 1..5;
const LIFETIME_MS: u64 = 50;

#[derive(Clone, Debug)]
enum Operation {
    Add {
        key: u8,
        nonce: u64,
        tip: u8,
    },
    AddBatch(Vec<(u8, u64, u8)>),
    /// A block used this many nonces and left a balance for about so many transfers.
    Finalize {
        key: u8,
        nonces: u64,
        transfers: u64,
    },
    Remove {
        key: u8,
        nonce: u64,
    },
    Wait(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || (KEYS, 0_u64..14, 0_u8..40);
    prop_oneof![
        12 => place().prop_map(|(key, nonce, tip)| Operation::Add { key, nonce, tip }),
        2 => proptest::collection::vec(place(), 1..6).prop_map(Operation::AddBatch),
        3 => (KEYS, 0_u64..4, 0_u64..12)
            .prop_map(|(key, nonces, transfers)| Operation::Finalize { key, nonces, transfers }),
        1 => (KEYS, 0_u64..14).prop_map(|(key, nonce)| Operation::Remove { key, nonce }),
        1 => (1_u64..40).prop_map(Operation::Wait),
    ]
}

/// Signing costs more than everything else here.
fn signed(key: u8, nonce: u64, tip: u8) -> Transaction {
    type Signed = HashMap<(u8, u64, u8), Transaction>;
    static SIGNED: OnceLock<Mutex<Signed>> = OnceLock::new();
    let mut signed = SIGNED.get_or_init(Mutex::default).lock();
    signed.entry((key, nonce, tip)).or_insert_with(|| transfer(key, nonce, tip.into())).clone()
}

/// A pool that is full by bytes after seven or eight transactions, a sender after five, its queue after two; or by count
/// after ten.
fn bounds(by_bytes: bool) -> PoolConfig {
    PoolConfig {
        transactions_max: 10,
        per_sender_max: 7,
        queued_per_sender_max: 3,
        future_nonce_gap_max: 6,
        lifetime_ms: LIFETIME_MS,
        tx_bytes_max: 120,
        total_bytes_max: if by_bytes { 800 } else { 5000 },
        per_sender_bytes_max: if by_bytes { 550 } else { 4000 },
        queued_per_sender_bytes_max: if by_bytes { 250 } else { 3000 },
        ..config()
    }
}

/// What is in the pool: hash by sender and nonce.
fn contents(pool: &Pool) -> BTreeMap<(Address, u64), B256> {
    let inner = pool.lock();
    inner.index.by_hash.iter().map(|(hash, place)| (*place, *hash)).collect()
}

fn check(pool: &Pool) {
    let inner = pool.lock();
    let entries = || {
        inner
            .senders
            .iter()
            .flat_map(|(address, sender)| sender.entries().values().map(move |entry| (*address, sender, &**entry)))
    };
    let by_hash: BTreeMap<_, _> =
        entries().map(|(address, _, entry)| (entry.transaction.hash(), (address, entry.transaction.nonce()))).collect();
    assert_eq!(inner.index.by_hash.iter().map(|(hash, place)| (*hash, *place)).collect::<BTreeMap<_, _>>(), by_hash);
    let bytes: usize = entries().map(|(_, _, entry)| entry.transaction.encoded_len()).sum();
    assert_eq!(inner.index.bytes, bytes);
    assert!(by_hash.len() <= inner.config.transactions_max && bytes <= inner.config.total_bytes_max);

    let runs: BTreeMap<Address, Vec<&Entry>> =
        inner.senders.iter().map(|(address, sender)| (*address, naive_run(sender))).collect();
    for (address, sender) in &inner.senders {
        check_sender(&inner, sender, &runs[address]);
    }
    let pending: usize = runs.values().map(Vec::len).sum();
    assert_eq!(inner.pending_len(), pending);
    let heads: BTreeSet<_> = runs.values().filter_map(|run| run.first()).map(|entry| key(entry)).collect();
    assert!(inner.index.heads.iter().map(|head| (head.tip, head.sequence)).eq(heads));
    let tails: BTreeSet<_> =
        inner.senders.values().map(|sender| sender.tail_key(sender.entries().last_key_value().unwrap().1)).collect();
    assert_eq!(inner.index.tails, tails);
    let queued: BTreeSet<_> = entries()
        .filter(|(_, sender, entry)| !sender.is_pending(entry.transaction.nonce()))
        .map(|(_, _, entry)| (entry.queued_ms, entry.sequence))
        .collect();
    assert!(inner.index.queued.iter().map(|queued| (queued.since_ms, queued.sequence)).eq(queued));

    let expected = naive_order(runs);
    drop(inner);
    let best: Vec<_> = pool.best().map(|transaction| transaction.hash()).collect();
    assert_eq!(best, expected);
}

/// The longest affordable run, from scratch.
fn naive_run(sender: &Sender) -> Vec<&Entry> {
    let (mut nonce, mut cost, mut run) = (sender.account().nonce, U256::ZERO, Vec::new());
    while let Some(entry) = sender.entries().get(&nonce) {
        cost += entry.cost;
        if cost > sender.account().balance {
            break;
        }
        run.push(&**entry);
        nonce += 1;
    }
    run
}

fn check_sender(inner: &Inner, sender: &Sender, run: &[&Entry]) {
    let account = sender.account();
    assert!(!sender.entries().is_empty());
    assert!(*sender.entries().first_key_value().unwrap().0 >= account.nonce, "no used nonce");
    assert_eq!(sender.pending_end(), account.nonce + run.len() as u64);
    assert_eq!(sender.pending_cost(), run.iter().map(|entry| entry.cost).sum::<U256>());
    assert_eq!(sender.queued_len(), sender.entries().len() - run.len());
    assert!(sender.queued_len() <= inner.config.queued_per_sender_max);
    assert!(sender.entries().len() <= inner.config.per_sender_max);
    let all = bytes(sender.entries().values().map(|entry| &**entry));
    assert_eq!((sender.bytes(), sender.queued_bytes()), (all, all - bytes(run.iter().copied())));
    assert!(all <= inner.config.per_sender_bytes_max);
    assert!(sender.queued_bytes() <= inner.config.queued_per_sender_bytes_max);
}

fn bytes<'a>(entries: impl Iterator<Item = &'a Entry>) -> usize {
    entries.map(|entry| entry.transaction.encoded_len()).sum()
}

fn key(entry: &Entry) -> (Reverse<u128>, u64) {
    (Reverse(entry.tip), entry.sequence)
}

/// Takes the best first transaction of all runs again and again.
fn naive_order(mut runs: BTreeMap<Address, Vec<&Entry>>) -> Vec<B256> {
    let mut order = Vec::new();
    while let Some(run) = runs.values_mut().filter(|run| !run.is_empty()).min_by_key(|run| key(run[0])) {
        order.push(run.remove(0).transaction.hash());
    }
    order
}

/// A start beyond the account's nonce yields consecutive nonces from there, and the other senders as before.
fn check_best_after(fixture: &Fixture, moved: u8, by: u64) {
    let pool = &fixture.pool;
    let start = fixture.state.account(&address(moved)).nonce + by;
    let used = HashMap::from([(address(moved), start)]);
    let after: Vec<_> = pool.best_after(&used).collect();
    let of_moved: Vec<_> = after.iter().filter(|item| item.sender() == address(moved)).collect();
    for (index, transaction) in of_moved.iter().enumerate() {
        assert_eq!(transaction.nonce(), start + index as u64);
    }
    let content = pool.content(&address(moved));
    let pending_end = pool.pending_nonce(&address(moved));
    let held: BTreeSet<_> =
        content.pending.iter().chain(&content.queued).map(crate::VerifiedTransaction::nonce).collect();
    let expected = if start <= pending_end {
        pending_end - start
    } else {
        (start..).take_while(|nonce| held.contains(nonce)).count() as u64
    };
    assert_eq!(of_moved.len() as u64, expected);
    let others = |list: &[crate::VerifiedTransaction]| -> Vec<B256> {
        list.iter().filter(|item| item.sender() != address(moved)).map(crate::VerifiedTransaction::hash).collect()
    };
    assert_eq!(others(&after), others(&pool.best().collect::<Vec<_>>()));
}

/// Adds one transaction and checks what the result says against what happened.
fn add(fixture: &Fixture, transaction: &Transaction, now_ms: u64) {
    let before = contents(&fixture.pool);
    let (bytes_before, bounds) = (fixture.pool.status().bytes, fixture.pool.config());
    let result = fixture.pool.add(transaction.clone(), Origin::Local, now_ms);
    let mut after = contents(&fixture.pool);
    let hash = *transaction.tx_hash();
    match result {
        Err(AddError::AlreadyKnown) => assert!(before.values().any(|known| *known == hash)),
        Err(_) => assert!(!after.values().any(|known| *known == hash)),
        Ok(added) => {
            assert_eq!(added.hash, hash);
            let place = *after.iter().find(|(_, present)| **present == hash).unwrap().0;
            assert_eq!(added.replaced, before.get(&place).copied());
            after.remove(&place);
            let kept = before.len() - usize::from(added.replaced.is_some());
            if after.len() < kept {
                let bytes = bytes_before + transaction.encode_2718_len();
                assert!(kept + 1 > bounds.transactions_max || bytes > bounds.total_bytes_max, "evicted without need");
            }
        }
    }
    // Nothing else came, and where the addition failed nothing went.
    assert!(after.iter().all(|(place, hash)| before.get(place) == Some(hash)));
    if result.is_err() {
        assert_eq!(before, after);
    }
}

fn apply(fixture: &Fixture, operation: Operation, now_ms: &mut u64) {
    match operation {
        Operation::Add { key, nonce, tip } => add(fixture, &signed(key, nonce, tip), *now_ms),
        Operation::AddBatch(places) => {
            let batch: Vec<_> =
                places.iter().map(|(key, nonce, tip)| (signed(*key, *nonce, *tip), Some(address(*key)))).collect();
            assert_eq!(fixture.pool.add_batch(batch, Origin::Peer, *now_ms).len(), places.len());
        }
        Operation::Finalize { key, nonces, transfers } => {
            fixture.set(key, |account| {
                account.nonce += nonces;
                account.balance = transfer_cost(20) * U256::from(transfers);
            });
            fixture.pool.finalized(&[], [address(key)], *now_ms);
        }
        Operation::Remove { key, nonce } => {
            if let Some(hash) = contents(&fixture.pool).get(&(address(key), nonce)) {
                let mut changes = Changes::default();
                assert!(fixture.pool.lock().remove(address(key), nonce, *now_ms, &mut changes).is_some());
                assert!(!fixture.pool.contains(hash));
            }
        }
        Operation::Wait(ms) => {
            *now_ms += ms;
            fixture.pool.expire(*now_ms);
            let inner = fixture.pool.lock();
            assert!(inner.index.queued.iter().all(|key| key.since_ms + LIFETIME_MS > *now_ms));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_operations(
        by_bytes in any::<bool>(),
        operations in proptest::collection::vec((operation(), KEYS, 0_u64..5), 1..80),
    ) {
        let fixture = Fixture::with(bounds(by_bytes));
        let mut now_ms = 0;
        for (operation, moved, by) in operations {
            apply(&fixture, operation, &mut now_ms);
            check(&fixture.pool);
            check_best_after(&fixture, moved, by);
        }
    }
}
