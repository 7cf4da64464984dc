//! Parts against the trie that they are of, and databases filled by hand, without a network.

mod world;

use std::collections::BTreeMap;

use alloy_primitives::U256;
use alloy_trie::{HashBuilder, Nibbles};
use proptest::{collection::btree_map, prelude::*};

use super::*;
use crate::{Store, StoreError, trie::StorageTrie};
use world::{Chain, Random, fetch, fill, open_filled};

type Slots = BTreeMap<B256, U256>;

/// Keys that agree on long stretches, which makes extensions and inline nodes, and others.
fn any_key() -> impl Strategy<Value = B256> {
    let byte = || prop::sample::select(vec![0x00_u8, 0x01, 0x10]);
    let close = (byte(), prop::collection::vec(byte(), 4)).prop_map(|(head, tail)| {
        let mut key = B256::repeat_byte(head);
        key[28..].copy_from_slice(&tail);
        key
    });
    prop_oneof![3 => close, 1 => any::<[u8; 32]>().prop_map(B256::from)]
}

fn any_slots() -> impl Strategy<Value = Slots> {
    let value = prop_oneof![
        3 => (1..200_u64).prop_map(U256::from),
        1 => any::<[u8; 32]>().prop_map(|bytes| U256::from_be_bytes(bytes) | U256::from(1)),
    ];
    btree_map(any_key(), value, 0..60)
}

fn below(slots: &Slots, prefix: &Prefix) -> Vec<Slot> {
    let below = slots.iter().filter(|(key, _)| prefix.contains(key));
    below.map(|(key, value)| Slot { key: *key, value: *value }).collect()
}

/// Checks a part and all below it; says how many nodes it has.
fn check_part(trie: &StorageTrie, slots: &Slots, prefix: &Prefix, hash: &B256) -> usize {
    let expected = below(slots, prefix);
    assert_eq!(slots_hash(prefix, &expected), Ok(*hash), "{prefix}");
    let subtree = trie.subtree(prefix).expect("a node begins here");
    assert!(subtree.iter().map(|(key, value)| Slot { key: *key, value: *value }).eq(expected.iter().copied()));
    let Split::Parts(parts) = split(TrieId::Storage(B256::ZERO), prefix, hash, &subtree.nodes()).unwrap() else {
        assert_eq!(expected.len(), 1);
        return 1;
    };
    let all: Vec<_> = parts.iter().flat_map(|part| below(slots, &part.prefix)).collect();
    assert_eq!(all, expected, "the parts below {prefix} have all its slots");
    let counts = parts.iter().map(|part| match &part.slots {
        Some(inline) => {
            assert_eq!(*inline, below(slots, &part.prefix));
            assert_eq!(slots_hash(&part.prefix, inline), Ok(part.hash));
            1
        }
        None => check_part(trie, slots, &part.prefix, &part.hash),
    });
    1 + counts.sum::<usize>()
}

