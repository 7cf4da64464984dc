//! The messages and their encoding.
//!
//! ```text
//! message = id (8 bytes, big-endian) | kind (1 byte) | body
//! body    = an RLP list; responses have kinds from 0x80 on and the id of their request
//!
//! 01 pivots   []                               81 busy         []
//! 02 nodes    [block, trie, [prefix...]]       82 unavailable  []
//! 03 accounts [block, prefix]                  83 pivots       [[header, certificate, record]...]
//! 04 slots    [block, account, prefix]         84 nodes        [[node, node?]...]
//! 05 codes    [hash...]                        85 accounts     [account...]
//! 06 headers  [block, count]                   86 slots        [slot...]
//! 07 block    [block, offset]                  87 too large    [node, node?]
//! 08 links    [epoch, count]                   88 codes        [code...]
//!                                              89 headers      [header...]
//!                                              8a block        [length, bytes]
//!                                              8b links        [[header, certificate, record]...]
//! ```
//!
//! A block is named by its hash, the trie of the accounts by an empty string and that of an account's storage by the
//! account's hashed address. Lists of nodes and code answer the first of what was asked for, in its order, as many as
//! fit; code that the peer lacks is empty. Headers go back from the block, links on from the epoch: a link is what a
//! pivot is, an epoch's last header, its certificate and the next epoch's record, but without a state. A `block` is the RLP list of an encoded
//! block and its receipts ([`receipt::encode_list`](dolmen_types::receipt::encode_list)), sent in chunks.
//!
//! Decoding takes memory in proportion to the message, which is bounded, and no input can stop it.

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, Header as RlpHeader};
use bytes::Bytes;
use dolmen_store::snapshot::{AccountEntry, Pivot, Prefix, Slot, TrieId};

use crate::limits::{
    CHUNK_BYTES, CODES_MAX, HEADERS_MAX, LINKS_MAX, MESSAGE_BYTES_MAX, NODES_MAX, PIVOTS_MAX, REQUEST_BYTES_MAX,
};

/// Bytes before the body.
const HEAD_BYTES: usize = 9;
/// The first kind of a response.
const RESPONSES: u8 = 0x80;

/// What a box asks another for. Blocks are named by their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The blocks whose states it keeps.
    Pivots,
    /// Nodes of a trie after a block, by where they begin.
    Nodes {
        /// The block.
        pivot: B256,
        /// The trie.
        trie: TrieId,
        /// Where they begin; at most [`NODES_MAX`].
        prefixes: Vec<Prefix>,
    },
    /// A part of the account trie after a block.
    Accounts {
        /// The block.
        pivot: B256,
        /// The part.
        prefix: Prefix,
    },
    /// A part of an account's storage trie after a block.
    Slots {
        /// The block.
        pivot: B256,
        /// keccak256 of the account's address.
        account: B256,
        /// The part.
        prefix: Prefix,
    },
    /// Code by hash.
    Codes {
        /// At most [`CODES_MAX`].
        hashes: Vec<B256>,
    },
    /// A block's header and those before it, back.
    Headers {
        /// The block.
        block: B256,
        /// How many; at most [`HEADERS_MAX`].
        count: u64,
    },
    /// A block and its receipts.
    Block {
        /// The block.
        block: B256,
        /// The first byte to be sent.
        offset: u64,
    },
    /// The last blocks of epochs, and what proves them.
    Links {
        /// The first epoch.
        epoch: u64,
        /// How many; at most [`LINKS_MAX`].
        count: u64,
    },
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Too much was asked for a while.
    Busy,
    /// The box does not have it.
    Unavailable,
    /// The blocks whose states it keeps.
    Pivots(Vec<Pivot>),
    /// For each node its RLP, and that of the branch below it where it is an extension.
    Nodes(Vec<Vec<alloy_primitives::Bytes>>),
    /// The part's accounts.
    Accounts(Vec<AccountEntry>),
    /// The part's slots.
    Slots(Vec<Slot>),
    /// The part is too large: its top, as in [`Self::Nodes`].
    TooLarge(Vec<alloy_primitives::Bytes>),
    /// Code, empty where the box does not have it.
    Codes(Vec<alloy_primitives::Bytes>),
    /// Headers, back from the block.
    Headers(Vec<Header>),
    /// A part of a block with its receipts.
    Block {
        /// Bytes of all of it.
        length: u64,
        /// Those from the offset on.
        bytes: alloy_primitives::Bytes,
    },
    /// Links, one epoch's after the other's.
    Links(Vec<Pivot>),
}

