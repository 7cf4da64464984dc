//! The box that fetches a state, as a machine: it is told what happens and says what to do.
//!
//! Each request is in one of three states: asked, late or over. What it asked for is open until it was taken in; when
//! the request is over in vain, or late, it can be asked of another peer. An answer is read only where it belongs to a
//! request that is asked or late, is checked against what the request asked for, and what it brings is taken in where
//! that is still open, whoever else was asked meanwhile.
//!
//! Everything that a client remembers of peers is gone at a restart, bans too. What it has of the state is in the
//! [`Progress`], which it changes only together with a [`Write`].

mod answers;
mod chain;
mod interface;
mod links;
mod peers;
mod report;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::B256;
use dolmen_store::snapshot::{Pivot, Prefix, Progress, TrieId, Write};
use dolmen_types::PublicKey;

use crate::{
    fault::Fault,
    limits::{CODES_MAX, IN_FLIGHT, LATE, POLL_MS, REQUEST_MS, STALLED_MS, TRUSTED_MAX, UNSERVED_MS},
    message::Request,
};
use chain::{Chain, headers_needed};
pub use interface::{Action, ClientError, Event, Settings};
use links::Links;
use peers::Peer;
pub use report::{PeerReport, Phase, Report};
use walk::{Site, Walk};

/// What a request asks for.
#[derive(Clone, Debug)]
enum Ask {
    Pivots,
    Leaves { trie: TrieId, prefix: Prefix },
    Nodes { trie: TrieId, prefixes: Vec<Prefix> },
    Codes(Vec<B256>),
    Headers,
    Block { number: u64, offset: usize },
    Links { epoch: u64, count: u64 },
}

/// A request without an answer.
#[derive(Debug)]
struct Pending {
    peer: PublicKey,
    ask: Ask,
    until_ms: u64,
    /// Its time is over: an answer is still taken.
    is_late: bool,
}

/// What a call of [`Client::handle`] comes to.
#[derive(Debug, Default)]
struct Out {
    write: Write,
    actions: Vec<Action>,
    accused: Vec<(PublicKey, Fault)>,
    end: Option<Action>,
}

/// Fetches a state.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    progress: Progress,
    /// What is open of the pivot's state; there is none before there is a pivot, nor once its state is whole.
    walk: Option<Walk>,
    chain: Chain,
    links: Links,
    /// Code that is being asked for, with the request.
    codes_asked: BTreeMap<B256, u64>,
    peers: BTreeMap<PublicKey, Peer>,
    banned: BTreeSet<PublicKey>,
    pending: BTreeMap<u64, Pending>,
    next_id: u64,
    /// Blocks that are the chain's, by height; each later than the pivot.
    trusted: BTreeMap<u64, Pivot>,
    /// Blocks that were handed on to be checked, by who offered them, with the time.
    offered: BTreeMap<(PublicKey, B256), u64>,
    /// Since when nobody keeps the pivot's state.
    unserved_since_ms: Option<u64>,
    /// When something of it last came.
    advanced_at_ms: Option<u64>,
    is_over: bool,
    is_done: bool,
    parts: u64,
    bytes: u64,
}

impl Client {
    /// Goes on from what a database being filled has.
    pub fn new(progress: Progress, settings: Settings) -> Self {
        Self {
            settings,
            progress,
            walk: None,
            chain: Chain::default(),
            links: Links::default(),
            codes_asked: BTreeMap::new(),
            peers: BTreeMap::new(),
            banned: BTreeSet::new(),
            pending: BTreeMap::new(),
            next_id: settings.first_id,
            trusted: BTreeMap::new(),
            offered: BTreeMap::new(),
            unserved_since_ms: None,
            advanced_at_ms: None,
            is_over: false,
            is_done: false,
            parts: 0,
            bytes: 0,
        }
    }

