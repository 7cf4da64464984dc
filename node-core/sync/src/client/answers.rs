//! What a client makes of the answers.

use alloy_primitives::{B256, keccak256};
use dolmen_store::snapshot::{Pivot, TrieId};
use dolmen_types::PublicKey;

use super::{Action, Ask, Client, ClientError, Out, Pending, chain::Headers, walk::Site};
use crate::{
    fault::Fault,
    limits::{OFFER_AGAIN_MS, OFFERED_MAX},
    message::{Response, answered_id},
};

/// What came of an answer.
enum Taken {
    /// What was asked for, or the first of it.
    Answered,
    /// The peer does not have it.
    Lacking,
    /// Not now.
    Busy,
}

impl Client {
    /// Takes a message in. One that answers nothing that this peer was asked for is left unread: it may be late, or
    /// sent for nothing.
    pub(super) fn receive(&mut self, from: PublicKey, message: &[u8], now_ms: u64, out: &mut Out) {
        let Some(id) = answered_id(message) else { return };
        if self.pending.get(&id).is_none_or(|pending| pending.peer != from) {
            return;
        }
        let Some(Pending { ask, .. }) = self.pending.remove(&id) else { return };
        let taken = match Response::decode(message) {
            Ok((_, response)) => self.take(from, &ask, response, now_ms, out),
            Err(error) => Err(Fault::Malformed(error)),
        };
        let failed = if matches!(taken, Ok(Taken::Answered)) { None } else { Some(from) };
        self.release(&ask, id, failed);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match taken {
            Ok(Taken::Answered) => {
                peer.answered(message.len());
                self.bytes += message.len() as u64;
                if matches!(ask, Ask::Leaves { .. } | Ask::Nodes { .. }) {
                    self.advanced_at_ms = Some(now_ms);
                }
            }
            Ok(Taken::Busy) => peer.busy(now_ms),
            // That says nothing about the state.
            Ok(Taken::Lacking) if matches!(ask, Ask::Links { .. }) => self.links.give_up(&from),
            Ok(Taken::Lacking) => {
                peer.lacking(now_ms);
                if let (Ask::Leaves { .. } | Ask::Nodes { .. }, Some(pivot)) = (&ask, self.progress.pivot()) {
                    // It keeps another state by now; it is asked which.
                    peer.pivots.remove(&pivot.hash());
                    peer.poll_at_ms = now_ms;
                }
            }
            Err(fault) => out.accused.push((from, fault)),
        }
    }

    fn take(
        &mut self,
        from: PublicKey,
        ask: &Ask,
        response: Response,
        now_ms: u64,
        out: &mut Out,
    ) -> Result<Taken, Fault> {
        let mut site = Site {
            limits: &self.settings.limits,
            progress: &mut self.progress,
            write: &mut out.write,
            accused: &mut out.accused,
        };
        let mut parts = 0;
        match (ask, response) {
            (_, Response::Busy) => return Ok(Taken::Busy),
            (_, Response::Unavailable) => return Ok(Taken::Lacking),
            (Ask::Pivots, Response::Pivots(pivots)) => self.take_pivots(from, pivots, now_ms, out),
            (Ask::Links { count, .. }, Response::Links(links)) => {
                check_count("links", usize::try_from(*count).unwrap_or(usize::MAX), links.len())?;
                self.links.check(from);
                out.actions.push(Action::Links { peer: from, links });
            }
            (Ask::Leaves { trie: TrieId::Accounts, prefix }, Response::Accounts(entries)) => {
                if let Some(walk) = &mut self.walk {
                    walk.take_accounts(prefix, &entries, from, &mut site)?;
                    parts = 1;
                }
            }
            (Ask::Leaves { trie: TrieId::Storage(account), prefix }, Response::Slots(slots)) => {
                if let Some(walk) = &mut self.walk {
                    walk.take_slots(*account, prefix, &slots, &mut site)?;
                    parts = 1;
                }
            }
            (Ask::Leaves { trie, prefix }, Response::TooLarge(nodes)) => {
                if let Some(walk) = &mut self.walk {
                    walk.take_nodes(*trie, prefix, &nodes, Some(from), &mut site)?;
                }
            }
            (Ask::Nodes { trie, prefixes }, Response::Nodes(nodes)) => {
                check_count("nodes", prefixes.len(), nodes.len())?;
                if let Some(walk) = &mut self.walk {
                    for (prefix, nodes) in prefixes.iter().zip(&nodes) {
                        walk.take_nodes(*trie, prefix, nodes, None, &mut site)?;
                    }
                }
            }
            (Ask::Codes(hashes), Response::Codes(codes)) => {
                check_count("pieces of code", hashes.len(), codes.len())?;
                let mut has_any = false;
                for (expected, code) in hashes.iter().zip(&codes).filter(|(_, code)| !code.is_empty()) {
                    let found = keccak256(code);
                    if found != *expected {
                        return Err(Fault::Code { expected: *expected, found });
                    }
                    has_any = true;
                    if site.progress.is_code_missing(expected) {
                        site.progress.put_code(expected, code, site.write);
                    }
                }
                if !has_any {
                    return Ok(Taken::Lacking);
                }
            }
            (Ask::Headers, Response::Headers(headers)) => match self.chain.take_headers(headers, site.progress)? {
                Headers::Taken => {}
                Headers::TooFew => return Ok(Taken::Lacking),
                Headers::OtherChain(found) => self.end_on_other_chain(found, out),
            },
            (Ask::Block { number, offset }, Response::Block { length, bytes }) => {
                let max = self.settings.block_bytes_max;
                let (part, came) = ((*number, *offset), (length, &bytes[..]));
                self.chain.take_block(part, came, &from, max, (site.progress, site.write))?;
            }
            (ask, _) => return Err(Fault::OtherKind { asked: ask.name() }),
        }
        self.parts += parts;
        Ok(Taken::Answered)
    }

