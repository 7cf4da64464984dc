//! The blocks whose state a box keeps at hand for others to fetch.

use std::{collections::BTreeMap, num::NonZeroU64};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use dolmen_types::Certificate;
use parking_lot::RwLock;

use crate::{Head, State, Store, StoreError};

/// States that are kept. One would leave a box that fetches it nothing to go on with the moment that an epoch ends.
pub const PIVOTS_KEPT: usize = 2;

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

/// The states of the last block of each of the last epochs.
///
/// A state is a version of the trie and shares what did not change since: one kept costs some 550 bytes for each
/// account and slot that changed after it, as long as it is kept (`docs/decisions/0002`). An epoch that changes a
/// million of them thus costs 0.5 GB for each of [`PIVOTS_KEPT`].
pub struct Pivots {
    epoch_blocks: NonZeroU64,
    kept: RwLock<BTreeMap<u64, Kept>>,
}

struct Kept {
    hash: B256,
    state: State,
}

impl Pivots {
    /// None yet, of a chain whose epochs have so many blocks.
    pub fn new(epoch_blocks: NonZeroU64) -> Self {
        Self { epoch_blocks, kept: RwLock::default() }
    }

    /// Whether a block is an epoch's last; block zero is none of those whose state is fetched.
    pub fn is_pivot(&self, number: u64) -> bool {
        number > 0 && number.checked_add(1).is_some_and(|next| next.is_multiple_of(self.epoch_blocks.get()))
    }

    /// Takes a committed block in: where it is an epoch's last its state is kept, and the oldest goes.
    pub fn observe(&self, head: &Head) {
        let number = head.block.number();
        if self.is_pivot(number) {
            self.keep(number, head.block.hash(), head.state.clone());
        }
    }

    /// Keeps those that are not too far behind the head to be computed again, after a start. Takes some seconds at
    /// most.
    pub fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let ended =
            (store.head().block.number().saturating_add(1) / self.epoch_blocks).saturating_sub(PIVOTS_KEPT as u64);
        for epoch in ended..ended + PIVOTS_KEPT as u64 {
            let Some(number) = epoch.checked_add(1).and_then(|next| next.checked_mul(self.epoch_blocks.get())) else {
                break;
            };
            let number = number - 1;
            if !self.is_pivot(number) || number > store.head().block.number() {
                continue;
            }
            match (store.trie_at(number), store.hash_of(number)?) {
                (Ok(state), Some(hash)) => self.keep(number, hash, state),
                // Then it is the next epoch's that others can fetch.
                (Err(StoreError::Pruned { .. } | StoreError::ProofTooOld { .. }), _) | (Ok(_), None) => {}
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    /// The state after the block with this hash, where it is kept.
    pub fn state(&self, hash: &B256) -> Option<State> {
        self.kept.read().values().find(|kept| kept.hash == *hash).map(|kept| kept.state.clone())
    }

    /// The blocks whose states are kept, the oldest first, with what the store has to prove them.
    pub fn offers(&self, store: &Store) -> Result<Vec<Pivot>, StoreError> {
        let kept: Vec<u64> = self.kept.read().keys().copied().collect();
        let links = kept.into_iter().map(|number| self.link(store, number / self.epoch_blocks));
        links.filter_map(Result::transpose).collect()
    }

    /// An epoch's last block, with what the store has to prove it; `None` where it does not have all of that. Its state
    /// need not be kept.
    pub fn link(&self, store: &Store, epoch: u64) -> Result<Option<Pivot>, StoreError> {
        let next_epoch = epoch.saturating_add(1);
        let Some(next) = next_epoch.checked_mul(self.epoch_blocks.get()) else { return Ok(None) };
        let number = next - 1;
        let found = (store.header(number)?, store.certificate(number)?, store.epoch_record(next_epoch)?);
        Ok(match found {
            (Some(header), Some(certificate), Some(record)) => Some(Pivot::new(header, certificate, record)),
            _ => None,
        })
    }

    fn keep(&self, number: u64, hash: B256, state: State) {
        let mut kept = self.kept.write();
        kept.insert(number, Kept { hash, state });
        while kept.len() > PIVOTS_KEPT {
            kept.pop_first();
        }
    }
}
