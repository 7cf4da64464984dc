//! The way from the validators that are known to those of the blocks that peers offer: one link for each epoch.
//!
//! Who offers a block is asked for the links to it, and nobody else: so nobody can have others asked for links that there
//! are not. All links are the same whoever sends them, and what holds is kept.

use std::collections::BTreeMap;

use dolmen_types::PublicKey;

use super::Ask;
use crate::limits::LINKS_MAX;

/// Links that are still to be fetched.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// The epoch whose validators are known, as far as the client was told.
    known: u64,
    /// The epoch up to which a peer is to give links.
    offered: BTreeMap<PublicKey, u64>,
    /// The request that asks for them; one at a time, since each begins where the last one ended.
    asked: Option<u64>,
    /// Whose links are being checked.
    checking: Option<PublicKey>,
}

impl Links {
    /// The epoch whose validators are known.
    pub(super) const fn known(&self) -> u64 {
        self.known
    }

    /// Whether links are missing that someone should have.
    pub(super) fn are_open(&self) -> bool {
        !self.offered.is_empty()
    }

    /// A peer offers a block of an epoch that is beyond the known one.
    pub(super) fn need(&mut self, peer: PublicKey, known: u64, epoch: u64) {
        self.know(known);
        if epoch > self.known {
            self.offered.insert(peer, epoch);
        }
    }

    /// Links were checked. Says whether those of all blocks that are offered are there now.
    pub(super) fn linked(&mut self, epoch: u64) -> bool {
        self.checking = None;
        self.know(epoch);
        !self.are_open()
    }

    /// A peer sent links, which are to be checked.
    pub(super) const fn check(&mut self, peer: PublicKey) {
        self.checking = Some(peer);
    }

    /// A peer does not give the links to what it offered.
    pub(super) fn give_up(&mut self, peer: &PublicKey) {
        self.offered.remove(peer);
    }

    /// A peer is gone, or a liar: nothing more is expected of it.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        self.give_up(peer);
        if self.checking == Some(*peer) {
            self.checking = None;
        }
    }

    /// What to ask a peer for next, in a request with this id.
    pub(super) fn next(&mut self, peer: &PublicKey, id: u64) -> Option<Ask> {
        if self.asked.is_some() || self.checking.is_some() {
            return None;
        }
        let missing = self.offered.get(peer)?.saturating_sub(self.known);
        self.asked = Some(id);
        Some(Ask::Links { epoch: self.known, count: missing.min(LINKS_MAX as u64) })
    }

    /// A request is over, or its time is.
    pub(super) fn release(&mut self, id: u64) {
        if self.asked == Some(id) {
            self.asked = None;
        }
    }

    fn know(&mut self, epoch: u64) {
        self.known = self.known.max(epoch);
        let known = self.known;
        self.offered.retain(|_, offered| *offered > known);
    }
}
