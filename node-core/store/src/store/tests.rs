mod crash;
mod format;
mod model;
mod pruned;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Bytes, Log, LogData, Signature};
use dolmen_types::{
    PublicKey, Transaction, Validator,
    block::{BlockRules, Proposal, next_header},
    genesis::{GenesisAccount, GenesisFile},
};

use super::*;
use crate::{LogFilter, LogLimit, LogLimits, LogPage, StateReader as _, history::UndoLimits};

const ALICE: Address = Address::repeat_byte(0xa1);
const TOKEN: Address = Address::repeat_byte(0x70);

fn genesis(chain_id: u64) -> Genesis {
    let validator = Validator {
        name: "a".into(),
        public_key: PublicKey([1; 32]),
        fee_recipient: Address::repeat_byte(0xfe),
        organisation: None,
        endpoint: None,
    };
    let token = GenesisAccount {
        nonce: 1,
        code: Bytes::from_static(&[0x60, 0x00]),
        storage: [(B256::with_last_byte(1), B256::with_last_byte(9))].into(),
        ..Default::default()
    };
    let alice = GenesisAccount { balance: U256::from(1000), ..Default::default() };
    GenesisFile {
        chain_id,
        timestamp_ms: 1_790_000_000_000,
        gas_limit: 30_000_000,
        base_fee_per_gas: 1,
        block_interval_min_ms: 1,
        block_interval_max_ms: 10,
        block_bytes_max: 1 << 20,
        validators: vec![validator],
        governance: Default::default(),
        accounts: [(ALICE, alice), (TOKEN, token)].into(),
    }
    .try_into()
    .unwrap()
}

fn open(path: &Path, depth: u64) -> Arc<Store> {
    Arc::new(Store::open(path, &Origin::of_accounts(&genesis(1)), Options::history(depth.try_into().unwrap())).unwrap())
}

/// A block after the head in which Alice has `balance` and the token's slot 1 holds `slot`, with one log.
fn next(store: &Store, balance: u64, slot: u64) -> Executed {
    let head = store.head();
    let before = head.state.account(&ALICE).unwrap();
    let after = before.map(|account| Account { balance: U256::from(balance), nonce: account.nonce + 1, ..account });
    let token = head.state.account(&TOKEN).unwrap();
    let change = SlotChange {
        slot: U256::from(1),
        before: head.state.storage(&TOKEN, &U256::from(1)).unwrap(),
        after: U256::from(slot),
    };
    let code = Bytes::from(balance.to_be_bytes().to_vec());
    let diff = StateDiff {
        accounts: vec![
            AccountChange { address: ALICE, before, after, slots: vec![] },
            AccountChange { address: TOKEN, before: token, after: token, slots: vec![change] },
        ],
        codes: vec![(keccak256(&code), code)],
    };
    let log = Log { address: TOKEN, data: LogData::new_unchecked(vec![B256::from(U256::from(slot))], Bytes::new()) };
    executed(store, diff, vec![log])
}

/// A block after the head that changes `diff`, with one transaction, whose receipt has `logs`.
fn executed(store: &Store, diff: StateDiff, logs: Vec<Log>) -> Executed {
    let head = store.head();
    let number = head.block.number() + 1;
    let state = head.state.apply(&diff, number);
    let signature = Signature::new(U256::from(1), U256::from(2), false);
    let transaction = Transaction::from(TxLegacy { nonce: number, ..Default::default() }.into_signed(signature));
    let receipts = vec![receipt::receipt(&transaction, true, 21_000, logs)];
    let proposal = Proposal { timestamp_ms: head.block.timestamp_ms().unwrap() + 1, beneficiary: Address::ZERO };
    let mut header = next_header(head.block.header(), head.block.hash(), proposal, BlockRules::of(head.block.header()));
    header.state_root = state.root();
    header.receipts_root = receipt::root(&receipts);
    header.logs_bloom = receipt::bloom(&receipts);
    Executed { block: Arc::new(Block::seal(header, vec![transaction])), receipts, diff, state, record: None }
}