    /// The way to some epoch is known: what was offered can be checked as soon as it is offered again.
    pub(super) fn take_linked(&mut self, epoch: u64, now_ms: u64) {
        if self.links.linked(epoch) {
            self.offered.clear();
            self.peers.values_mut().for_each(|peer| peer.poll_at_ms = now_ms);
        }
    }

    /// Notes which states a peer keeps, and has the last one checked where nobody did yet: it is kept for the longest.
    fn take_pivots(&mut self, from: PublicKey, pivots: Vec<Pivot>, now_ms: u64, out: &mut Out) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.has_answered = true;
        peer.pivots = pivots.iter().map(Pivot::hash).collect();
        let height = self.progress.pivot().map_or(0, Pivot::number);
        let Some(pivot) = pivots.into_iter().max_by_key(Pivot::number) else { return };
        let is_known = self.trusted.values().any(|trusted| trusted.hash() == pivot.hash());
        let is_new = |at_ms: &u64| now_ms.saturating_sub(*at_ms) >= OFFER_AGAIN_MS;
        // By each peer: one that gives no links to it must not keep others from doing so.
        let offer = (from, pivot.hash());
        if pivot.number() <= height || is_known || !self.offered.get(&offer).is_none_or(is_new) {
            return;
        }
        if self.offered.len() >= OFFERED_MAX {
            self.offered.clear();
        }
        self.offered.insert(offer, now_ms);
        out.actions.push(Action::Offered { peer: from, pivot: Box::new(pivot) });
    }

    fn end_on_other_chain(&self, found: B256, out: &mut Out) {
        if let Some(pivot) = self.progress.pivot() {
            let expected = self.progress.genesis();
            let error = ClientError::OtherChain { pivot: pivot.hash(), height: pivot.number(), found, expected };
            out.end = Some(Action::Failed(error));
        }
    }
}

impl Ask {
    const fn name(&self) -> &'static str {
        match self {
            Self::Pivots => "its pivots",
            Self::Leaves { .. } => "a part of a trie",
            Self::Nodes { .. } => "nodes of a trie",
            Self::Codes(_) => "code",
            Self::Headers => "headers",
            Self::Block { .. } => "a block",
            Self::Links { .. } => "links",
        }
    }
}

/// A correct box answers the first of what it is asked for, at least one, and nothing else.
fn check_count(what: &'static str, asked: usize, found: usize) -> Result<(), Fault> {
    if (1..=asked).contains(&found) { Ok(()) } else { Err(Fault::Count { what, asked, found }) }
}
