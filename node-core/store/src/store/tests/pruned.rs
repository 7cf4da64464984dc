//! Blocks that are kept for a depth.

use super::*;

const DEPTH: u64 = 4;
const HEAD: u64 = 20;

/// A store that keeps few blocks.
fn open_pruned(path: &Path) -> Arc<Store> {
    let depth = DEPTH.try_into().unwrap();
    let options = Options { history_depth: depth, block_depth: depth };
    Arc::new(Store::open(path, &Origin::of_accounts(&genesis(1)), options).unwrap())
}

/// Commits blocks up to a height, every fifth as if an epoch ended with it, and gives them.
fn grow(store: &Store, to: u64) -> Vec<Arc<Block>> {
    let grown = (store.head().block.number() + 1..=to).map(|height| {
        let mut executed = next(store, height, height);
        if height % 5 == 0 {
            let mut header = executed.block.header().clone();
            header.requests_hash = Some(B256::repeat_byte(1));
            executed.block = Arc::new(Block::seal(header, executed.block.transactions().to_vec()));
            executed.record = Some((height / 5, Bytes::from_static(b"record")));
        }
        let certificate = Certificate {
            epoch: (height - 1) / 5,
            view: height,
            parent_view: height - 1,
            block: executed.block.hash(),
            signatures: vec![],
        };
        store.commit(&executed, Some(&certificate)).unwrap();
        executed.block
    });
    grown.collect()
}

#[test]
fn blocks_beyond_the_depth_go_with_all_that_leads_to_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_pruned(dir.path());
    let blocks = grow(&store, HEAD);
    let first = HEAD - DEPTH;
    assert_eq!(store.first_block(), first);
    for block in &blocks {
        let (number, hash) = (block.number(), block.hash());
        let is_kept = number >= first;
        assert_eq!(store.block(number).unwrap().is_some(), is_kept, "block {number}");
        assert_eq!(store.receipts(number).unwrap().is_some(), is_kept);
        assert_eq!(store.stored_block(number).unwrap().is_some(), is_kept);
        assert_eq!(store.number_of(&hash).unwrap().is_some(), is_kept);
        assert_eq!(store.transaction(block.transactions()[0].hash()).unwrap().is_some(), is_kept);
        // What proves the validators of the next epoch stays.
        let is_link = number % 5 == 0;
        assert_eq!(store.header(number).unwrap().is_some(), is_kept || is_link);
        assert_eq!(store.certificate(number).unwrap().is_some(), is_kept || is_link);
    }
    assert!(store.block(0).unwrap().is_some());
    let logs = |from| store.logs(&LogFilter::default(), from, HEAD, &limits(AMPLE, AMPLE, AMPLE));
    assert_eq!(logs(first).unwrap().logs.len() as u64, DEPTH + 1);
    assert!(matches!(logs(first - 1), Err(StoreError::NoBlock { number: 15, first: 16 })));
    assert_eq!(store.state_at(first).unwrap().account(&ALICE).unwrap().unwrap().balance, U256::from(first));
    for family in [cf::BODIES, cf::RECEIPTS, cf::BLOOMS, cf::HASHES, cf::TRANSACTIONS] {
        let left = store.db.scan(family, &[]).count() as u64;
        let zero = u64::from([cf::BODIES, cf::RECEIPTS, cf::HASHES].contains(&family));
        assert_eq!(left, DEPTH + 1 + zero, "{family}");
    }
}

#[test]
fn a_depth_that_is_lowered_takes_effect_little_by_little() {
    let dir = tempfile::tempdir().unwrap();
    drop(grow(&open(dir.path(), 100), HEAD));
    let store = open_pruned(dir.path());
    assert_eq!(store.first_block(), 1, "nothing goes before there is a new block");
    for (height, first) in [(HEAD + 1, 3), (HEAD + 2, 5), (HEAD + 20, HEAD + 20 - DEPTH)] {
        grow(&store, height);
        assert_eq!(store.first_block(), first);
    }
    drop(store);
    // It is found again, and a higher depth brings nothing back.
    let store = open(dir.path(), DEPTH);
    assert_eq!(store.first_block(), HEAD + 20 - DEPTH);
    grow(&store, HEAD + 30);
    assert_eq!(store.first_block(), HEAD + 20 - DEPTH);
}
