//! What a client knows of a peer.

use std::collections::BTreeSet;

use alloy_primitives::B256;

use crate::limits::{BUSY_MS, LACKING_MS, SILENT_MS, SILENT_MS_MAX};

/// A connected peer.
#[derive(Debug, Default)]
pub(super) struct Peer {
    /// The blocks whose states it keeps, as far as it said.
    pub(super) pivots: BTreeSet<B256>,
    /// Whether it ever said.
    pub(super) has_answered: bool,
    /// When it is asked for its pivots again.
    pub(super) poll_at_ms: u64,
    /// When it may be asked for something again.
    pub(super) free_at_ms: u64,
    /// How often it did not answer in time since its last answer.
    silences: u32,
    pub(super) counts: Counts,
}

/// What came of what it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) answers: u64,
    pub(super) bytes: u64,
    pub(super) timeouts: u64,
}

impl Peer {
    /// An answer that was of use.
    pub(super) fn answered(&mut self, bytes: usize) {
        self.silences = 0;
        self.counts.answers += 1;
        self.counts.bytes += bytes as u64;
    }

    /// It did not answer in time: it is left alone for a while, each time for twice as long. What it was asked for at
    /// the same time counts once.
    pub(super) fn silent(&mut self, now_ms: u64) {
        self.counts.timeouts += 1;
        if self.free_at_ms > now_ms {
            return;
        }
        let pause_ms = SILENT_MS.checked_shl(self.silences).unwrap_or(SILENT_MS_MAX).min(SILENT_MS_MAX);
        self.silences = (self.silences + 1).min(16);
        self.pause(now_ms, pause_ms);
    }

    /// It says that it is busy.
    pub(super) fn busy(&mut self, now_ms: u64) {
        self.pause(now_ms, BUSY_MS);
    }

    /// It does not have what it was asked for.
    pub(super) fn lacking(&mut self, now_ms: u64) {
        self.pause(now_ms, LACKING_MS);
    }

    fn pause(&mut self, now_ms: u64, pause_ms: u64) {
        self.free_at_ms = self.free_at_ms.max(now_ms.saturating_add(pause_ms));
    }
}