    /// Takes in what happened at a time, milliseconds of any clock that does not go back. Says what to do; nothing any
    /// more after [`Action::Done`] or [`Action::Failed`].
    pub fn handle(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        if self.is_over {
            return Vec::new();
        }
        let mut out = Out::default();
        match event {
            Event::Connected(peer) => {
                if !self.banned.contains(&peer) {
                    self.peers.entry(peer).or_default();
                }
            }
            Event::Gone(peer) => self.forget(&peer),
            Event::Message { from, message } => self.receive(from, &message, now_ms, &mut out),
            Event::Trusted(pivot) => self.trust(*pivot),
            Event::Unlinked { peer, known, epoch } => {
                if self.peers.contains_key(&peer) {
                    self.links.need(peer, known, epoch);
                }
            }
            Event::Linked { epoch } => self.take_linked(epoch, now_ms),
            Event::Caught { peer, fault } => out.accused.push((peer, fault)),
            Event::Tick => {}
        }
        self.expire(now_ms);
        self.choose_pivot(now_ms, &mut out);
        self.advance(&mut out);
        for (peer, fault) in std::mem::take(&mut out.accused) {
            self.ban(peer, fault, &mut out);
        }
        if out.end.is_none() {
            self.schedule(now_ms, &mut out);
        }
        self.is_over = out.end.is_some();
        self.is_done = matches!(out.end, Some(Action::Done));
        let Out { write, actions, end, .. } = out;
        let write = (!write.is_empty()).then_some(Action::Write(write));
        write.into_iter().chain(actions).chain(end).collect()
    }

    /// How far it is.
    pub fn report(&self) -> Report {
        let pivot = self.progress.pivot();
        let hash = pivot.map(Pivot::hash);
        let phase = match pivot {
            _ if self.is_done => Phase::Done,
            None if self.links.are_open() => Phase::Links,
            None => Phase::Waiting,
            Some(_) if self.progress.is_whole() => Phase::Blocks,
            Some(_) => Phase::State,
        };
        let peers = self.peers.iter().map(|(key, peer)| PeerReport {
            peer: *key,
            serves: hash.is_some_and(|hash| peer.pivots.contains(&hash)),
            answers: peer.counts.answers,
            bytes: peer.counts.bytes,
            timeouts: peer.counts.timeouts,
            in_flight: self.in_flight(key),
        });
        let whole = if self.progress.is_whole() { 1.0 } else { 0.0 };
        Report {
            phase,
            height: pivot.map_or(0, Pivot::number),
            epoch: self.links.known(),
            accounts: self.walk.as_ref().map_or(whole, Walk::covered),
            storages_open: self.walk.as_ref().map_or(0, Walk::storages_open),
            codes_missing: self.progress.codes_missing(),
            blocks_missing: self.chain.missing(),
            parts: self.parts,
            bytes: self.bytes,
            peers: peers.collect(),
        }
    }

    fn trust(&mut self, pivot: Pivot) {
        if self.progress.pivot().is_none_or(|current| current.number() < pivot.number()) {
            self.trusted.insert(pivot.number(), pivot);
            while self.trusted.len() > TRUSTED_MAX {
                self.trusted.pop_first();
            }
        }
    }

    /// A peer is gone, and with it the requests that it was to answer.
    fn forget(&mut self, peer: &PublicKey) {
        self.peers.remove(peer);
        let theirs = self.pending.iter().filter(|(_, pending)| pending.peer == *peer);
        let theirs: Vec<u64> = theirs.map(|(id, _)| *id).collect();
        for id in theirs {
            if let Some(pending) = self.pending.remove(&id) {
                self.release(&pending.ask, id, Some(*peer));
            }
        }
        self.chain.forget(peer);
        self.links.forget(peer);
    }

    fn ban(&mut self, peer: PublicKey, fault: Fault, out: &mut Out) {
        if self.banned.insert(peer) {
            self.forget(&peer);
            out.actions.push(Action::Ban { peer, fault });
        }
    }