/// Why bytes are not a message. A correct box never sends such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Larger than any message.
    #[error("the message has {bytes} bytes, at most {max} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// Too short for any.
    #[error("the message has only {0} bytes")]
    Short(usize),
    /// A kind that there is not.
    #[error("there is no message of kind {0:#04x}")]
    Kind(u8),
    /// Not the RLP of its body.
    #[error("the message's body is not what its kind has")]
    Rlp(#[source] alloy_rlp::Error),
    /// More of something than may be.
    #[error("the message has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        max: usize,
    },
}

/// Whether a message from a peer is a request, which a [`Server`](crate::Server) answers, rather than an answer.
pub fn is_request(message: &[u8]) -> bool {
    message.get(HEAD_BYTES - 1).is_some_and(|kind| *kind < RESPONSES)
}

/// The id of the request that a message answers; `None` where it answers none.
pub(crate) fn answered_id(message: &[u8]) -> Option<u64> {
    let (id, rest) = message.split_first_chunk()?;
    rest.first().is_some_and(|kind| *kind >= RESPONSES).then(|| u64::from_be_bytes(*id))
}

impl Request {
    /// The message.
    pub fn encode(&self, id: u64) -> Bytes {
        match self {
            Self::Pivots => message(id, 0x01, |_| {}),
            Self::Nodes { pivot, trie, prefixes } => message(id, 0x02, |out| {
                pivot.encode(out);
                trie.encode(out);
                prefixes.encode(out);
            }),
            Self::Accounts { pivot, prefix } => message(id, 0x03, |out| {
                pivot.encode(out);
                prefix.encode(out);
            }),
            Self::Slots { pivot, account, prefix } => message(id, 0x04, |out| {
                pivot.encode(out);
                account.encode(out);
                prefix.encode(out);
            }),
            Self::Codes { hashes } => message(id, 0x05, |out| encode_all(hashes, out)),
            Self::Headers { block, count } => message(id, 0x06, |out| {
                block.encode(out);
                count.encode(out);
            }),
            Self::Block { block, offset } => message(id, 0x07, |out| {
                block.encode(out);
                offset.encode(out);
            }),
            Self::Links { epoch, count } => message(id, 0x08, |out| {
                epoch.encode(out);
                count.encode(out);
            }),
        }
    }

    /// Reads a message, with its id.
    pub fn decode(message: &[u8]) -> Result<(u64, Self), DecodeError> {
        let (id, kind, mut body) = open(message, REQUEST_BYTES_MAX)?;
        let request = match kind {
            0x01 => Self::Pivots,
            0x02 => Self::Nodes {
                pivot: body.item()?,
                trie: body.item()?,
                prefixes: body.list()?.items("nodes", NODES_MAX)?,
            },
            0x03 => Self::Accounts { pivot: body.item()?, prefix: body.item()? },
            0x04 => Self::Slots { pivot: body.item()?, account: body.item()?, prefix: body.item()? },
            0x05 => Self::Codes { hashes: body.items("hashes", CODES_MAX)? },
            0x06 => {
                let (block, count): (B256, u64) = (body.item()?, body.item()?);
                if count > HEADERS_MAX as u64 {
                    return Err(DecodeError::TooMany { what: "headers", max: HEADERS_MAX });
                }
                Self::Headers { block, count }
            }
            0x07 => Self::Block { block: body.item()?, offset: body.item()? },
            0x08 => {
                let (epoch, count): (u64, u64) = (body.item()?, body.item()?);
                if count > LINKS_MAX as u64 {
                    return Err(DecodeError::TooMany { what: "links", max: LINKS_MAX });
                }
                Self::Links { epoch, count }
            }
            other => return Err(DecodeError::Kind(other)),
        };
        body.end()?;
        Ok((id, request))
    }
}