/// The root as alloy-trie computes it from the flat values.
fn independent_root(balance: u64, nonce: u64, slot: u64) -> B256 {
    let storage_root = |slot: u64| {
        alloy_trie::root::storage_root_unhashed((slot != 0).then(|| (B256::with_last_byte(1), U256::from(slot))))
    };
    let token = alloy_trie::TrieAccount {
        nonce: 1,
        balance: U256::ZERO,
        storage_root: storage_root(slot),
        code_hash: keccak256([0x60, 0x00]),
    };
    let alice = alloy_trie::TrieAccount {
        nonce,
        balance: U256::from(balance),
        storage_root: alloy_trie::EMPTY_ROOT_HASH,
        code_hash: alloy_primitives::KECCAK256_EMPTY,
    };
    alloy_trie::root::state_root_unhashed([(ALICE, alice), (TOKEN, token)])
}

#[test]
fn the_root_is_ethereums() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 10);
    assert_eq!(store.head().state.root(), independent_root(1000, 0, 9));
    store.commit(&next(&store, 5, 0), None).unwrap();
    assert_eq!(store.head().state.root(), independent_root(5, 1, 0));
}

#[test]
fn a_reopened_store_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (root, hash) = {
        let store = open(dir.path(), 10);
        for height in 1..=5 {
            store.commit(&next(&store, 100 + height, height), None).unwrap();
        }
        (store.head().state.root(), store.head().block.hash())
    };
    let store = open(dir.path(), 10);
    assert_eq!((store.head().state.root(), store.head().block.hash()), (root, hash));
    assert_eq!(store.number_of(&hash).unwrap(), Some(5));
    assert_eq!(store.hash_of(5).unwrap(), Some(hash));
    assert_eq!(store.block(5).unwrap().unwrap(), *store.head().block);
    assert_eq!(store.block(6).unwrap(), None);
    let code = Bytes::from(103_u64.to_be_bytes().to_vec());
    assert_eq!(store.head().state.code(&keccak256(&code)).unwrap(), Some(code));
}

#[test]
fn a_block_is_certified_by_the_first_certificate_from_it_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 8);
    let certificate = |block: &Block| Certificate {
        epoch: 0,
        view: block.number(),
        parent_view: block.number() - 1,
        block: block.hash(),
        signatures: vec![],
    };
    for number in 1..=6 {
        let executed = next(&store, number, number);
        let certificate = certificate(&executed.block);
        store.commit(&executed, number.is_multiple_of(3).then_some(&certificate)).unwrap();
    }
    let found = |number| store.certificate_from(number).unwrap().map(|(height, found)| (height, found.view));
    assert_eq!([0, 1, 3, 4, 6].map(found), [3, 3, 3, 6, 6].map(|height| Some((height, height))));
    assert_eq!(found(7), None);
    assert_eq!(store.certificate(3).unwrap().map(|found| found.view), Some(3));
    assert_eq!(store.certificate(4).unwrap(), None);
}

#[test]
fn earlier_states_are_read_and_proven() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=8 {
        // Slot 1 is removed by every third block and comes back.
        store.commit(&next(&store, 100 + height, if height % 3 == 0 { 0 } else { height }), None).unwrap();
    }
    for height in 1..=8 {
        let state = store.state_at(height).unwrap();
        assert_eq!(state.account(&ALICE).unwrap().unwrap().balance, U256::from(100 + height));
        let slot = if height % 3 == 0 { 0 } else { height };
        assert_eq!(state.storage(&TOKEN, &U256::from(1)).unwrap(), U256::from(slot));
        assert_eq!(store.trie_at(height).unwrap().root(), store.header(height).unwrap().unwrap().state_root);
    }
    assert_eq!(store.trie_at(0).unwrap().root(), independent_root(1000, 0, 9));
    assert!(matches!(store.state_at(9), Err(StoreError::UnknownBlock { number: 9, head: 8 })));
}

