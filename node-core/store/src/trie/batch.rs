//! Many keys at once: batches of updates, and building from sorted input. Both fork by nibble.

use std::sync::Arc;

use alloy_primitives::B256;
use rayon::prelude::*;

use super::{
    nibbles::{first_difference, nibble},
    node::Link,
};

/// Updates from which a batch is split over threads. In a trie of 1,000,000 keys that many take 1 ms; with a second
/// core free, splitting makes it 0.6 ms; with none free it adds a tenth.
pub(super) const PARALLEL_UPDATE_MIN: usize = 512;

/// Leaves from which a subtree is built on several threads.
const PARALLEL_BUILD_MIN: usize = 4096;

/// Runs `operation` for each update of `batch`, which is sorted by key, on the subtree whose path begins at `start`.
pub(super) fn apply<V, U, F>(link: &mut Link<V>, start: u8, batch: Vec<(B256, U)>, operation: &F)
where
    V: Clone + Send + Sync,
    U: Send,
    F: Fn(&mut Link<V>, u8, B256, U) + Sync,
{
    let parallel = batch.len() >= PARALLEL_UPDATE_MIN;
    if !parallel || !matches!(link, Link::Branch(branch) if !branch.has_extension()) {
        for (key, update) in batch {
            operation(link, start, key, update);
        }
        return;
    }
    // Should an operation panic, an empty subtree remains, not a branch without children.
    let Link::Branch(mut branch) = std::mem::take(link) else { return };
    let depth = branch.depth;
    let mut slots = Arc::make_mut(&mut branch).take_slots();
    slots
        .par_iter_mut()
        .zip(split_by_nibble(batch, depth))
        .filter(|(_, part)| !part.is_empty())
        .for_each(|(slot, part)| apply(slot, depth + 1, part, operation));
    *link = Link::from_slots(start, depth, slots);
}

/// Splits a sorted batch whose keys agree before position `depth` into one part per nibble there.
fn split_by_nibble<U>(mut batch: Vec<(B256, U)>, depth: u8) -> Vec<Vec<(B256, U)>> {
    let mut parts: Vec<_> =
        (0..16_u8).rev().map(|n| batch.split_off(batch.partition_point(|(key, _)| nibble(key, depth) < n))).collect();
    parts.reverse();
    parts
}

/// Builds the subtree whose path begins at `start` from its leaves, which are in ascending order of distinct keys.
pub(super) fn build<V: Clone + Send + Sync>(leaves: &mut [Link<V>], start: u8) -> Link<V> {
    if let [only] = leaves {
        only.move_to(start);
        return std::mem::take(only);
    }
    let ends = leaves.first().and_then(Link::first_key).zip(leaves.last().and_then(Link::first_key));
    let Some((first, last)) = ends else { return Link::Empty };
    let depth = first_difference(first, last);
    let parallel = leaves.len() >= PARALLEL_BUILD_MIN;
    let nibble_of = |leaf: &Link<V>| leaf.first_key().map(|key| nibble(key, depth));
    let mut parts = Vec::with_capacity(16);
    let mut rest = leaves;
    while let Some(here) = rest.first().and_then(nibble_of) {
        let end = rest.partition_point(|leaf| nibble_of(leaf) <= Some(here));
        let (part, after) = rest.split_at_mut(end);
        parts.push((here, part));
        rest = after;
    }
    let child = |(here, part)| (here, build(part, depth + 1));
    let children =
        if parallel { parts.into_par_iter().map(child).collect() } else { parts.into_iter().map(child).collect() };
    Link::branch(start, depth, children)
}
