//! Nodes, and the edits that change the shape of the trie.
//!
//! An edit makes the nodes on its path its own (`Arc::make_mut`: in place where no other version holds the node, one
//! copy where one does) and clears their cached hashes. A clone of a node therefore starts without a hash.

use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;

use super::{
    Edit,
    nibbles::{KEY_NIBBLES, first_difference, nibble},
};

/// What hangs below a branch or at the root. `Empty` occurs at the root of an empty trie only, and inside an edit.
#[derive(Default)]
pub(super) enum Link<V> {
    #[default]
    Empty,
    Leaf(Arc<LeafNode<V>>),
    Branch(Arc<BranchNode<V>>),
}

/// A key and its value. The leaf's path in the Yellow Paper's sense is `key[start..64]`.
pub(super) struct LeafNode<V> {
    /// Hash of the node's RLP; unset when the leaf changed since, or when its RLP is short enough to stand inline.
    pub(super) hash: OnceLock<B256>,
    /// Position of the first nibble of the path.
    pub(super) start: u8,
    pub(super) key: B256,
    pub(super) value: V,
}

/// A branch together with the extension above it, if any. All keys below agree on `start..depth`, which is the
/// extension's path (none if empty) and is read from any of them, and part at position `depth`.
pub(super) struct BranchNode<V> {
    /// Hash of the RLP of the extension, or of the branch where there is none; unset as in [`LeafNode`].
    pub(super) hash: OnceLock<B256>,
    /// Position of the first nibble below the parent.
    pub(super) start: u8,
    /// Position of the nibble that selects the child; `start <= depth < 64`.
    pub(super) depth: u8,
    /// Bit `n` is set if there is a child for nibble `n`. At least two are.
    mask: u16,
    /// The children present, by nibble.
    pub(super) children: Box<[Link<V>]>,
}

