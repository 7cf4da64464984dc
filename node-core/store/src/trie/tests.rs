//! Against published roots, and against alloy-trie's `HashBuilder` and proof verifier as independent oracles.

mod oracle;

use std::sync::Arc;

use alloy_primitives::{B256, KECCAK256_EMPTY, U256, b256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::TrieAccount;
use proptest::{collection::vec, prelude::*};

use super::*;
use oracle::{
    Model, Text, any_batch, any_key, any_text, apply_to_model, assert_matches, assert_proof, oracle_root, same_version,
    spread,
};

#[derive(Clone)]
struct Account {
    nonce: u64,
    storage: StorageTrie,
}

impl Leaf for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        Encodable::encode(&TrieAccount::new(self.nonce, U256::ZERO, self.storage.root_hash(), KECCAK256_EMPTY), out);
    }
}

#[test]
fn published_roots() {
    let empty = Trie::<U256>::new();
    assert_eq!(empty.root_hash(), keccak256([0x80]));
    assert_eq!(empty.root_hash(), EMPTY_ROOT_HASH);
    assert!(empty.proof(&B256::ZERO).is_empty());

    // The vectors of github.com/ethereum/tests, TrieTests/trietest_secureTrie.json.
    let root_of = |entries: &[(&str, &str)]| {
        let mut trie = Trie::new();
        for (key, value) in entries {
            let key = keccak256(key);
            if value.is_empty() {
                assert!(trie.remove(&key));
            } else {
                trie.insert(key, Text(value.as_bytes().to_vec()));
            }
        }
        trie.root_hash()
    };
    assert_eq!(
        root_of(&[("A", &"a".repeat(50))]),
        b256!("e9e2935138352776cad724d31c9fa5266a5c593bb97726dd2a908fe6d53284df")
    );
    assert_eq!(
        root_of(&[("doe", "reindeer"), ("dog", "puppy"), ("dogglesworth", "cat")]),
        b256!("d4cd937e4a4368d7931a9cf51686b7e10abb3dce38a39000fd7902a092b64585")
    );
    assert_eq!(
        root_of(&[
            ("do", "verb"),
            ("ether", "wookiedoo"),
            ("horse", "stallion"),
            ("shaman", "horse"),
            ("doge", "coin"),
            ("ether", ""),
            ("dog", "puppy"),
            ("shaman", ""),
        ]),
        b256!("29b235a58c3c25ab83010c327d5932bcf05324b7d6b1185e650798034783ca9d")
    );
}

#[test]
fn accounts_hold_their_storage() {
    let keys = spread(400);
    let slots: Model<U256> = keys.iter().zip(1_u64..).map(|(key, n)| (*key, U256::from(n))).collect();
    let mut accounts = Trie::new();
    for (key, nonce) in keys.iter().zip(0..) {
        accounts.insert(*key, Account { nonce, storage: StorageTrie::new() });
    }
    let before = accounts.clone();
    let root_before = before.root_hash();
    let big = accounts.get_mut(&keys[7]).expect("present");
    for (key, value) in &slots {
        big.storage.insert(*key, *value);
    }
    let expected = |storage_root| {
        let account = |n: u64| TrieAccount::new(n, U256::ZERO, EMPTY_ROOT_HASH, KECCAK256_EMPTY);
        let mut model: Model<_> = keys.iter().zip(0..).map(|(key, n)| (*key, account(n))).collect();
        model.insert(keys[7], TrieAccount::new(7, U256::ZERO, storage_root, KECCAK256_EMPTY));
        alloy_trie::root::state_root(model)
    };
    let storage_root = alloy_trie::root::storage_root(slots);
    assert_eq!(accounts.root_hash(), expected(storage_root));
    assert_eq!(root_before, expected(EMPTY_ROOT_HASH));
    assert!(before.get(&keys[7]).is_some_and(|account| account.storage.is_empty()));
    assert_proof(&accounts, &keys[7]);
    let storage = &accounts.get(&keys[7]).expect("present").storage;
    assert_proof(storage, &keys[3]);
    assert_proof(storage, &B256::ZERO);
}

#[test]
fn a_change_copies_its_path_only() {
    let keys = spread(2000);
    let mut trie = Trie::new();
    trie.apply(keys.iter().map(|key| (*key, Some(U256::from(5)))).collect());
    trie.root_hash();
    let old = trie.clone();
    assert!(same_version(&trie, &old));
    assert!(!trie.remove(&B256::ZERO));
    assert!(trie.get_mut(&B256::ZERO).is_none());
    trie.apply_with(vec![(B256::ZERO, ())], |value, ()| {
        assert!(value.is_none());
        Edit::Keep
    });
    assert!(same_version(&trie, &old), "nothing changed, so nothing is copied");

    *trie.get_mut(&keys[0]).expect("present") = U256::from(6);
    let (Link::Branch(new), Link::Branch(old)) = (&trie.root, &old.root) else { panic!("a branch at the root") };
    let same = |(a, b): &(&Link<U256>, &Link<U256>)| match (a, b) {
        (Link::Branch(a), Link::Branch(b)) => Arc::ptr_eq(a, b),
        _ => false,
    };
    assert_eq!(new.children.iter().zip(&old.children).filter(same).count(), 15);

    // Unshared, the same path is changed in place.
    let address = Arc::as_ptr(new);
    *trie.get_mut(&keys[0]).expect("present") = U256::from(7);
    assert!(matches!(&trie.root, Link::Branch(branch) if Arc::as_ptr(branch) == address));
}

