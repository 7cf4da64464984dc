use alloy_primitives::{B256, Bytes, Log, LogData, U256};
use dolmen_types::{
    PublicKey, Validator,
    block::{Proposal, next_header},
    genesis::{GenesisAccount, GenesisFile},
};

use super::*;
use crate::{LogFilter, LogQueryError, StateReader as _};

const ALICE: Address = Address::repeat_byte(0xa1);
const TOKEN: Address = Address::repeat_byte(0x70);

fn genesis(chain_id: u64) -> Genesis {
    let validator = Validator { name: "a".into(), public_key: PublicKey([1; 32]), fee_recipient: Address::ZERO };
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
        accounts: [(ALICE, alice), (TOKEN, token)].into(),
    }
    .try_into()
    .unwrap()
}

fn open(path: &Path, depth: u64) -> Arc<Store> {
    Arc::new(Store::open(path, &genesis(1), Options { history_depth: depth.try_into().unwrap() }).unwrap())
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
    let state = head.state.apply(&diff, head.block.number() + 1);
    let log = Log { address: TOKEN, data: LogData::new_unchecked(vec![B256::from(U256::from(slot))], Bytes::new()) };
    let envelope = alloy_consensus::Receipt { status: true.into(), cumulative_gas_used: 1, logs: vec![log] };
    let receipts = vec![Receipt::Legacy(envelope.with_bloom())];
    let proposal = Proposal { timestamp_ms: head.block.timestamp_ms().unwrap() + 1, beneficiary: Address::ZERO };
    let mut header = next_header(head.block.header(), head.block.hash(), proposal);
    header.state_root = state.root();
    header.receipts_root = receipt::root(&receipts);
    header.logs_bloom = receipt::bloom(&receipts);
    Executed { block: Arc::new(Block::seal(header, vec![])), receipts, diff, state }
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
    store.commit(&next(&store, 5, 0)).unwrap();
    assert_eq!(store.head().state.root(), independent_root(5, 1, 0));
}

#[test]
fn a_reopened_store_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (root, hash) = {
        let store = open(dir.path(), 10);
        for height in 1..=5 {
            store.commit(&next(&store, 100 + height, height)).unwrap();
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
fn earlier_states_are_read_and_proven() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=8 {
        // Slot 1 is removed by every third block and comes back.
        store.commit(&next(&store, 100 + height, if height % 3 == 0 { 0 } else { height })).unwrap();
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
            store.commit(&next(&store, height, height)).unwrap();
        }
        store.state_at(2).unwrap()
    };
    for height in 5..=10 {
        store.commit(&next(&store, height, height)).unwrap();
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
    store.commit(&first).unwrap();
    assert!(matches!(store.commit(&first), Err(StoreError::NotNext { number: 1, head: 1, .. })));
}

#[test]
fn another_chain_another_format_and_a_damaged_state_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), 10));
    let options = Options { history_depth: 10.try_into().unwrap() };
    assert!(matches!(Store::open(dir.path(), &genesis(2), options), Err(StoreError::OtherChain { .. })));
    let db = Db::open(dir.path()).unwrap();
    let mut batch = db.batch();
    batch.delete(cf::ACCOUNTS, keccak256(ALICE).as_slice());
    batch.commit().unwrap();
    drop(db);
    assert!(matches!(Store::open(dir.path(), &genesis(1), options), Err(StoreError::StateRoot { height: 0, .. })));
    let db = Db::open(dir.path()).unwrap();
    let mut batch = db.batch();
    batch.put(cf::META, meta::VERSION, &99_u32.to_be_bytes());
    batch.commit().unwrap();
    assert!(matches!(Store::open(dir.path(), &genesis(1), options), Err(StoreError::Locked(_))));
    drop(db);
    assert!(matches!(Store::open(dir.path(), &genesis(1), options), Err(StoreError::Version { found: 99, .. })));
}

#[test]
fn logs_are_found_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 100);
    for height in 1..=20 {
        store.commit(&next(&store, height, height)).unwrap();
    }
    let topic = |value: u64| B256::from(U256::from(value));
    let one = LogFilter { addresses: [TOKEN].into(), topics: vec![[topic(7), topic(9)].into()] };
    let numbers: Vec<_> = store.logs(&one, 1, 20, 100, 100).unwrap().iter().map(|found| found.number).collect();
    assert_eq!(numbers, [7, 9]);
    let elsewhere = LogFilter { addresses: [ALICE].into(), topics: vec![] };
    assert!(store.logs(&elsewhere, 1, 20, 100, 100).unwrap().is_empty());
    let all = LogFilter::default();
    assert_eq!(store.logs(&all, 3, 5, 100, 100).unwrap().len(), 3);
    assert!(matches!(store.logs(&all, 1, 20, 100, 5), Err(LogQueryError::TooManyResults(5))));
    assert!(matches!(store.logs(&all, 1, 20, 5, 100), Err(LogQueryError::TooManyBlocks(5))));
}
