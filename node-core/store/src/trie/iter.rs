//! Iteration in key order.

use alloy_primitives::B256;

use super::node::Link;

/// Keys and values in ascending order of key, from [`Trie::iter`](super::Trie::iter).
pub(crate) struct Iter<'a, V> {
    /// What is left at each level, the deepest last; at most one entry per nibble of a key.
    pending: Vec<std::slice::Iter<'a, Link<V>>>,
}

impl<'a, V> Iter<'a, V> {
    pub(super) fn new(root: &'a Link<V>) -> Self {
        Self { pending: vec![std::slice::from_ref(root).iter()] }
    }
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (&'a B256, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pending.last_mut()?.next() {
                None => {
                    self.pending.pop();
                }
                Some(Link::Empty) => {}
                Some(Link::Leaf(leaf)) => return Some((&leaf.key, &leaf.value)),
                Some(Link::Branch(branch)) => self.pending.push(branch.children.iter()),
            }
        }
    }
}
