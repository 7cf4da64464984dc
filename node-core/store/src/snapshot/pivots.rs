//! The blocks whose state a box keeps at hand for others to fetch.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use dolmen_types::{Certificate, Epochs, block::timestamp_ms};
use parking_lot::RwLock;

use crate::{Head, State, Store, StoreError};

/// How long a state is kept, by the time of the blocks after it: longer than fetching a million accounts takes. What takes
/// longer goes on with a later one, and fetches again what changed.
const KEPT_MS: u64 = 30_000;
/// Of the epochs that end within a time of this length, the state of one is kept: by block time, so that all boxes keep the
/// same ones.
const WINDOW_MS: u64 = 5_000;
/// States that are kept however old they are. One would leave a box that fetches it nothing to go on with the moment that
/// an epoch ends.
const KEPT_MIN: usize = 2;
/// And at most.
pub const PIVOTS_KEPT: usize = KEPT_MIN + (KEPT_MS / WINDOW_MS) as usize;

/// An epoch's last block, with what a chain says of it: its state is one that boxes fetch.
///
/// Holding one proves nothing: who received it from a peer has the certificate checked against the validators of its
/// epoch, and that the header's `requestsHash` commits to the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pivot {
    hash: B256,
    content: Content,
}

/// As it is encoded.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Content {
    header: Header,
    certificate: Certificate,
    record: Bytes,
}

impl Pivot {
    /// An epoch's last block, the votes that made it final, and the record of the epoch after it.
    pub fn new(header: Header, certificate: Certificate, record: Bytes) -> Self {
        Self { hash: header.hash_slow(), content: Content { header, certificate, record } }
    }

    /// The block's hash.
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The block's height.
    pub const fn number(&self) -> u64 {
        self.content.header.number
    }

    /// The block's header.
    pub const fn header(&self) -> &Header {
        &self.content.header
    }

    /// The votes that made it final.
    pub const fn certificate(&self) -> &Certificate {
        &self.content.certificate
    }

    /// The record of the epoch after it, to which its header commits.
    pub const fn record(&self) -> &Bytes {
        &self.content.record
    }
}

impl Encodable for Pivot {
    fn encode(&self, out: &mut dyn BufMut) {
        self.content.encode(out);
    }

    fn length(&self) -> usize {
        self.content.length()
    }
}

impl Decodable for Pivot {
    fn decode(bytes: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let Content { header, certificate, record } = Content::decode(bytes)?;
        Ok(Self::new(header, certificate, record))
    }
}

/// The states of the last blocks of some epochs: the last ones, or of half a minute.
///
/// A state is a version of the trie and shares what did not change since: those kept cost some 550 bytes for each
/// account and slot that changed from one to the next (`docs/decisions/0002`). A chain that changes a million of them
/// while they are kept thus spends 0.5 GB.
pub struct Pivots {
    epochs: Epochs,
    kept: RwLock<Queue>,
}

#[derive(Default)]
struct Queue {
    by_number: BTreeMap<u64, Kept>,
    /// The window of the last epoch's end, kept or not.
    window: Option<u64>,
}

struct Kept {
    hash: B256,
    timestamp_ms: u64,
    state: State,
}

impl Queue {
    /// Takes in an epoch's end: the first of its window is kept.
    fn observe(&mut self, header: &Header, hash: B256, state: &State) {
        let timestamp_ms = timestamp_ms(header).unwrap_or_default();
        let window = timestamp_ms / WINDOW_MS;
        if self.window.replace(window) != Some(window) {
            self.keep(header.number, Kept { hash, timestamp_ms, state: state.clone() });
        }
    }

    fn keep(&mut self, number: u64, kept: Kept) {
        let now_ms = kept.timestamp_ms;
        self.by_number.insert(number, kept);
        let is_old = |kept: &Kept| kept.timestamp_ms.saturating_add(KEPT_MS) < now_ms;
        while self.by_number.len() > KEPT_MIN
            && (self.by_number.len() > PIVOTS_KEPT || self.by_number.values().next().is_some_and(is_old))
        {
            self.by_number.pop_first();
        }
    }
}

impl Pivots {
    /// None yet, of a chain with these epochs.
    pub fn new(epochs: Epochs) -> Self {
        Self { epochs, kept: RwLock::default() }
    }

    /// Whether a block is an epoch's last; block zero is none of those whose state is fetched.
    pub fn is_pivot(&self, number: u64) -> bool {
        number > 0 && self.epochs.is_last(number)
    }

    /// Takes a committed block in: where it is an epoch's last its state may be kept, and the oldest goes.
    pub fn observe(&self, head: &Head) {
        if self.is_pivot(head.block.number()) {
            self.kept.write().observe(head.block.header(), head.block.hash(), &head.state);
        }
    }

    /// Keeps the last ones, where they are not too far behind the head to be computed again, after a start. Takes some
    /// seconds at most.
    pub fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let ended = self.epochs.after(store.head().block.number());
        let mut found = Vec::new();
        let mut later: Option<(Header, u64)> = None;
        let mut window = None;
        // From the last epoch back: the first of a window is known by the one before it.
        for epoch in (0..ended).rev() {
            let header = self.last_of(epoch).map(|number| store.header(number)).transpose()?.flatten();
            let own = header.as_ref().and_then(timestamp_ms).map(|timestamp_ms| timestamp_ms / WINDOW_MS);
            window = window.or(own);
            found.extend(later.take().filter(|(_, later)| Some(*later) != own));
            if found.len() == KEPT_MIN || header.is_none() {
                break;
            }
            later = header.zip(own);
        }
        found.extend(later);
        for (header, _) in found.into_iter().take(KEPT_MIN).rev() {
            match store.trie_at(header.number) {
                Ok(state) => self.kept.write().observe(&header, header.hash_slow(), &state),
                // Then it is the next one that others can fetch.
                Err(StoreError::Pruned { .. } | StoreError::ProofTooOld { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.kept.write().window = window;
        Ok(())
    }

    /// Height of an epoch's last block; `None` for block zero and beyond all heights.
    fn last_of(&self, epoch: u64) -> Option<u64> {
        self.epochs.last(epoch).filter(|number| self.is_pivot(*number))
    }

    /// The state after the block with this hash, where it is kept.
    pub fn state(&self, hash: &B256) -> Option<State> {
        self.kept.read().by_number.values().find(|kept| kept.hash == *hash).map(|kept| kept.state.clone())
    }

    /// The blocks whose states are kept, the oldest first, with what the store has to prove them.
    pub fn offers(&self, store: &Store) -> Result<Vec<Pivot>, StoreError> {
        let kept: Vec<u64> = self.kept.read().by_number.keys().copied().collect();
        let links = kept.into_iter().map(|number| self.link(store, self.epochs.of(number)));
        links.filter_map(Result::transpose).collect()
    }

    /// An epoch's last block, with what the store has to prove it; `None` where it does not have all of that. Its state
    /// need not be kept.
    pub fn link(&self, store: &Store, epoch: u64) -> Result<Option<Pivot>, StoreError> {
        let Some(number) = self.last_of(epoch) else { return Ok(None) };
        let found = (store.header(number)?, store.certificate(number)?, store.epoch_record(epoch.saturating_add(1))?);
        Ok(match found {
            (Some(header), Some(certificate), Some(record)) => Some(Pivot::new(header, certificate, record)),
            _ => None,
        })
    }
}
