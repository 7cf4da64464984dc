//! Answering other boxes, from a store and the states that it keeps.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rlp::{Encodable as _, Header as RlpHeader};
use bytes::Bytes;
use dolmen_store::{
    StateReader as _, Store, StoreError,
    snapshot::{Excerpt, Pivots, Prefix, RangeLimits, StoredBlock, TrieId},
};
use dolmen_types::PublicKey;

use crate::{
    limits::{ALLOWANCE_BYTES, ALLOWANCE_BYTES_PER_SECOND, CHUNK_BYTES},
    message::{DecodeError, Request, Response},
};

/// Bytes that looking for something is counted as.
const LOOK_BYTES: usize = 512;

/// An answer, and what it cost.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The message.
    pub message: Bytes,
    /// Bytes that were read or are sent, roughly: what [`Gate::spend`] takes.
    pub cost: usize,
}

/// Answers requests. It does nothing by itself, and keeps nothing of what it is asked.
pub struct Server {
    store: Arc<Store>,
    pivots: Arc<Pivots>,
    limits: RangeLimits,
}

impl Server {
    /// A server of what a store has, and of the states that are kept.
    pub fn new(store: Arc<Store>, pivots: Arc<Pivots>) -> Self {
        Self { store, pivots, limits: RangeLimits::STANDARD }
    }

    /// With other limits than a chain's boxes have.
    #[cfg(test)]
    pub(crate) fn with_limits(store: Arc<Store>, pivots: Arc<Pivots>, limits: RangeLimits) -> Self {
        Self { store, pivots, limits }
    }

    /// Answers a peer's message, unless the peer has used up what it may cost. An error is the peer's: no correct box
    /// sends what is no request.
    pub fn answer_within(
        &self,
        gate: &mut Gate,
        peer: &PublicKey,
        message: &[u8],
        now_ms: u64,
    ) -> Result<Bytes, DecodeError> {
        let (id, request) = Request::decode(message)?;
        if !gate.admits(peer, now_ms) {
            return Ok(Response::Busy.encode(id));
        }
        let Answer { message, cost } = self.answer(id, &request);
        gate.spend(peer, cost);
        Ok(message)
    }

    /// Answers a request: with at most one message, and after reading little more than that has, but for a block, which
    /// is read as a whole for each part of it.
    pub fn answer(&self, id: u64, request: &Request) -> Answer {
        let (response, read) = self.respond(request).unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot read what a peer asks for");
            (Response::Unavailable, 0)
        });
        let message = response.encode(id);
        Answer { cost: LOOK_BYTES + read.max(message.len()), message }
    }

    /// The response, and how many bytes were read for it where that is more than its own.
    fn respond(&self, request: &Request) -> Result<(Response, usize), StoreError> {
        match request {
            Request::Pivots => Ok((Response::Pivots(self.pivots.offers(&self.store)?), 0)),
            Request::Nodes { pivot, trie, prefixes } => Ok(self.nodes(pivot, *trie, prefixes)),
            Request::Accounts { pivot, prefix } => {
                let state = self.pivots.state(pivot);
                let excerpt = state.and_then(|state| state.account_range(prefix, &self.limits));
                Ok(self.excerpt(excerpt, Response::Accounts))
            }
            Request::Slots { pivot, account, prefix } => {
                let state = self.pivots.state(pivot);
                let excerpt = state.and_then(|state| state.storage_range(account, prefix, &self.limits));
                Ok(self.excerpt(excerpt, Response::Slots))
            }
            Request::Codes { hashes } => self.codes(hashes),
            Request::Headers { block, count } => self.headers(block, *count),
            Request::Block { block, offset } => self.block(block, *offset),
            Request::Links { epoch, count } => self.links(*epoch, *count),
        }
    }

    fn excerpt<T>(&self, excerpt: Option<Excerpt<T>>, leaves: impl FnOnce(Vec<T>) -> Response) -> (Response, usize) {
        match excerpt {
            Some(Excerpt::Leaves(all)) => (leaves(all), 0),
            Some(Excerpt::TooLarge(nodes)) => (Response::TooLarge(nodes), self.limits.bytes),
            None => (Response::Unavailable, 0),
        }
    }

    fn nodes(&self, pivot: &B256, trie: TrieId, prefixes: &[Prefix]) -> (Response, usize) {
        let state = self.pivots.state(pivot);
        let found = state.iter().flat_map(|state| prefixes.iter().map_while(move |prefix| state.nodes(trie, prefix)));
        let nodes: Vec<_> = found.collect();
        let read = LOOK_BYTES * prefixes.len();
        if nodes.is_empty() { (Response::Unavailable, read) } else { (Response::Nodes(nodes), read) }
    }

    fn codes(&self, hashes: &[B256]) -> Result<(Response, usize), StoreError> {
        let (head, mut codes, mut bytes) = (self.store.head(), Vec::new(), 0);
        for hash in hashes {
            let code = head.state.code(hash)?.unwrap_or_default();
            bytes += code.len();
            if bytes > self.limits.bytes && !codes.is_empty() {
                break;
            }
            codes.push(code);
        }
        let read = LOOK_BYTES * hashes.len() + bytes;
        Ok(if codes.is_empty() { (Response::Unavailable, read) } else { (Response::Codes(codes), read) })
    }

    fn headers(&self, block: &B256, count: u64) -> Result<(Response, usize), StoreError> {
        let mut headers: Vec<Header> = Vec::new();
        if let Some(last) = self.store.number_of(block)? {
            for back in 0..count {
                let header = match last.checked_sub(back) {
                    Some(number) => self.store.header(number)?,
                    None => None,
                };
                let Some(header) = header else { break };
                headers.push(header);
            }
        }
        Ok(if headers.is_empty() { (Response::Unavailable, 0) } else { (Response::Headers(headers), 0) })
    }

    fn links(&self, epoch: u64, count: u64) -> Result<(Response, usize), StoreError> {
        let (mut links, mut bytes) = (Vec::new(), 0);
        for epoch in epoch..epoch.saturating_add(count) {
            let Some(link) = self.pivots.link(&self.store, epoch)? else { break };
            bytes += link.length();
            if bytes > self.limits.bytes && !links.is_empty() {
                break;
            }
            links.push(link);
        }
        // Three records each.
        let read = 3 * LOOK_BYTES * links.len();
        Ok(if links.is_empty() { (Response::Unavailable, 0) } else { (Response::Links(links), read) })
    }

    fn block(&self, block: &B256, offset: u64) -> Result<(Response, usize), StoreError> {
        let number = self.store.number_of(block)?;
        let stored = match number {
            Some(number) => self.store.stored_block(number)?,
            None => None,
        };
        let Some(stored) = stored else { return Ok((Response::Unavailable, 0)) };
        let all = join(&stored);
        let rest = usize::try_from(offset).ok().and_then(|offset| all.get(offset..)).unwrap_or_default();
        if rest.is_empty() {
            return Ok((Response::Unavailable, all.len()));
        }
        let bytes = alloy_primitives::Bytes::copy_from_slice(&rest[..rest.len().min(CHUNK_BYTES)]);
        Ok((Response::Block { length: all.len() as u64, bytes }, all.len()))
    }
}

