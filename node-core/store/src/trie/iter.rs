//! Iteration in key order.

use std::cmp::Ordering;

use alloy_primitives::B256;

use super::{
    nibbles::{first_difference, nibble},
    node::Link,
};

/// Keys and values in ascending order of key, from [`Trie::iter`](super::Trie::iter) and
/// [`Trie::iter_from`](super::Trie::iter_from).
pub struct Iter<'a, V> {
    /// What is left at each level, the deepest last; at most one entry per nibble of a key.
    pending: Vec<std::slice::Iter<'a, Link<V>>>,
}

impl<'a, V> Iter<'a, V> {
    pub(super) fn new(root: &'a Link<V>) -> Self {
        Self { pending: vec![std::slice::from_ref(root).iter()] }
    }

    /// Starts at the first key that is not below `key`.
    pub(super) fn starting_at(root: &'a Link<V>, key: &B256) -> Self {
        let mut pending = Vec::new();
        let mut link = root;
        while let Some(first) = link.first_key() {
            // The first key stands for all of the subtree up to the position at which its keys part.
            let at = first_difference(first, key);
            match link {
                Link::Branch(branch) if at >= branch.depth => {
                    let (index, below) = match branch.slot(nibble(key, branch.depth)) {
                        Ok(index) => (index + 1, branch.children.get(index)),
                        Err(index) => (index, None),
                    };
                    pending.push(branch.children.get(index..).unwrap_or_default().iter());
                    let Some(below) = below else { break };
                    link = below;
                }
                _ => {
                    if first.cmp(key) != Ordering::Less {
                        pending.push(std::slice::from_ref(link).iter());
                    }
                    break;
                }
            }
        }
        Self { pending }
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