proptest! {
    #[test]
    fn every_part_is_proven_by_the_node_above(slots in any_slots(), other in any_key(), nibbles in 0..=64_u8) {
        let mut oracle = HashBuilder::default();
        for (key, value) in &slots {
            oracle.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        let root = oracle.root();
        let trie = StorageTrie::from_sorted(slots.clone()).unwrap();
        if slots.is_empty() {
            prop_assert!(trie.subtree(&Prefix::ROOT).is_none());
        } else {
            check_part(&trie, &slots, &Prefix::ROOT, &root);
        }
        // Elsewhere either a node begins, or there is nothing to say.
        let prefix = Prefix::of(&other, nibbles);
        if let Some(subtree) = trie.subtree(&prefix) {
            prop_assert!(subtree.iter().all(|(key, _)| prefix.contains(key)));
            prop_assert_eq!(subtree.iter().count(), below(&slots, &prefix).len());
        }
    }

    #[test]
    fn a_part_with_anything_else_is_not_proven(
        slots in any_slots(),
        at in any::<prop::sample::Index>(),
        lie in 0..4_u8,
    ) {
        prop_assume!(slots.len() > 1);
        let right = below(&slots, &Prefix::ROOT);
        let root = slots_hash(&Prefix::ROOT, &right).unwrap();
        let (mut wrong, at) = (right, at.index(slots.len()));
        match lie {
            0 => wrong[at].value ^= U256::from(1) << 255_usize,
            1 => {
                wrong.remove(at);
            }
            2 => wrong.swap(0, at.max(1)),
            _ => {
                let key = B256::repeat_byte(0xfe);
                wrong.push(Slot { key, value: U256::from(1) });
                wrong.sort_unstable_by_key(|slot| slot.key);
            }
        }
        prop_assert_ne!(slots_hash(&Prefix::ROOT, &wrong), Ok(root));
    }

    #[test]
    fn no_nodes_stop_the_reader(nodes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let nodes: Vec<_> = nodes.into_iter().map(alloy_primitives::Bytes::from).collect();
        let hash = nodes.first().map(alloy_primitives::keccak256).unwrap_or_default();
        let _ = split(TrieId::Storage(B256::ZERO), &Prefix::ROOT, &hash, &nodes);
        let _ = split(TrieId::Accounts, &Prefix::of(&hash, 64), &hash, &nodes);
    }
}

#[test]
fn a_trie_of_one_leaf_is_one_part() {
    let slots: Slots = [(B256::repeat_byte(0x7a), U256::from(5))].into();
    let trie = StorageTrie::from_sorted(slots.clone()).unwrap();
    assert_eq!(check_part(&trie, &slots, &Prefix::ROOT, &trie.root_hash()), 1);
    assert!(trie.subtree(&Prefix::of(&B256::repeat_byte(0x7a), 1)).is_none(), "its only node begins at the root");
    assert_eq!(slots_hash(&Prefix::ROOT, &[]), Err(RangeError::Empty));
}

#[test]
fn leaves_that_are_none_are_refused() {
    let (low, high) = (B256::repeat_byte(0x11), B256::repeat_byte(0x12));
    let slot = |key, value: u64| Slot { key, value: U256::from(value) };
    let root = &Prefix::ROOT;
    assert_eq!(slots_hash(root, &[slot(high, 1), slot(low, 1)]), Err(RangeError::Order(low)));
    assert_eq!(slots_hash(root, &[slot(low, 1), slot(low, 1)]), Err(RangeError::Order(low)));
    assert_eq!(slots_hash(root, &[slot(low, 0)]), Err(RangeError::ZeroSlot(low)));
    assert_eq!(slots_hash(&Prefix::of(&low, 2), &[slot(low, 1), slot(high, 1)]), Err(RangeError::Outside(high)));
    let limits = RangeLimits { bytes: 1000, inline_slots: 1 };
    let slots = vec![slot(low, 1), slot(high, 1)];
    let entry = AccountEntry { key: low, account: Account::default(), storage: StorageEntry::Slots(slots) };
    let refused = accounts_hash(root, std::slice::from_ref(&entry), &limits);
    assert_eq!(refused, Err(RangeError::Inline { account: low, slots: 2, max: 1 }));
    let encoded = alloy_rlp::encode(&entry);
    assert_eq!(alloy_rlp::decode_exact::<AccountEntry>(&encoded), Ok(entry.clone()));
    let large = |root| AccountEntry { storage: StorageEntry::Large(root), ..entry.clone() };
    assert_eq!(alloy_rlp::decode_exact::<AccountEntry>(alloy_rlp::encode(large(low))), Ok(large(low)));
    assert!(alloy_rlp::decode_exact::<AccountEntry>(alloy_rlp::encode(large(EMPTY_ROOT_HASH))).is_err());
}

/// Small enough that a few accounts are cut, and that some storages are tries of their own.
const TINY: RangeLimits = RangeLimits { bytes: 700, inline_slots: 4 };

#[test]
fn a_filled_database_is_the_chains() {
    for limits in [TINY, RangeLimits::STANDARD] {
        let mut chain = Chain::new();
        let mut random = Random(7);
        (0..4).for_each(|_| chain.grow(&mut random));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        assert_eq!(Contents::of(&path).unwrap(), Contents::Nothing);
        fill(&chain, &path, &limits);
        assert_eq!(Contents::of(&path).unwrap(), Contents::Chain);
        open_filled(&chain, &path);
    }
}

#[test]
fn a_database_being_filled_is_no_chain_until_it_is_whole() {
    let mut chain = Chain::new();
    chain.grow(&mut Random(1));
    let dir = tempfile::tempdir().unwrap();
    let filling = Filling::open(dir.path(), &chain.origin).unwrap();
    assert!(fetch(&chain, &filling, &TINY, 3).is_none());
    drop(filling);
    let refused = Store::open(dir.path(), &chain.origin, world::OPTIONS);
    assert!(matches!(refused, Err(StoreError::Filling(_))));
    assert_eq!(Contents::of(dir.path()).unwrap(), Contents::Filling);
    let other = world::origin(2);
    assert!(matches!(Filling::open(dir.path(), &other), Err(StoreError::OtherChain { .. })));
    fill(&chain, dir.path(), &TINY);
    assert!(matches!(Filling::open(dir.path(), &chain.origin), Err(StoreError::HasChain(_))));
}

/// Stops after every number of writes there is, goes on with the same block or with a later one.
#[test]
fn what_was_written_before_a_stop_counts_and_nothing_else_is_left() {
    let mut random = Random(3);
    for stop in (0..60).step_by(3) {
        let mut chain = Chain::new();
        (0..3).for_each(|_| chain.grow(&mut random));
        let dir = tempfile::tempdir().unwrap();
        let filling = Filling::open(dir.path(), &chain.origin).unwrap();
        let first = fetch(&chain, &filling, &TINY, stop);
        drop(filling);
        assert!(first.is_none() || stop > 20, "the state has more parts than {stop}");
        if stop % 2 == 1 {
            (0..=random.below(3)).for_each(|_| chain.grow(&mut random));
        }
        fill(&chain, dir.path(), &TINY);
        open_filled(&chain, dir.path());
    }
}

#[test]
fn parts_that_did_not_change_are_not_fetched_again() {
    let mut random = Random(5);
    let mut chain = Chain::new();
    (0..3).for_each(|_| chain.grow(&mut random));
    let dir = tempfile::tempdir().unwrap();
    let filling = Filling::open(dir.path(), &chain.origin).unwrap();
    let whole = fetch(&chain, &filling, &TINY, usize::MAX).unwrap();
    drop(filling);
    // As much, but for the last steps; then the chain goes on.
    let dir = tempfile::tempdir().unwrap();
    let filling = Filling::open(dir.path(), &chain.origin).unwrap();
    assert!(fetch(&chain, &filling, &TINY, whole - 1).is_none());
    chain.change_one();
    let rest = fetch(&chain, &filling, &TINY, usize::MAX).unwrap();
    assert!(rest < whole / 2, "{rest} parts were fetched of {whole}");
}

#[test]
fn pivots_are_those_of_half_a_minute_and_are_found_again() {
    let mut random = Random(9);
    let mut chain = Chain::new();
    // Epochs of two seconds, of which each third is the first of its five: of epoch 0, 1, 4, 6, 9, 11, 14, 16.
    chain.step_ms = 500;
    let mut kept = Pivots::new(world::EPOCHS);
    let numbers = |pivots: &Pivots, chain: &Chain| -> Vec<u64> {
        pivots.offers(&chain.store).unwrap().iter().map(Pivot::number).collect()
    };
    for blocks in 1..=100 {
        chain.grow(&mut random);
        kept.observe(&chain.store.head());
        if blocks % 7 == 0 {
            // A box that was restarted has fewer of them, and keeps the same ones from then on.
            let again = Pivots::new(world::EPOCHS);
            again.restore(&chain.store).unwrap();
            let (all, last) = (numbers(&kept, &chain), numbers(&again, &chain));
            assert!(last.len() >= all.len().min(2) && all.ends_with(&last), "{last:?} of {all:?}");
        }
        if blocks == 50 {
            let again = Pivots::new(world::EPOCHS);
            again.restore(&chain.store).unwrap();
            kept = again;
        }
    }
    let all = numbers(&kept, &chain);
    let times: Vec<u64> =
        all.iter().map(|number| chain.store.block(*number).unwrap().unwrap().timestamp_ms().unwrap()).collect();
    assert!(times.windows(2).all(|two| two[0] / 5_000 < two[1] / 5_000), "{times:?}");
    assert!((25_000..=30_000).contains(&(times.last().unwrap() - times[0])), "{times:?}");
}

#[test]
fn two_pivots_are_kept_however_old_they_are() {
    let mut random = Random(9);
    let mut chain = Chain::new();
    let pivots = Pivots::new(world::EPOCHS);
    pivots.observe(&chain.store.head());
    assert!(pivots.offers(&chain.store).unwrap().is_empty(), "block zero is none");
    for _ in 0..14 {
        chain.grow(&mut random);
        pivots.observe(&chain.store.head());
    }
    let numbers =
        |pivots: &Pivots| -> Vec<u64> { pivots.offers(&chain.store).unwrap().iter().map(Pivot::number).collect() };
    assert_eq!(numbers(&pivots), [7, 11]);
    for offer in pivots.offers(&chain.store).unwrap() {
        assert_eq!(pivots.state(&offer.hash()).unwrap().root(), offer.header().state_root);
        assert_eq!(alloy_rlp::decode_exact::<Pivot>(alloy_rlp::encode(&offer)), Ok(offer.clone()));
    }
    let again = Pivots::new(world::EPOCHS);
    again.restore(&chain.store).unwrap();
    assert_eq!(numbers(&again), [7, 11]);
    assert!(again.state(&B256::ZERO).is_none());
}

#[test]
fn stored_blocks_are_the_blocks() {
    let mut chain = Chain::new();
    (0..3).for_each(|_| chain.grow(&mut Random(2)));
    for number in 0..=3 {
        let StoredBlock { block, receipts } = chain.store.stored_block(number).unwrap().unwrap();
        let expected = chain.store.block(number).unwrap().unwrap();
        assert_eq!(dolmen_types::Block::decode(&block, 1 << 20), Ok(expected));
        assert_eq!(
            dolmen_types::receipt::decode_list(&receipts).unwrap(),
            chain.store.receipts(number).unwrap().unwrap()
        );
    }
    assert_eq!(chain.store.stored_block(4).unwrap(), None);
}

/// What proves the pivot comes before it is chosen, and stays: its headers are no blocks.
#[test]
fn links_stay_beside_the_blocks() {
    let mut random = Random(4);
    let mut chain = Chain::new();
    (0..10).for_each(|_| chain.grow(&mut random));
    let pivots = Pivots::new(world::EPOCHS);
    let links: Vec<Pivot> = (0..).map_while(|epoch| pivots.link(&chain.store, epoch).unwrap()).collect();
    assert_eq!(links.iter().map(Pivot::number).collect::<Vec<_>>(), [3, 7]);
    let dir = tempfile::tempdir().unwrap();
    let filling = Filling::open(dir.path(), &chain.origin).unwrap();
    assert_eq!(filling.last_record().unwrap(), None);
    filling.keep_links(&links).unwrap();
    assert_eq!(filling.last_record().unwrap(), Some((2, links[1].record().clone())));
    assert_eq!(filling.link(3).unwrap().as_ref(), Some(&links[0]));
    assert_eq!(filling.link(4).unwrap(), None);
    assert!(!filling.progress().unwrap().has_block(7, &links[1].hash()));
    drop(filling);
    fill(&chain, dir.path(), &TINY);
    let store = Store::open(dir.path(), &chain.origin, world::OPTIONS).unwrap();
    assert_eq!(pivots.link(&store, 0).unwrap().as_ref(), Some(&links[0]));
    assert_eq!(pivots.link(&store, 1).unwrap().as_ref(), Some(&links[1]));
    assert_eq!((store.block(7).unwrap(), store.number_of(&links[1].hash()).unwrap()), (None, None));
    assert_eq!(store.first_block(), 10);
    let limits = crate::LogLimits {
        blocks_max: 10,
        results_max: 10,
        bytes_max: 1000,
        deadline: std::time::Instant::now() + std::time::Duration::from_secs(60),
    };
    let logs = |from| store.logs(&crate::LogFilter::default(), from, 10, &limits);
    assert!(matches!(logs(0), Err(StoreError::NoBlock { number: 1, first: 10 })));
    assert_eq!(logs(10).unwrap().logs.len(), 1);
    let (block, certificate) = store.last_certified().unwrap().unwrap();
    assert_eq!((block.number(), certificate.block), (10, block.hash()));
}
