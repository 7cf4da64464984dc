//! Peers that are not what they should be.

use alloy_primitives::{B256, Bytes, U256};
use dolmen_store::snapshot::{AccountEntry, Pivot, Prefix, Slot, StorageEntry, TrieId, slots_hash};

use super::source::{Random, Source};
use crate::message::{Request, Response};

/// How a peer lies. It does wherever the lie fits what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Another value of a leaf.
    Change,
    /// A leaf less.
    Drop,
    /// A leaf more.
    Add,
    /// The leaves in another order.
    Order,
    /// Those of another block.
    OtherPivot,
    /// Other nodes.
    Node,
    /// A part is too large, though it is not.
    TooLarge,
    /// Slots are left out, though they are few.
    LeaveOut,
    /// Other code.
    Code,
    /// Another header.
    Header,
    /// Another block, or other receipts.
    Block,
    /// The last block of an epoch is another.
    Link,
    /// Something else than what it was asked for.
    OtherKind,
    /// No message.
    Garbage,
}

pub(crate) const LIES: [Lie; 14] = [
    Lie::Change,
    Lie::Drop,
    Lie::Add,
    Lie::Order,
    Lie::OtherPivot,
    Lie::Node,
    Lie::TooLarge,
    Lie::LeaveOut,
    Lie::Code,
    Lie::Header,
    Lie::Block,
    Lie::Link,
    Lie::OtherKind,
    Lie::Garbage,
];

impl Lie {
    /// The request that a liar answers instead of the one that it was sent.
    pub(crate) fn ask(self, request: &Request, source: &Source) -> Request {
        let mut request = request.clone();
        if self == Self::OtherPivot
            && let Request::Nodes { pivot, .. } | Request::Accounts { pivot, .. } | Request::Slots { pivot, .. } =
                &mut request
        {
            let offers = source.pivots.offers(&source.store).unwrap();
            if let Some(other) = offers.iter().find(|offer| offer.hash() != *pivot) {
                *pivot = other.hash();
            }
        }
        request
    }

    /// What a liar answers instead of the right answer.
    pub(crate) fn tell(self, request: &Request, right: Response, source: &Source, random: &mut Random) -> Response {
        match (self, right) {
            (Self::Change, Response::Accounts(mut accounts)) => {
                let at = random.index(accounts.len());
                accounts[at].account.balance += U256::from(1);
                Response::Accounts(accounts)
            }
            (Self::Change, Response::Slots(mut slots)) => {
                let at = random.index(slots.len());
                slots[at].value += U256::from(1);
                Response::Slots(slots)
            }
            (Self::Drop, Response::Accounts(mut accounts)) => {
                accounts.remove(random.index(accounts.len()));
                Response::Accounts(accounts)
            }
            (Self::Drop, Response::Slots(mut slots)) => {
                slots.remove(random.index(slots.len()));
                Response::Slots(slots)
            }
            (Self::Add, Response::Accounts(mut accounts)) => {
                let last = accounts[accounts.len() - 1].clone();
                accounts.push(AccountEntry { key: beside(&last.key), ..last });
                accounts.sort_unstable_by_key(|account| account.key);
                Response::Accounts(accounts)
            }
            (Self::Add, Response::Slots(mut slots)) => {
                let last = slots[slots.len() - 1];
                slots.push(Slot { key: beside(&last.key), ..last });
                slots.sort_unstable_by_key(|slot| slot.key);
                Response::Slots(slots)
            }
            (Self::Order, Response::Accounts(mut accounts)) => {
                accounts.reverse();
                Response::Accounts(accounts)
            }
            (Self::Order, Response::Slots(mut slots)) => {
                slots.reverse();
                Response::Slots(slots)
            }
            (Self::Node, Response::TooLarge(nodes)) => {
                Response::TooLarge(nodes.iter().map(|node| flip(node, random)).collect())
            }
            (Self::Node, Response::Nodes(nodes)) => {
                Response::Nodes(nodes.iter().map(|pair| pair.iter().map(|node| flip(node, random)).collect()).collect())
            }
            (Self::TooLarge, Response::Accounts(accounts)) if accounts.len() > 1 => too_large(request, source),
            (Self::TooLarge, Response::Slots(slots)) if slots.len() > 1 => too_large(request, source),
            (Self::LeaveOut, Response::Accounts(mut accounts)) => {
                accounts.iter_mut().for_each(leave_out);
                Response::Accounts(accounts)
            }
            (Self::Code, Response::Codes(codes)) => Response::Codes(
                codes.iter().map(|code| if code.is_empty() { code.clone() } else { flip(code, random) }).collect(),
            ),
            (Self::Header, Response::Headers(mut headers)) => {
                let at = random.index(headers.len());
                headers[at].gas_used += 1;
                Response::Headers(headers)
            }
            (Self::Block, Response::Block { length, bytes }) => Response::Block { length, bytes: flip(&bytes, random) },
            (Self::Link, Response::Links(links)) => {
                let at = random.index(links.len());
                let change = |(place, link): (usize, Pivot)| {
                    let mut header = link.header().clone();
                    header.gas_used += u64::from(place == at);
                    Pivot::new(header, link.certificate().clone(), link.record().clone())
                };
                Response::Links(links.into_iter().enumerate().map(change).collect())
            }
            (Self::OtherKind, Response::Accounts(_) | Response::Slots(_) | Response::Headers(_)) => {
                Response::Codes(vec![Bytes::from_static(&[1])])
            }
            (_, right) => right,
        }
    }

    /// What a liar sends instead of a message.
    pub(crate) fn garble(self, message: bytes::Bytes, random: &mut Random) -> bytes::Bytes {
        if self != Self::Garbage {
            return message;
        }
        let mut garbled = message.to_vec();
        // The id and what says that it is an answer stay, or it would not be read at all.
        garbled.truncate(9 + random.index(garbled.len() - 8));
        garbled.push(random.draw().to_be_bytes()[0]);
        garbled.into()
    }
}

/// A key that agrees with another in all but the last bit.
fn beside(key: &B256) -> B256 {
    let mut key = *key;
    key[31] ^= 1;
    key
}

/// The bytes with one changed.
fn flip(bytes: &Bytes, random: &mut Random) -> Bytes {
    let mut bytes = bytes.to_vec();
    let at = random.index(bytes.len());
    bytes[at] ^= 0x10;
    bytes.into()
}

fn too_large(request: &Request, source: &Source) -> Response {
    let (pivot, trie, prefix) = match request {
        Request::Accounts { pivot, prefix } => (pivot, TrieId::Accounts, prefix),
        Request::Slots { pivot, account, prefix } => (pivot, TrieId::Storage(*account), prefix),
        _ => return Response::Unavailable,
    };
    let nodes = source.pivots.state(pivot).and_then(|state| state.nodes(trie, prefix));
    nodes.map_or(Response::Unavailable, Response::TooLarge)
}

fn leave_out(account: &mut AccountEntry) {
    if let StorageEntry::Slots(slots) = &account.storage
        && !slots.is_empty()
    {
        account.storage = StorageEntry::Large(slots_hash(&Prefix::ROOT, slots).unwrap());
    }
}
