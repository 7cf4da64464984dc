//! Reading the RLP of nodes that come from elsewhere (Yellow Paper, appendices C and D).

use alloy_primitives::B256;
use alloy_rlp::Header;
use thiserror::Error;

/// Items of a branch: sixteen children and a value.
const BRANCH_ITEMS: usize = 17;

/// Why bytes are not a node of a trie whose keys are hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NodeError {
    /// Not RLP.
    #[error("the node is not valid RLP")]
    Rlp(#[source] alloy_rlp::Error),
    /// RLP of something else.
    #[error("the node has {0}")]
    Shape(&'static str),
}

/// How a node names one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// By the hash of its RLP.
    Hash(B256),
    /// By its RLP, which has fewer than 32 bytes.
    Inline(&'a [u8]),
}

/// A node. Paths are nibbles, one a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node<'a> {
    Leaf { path: Vec<u8>, value: &'a [u8] },
    Extension { path: Vec<u8>, child: Reference<'a> },
    Branch(Vec<Option<Reference<'a>>>),
}

/// An item of the node's list.
struct Item<'a> {
    list: bool,
    /// With its header.
    raw: &'a [u8],
    /// Without.
    body: &'a [u8],
}

/// Reads a node. Takes no more memory than a branch needs, whatever the bytes say.
pub(crate) fn decode(rlp: &[u8]) -> Result<Node<'_>, NodeError> {
    let items = items(rlp)?;
    match items.as_slice() {
        [path, below] => {
            let (is_leaf, path) = decode_path(path)?;
            if is_leaf {
                if below.list {
                    return Err(NodeError::Shape("a list as the value of a leaf"));
                }
                return Ok(Node::Leaf { path, value: below.body });
            }
            if path.is_empty() {
                return Err(NodeError::Shape("an extension by nothing"));
            }
            match reference(below)? {
                Some(child) => Ok(Node::Extension { path, child }),
                None => Err(NodeError::Shape("an extension to nothing")),
            }
        }
        [children @ .., value] if items.len() == BRANCH_ITEMS => {
            if value.list || !value.body.is_empty() {
                return Err(NodeError::Shape("a value in a branch"));
            }
            let children: Vec<_> = children.iter().map(reference).collect::<Result<_, _>>()?;
            if children.iter().flatten().count() < 2 {
                return Err(NodeError::Shape("a branch with fewer than two children"));
            }
            Ok(Node::Branch(children))
        }
        _ => Err(NodeError::Shape("neither 2 nor 17 items")),
    }
}

fn items(rlp: &[u8]) -> Result<Vec<Item<'_>>, NodeError> {
    let mut rest = rlp;
    let mut payload = Header::decode_bytes(&mut rest, true).map_err(NodeError::Rlp)?;
    if !rest.is_empty() {
        return Err(NodeError::Shape("bytes behind it"));
    }
    let mut items = Vec::with_capacity(BRANCH_ITEMS);
    while !payload.is_empty() {
        if items.len() == BRANCH_ITEMS {
            return Err(NodeError::Shape("more than 17 items"));
        }
        let whole = payload;
        let Header { list, payload_length } = Header::decode(&mut payload).map_err(NodeError::Rlp)?;
        let short = NodeError::Rlp(alloy_rlp::Error::InputTooShort);
        let (body, behind) = payload.split_at_checked(payload_length).ok_or(short)?;
        items.push(Item { list, raw: &whole[..whole.len() - behind.len()], body });
        payload = behind;
    }
    Ok(items)
}

/// Whether a path ends in a leaf, and its nibbles.
fn decode_path(item: &Item<'_>) -> Result<(bool, Vec<u8>), NodeError> {
    const NO_PATH: NodeError = NodeError::Shape("no path");
    let (&first, packed) = item.body.split_first().filter(|_| !item.list).ok_or(NO_PATH)?;
    let (is_leaf, is_odd) = match first >> 4 {
        0 => (false, false),
        1 => (false, true),
        2 => (true, false),
        3 => (true, true),
        _ => return Err(NO_PATH),
    };
    if packed.len() > B256::len_bytes() || (!is_odd && first & 0x0f != 0) {
        return Err(NO_PATH);
    }
    let mut path = Vec::with_capacity(1 + 2 * packed.len());
    if is_odd {
        path.push(first & 0x0f);
    }
    for byte in packed {
        path.extend([byte >> 4, byte & 0x0f]);
    }
    Ok((is_leaf, path))
}

fn reference<'a>(item: &Item<'a>) -> Result<Option<Reference<'a>>, NodeError> {
    match (item.list, item.body.len()) {
        (false, 0) => Ok(None),
        (false, 32) => Ok(Some(Reference::Hash(B256::from_slice(item.body)))),
        (true, _) if item.raw.len() < B256::len_bytes() => Ok(Some(Reference::Inline(item.raw))),
        _ => Err(NodeError::Shape("a child that is neither a hash nor a short node")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_stop_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn no_lists_stop_the_reader(items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..34), 0..20)) {
            let items: Vec<_> = items.into_iter().map(alloy_primitives::Bytes::from).collect();
            let _ = decode(&alloy_rlp::encode(items));
        }
    }

    #[test]
    fn what_is_no_node_is_refused() {
        let encode = |items: &[&[u8]]| {
            let mut out = Vec::new();
            alloy_rlp::encode_list::<&[u8], [u8]>(items, &mut out);
            out
        };
        let hash = [7; 32];
        for items in [
            &[&[0x20_u8][..]][..],
            &[&[0x40], &hash],
            &[&[0x01], &hash],
            &[&[0x00], &hash],
            &[&[0x11], &[]],
            &[&[0x11], &[1, 2, 3]],
            &[&[], &hash],
            &[&[][..]; 17],
            &[&[][..]; 18],
        ] {
            let encoded = encode(items);
            let refused = decode(&encoded);
            assert!(matches!(refused, Err(NodeError::Shape(_))), "{items:?} gave {refused:?}");
        }
        let extension = encode(&[&[0x11], &hash]);
        let child = Reference::Hash(B256::from(hash));
        assert_eq!(decode(&extension), Ok(Node::Extension { path: vec![1], child }));
        assert_eq!(decode(&encode(&[&[0x20, 0xab], &[5]])), Ok(Node::Leaf { path: vec![0xa, 0xb], value: &[5] }));
        assert!(decode(&[extension, vec![0]].concat()).is_err());
    }
}