#[test]
fn dropping_a_version_frees_what_it_alone_held() {
    let marker = Arc::new(());
    #[derive(Clone)]
    struct Counted(#[expect(dead_code, reason = "held for its reference count")] Arc<()>);
    let mut trie = Trie::new();
    for key in spread(100) {
        trie.insert(key, Counted(Arc::clone(&marker)));
    }
    let mut newer = trie.clone();
    newer.insert(spread(1)[0], Counted(Arc::clone(&marker)));
    assert_eq!(Arc::strong_count(&marker), 1 + 100 + 1);
    drop(trie);
    assert_eq!(Arc::strong_count(&marker), 1 + 100);
    drop(newer);
    assert_eq!(Arc::strong_count(&marker), 1);
}

#[test]
fn parallel_batches_equal_single_edits() {
    let keys = spread(6000);
    let mut parallel = Trie::new();
    let mut serial = Trie::new();
    let mut model = Model::new();
    for (round, count) in (0_u64..).zip([6000, 600, 5000, 513, 6000, 40]) {
        // Each key twice: the later update must win. In round 4 every key goes.
        let keys = keys[..count].iter().cycle().step_by(7).take(count * 2);
        let value = |n: u64| (round != 4 && !(n + round).is_multiple_of(3)).then(|| U256::from(n * 10 + round + 1));
        let batch: Vec<_> = keys.zip(0..).map(|(key, n)| (*key, value(n))).collect();
        apply_to_model(&mut model, &batch);
        for (key, value) in &batch {
            match value {
                Some(value) => serial.insert(*key, *value),
                None => drop(serial.remove(key)),
            }
        }
        let (old, old_root) = (parallel.clone(), parallel.root_hash());
        parallel.apply(batch);
        assert_matches(&parallel, &model);
        assert_eq!(parallel.root_hash(), serial.root_hash());
        assert_eq!(old.root_hash(), old_root);
        assert_eq!(model.is_empty(), round == 4);
    }
}

#[test]
fn large_batches_meet_extensions() {
    // All keys begin alike, so an extension stands at the root, and one at position 1 once the first batch splits it.
    let close: Vec<_> = spread(2000)
        .into_iter()
        .map(|mut key| {
            key[..3].copy_from_slice(&[0x12, 0x34, 0x56]);
            key
        })
        .collect();
    let mut trie = Trie::new();
    let mut model = Model::new();
    let beside = close.iter().map(|key| {
        let mut key = *key;
        key[1] ^= 0x01;
        key
    });
    for keys in [close.clone(), spread(2000), beside.collect(), close.clone()] {
        let batch: Vec<_> = keys.into_iter().map(|key| (key, Some(U256::from(model.len() + 1)))).collect();
        apply_to_model(&mut model, &batch);
        trie.apply(batch);
        assert_matches(&trie, &model);
    }
    let batch: Vec<_> = close.into_iter().map(|key| (key, None)).collect();
    apply_to_model(&mut model, &batch);
    trie.apply(batch);
    assert_matches(&trie, &model);
}

#[test]
fn apply_with_changes_sets_and_removes() {
    let keys = spread(3000);
    let mut trie: Trie<U256> = Trie::new();
    trie.apply(keys[..2000].iter().map(|key| (*key, Some(U256::from(1)))).collect());
    let mut model: Model<U256> = keys[..2000].iter().map(|key| (*key, U256::from(1))).collect();
    trie.apply_with(keys.iter().copied().zip(0_u64..).collect(), |value, n: u64| match (value, n % 3) {
        (Some(_), 0) => Edit::Remove,
        (Some(value), _) => {
            *value += U256::from(n);
            Edit::Keep
        }
        (None, 0) => Edit::Set(U256::from(n)),
        (None, 1) => Edit::Keep,
        (None, _) => Edit::Remove,
    });
    for (key, n) in keys.iter().zip(0_u64..) {
        match (n < 2000, n % 3) {
            (true, 0) => drop(model.remove(key)),
            (true, _) => drop(model.insert(*key, U256::from(1 + n))),
            (false, 0) => drop(model.insert(*key, U256::from(n))),
            (false, _) => {}
        }
    }
    assert_matches(&trie, &model);
}

#[test]
fn threads_hash_one_version_together() {
    fn assert_shareable<T: Send + Sync>() {}
    assert_shareable::<Trie<Account>>();
    let trie = Trie::from_sorted({
        let mut keys = spread(5000);
        keys.sort_unstable();
        keys.into_iter().map(|key| (key, U256::from_be_bytes(key.0)))
    })
    .expect("ascending");
    let expected = oracle_root(&trie.iter().map(|(key, value)| (*key, *value)).collect());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(trie.root_hash(), expected));
        }
    });
}