#[test]
fn history_is_pruned_at_its_depth() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 3);
    let old = {
        for height in 1..=4 {
            store.commit(&next(&store, height, height), None).unwrap();
        }
        store.state_at(2).unwrap()
    };
    for height in 5..=10 {
        store.commit(&next(&store, height, height), None).unwrap();
    }
    assert_eq!(store.history_floor(), 7);
    assert!(matches!(store.state_at(6), Err(StoreError::Pruned { number: 6, floor: 7 })));
    assert_eq!(store.state_at(7).unwrap().account(&ALICE).unwrap().unwrap().balance, U256::from(7));
    // A reader that was there before notices that its values are gone.
    assert!(matches!(old.account(&ALICE), Err(StoreError::Pruned { .. })));
}

#[test]
fn only_the_next_block_is_committed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 10);
    let first = next(&store, 1, 1);
    store.commit(&first, None).unwrap();
    assert!(matches!(store.commit(&first, None), Err(StoreError::NotNext { number: 1, head: 1, .. })));
}

#[test]
fn another_chain_another_format_and_a_damaged_state_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 10));
    let options = Options::history(10.try_into().unwrap());
    assert!(matches!(
        Store::open(dir.path(), &Origin::of_accounts(&genesis(2)), options),
        Err(StoreError::OtherChain { .. })
    ));
    let db = Db::open(dir.path()).unwrap();
    assert!(matches!(Store::open(dir.path(), &Origin::of_accounts(&genesis(1)), options), Err(StoreError::Locked(_))));
    let mut batch = db.batch();
    batch.delete(cf::ACCOUNTS, keccak256(ALICE).as_slice());
    batch.commit().unwrap();
    drop(db);
    assert!(matches!(
        Store::open(dir.path(), &Origin::of_accounts(&genesis(1)), options),
        Err(StoreError::StateRoot { height: 0, .. })
    ));
    let db = Db::open(dir.path()).unwrap();
    let mut batch = db.batch();
    batch.put(cf::META, meta::VERSION, &99_u32.to_be_bytes());
    batch.commit().unwrap();
    drop(db);
    assert!(matches!(
        Store::open(dir.path(), &Origin::of_accounts(&genesis(1)), options),
        Err(StoreError::Version { found: 99, .. })
    ));
}

#[test]
fn a_block_shows_once_it_is_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 10);
    let next = next(&store, 1, 1);
    let (hash, transaction) = (next.block.hash(), *next.block.transactions()[0].hash());
    let shown = || {
        [
            store.header(1).unwrap().is_some(),
            store.hash_of(1).unwrap().is_some(),
            store.block(1).unwrap().is_some(),
            store.receipts(1).unwrap().is_some(),
            store.number_of(&hash).unwrap().is_some(),
            store.transaction(&transaction).unwrap().is_some(),
            !store.logs(&LogFilter::default(), 0, 9, &limits(AMPLE, AMPLE, AMPLE)).unwrap().logs.is_empty(),
        ]
    };
    // What a commit has written before the block becomes the head.
    let mut batch = store.db.batch();
    write_block(&mut batch, &next.block, &next.receipts);
    batch.commit().unwrap();
    assert_eq!(shown(), [false; 7]);
    store.commit(&next, None).unwrap();
    assert_eq!(shown(), [true; 7]);
}

#[test]
fn a_removed_account_leaves_no_slots() {
    let dir = tempfile::tempdir().unwrap();
    let root = {
        let store = open(dir.path(), 10);
        store.commit(&next(&store, 1, 5), None).unwrap();
        let before = store.head().state.account(&TOKEN).unwrap();
        // Its slot is not listed, and one that never was is.
        let never = SlotChange { slot: U256::from(2), before: U256::ZERO, after: U256::from(3) };
        let removed = AccountChange { address: TOKEN, before, after: None, slots: vec![never] };
        store.commit(&executed(&store, StateDiff { accounts: vec![removed], codes: vec![] }, vec![]), None).unwrap();
        store.head().state.root()
    };
    let store = open(dir.path(), 10);
    assert_eq!(store.head().state.root(), root);
    let slot = |number, slot: u64| store.state_at(number).unwrap().storage(&TOKEN, &U256::from(slot)).unwrap();
    assert_eq!([slot(0, 1), slot(1, 1), slot(2, 1), slot(2, 2)], [9_u64, 5, 0, 0].map(U256::from));
    assert_eq!(store.trie_at(1).unwrap().root(), store.header(1).unwrap().unwrap().state_root);
}

