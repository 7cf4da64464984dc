//! Parts of a trie: what lies below a node, and the hash that the node above knows it by.

use alloy_primitives::{B256, Bytes};

use super::{
    Iter, Leaf, Link, Prefix, Trie, TrieError,
    nibbles::{first_difference, nibble},
};

/// The part of a trie below one of its nodes in Ethereum's sense, where an extension and the branch below it are two.
pub(crate) struct Subtree<'a, V> {
    link: &'a Link<V>,
    /// Position of the node's first nibble: the link's, or that of a branch below its extension.
    at: u8,
}

impl<V> Trie<V> {
    /// The part whose keys begin with a prefix; `None` where no node begins there.
    pub(crate) fn subtree(&self, prefix: &Prefix) -> Option<Subtree<'_, V>> {
        let (path, at) = (prefix.first(), prefix.nibbles());
        let mut link = &self.root;
        loop {
            match link {
                Link::Empty => return None,
                Link::Leaf(leaf) => {
                    let found = leaf.start == at && prefix.contains(&leaf.key);
                    return found.then_some(Subtree { link, at });
                }
                Link::Branch(branch) => {
                    let same = first_difference(branch.first_key()?, path);
                    if branch.start == at || branch.depth == at {
                        return (same >= at).then_some(Subtree { link, at });
                    }
                    if at < branch.depth || same < branch.depth {
                        return None;
                    }
                    link = branch.child(nibble(path, branch.depth))?;
                }
            }
        }
    }
}

impl<'a, V> Subtree<'a, V> {
    /// Its keys and values in ascending order of key.
    pub(crate) fn iter(&self) -> Iter<'a, V> {
        Iter::new(self.link)
    }
}

impl<V: Leaf> Subtree<'_, V> {
    /// The RLP of the node, and where that is an extension of the branch below it too, unless that stands inline.
    pub(crate) fn nodes(&self) -> Vec<Bytes> {
        let mut nodes = Vec::with_capacity(2);
        let mut rlp = Vec::new();
        match self.link {
            Link::Branch(branch) => {
                if branch.has_extension() && self.at == branch.start {
                    self.link.write_node(&mut rlp);
                    nodes.push(Bytes::from(std::mem::take(&mut rlp)));
                }
                branch.write_branch(&mut rlp);
                if nodes.is_empty() || rlp.len() >= B256::len_bytes() {
                    nodes.push(rlp.into());
                }
            }
            link => {
                link.write_node(&mut rlp);
                nodes.push(rlp.into());
            }
        }
        nodes
    }
}

/// The hash of the node that begins at a prefix and has these keys below it: of its RLP, also where that is so short
/// that it stands inline. All keys must begin with the prefix, or the hash is one of nothing.
pub(crate) fn subtree_hash<V: Leaf>(
    prefix: &Prefix,
    entries: impl IntoIterator<Item = (B256, V)>,
) -> Result<B256, TrieError> {
    let mut trie = Trie::from_sorted(entries)?;
    trie.root.move_to(prefix.nibbles());
    Ok(trie.root.root_hash())
}