    /// Gives up waiting for answers whose time is over, though they are still taken when they come.
    fn expire(&mut self, now_ms: u64) {
        let over = self.pending.iter().filter(|(_, pending)| !pending.is_late && pending.until_ms <= now_ms);
        let over: Vec<u64> = over.map(|(id, _)| *id).collect();
        for id in over {
            let Some(pending) = self.pending.get_mut(&id) else { continue };
            pending.is_late = true;
            let (peer, ask) = (pending.peer, pending.ask.clone());
            self.release(&ask, id, Some(peer));
            if matches!(ask, Ask::Links { .. }) {
                self.links.give_up(&peer);
            }
            if let Some(peer) = self.peers.get_mut(&peer) {
                peer.silent(now_ms);
            }
            let late = self.pending.iter().filter(|(_, pending)| pending.is_late && pending.peer == peer);
            let late: Vec<u64> = late.map(|(id, _)| *id).collect();
            for id in late.iter().take(late.len().saturating_sub(LATE)) {
                self.pending.remove(id);
            }
        }
    }

    /// What a request asked for can be asked of others, unless it was taken in.
    fn release(&mut self, ask: &Ask, id: u64, failed: Option<PublicKey>) {
        match ask {
            Ask::Pivots => {}
            Ask::Leaves { trie, prefix } => {
                if let Some(walk) = &mut self.walk {
                    walk.release(*trie, prefix, id, failed);
                }
            }
            Ask::Nodes { trie, prefixes } => {
                for prefix in prefixes {
                    if let Some(walk) = &mut self.walk {
                        walk.release(*trie, prefix, id, failed);
                    }
                }
            }
            Ask::Codes(_) => self.codes_asked.retain(|_, request| *request != id),
            Ask::Headers => self.chain.release_headers(id),
            Ask::Block { number, .. } => self.chain.release_block(*number, id, failed.is_some()),
            Ask::Links { .. } => self.links.release(id),
        }
    }

    /// Decides whose state to fetch: that of the last block that is trusted and whose state someone keeps, and of a
    /// later one when nobody keeps that any more, or who says so does not answer.
    fn choose_pivot(&mut self, now_ms: u64, out: &mut Out) {
        if self.progress.is_whole() {
            return;
        }
        let peers = &self.peers;
        let is_served = |pivot: &Pivot| peers.values().any(|peer| peer.pivots.contains(&pivot.hash()));
        let current = self.progress.pivot();
        if let Some(current) = current {
            let is_known = peers.values().any(|peer| peer.has_answered);
            let (since_ms, patience_ms) = if is_known && !is_served(current) {
                (*self.unserved_since_ms.get_or_insert(now_ms), UNSERVED_MS)
            } else {
                self.unserved_since_ms = None;
                (*self.advanced_at_ms.get_or_insert(now_ms), STALLED_MS)
            };
            if now_ms.saturating_sub(since_ms) < patience_ms {
                return;
            }
        }
        let height = current.map_or(0, Pivot::number);
        let next = self.trusted.values().rev().find(|next| next.number() > height && is_served(next)).cloned();
        let Some(next) = next else { return };
        tracing::info!(height = next.number(), hash = %next.hash(), "fetching the state of a block");
        self.trusted.retain(|number, _| *number > next.number());
        (self.unserved_since_ms, self.advanced_at_ms) = (None, None);
        self.walk = None;
        // Their answers would be checked against what they were asked for, which is nothing that is open any more.
        self.pending.retain(|_, pending| !matches!(pending.ask, Ask::Leaves { .. } | Ask::Nodes { .. }));
        self.progress.move_to(next, &mut out.write);
    }

    /// Begins what can begin, and ends what is done.
    fn advance(&mut self, out: &mut Out) {
        if self.progress.pivot().is_none() {
            return;
        }
        if !self.progress.is_whole() {
            let mut site = Site {
                limits: &self.settings.limits,
                progress: &mut self.progress,
                write: &mut out.write,
                accused: &mut out.accused,
            };
            let walk = self.walk.get_or_insert_with(|| Walk::begin(&mut site));
            if walk.is_done() {
                self.progress.finish_state(&mut out.write);
                self.walk = None;
            }
        }
        let has_codes = self.progress.codes_missing() == 0;
        if self.progress.is_whole() && has_codes && self.chain.is_done() && out.end.is_none() {
            self.progress.finish(&mut out.write);
            out.end = Some(Action::Done);
        }
    }