impl Response {
    /// The message that answers the request with this id.
    pub fn encode(&self, id: u64) -> Bytes {
        match self {
            Self::Busy => message(id, 0x81, |_| {}),
            Self::Unavailable => message(id, 0x82, |_| {}),
            Self::Pivots(pivots) => message(id, 0x83, |out| encode_all(pivots, out)),
            Self::Nodes(nodes) => message(id, 0x84, |out| encode_all(nodes, out)),
            Self::Accounts(accounts) => message(id, 0x85, |out| encode_all(accounts, out)),
            Self::Slots(slots) => message(id, 0x86, |out| encode_all(slots, out)),
            Self::TooLarge(nodes) => message(id, 0x87, |out| encode_all(nodes, out)),
            Self::Codes(codes) => message(id, 0x88, |out| encode_all(codes, out)),
            Self::Headers(headers) => message(id, 0x89, |out| encode_all(headers, out)),
            Self::Block { length, bytes } => message(id, 0x8a, |out| {
                length.encode(out);
                bytes.encode(out);
            }),
            Self::Links(links) => message(id, 0x8b, |out| encode_all(links, out)),
        }
    }

    /// Reads a message, with the id of the request that it answers.
    pub fn decode(message: &[u8]) -> Result<(u64, Self), DecodeError> {
        let (id, kind, mut body) = open(message, MESSAGE_BYTES_MAX)?;
        let response = match kind {
            0x81 => Self::Busy,
            0x82 => Self::Unavailable,
            0x83 => Self::Pivots(body.items("pivots", PIVOTS_MAX)?),
            0x84 => {
                let mut nodes = Vec::new();
                while !body.0.is_empty() {
                    if nodes.len() == NODES_MAX {
                        return Err(DecodeError::TooMany { what: "nodes", max: NODES_MAX });
                    }
                    nodes.push(body.list()?.items("nodes at one place", 2)?);
                }
                Self::Nodes(nodes)
            }
            // The least account takes 70 bytes and the least slot 35, which is half of what they take in memory.
            0x85 => Self::Accounts(body.items("accounts", usize::MAX)?),
            0x86 => Self::Slots(body.items("slots", usize::MAX)?),
            0x87 => Self::TooLarge(body.items("nodes at one place", 2)?),
            0x88 => Self::Codes(body.items("codes", CODES_MAX)?),
            0x89 => Self::Headers(body.items("headers", HEADERS_MAX)?),
            0x8a => {
                let (length, bytes): (_, alloy_primitives::Bytes) = (body.item()?, body.item()?);
                if bytes.len() > CHUNK_BYTES {
                    return Err(DecodeError::TooMany { what: "bytes of a block", max: CHUNK_BYTES });
                }
                Self::Block { length, bytes }
            }
            0x8b => Self::Links(body.items("links", LINKS_MAX)?),
            other => return Err(DecodeError::Kind(other)),
        };
        body.end()?;
        Ok((id, response))
    }
}

fn message(id: u64, kind: u8, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut payload = Vec::new();
    write(&mut payload);
    let header = RlpHeader { list: true, payload_length: payload.len() };
    let mut message = Vec::with_capacity(HEAD_BYTES + header.length_with_payload());
    message.extend_from_slice(&id.to_be_bytes());
    message.push(kind);
    header.encode(&mut message);
    message.extend_from_slice(&payload);
    message.into()
}

fn encode_all<T: Encodable>(items: &[T], out: &mut Vec<u8>) {
    items.iter().for_each(|item| item.encode(out));
}

fn open(message: &[u8], max: usize) -> Result<(u64, u8, Items<'_>), DecodeError> {
    if message.len() > max {
        return Err(DecodeError::TooLarge { bytes: message.len(), max });
    }
    let short = DecodeError::Short(message.len());
    let (id, rest) = message.split_first_chunk().ok_or(short)?;
    let (kind, mut rest) = rest.split_first().ok_or(short)?;
    let body = RlpHeader::decode_bytes(&mut rest, true).map_err(DecodeError::Rlp)?;
    Items(rest).end()?;
    Ok((u64::from_be_bytes(*id), *kind, Items(body)))
}

/// What is left of a list.
struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    fn item<T: Decodable>(&mut self) -> Result<T, DecodeError> {
        T::decode(&mut self.0).map_err(DecodeError::Rlp)
    }

    fn list(&mut self) -> Result<Items<'a>, DecodeError> {
        RlpHeader::decode_bytes(&mut self.0, true).map(Items).map_err(DecodeError::Rlp)
    }

    /// All that is left.
    fn items<T: Decodable>(&mut self, what: &'static str, max: usize) -> Result<Vec<T>, DecodeError> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            if items.len() == max {
                return Err(DecodeError::TooMany { what, max });
            }
            items.push(self.item()?);
        }
        Ok(items)
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::Rlp(alloy_rlp::Error::UnexpectedLength)) }
    }
}

#[cfg(test)]
mod tests;