/// A block and its receipts as they are sent.
fn join(stored: &StoredBlock) -> Vec<u8> {
    let StoredBlock { block, receipts } = stored;
    let header = RlpHeader { list: true, payload_length: block.len() + receipts.len() };
    let mut all = Vec::with_capacity(header.length_with_payload());
    header.encode(&mut all);
    all.extend_from_slice(block);
    all.extend_from_slice(receipts);
    all
}

/// What each peer may still cost. The peers are the boxes of the chain, so there are few.
#[derive(Debug, Default)]
pub struct Gate(BTreeMap<PublicKey, Allowance>);

#[derive(Debug)]
struct Allowance {
    /// Bytes spent that did not come back yet.
    spent: u64,
    at_ms: u64,
}

impl Gate {
    /// Whether a peer may be answered now: it did not spend more than came back since.
    pub fn admits(&mut self, peer: &PublicKey, now_ms: u64) -> bool {
        let allowance = self.0.entry(*peer).or_insert(Allowance { spent: 0, at_ms: now_ms });
        let elapsed_ms = now_ms.saturating_sub(allowance.at_ms);
        let back = elapsed_ms.saturating_mul(ALLOWANCE_BYTES_PER_SECOND) / 1000;
        allowance.spent = allowance.spent.saturating_sub(back);
        allowance.at_ms = allowance.at_ms.max(now_ms);
        allowance.spent < ALLOWANCE_BYTES
    }

    /// Counts the cost of an answer.
    pub fn spend(&mut self, peer: &PublicKey, cost: usize) {
        if let Some(allowance) = self.0.get_mut(peer) {
            allowance.spent = allowance.spent.saturating_add(cost as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_costs_too_much_waits_and_no_other_does() {
        let (greedy, modest) = (PublicKey([1; 32]), PublicKey([2; 32]));
        let mut gate = Gate::default();
        let mut spent = 0;
        while gate.admits(&greedy, 1000) {
            gate.spend(&greedy, 1 << 20);
            spent += 1 << 20;
        }
        assert_eq!(spent, ALLOWANCE_BYTES);
        assert!(gate.admits(&modest, 1000));
        assert!(!gate.admits(&greedy, 1000));
        assert!(gate.admits(&greedy, 2000), "a second's worth came back");
        assert!(gate.admits(&greedy, 0), "a clock that goes back takes nothing away");
    }
}