    /// Hands out requests, to each peer in turn.
    fn schedule(&mut self, now_ms: u64, out: &mut Out) {
        let keys: Vec<PublicKey> = self.peers.keys().copied().collect();
        for key in &keys {
            if let Some(peer) = self.peers.get_mut(key).filter(|peer| peer.poll_at_ms <= now_ms) {
                peer.poll_at_ms = now_ms.saturating_add(POLL_MS);
                self.send(*key, Ask::Pivots, now_ms, out);
            }
        }
        loop {
            let mut has_sent = false;
            for key in &keys {
                let is_free = self.peers.get(key).is_some_and(|peer| peer.has_answered && peer.free_at_ms <= now_ms);
                if is_free
                    && self.in_flight(key) < IN_FLIGHT
                    && let Some(ask) = self.next_ask(key)
                {
                    has_sent |= self.send(*key, ask, now_ms, out);
                }
            }
            if !has_sent {
                return;
            }
        }
    }

    fn in_flight(&self, peer: &PublicKey) -> usize {
        let theirs = self.pending.values().filter(|pending| pending.peer == *peer && !pending.is_late);
        theirs.filter(|pending| !matches!(pending.ask, Ask::Pivots)).count()
    }

    /// What to ask a peer for in the request with the next id.
    fn next_ask(&mut self, key: &PublicKey) -> Option<Ask> {
        let id = self.next_id;
        if let Some(ask) = self.links.next(key, id) {
            return Some(ask);
        }
        let hash = self.progress.pivot()?.hash();
        if let Some(walk) = &mut self.walk {
            let serving = self.peers.iter().filter(|(_, peer)| peer.pivots.contains(&hash));
            let serving: Vec<_> = serving.map(|(key, _)| key).collect();
            if serving.contains(&key)
                && let Some(ask) = walk.next(key, serving.len() == 1, id)
            {
                return Some(ask);
            }
        }
        if let Some(ask) = self.next_codes(id) {
            return Some(ask);
        }
        if self.progress.is_whole() { self.chain.next(key, id) } else { None }
    }

    /// Code to ask for; while more of it turns up, only as much as a request can ask for.
    fn next_codes(&mut self, id: u64) -> Option<Ask> {
        let missing = self.progress.missing_codes().filter(|hash| !self.codes_asked.contains_key(*hash));
        let hashes: Vec<B256> = missing.take(CODES_MAX).copied().collect();
        if hashes.is_empty() || (hashes.len() < CODES_MAX && !self.progress.is_whole()) {
            return None;
        }
        self.codes_asked.extend(hashes.iter().map(|hash| (*hash, id)));
        Some(Ask::Codes(hashes))
    }

    /// False where there is nothing to ask for.
    fn send(&mut self, to: PublicKey, ask: Ask, now_ms: u64, out: &mut Out) -> bool {
        let Some(request) = self.request(&ask) else { return false };
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        out.actions.push(Action::Send { to, message: request.encode(id) });
        let until_ms = now_ms.saturating_add(REQUEST_MS);
        self.pending.insert(id, Pending { peer: to, ask, until_ms, is_late: false });
        true
    }

    fn request(&self, ask: &Ask) -> Option<Request> {
        match ask {
            Ask::Pivots => return Some(Request::Pivots),
            Ask::Links { epoch, count } => return Some(Request::Links { epoch: *epoch, count: *count }),
            _ => {}
        }
        let block = self.progress.pivot()?;
        let pivot = block.hash();
        Some(match ask {
            Ask::Pivots | Ask::Links { .. } => return None,
            Ask::Leaves { trie: TrieId::Accounts, prefix } => Request::Accounts { pivot, prefix: *prefix },
            Ask::Leaves { trie: TrieId::Storage(account), prefix } => {
                Request::Slots { pivot, account: *account, prefix: *prefix }
            }
            Ask::Nodes { trie, prefixes } => Request::Nodes { pivot, trie: *trie, prefixes: prefixes.clone() },
            Ask::Codes(hashes) => Request::Codes { hashes: hashes.clone() },
            Ask::Headers => Request::Headers { block: pivot, count: headers_needed(block) as u64 },
            Ask::Block { number, offset } => {
                Request::Block { block: self.chain.hash(*number)?, offset: *offset as u64 }
            }
        })
    }
}