impl<V> Clone for Link<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Empty => Self::Empty,
            Self::Leaf(leaf) => Self::Leaf(Arc::clone(leaf)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

impl<V: Clone> Clone for LeafNode<V> {
    fn clone(&self) -> Self {
        Self { hash: OnceLock::new(), start: self.start, key: self.key, value: self.value.clone() }
    }
}

impl<V> Clone for BranchNode<V> {
    fn clone(&self) -> Self {
        Self {
            hash: OnceLock::new(),
            start: self.start,
            depth: self.depth,
            mask: self.mask,
            children: self.children.clone(),
        }
    }
}

impl<V> BranchNode<V> {
    /// Whether an extension stands above the branch.
    pub(super) fn has_extension(&self) -> bool {
        self.start < self.depth
    }

    /// The child for `nibble`.
    pub(super) fn child(&self, nibble: u8) -> Option<&Link<V>> {
        self.slot(nibble).ok().and_then(|index| self.children.get(index))
    }

    /// Where the child for `nibble` is in `children` (`Ok`), or would be inserted (`Err`).
    pub(super) fn slot(&self, nibble: u8) -> Result<usize, usize> {
        let bit = 1_u16 << (nibble & 0x0f);
        let index = (self.mask & (bit - 1)).count_ones() as usize;
        if self.mask & bit == 0 { Err(index) } else { Ok(index) }
    }

    /// The lowest key below.
    pub(super) fn first_key(&self) -> Option<&B256> {
        let mut node = self;
        loop {
            match node.children.first()? {
                Link::Empty => return None,
                Link::Leaf(leaf) => return Some(&leaf.key),
                Link::Branch(branch) => node = branch,
            }
        }
    }

    /// Where `key` leaves the extension, and the extension's nibble there; `None` if it reaches the branch.
    fn divergence(&self, key: &B256) -> Option<(u8, u8)> {
        if !self.has_extension() {
            return None;
        }
        let first = self.first_key()?;
        let at = first_difference(first, key);
        (at < self.depth).then(|| (at, nibble(first, at)))
    }

    fn add_child(&mut self, index: usize, nibble: u8, child: Link<V>) {
        let mut children = std::mem::take(&mut self.children).into_vec();
        children.reserve_exact(1);
        children.insert(index, child);
        self.children = children.into_boxed_slice();
        self.mask |= 1 << nibble;
    }

    fn drop_child(&mut self, index: usize, nibble: u8) {
        let mut children = std::mem::take(&mut self.children).into_vec();
        children.remove(index);
        self.children = children.into_boxed_slice();
        self.mask &= !(1 << nibble);
    }

    /// Takes the children out, one slot per nibble. The node must be rebuilt with [`Link::from_slots`].
    pub(super) fn take_slots(&mut self) -> [Link<V>; 16] {
        let mut children = std::mem::take(&mut self.children).into_iter();
        let mask = std::mem::take(&mut self.mask);
        std::array::from_fn(|n| if mask >> n & 1 == 1 { children.next().unwrap_or_default() } else { Link::Empty })
    }
}

impl<V> Link<V> {
    pub(super) fn leaf(start: u8, key: B256, value: V) -> Self {
        Self::Leaf(Arc::new(LeafNode { hash: OnceLock::new(), start, key, value }))
    }

    /// A branch from its children, given with their nibbles in ascending order: at least two of them.
    pub(super) fn branch(start: u8, depth: u8, children: Vec<(u8, Self)>) -> Self {
        let mask = children.iter().fold(0, |mask, (nibble, _)| mask | 1 << nibble);
        let children = children.into_iter().map(|(_, child)| child).collect();
        Self::Branch(Arc::new(BranchNode { hash: OnceLock::new(), start, depth, mask, children }))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// The lowest key in the subtree.
    pub(super) fn first_key(&self) -> Option<&B256> {
        match self {
            Self::Empty => None,
            Self::Leaf(leaf) => Some(&leaf.key),
            Self::Branch(branch) => branch.first_key(),
        }
    }

    /// The value at `key`. Prefixes are not compared on the way: the leaf holds the whole key.
    pub(super) fn get(&self, key: &B256) -> Option<&V> {
        let mut link = self;
        loop {
            match link {
                Self::Empty => return None,
                Self::Leaf(leaf) => return (leaf.key == *key).then_some(&leaf.value),
                Self::Branch(branch) => link = branch.child(nibble(key, branch.depth))?,
            }
        }
    }
}

impl<V: Clone> Link<V> {
    /// A branch from what an edit left in its slots: nothing, its only child, or the branch.
    pub(super) fn from_slots(start: u8, depth: u8, slots: [Self; 16]) -> Self {
        let mut children: Vec<(u8, Self)> = (0..).zip(slots).filter(|(_, child)| !child.is_empty()).collect();
        match children.len() {
            0 => Self::Empty,
            1 => {
                let mut only = children.pop().map(|(_, child)| child).unwrap_or_default();
                only.move_to(start);
                only
            }
            _ => Self::branch(start, depth, children),
        }
    }

    /// The value at `key` for changing in place; the path becomes this version's own and loses its hashes. An absent
    /// key changes nothing.
    pub(super) fn get_mut(&mut self, key: &B256) -> Option<&mut V> {
        self.get(key)?;
        let mut link = self;
        loop {
            match link {
                Self::Empty => return None,
                Self::Leaf(leaf) => {
                    let leaf = Arc::make_mut(leaf);
                    leaf.hash.take();
                    return Some(&mut leaf.value);
                }
                Self::Branch(branch) => {
                    let branch = Arc::make_mut(branch);
                    branch.hash.take();
                    let index = branch.slot(nibble(key, branch.depth)).ok()?;
                    link = branch.children.get_mut(index)?;
                }
            }
        }
    }

    /// Sets the value at `key`, in the subtree whose path begins at `start`.
    pub(super) fn insert(&mut self, start: u8, key: B256, value: V) {
        match self {
            Self::Empty => *self = Self::leaf(start, key, value),
            Self::Leaf(leaf) => {
                let at = first_difference(&leaf.key, &key);
                if at < KEY_NIBBLES {
                    let there = nibble(&leaf.key, at);
                    self.fork(start, at, there, key, value);
                } else if let Some(leaf) = Arc::get_mut(leaf) {
                    leaf.hash.take();
                    leaf.value = value;
                } else {
                    // Shared: a fresh leaf, without cloning the value about to be replaced.
                    *self = Self::leaf(start, key, value);
                }
            }
            Self::Branch(branch) => {
                if let Some((at, there)) = branch.divergence(&key) {
                    self.fork(start, at, there, key, value);
                    return;
                }
                let branch = Arc::make_mut(branch);
                branch.hash.take();
                let (here, below) = (nibble(&key, branch.depth), branch.depth + 1);
                match branch.slot(here) {
                    Ok(index) => branch.children[index].insert(below, key, value),
                    Err(index) => branch.add_child(index, here, Self::leaf(below, key, value)),
                }
            }
        }
    }

    /// Puts a branch at position `at` above this subtree, whose nibble there is `there`, and a new leaf beside it.
    fn fork(&mut self, start: u8, at: u8, there: u8, key: B256, value: V) {
        self.move_to(at + 1);
        let here = nibble(&key, at);
        let (old, new) = (std::mem::take(self), Self::leaf(at + 1, key, value));
        let children = if there < here { vec![(there, old), (here, new)] } else { vec![(here, new), (there, old)] };
        *self = Self::branch(start, at, children);
    }

    /// Gives the subtree's top node another starting position, which changes its path and so its hash.
    pub(super) fn move_to(&mut self, start: u8) {
        match self {
            Self::Empty => {}
            Self::Leaf(leaf) => {
                let leaf = Arc::make_mut(leaf);
                leaf.hash.take();
                leaf.start = start;
            }
            Self::Branch(branch) => {
                let branch = Arc::make_mut(branch);
                branch.hash.take();
                branch.start = start;
            }
        }
    }

    /// Removes `key`; false, and nothing changed, if it is absent.
    pub(super) fn remove(&mut self, key: &B256) -> bool {
        let present = self.get(key).is_some();
        if present {
            self.remove_present(key);
        }
        present
    }

    fn remove_present(&mut self, key: &B256) {
        let Self::Branch(branch) = self else {
            *self = Self::Empty;
            return;
        };
        let branch = Arc::make_mut(branch);
        branch.hash.take();
        let here = nibble(key, branch.depth);
        let Ok(index) = branch.slot(here) else { return };
        branch.children[index].remove_present(key);
        if !branch.children[index].is_empty() {
            return;
        }
        branch.drop_child(index, here);
        // A branch of one child is no branch: the child takes its place, and its path grows by what was above.
        if let [only] = &mut branch.children[..] {
            let start = branch.start;
            only.move_to(start);
            *self = std::mem::take(only);
        }
    }

    /// Shows `change` the value at `key`, if any, and does what it says.
    pub(super) fn edit(&mut self, start: u8, key: B256, change: impl FnOnce(Option<&mut V>) -> Edit<V>) {
        match change(self.get_mut(&key)) {
            Edit::Keep => {}
            Edit::Set(value) => self.insert(start, key, value),
            Edit::Remove => {
                self.remove(&key);
            }
        }
    }
}