#[test]
fn proofs_undo_a_bounded_number_of_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=8 {
        // The same account and the same slot each time.
        store.commit(&next(&store, height, height), None).unwrap();
    }
    let undo = |number, keys_max, listed_max| store.trie_within(number, UndoLimits { keys_max, listed_max });
    assert_eq!(undo(0, 2, 16).unwrap().root(), store.header(0).unwrap().unwrap().state_root);
    assert_eq!(undo(4, 2, 8).unwrap().root(), store.header(4).unwrap().unwrap().state_root);
    assert!(matches!(undo(0, 1, 16), Err(StoreError::ProofTooOld { number: 0, head: 8, max: 1, .. })));
    assert!(matches!(undo(0, 2, 15), Err(StoreError::ProofTooOld { number: 0, head: 8, max: 15, .. })));
}

/// More than any test finds.
const AMPLE: usize = 1 << 20;

fn limits(blocks_max: usize, results_max: usize, bytes_max: usize) -> LogLimits {
    LogLimits { blocks_max, results_max, bytes_max, deadline: Instant::now() + Duration::from_secs(3600) }
}

#[test]
fn logs_are_found_by_address_and_topic() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=20 {
        store.commit(&next(&store, height, height), None).unwrap();
    }
    let topic = |value: u64| B256::from(U256::from(value));
    let find = |filter: &LogFilter, from, to| {
        let LogPage { logs, stopped } = store.logs(filter, from, to, &limits(AMPLE, AMPLE, AMPLE)).unwrap();
        assert_eq!(stopped, None);
        logs.iter().map(|found| found.number).collect::<Vec<_>>()
    };
    let some = LogFilter::new([TOKEN].into(), vec![[topic(7), topic(9)].into()]);
    assert_eq!(some.values(), 3);
    assert_eq!(find(&some, 1, 20), [7, 9]);
    assert_eq!(find(&some, 8, u64::MAX), [9]);
    assert!(find(&LogFilter::new([ALICE].into(), vec![]), 1, 20).is_empty());
    // Any topic in the first place; any in the second, but there must be one.
    let places = |count| LogFilter::new(HashSet::new(), vec![HashSet::new(); count]);
    assert_eq!(find(&places(1), 3, 5), [3, 4, 5]);
    assert!(find(&places(2), 1, 20).is_empty());
    assert_eq!(find(&LogFilter::default(), 19, 30), [19, 20]);
}

#[test]
fn searches_for_logs_stop_at_their_limits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=8 {
        // One log of 52 bytes each: an address and a topic.
        store.commit(&next(&store, height, height), None).unwrap();
    }
    let search = |limits: LogLimits| {
        let page = store.logs(&LogFilter::default(), 1, 8, &limits).unwrap();
        (page.logs.len(), page.stopped)
    };
    assert_eq!(search(limits(8, 8, 8 * 52)), (8, None));
    assert_eq!(search(limits(5, AMPLE, AMPLE)), (5, Some((6, LogLimit::Blocks))));
    assert_eq!(search(limits(AMPLE, 5, AMPLE)), (5, Some((6, LogLimit::Results))));
    assert_eq!(search(limits(AMPLE, 0, AMPLE)), (1, Some((2, LogLimit::Results))), "the first block is whole");
    assert_eq!(search(limits(AMPLE, AMPLE, 5 * 52 + 51)), (5, Some((6, LogLimit::Bytes))));
    assert_eq!(search(limits(AMPLE, AMPLE, 51)), (0, Some((1, LogLimit::Bytes))), "but never too large");
    let past = LogLimits { deadline: Instant::now(), ..limits(AMPLE, AMPLE, AMPLE) };
    assert_eq!(search(past), (0, Some((1, LogLimit::Time))));
}