#[test]
fn inline_nodes() {
    // Two keys that differ in the last nibble: both leaves, of three bytes each, stand inline in their branch.
    let mut model = Model::new();
    for last in [0x01, 0x0e] {
        model.insert(B256::with_last_byte(last), U256::from(7));
    }
    let mut trie = Trie::from_sorted(model.clone()).expect("ascending");
    assert_matches(&trie, &model);
    let proof = trie.proof(&B256::with_last_byte(1));
    assert_eq!(proof.len(), 1, "the branch, of 22 bytes, stands inline in the extension at the root");
    assert_proof(&trie, &B256::with_last_byte(1));

    // A long value no longer fits: the branch is hashed and listed.
    trie.insert(B256::with_last_byte(1), U256::MAX);
    model.insert(B256::with_last_byte(1), U256::MAX);
    assert_matches(&trie, &model);
    assert_eq!(trie.proof(&B256::with_last_byte(1)).len(), 3);
    assert_eq!(trie.proof(&B256::with_last_byte(14)).len(), 2);
    assert_eq!(trie.proof(&B256::repeat_byte(1)).len(), 1, "the extension leads elsewhere, and that is all to show");
    assert_proof(&trie, &B256::repeat_byte(1));
}

#[test]
fn the_deepest_trie() {
    // A branch at each of the 64 positions, below which one key ends and the others go on.
    let keys = (0..64).map(|n| B256::from(U256::from(1) << (n * 4))).chain([B256::ZERO]);
    let mut model: Model<_> = keys.map(|key| (key, U256::MAX)).collect();
    let mut trie = Trie::from_sorted(model.clone()).expect("ascending");
    assert_matches(&trie, &model);
    assert_eq!(trie.proof(&B256::ZERO).len(), 65);
    assert_proof(&trie, &B256::ZERO);
    let last = B256::with_last_byte(1);
    assert!(trie.remove(&last));
    model.remove(&last);
    assert_matches(&trie, &model);
}

#[test]
fn nodes_stay_small() {
    // The memory per key that the module promises rests on these, in bytes.
    assert_eq!(size_of::<node::LeafNode<U256>>(), 104);
    assert_eq!(size_of::<node::LeafNode<[u64; 10]>>(), 152);
    assert_eq!(size_of::<node::BranchNode<U256>>(), 56);
    assert_eq!(size_of::<Link<U256>>(), 16);
}

#[test]
fn from_sorted_refuses_disorder() {
    let key = B256::with_last_byte;
    let error = |keys: &[u8]| Trie::from_sorted(keys.iter().map(|n| (key(*n), U256::from(1)))).err();
    assert_eq!(error(&[]), None);
    assert_eq!(error(&[1, 2, 3]), None);
    assert_eq!(error(&[1, 3, 2]), Some(TrieError::NotAscending { index: 2, key: key(2) }));
    assert_eq!(error(&[1, 1]), Some(TrieError::NotAscending { index: 1, key: key(1) }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn follows_a_map_through_versions(batches in vec((any_batch(), any::<bool>(), any::<bool>()), 1..8)) {
        let mut trie = Trie::new();
        let mut model = Model::new();
        let mut versions = Vec::new();
        for (batch, keep, hash_each) in batches {
            apply_to_model(&mut model, &batch);
            if hash_each {
                // Hashes cached between single edits must not survive them.
                for (key, value) in batch {
                    trie.apply_with(vec![(key, value)], |old, value| match (old, value) {
                        (Some(old), Some(value)) => {
                            *old = value;
                            Edit::Keep
                        }
                        (_, value) => value.map_or(Edit::Remove, Edit::Set),
                    });
                    trie.root_hash();
                }
            } else {
                trie.apply(batch);
            }
            if keep {
                versions.push((trie.clone(), model.clone()));
            }
            assert_matches(&trie, &model);
        }
        for (version, model) in &versions {
            assert_matches(version, model);
        }
        let built = Trie::from_sorted(model.clone()).expect("a map ascends");
        assert_matches(&built, &model);
        for key in model.keys() {
            prop_assert!(trie.remove(key));
        }
        prop_assert!(trie.is_empty());
        prop_assert_eq!(trie.root_hash(), EMPTY_ROOT_HASH);
    }

    #[test]
    fn proofs_hold(entries in vec((any_key(), any_text()), 0..60), absent in vec(any_key(), 20)) {
        let mut trie = Trie::new();
        for (key, value) in entries {
            trie.insert(key, value);
        }
        for key in trie.iter().map(|(key, _)| key).chain(&absent) {
            assert_proof(&trie, key);
        }
    }
}
