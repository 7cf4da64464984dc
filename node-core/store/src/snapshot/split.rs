//! The node at the top of a part, checked and cut into the parts below.

use alloy_primitives::{B256, Bytes, U256, keccak256};

use super::{NodeError, Prefix, Slot, TrieId};
use crate::trie::{Node, Reference, decode};

/// A part below a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What its keys begin with.
    pub prefix: Prefix,
    /// The hash of the node at its top.
    pub hash: B256,
    /// All its slots, where its nodes are so short that they stood inline.
    pub slots: Option<Vec<Slot>>,
}

/// What a node is at the top of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split {
    /// One leaf, which cannot be cut.
    Leaf,
    /// Two parts or more, in ascending order.
    Parts(Vec<Part>),
}

/// Why nodes are not those at the top of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// One too few.
    #[error("a node is missing")]
    Missing,
    /// One too many.
    #[error("there is a node too many")]
    Extra,
    /// Another node than the one above names.
    #[error("the node hashes to {found}, the one above it names {expected}")]
    Hash {
        /// What the node above says.
        expected: B256,
        /// The hash of what came.
        found: B256,
    },
    /// Not the form of a node.
    #[error("a node that is none")]
    Node(#[from] NodeError),
    /// Longer than any key.
    #[error("the node's paths do not fit into keys of 32 bytes")]
    Depth,
}

/// Checks the nodes at the top of a part whose hash is `expected`, and cuts it into the parts below.
pub fn split(trie: TrieId, prefix: &Prefix, expected: &B256, nodes: &[Bytes]) -> Result<Split, SplitError> {
    let (top, rest) = nodes.split_first().ok_or(SplitError::Missing)?;
    check_hash(top, expected)?;
    match decode(top)? {
        Node::Leaf { .. } if rest.is_empty() => Ok(Split::Leaf),
        Node::Branch(children) if rest.is_empty() => parts(trie, prefix, &children),
        Node::Leaf { .. } | Node::Branch(_) => Err(SplitError::Extra),
        Node::Extension { path, child } => {
            let below = prefix.extended(&path).ok_or(SplitError::Depth)?;
            let branch = match (child, rest) {
                (Reference::Hash(hash), [branch]) => {
                    check_hash(branch, &hash)?;
                    &branch[..]
                }
                (Reference::Inline(branch), []) => branch,
                (Reference::Hash(_), []) => return Err(SplitError::Missing),
                _ => return Err(SplitError::Extra),
            };
            match decode(branch)? {
                Node::Branch(children) => parts(trie, &below, &children),
                _ => Err(NodeError::Shape("an extension to something else than a branch").into()),
            }
        }
    }
}

fn check_hash(node: &[u8], expected: &B256) -> Result<(), SplitError> {
    let found = keccak256(node);
    if found == *expected { Ok(()) } else { Err(SplitError::Hash { expected: *expected, found }) }
}

fn parts(trie: TrieId, prefix: &Prefix, children: &[Option<Reference<'_>>]) -> Result<Split, SplitError> {
    let mut parts = Vec::with_capacity(children.len());
    for (nibble, child) in (0..).zip(children) {
        let Some(child) = child else { continue };
        let prefix = prefix.child(nibble).ok_or(SplitError::Depth)?;
        parts.push(match child {
            Reference::Hash(hash) => Part { prefix, hash: *hash, slots: None },
            Reference::Inline(_) if trie == TrieId::Accounts => {
                return Err(NodeError::Shape("an account of fewer than 32 bytes").into());
            }
            Reference::Inline(node) => {
                let mut slots = Vec::new();
                read_slots(&prefix, node, &mut slots)?;
                Part { prefix, hash: keccak256(node), slots: Some(slots) }
            }
        });
    }
    Ok(Split::Parts(parts))
}

/// The slots below a node that stands inline. All below it does too, in ever fewer bytes.
fn read_slots(prefix: &Prefix, node: &[u8], slots: &mut Vec<Slot>) -> Result<(), SplitError> {
    match decode(node)? {
        Node::Leaf { path, value } => {
            let key = prefix.extended(&path).and_then(|whole| whole.key()).ok_or(SplitError::Depth)?;
            let value = alloy_rlp::decode_exact::<U256>(value).map_err(NodeError::Rlp)?;
            slots.push(Slot { key, value });
            Ok(())
        }
        Node::Extension { path, child } => {
            read_inline(&prefix.extended(&path).ok_or(SplitError::Depth)?, &child, slots)
        }
        Node::Branch(children) => {
            for (nibble, child) in (0..).zip(&children) {
                let Some(child) = child else { continue };
                read_inline(&prefix.child(nibble).ok_or(SplitError::Depth)?, child, slots)?;
            }
            Ok(())
        }
    }
}

fn read_inline(prefix: &Prefix, child: &Reference<'_>, slots: &mut Vec<Slot>) -> Result<(), SplitError> {
    match child {
        Reference::Inline(node) => read_slots(prefix, node, slots),
        Reference::Hash(_) => Err(NodeError::Shape("a hash in fewer than 32 bytes").into()),
    }
}
