//! Node RLP, references and hashes (Yellow Paper, appendix D: the functions c and n).
//!
//! A node is referred to by the keccak of its RLP, or by the RLP itself where that is below 32 bytes. Hashes are kept
//! in the nodes. Inline RLP is not: it is short, everything below it is inline too, and it is rare. Keys that are
//! hashes must agree on their first 8 nibbles before even a slot of one byte is short enough.
//!
//! Hashes are stored with `get` and `set`, never `get_or_init`: a thread that waits in a parallel section inside an
//! initialiser may pick up a task that needs the same cell, and would then wait for itself. Two threads may compute
//! one hash at the same time; both arrive at the same value.

use std::sync::OnceLock;

use alloy_primitives::{B256, keccak256};
use alloy_rlp::{EMPTY_STRING_CODE, Header};
use rayon::prelude::*;

use super::{
    EMPTY_ROOT_HASH, Leaf,
    nibbles::{KEY_NIBBLES, path_length, write_path},
    node::{BranchNode, LeafNode, Link},
};

/// Nodes without a hash from which a subtree is hashed on several threads. In a trie of 1,000,000 keys some 60 changed
/// keys leave that many, which take 0.3 ms to hash. With a second core free, forking halves the time from there on;
/// with none free it adds up to 5 percent. Forking on any change at all adds 30 percent at 32 changed keys.
pub(super) const PARALLEL_HASH_MIN: usize = 256;

/// Branch levels at which hashing forks: at most 256 tasks.
const PARALLEL_HASH_LEVELS: u8 = 2;

/// RLP from which a node is referred to by hash, bytes.
const HASHED_FROM: usize = B256::len_bytes();

impl<V> Link<V> {
    fn hash_cell(&self) -> Option<&OnceLock<B256>> {
        match self {
            Self::Empty => None,
            Self::Leaf(leaf) => Some(&leaf.hash),
            Self::Branch(branch) => Some(&branch.hash),
        }
    }

    pub(super) fn cached_hash(&self) -> Option<&B256> {
        self.hash_cell().and_then(OnceLock::get)
    }

    /// Counts nodes without a hash, and stops looking at `limit`.
    fn count_unhashed(&self, limit: usize) -> usize {
        match self {
            Self::Leaf(leaf) if leaf.hash.get().is_none() => 1,
            Self::Branch(branch) if branch.hash.get().is_none() => {
                let mut count = 1;
                for child in &branch.children {
                    if count >= limit {
                        break;
                    }
                    count += child.count_unhashed(limit - count);
                }
                count
            }
            _ => 0,
        }
    }
}

impl<V: Leaf> Link<V> {
    /// The hash of this node as the root of a trie; computes what changed, on several threads if that is much.
    pub(super) fn root_hash(&self) -> B256 {
        if self.is_empty() {
            return EMPTY_ROOT_HASH;
        }
        if let Some(hash) = self.cached_hash() {
            return *hash;
        }
        self.hash_subtrees(PARALLEL_HASH_LEVELS);
        let mut out = Vec::new();
        self.write_reference(&mut out);
        self.cached_hash().copied().unwrap_or_else(|| keccak256(&out))
    }

    /// Computes the references below this node on several threads where enough of them are missing.
    fn hash_subtrees(&self, levels: u8) {
        let Self::Branch(branch) = self else { return };
        if levels == 0 || self.count_unhashed(PARALLEL_HASH_MIN) < PARALLEL_HASH_MIN {
            return;
        }
        branch.children.par_iter().filter(|child| child.cached_hash().is_none()).for_each(|child| {
            child.hash_subtrees(levels - 1);
            child.write_reference(&mut Vec::new());
        });
    }

    /// Appends the RLP by which a parent refers to this node.
    pub(super) fn write_reference(&self, out: &mut Vec<u8>) {
        if let Some(hash) = self.cached_hash() {
            write_hash(hash, out);
            return;
        }
        let from = out.len();
        self.write_node(out);
        if let (Some(hash), Some(cell)) = (shorten(from, out), self.hash_cell()) {
            // Another thread may have been first; it stored the same hash.
            let _ = cell.set(hash);
        }
    }

    /// Appends the RLP of this node: of a leaf, or of the extension where the branch has one, or of the branch.
    pub(super) fn write_node(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => out.push(EMPTY_STRING_CODE),
            Self::Leaf(leaf) => leaf.write(out),
            Self::Branch(branch) if branch.has_extension() => branch.write_extension(out),
            Self::Branch(branch) => branch.write_branch(out),
        }
    }
}

impl<V: Leaf> LeafNode<V> {
    fn write(&self, out: &mut Vec<u8>) {
        let from = out.len();
        self.value.encode(out);
        let head = out.len();
        let length = head - from;
        // A single byte below 0x80 is its own RLP.
        let bare = length == 1 && out[from] < EMPTY_STRING_CODE;
        let header = Header { list: false, payload_length: length };
        let value_length = if bare { 1 } else { header.length_with_payload() };
        let path = path_length(KEY_NIBBLES - self.start);
        Header { list: true, payload_length: path + value_length }.encode(out);
        write_path(&self.key, self.start, KEY_NIBBLES, true, out);
        if !bare {
            header.encode(out);
        }
        move_to_front(from, head, out);
    }
}

impl<V: Leaf> BranchNode<V> {
    pub(super) fn write_branch(&self, out: &mut Vec<u8>) {
        let from = out.len();
        for nibble in 0..16 {
            match self.child(nibble) {
                Some(child) => child.write_reference(out),
                None => out.push(EMPTY_STRING_CODE),
            }
        }
        // All keys have one length, so none ends in a branch: the value is empty.
        out.push(EMPTY_STRING_CODE);
        let head = out.len();
        Header { list: true, payload_length: head - from }.encode(out);
        move_to_front(from, head, out);
    }

    fn write_extension(&self, out: &mut Vec<u8>) {
        let Some(key) = self.first_key() else { return };
        let from = out.len();
        self.write_branch(out);
        shorten(from, out);
        let head = out.len();
        let path = path_length(self.depth - self.start);
        Header { list: true, payload_length: path + head - from }.encode(out);
        write_path(key, self.start, self.depth, false, out);
        move_to_front(from, head, out);
    }
}

/// Moves what was written from `head` on in front of what was written from `from` on. RLP lengths come first but are
/// known last; this lets one buffer serve a whole subtree.
fn move_to_front(from: usize, head: usize, out: &mut [u8]) {
    let length = out.len() - head;
    out[from..].rotate_right(length);
}

/// Replaces the RLP of a node that begins at `from` by its hash, unless it is short enough to stand inline.
fn shorten(from: usize, out: &mut Vec<u8>) -> Option<B256> {
    if out.len() - from < HASHED_FROM {
        return None;
    }
    let hash = keccak256(&out[from..]);
    out.truncate(from);
    write_hash(&hash, out);
    Some(hash)
}

fn write_hash(hash: &B256, out: &mut Vec<u8>) {
    out.push(EMPTY_STRING_CODE + 32);
    out.extend_from_slice(hash.as_slice());
}
