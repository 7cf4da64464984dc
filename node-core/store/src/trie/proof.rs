//! Merkle proofs, as `eth_getProof` (EIP-1186) lists them.

use alloy_primitives::{B256, Bytes};

use super::{
    Leaf,
    nibbles::{first_difference, nibble},
    node::Link,
};

/// The nodes on the path to `key` below `root`, root first, without those that stand inline in their parent.
pub(super) fn proof<V: Leaf>(root: &Link<V>, key: &B256) -> Vec<Bytes> {
    let mut nodes = Vec::new();
    let mut link = root;
    loop {
        match link {
            Link::Empty => break,
            Link::Leaf(_) => {
                push(&mut nodes, |out| link.write_node(out));
                break;
            }
            Link::Branch(branch) => {
                if branch.has_extension() {
                    push(&mut nodes, |out| link.write_node(out));
                    // An extension that leads elsewhere is the proof of absence.
                    if branch.first_key().is_none_or(|first| first_difference(first, key) < branch.depth) {
                        break;
                    }
                }
                push(&mut nodes, |out| branch.write_branch(out));
                let Some(child) = branch.child(nibble(key, branch.depth)) else { break };
                link = child;
            }
        }
    }
    nodes
}

/// Adds a node unless its parent holds it inline. The root has no parent.
fn push(nodes: &mut Vec<Bytes>, write: impl FnOnce(&mut Vec<u8>)) {
    let mut rlp = Vec::new();
    write(&mut rlp);
    if nodes.is_empty() || rlp.len() >= B256::len_bytes() {
        nodes.push(rlp.into());
    }
}
