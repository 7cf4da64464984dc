//! The oracles, and how the tests draw keys and values.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy_primitives::{B256, keccak256};
use alloy_trie::{HashBuilder, Nibbles, proof::verify_proof};
use proptest::{collection::vec, prelude::*};

use super::super::{
    Leaf, Link, Trie,
    nibbles::{KEY_NIBBLES, nibble},
};

/// A value of any length, stored as an RLP string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<u8>);

impl Leaf for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

pub(super) type Model<V> = BTreeMap<B256, V>;

pub(super) fn encoded<V: Leaf>(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

pub(super) fn oracle_root<V: Leaf>(model: &Model<V>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), &encoded(value));
    }
    builder.root()
}

/// Checks contents, order, root and invariants of `trie` against `model`.
pub(super) fn assert_matches<V: Leaf + PartialEq + fmt::Debug>(trie: &Trie<V>, model: &Model<V>) {
    assert!(trie.iter().eq(model.iter()), "contents or order differ");
    assert_eq!(trie.root_hash(), oracle_root(model));
    assert_eq!(trie.is_empty(), model.is_empty());
    assert_shape(&trie.root, 0);
}

fn assert_shape<V>(link: &Link<V>, start: u8) {
    match link {
        Link::Empty => assert_eq!(start, 0, "an empty link below a branch"),
        Link::Leaf(leaf) => assert_eq!(leaf.start, start),
        Link::Branch(branch) => {
            assert_eq!(branch.start, start);
            assert!(branch.depth >= start && branch.depth < KEY_NIBBLES);
            let present: Vec<_> = (0..16).filter(|n| branch.child(*n).is_some()).collect();
            assert!(present.len() >= 2);
            assert_eq!(present.len(), branch.children.len());
            for here in present {
                let child = branch.child(here).expect("present");
                assert_eq!(nibble(child.first_key().expect("not empty"), branch.depth), here);
                assert_shape(child, branch.depth + 1);
            }
        }
    }
}

pub(super) fn assert_proof<V: Leaf>(trie: &Trie<V>, key: &B256) {
    let value = trie.get(key).map(encoded);
    let proof = trie.proof(key);
    verify_proof(trie.root_hash(), Nibbles::unpack(key), value.clone(), &proof).expect("the proof holds");
    let mut wrong = value.unwrap_or_default();
    wrong.push(1);
    verify_proof(trie.root_hash(), Nibbles::unpack(key), Some(wrong), &proof).expect_err("another value is refused");
}

/// Keys that agree on long stretches: each byte is one of three, the first 28 are chosen by a single one.
fn close_key() -> impl Strategy<Value = B256> {
    let byte = || prop::sample::select(vec![0x00_u8, 0x01, 0x10]);
    (byte(), vec(byte(), 4)).prop_map(|(head, tail)| {
        let mut key = B256::repeat_byte(head);
        key[28..].copy_from_slice(&tail);
        key
    })
}

/// Keys that agree up to a position anywhere in the key.
fn prefix_key() -> impl Strategy<Value = B256> {
    (0..32_usize, 0..3_u8, 0..4_u8).prop_map(|(at, high, low)| {
        let mut key = B256::ZERO;
        key[at] = high << 4 | low;
        key
    })
}

pub(super) fn any_key() -> impl Strategy<Value = B256> {
    prop_oneof![3 => close_key(), 2 => prefix_key(), 1 => (0..64_u8).prop_map(|n| keccak256([n]))]
}

/// Values from one byte, which makes inline nodes, to several RLP length classes.
pub(super) fn any_text() -> impl Strategy<Value = Text> {
    prop_oneof![
        4 => vec(1_u8..0x80, 1).prop_map(Text),
        2 => vec(any::<u8>(), 1..40).prop_map(Text),
        1 => vec(any::<u8>(), 50..70).prop_map(Text),
        1 => vec(any::<u8>(), 200..300).prop_map(Text),
    ]
}

pub(super) fn any_batch() -> impl Strategy<Value = Vec<(B256, Option<Text>)>> {
    vec((any_key(), prop::option::weighted(0.6, any_text())), 0..40)
}

pub(super) fn apply_to_model<V: Clone>(model: &mut Model<V>, batch: &[(B256, Option<V>)]) {
    for (key, value) in batch {
        match value {
            Some(value) => model.insert(*key, value.clone()),
            None => model.remove(key),
        };
    }
}

/// Single edits, of which the store makes batches only.
impl<V: Clone> Trie<V> {
    pub(super) fn insert(&mut self, key: B256, value: V) {
        self.root.insert(0, key, value);
    }

    /// False, with nothing changed or copied, if the key is absent.
    pub(super) fn remove(&mut self, key: &B256) -> bool {
        self.root.remove(key)
    }

    pub(super) fn get_mut(&mut self, key: &B256) -> Option<&mut V> {
        self.root.get_mut(key)
    }
}

/// Whether two versions are one and the same in memory.
pub(super) fn same_version<V>(a: &Trie<V>, b: &Trie<V>) -> bool {
    match (&a.root, &b.root) {
        (Link::Empty, Link::Empty) => true,
        (Link::Leaf(a), Link::Leaf(b)) => Arc::ptr_eq(a, b),
        (Link::Branch(a), Link::Branch(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

/// Distinct, well spread keys.
pub(super) fn spread(count: u64) -> Vec<B256> {
    (0..count).map(|n| keccak256(n.to_be_bytes())).collect()
}
