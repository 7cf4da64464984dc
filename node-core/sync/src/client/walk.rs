//! The parts of a state that are still to be fetched, from the root of the account trie down.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use dolmen_store::snapshot::{
    AccountEntry, Held, Prefix, Progress, RangeLimits, Slot, Split, StorageEntry, TrieId, Write, accounts_hash,
    slots_hash, split,
};
use dolmen_types::PublicKey;

use super::Ask;
use crate::{
    fault::{Fault, Place},
    limits::NODES_MAX,
};

/// A part, by its trie and where it begins.
type Spot = (TrieId, Prefix);

/// What a walk changes beside itself.
pub(super) struct Site<'a> {
    pub(super) limits: &'a RangeLimits,
    pub(super) progress: &'a mut Progress,
    pub(super) write: &'a mut Write,
    /// Peers that turn out to have lied before.
    pub(super) accused: &'a mut Vec<(PublicKey, Fault)>,
}

/// What is open of a state. In the end there is nothing: each part is held, or cut into parts that are.
#[derive(Debug, Default)]
pub(super) struct Walk {
    height: u64,
    open: BTreeMap<Spot, Open>,
    /// Those that nobody is being asked for.
    ready: BTreeSet<Spot>,
    /// Parts that were cut and have parts below that are open.
    cuts: BTreeMap<Spot, Cut>,
    /// Who sent an account without its slots because they are many.
    left_out: BTreeMap<B256, PublicKey>,
}

#[derive(Debug)]
struct Open {
    hash: B256,
    how: How,
    /// The request that it is in.
    asked: Option<u64>,
    /// The last peer that it was asked of in vain.
    failed: Option<PublicKey>,
}

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// All its leaves.
    Leaves,
    /// The node at its top, since there are parts of it already.
    Node,
}

#[derive(Debug)]
struct Cut {
    hash: B256,
    /// Who said that it is too large, where someone did.
    by: Option<PublicKey>,
    /// Parts directly below that are not settled.
    open: usize,
    /// Bytes of the leaves below that are settled; unknown where some were there before.
    bytes: Option<usize>,
}

impl Walk {
    /// Starts at the root of the pivot's state.
    pub(super) fn begin(site: &mut Site<'_>) -> Self {
        let Some(pivot) = site.progress.pivot() else { return Self::default() };
        let (height, root) = (pivot.number(), pivot.header().state_root);
        let mut walk = Self { height, ..Self::default() };
        if root == EMPTY_ROOT_HASH {
            site.progress.keep_only(TrieId::Accounts, &Prefix::ROOT, &[], site.write);
        } else {
            walk.visit((TrieId::Accounts, Prefix::ROOT), root, site);
        }
        walk
    }

    /// Whether all of the state is held.
    pub(super) fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// How much of the account trie is held, of 1, by the keys.
    pub(super) fn covered(&self) -> f64 {
        let open = self.open.keys().take_while(|(trie, _)| *trie == TrieId::Accounts);
        1.0 - open.map(|(_, prefix)| 16_f64.powi(-i32::from(prefix.nibbles()))).sum::<f64>()
    }

    /// Storages of which something is open.
    pub(super) fn storages_open(&self) -> usize {
        let tries: BTreeSet<TrieId> = self.open.keys().map(|(trie, _)| *trie).collect();
        tries.iter().filter(|trie| **trie != TrieId::Accounts).count()
    }

    /// What to ask a peer for next, in a request with this id. Parts that it was asked for in vain are left to others,
    /// unless there are none.
    pub(super) fn next(&mut self, peer: &PublicKey, is_only: bool, id: u64) -> Option<Ask> {
        let open = &self.open;
        let how = |spot: &Spot| {
            open.get(spot).filter(|open| is_only || open.failed.as_ref() != Some(peer)).map(|open| open.how)
        };
        let first = self.ready.iter().copied().find(|spot| how(spot).is_some())?;
        let (trie, prefix) = first;
        if how(&first) == Some(How::Leaves) {
            self.ask(&first, id);
            return Some(Ask::Leaves { trie, prefix });
        }
        let same = self.ready.range(first..).copied().take_while(|(other, _)| *other == trie);
        let spots: Vec<Spot> = same.filter(|spot| how(spot) == Some(How::Node)).take(NODES_MAX).collect();
        spots.iter().for_each(|spot| self.ask(spot, id));
        Some(Ask::Nodes { trie, prefixes: spots.into_iter().map(|(_, prefix)| prefix).collect() })
    }

    fn ask(&mut self, spot: &Spot, id: u64) {
        self.ready.remove(spot);
        if let Some(open) = self.open.get_mut(spot) {
            open.asked = Some(id);
        }
    }

    /// A request is over, or its time is: what it asked for in vain can be asked of others.
    pub(super) fn release(&mut self, trie: TrieId, prefix: &Prefix, id: u64, failed: Option<PublicKey>) {
        let spot = (trie, *prefix);
        let Some(open) = self.open.get_mut(&spot).filter(|open| open.asked == Some(id)) else { return };
        open.asked = None;
        open.failed = failed.or(open.failed);
        self.ready.insert(spot);
    }

    /// Takes in a part of the account trie, where it is still open.
    pub(super) fn take_accounts(
        &mut self,
        prefix: &Prefix,
        entries: &[AccountEntry],
        from: PublicKey,
        site: &mut Site<'_>,
    ) -> Result<(), Fault> {
        let spot = (TrieId::Accounts, *prefix);
        let Some(hash) = self.hash(&spot) else { return Ok(()) };
        let found = accounts_hash(prefix, entries, site.limits)
            .map_err(|source| Fault::Leaves { place: self.place(&spot, hash), source })?;
        if found != hash {
            return Err(Fault::Range { place: self.place(&spot, hash), found });
        }
        self.close(&spot);
        site.progress.put_accounts(prefix, &hash, entries, site.write);
        let large = entries.iter().filter(|entry| matches!(entry.storage, StorageEntry::Large(_)));
        self.left_out.extend(large.map(|entry| (entry.key, from)));
        self.visit_storages(prefix, site);
        self.settle(&spot, Some(entries.iter().map(Encodable::length).sum()), site);
        Ok(())
    }

    /// Takes in a part of a storage trie, where it is still open.
    pub(super) fn take_slots(
        &mut self,
        account: B256,
        prefix: &Prefix,
        slots: &[Slot],
        site: &mut Site<'_>,
    ) -> Result<(), Fault> {
        let spot = (TrieId::Storage(account), *prefix);
        let Some(hash) = self.hash(&spot) else { return Ok(()) };
        let found =
            slots_hash(prefix, slots).map_err(|source| Fault::Leaves { place: self.place(&spot, hash), source })?;
        if found != hash {
            return Err(Fault::Range { place: self.place(&spot, hash), found });
        }
        self.close(&spot);
        site.progress.put_slots(&account, prefix, &hash, slots, site.write);
        if *prefix == Prefix::ROOT
            && slots.len() <= site.limits.inline_slots
            && let Some(liar) = self.left_out.remove(&account)
        {
            site.accused.push((liar, Fault::LeftOut { height: self.height, account, slots: slots.len() }));
        }
        self.settle(&spot, Some(slots.iter().map(Encodable::length).sum()), site);
        self.end_storage(&account, site);
        Ok(())
    }

    /// Takes in the nodes at the top of a part, where it is still open: cuts it. `by` said that it is too large.
    pub(super) fn take_nodes(
        &mut self,
        trie: TrieId,
        prefix: &Prefix,
        nodes: &[Bytes],
        by: Option<PublicKey>,
        site: &mut Site<'_>,
    ) -> Result<(), Fault> {
        let spot = (trie, *prefix);
        let Some(hash) = self.hash(&spot) else { return Ok(()) };
        let cut = split(trie, prefix, &hash, nodes);
        let parts = match cut.map_err(|source| Fault::Node { place: self.place(&spot, hash), source })? {
            Split::Parts(parts) => parts,
            Split::Leaf if by.is_some() => return Err(Fault::OneLeaf { place: self.place(&spot, hash) }),
            Split::Leaf => {
                if let Some(open) = self.open.get_mut(&spot) {
                    open.how = How::Leaves;
                }
                return Ok(());
            }
        };
        self.close(&spot);
        site.progress.keep_only(trie, prefix, &parts, site.write);
        self.cuts.insert(spot, Cut { hash, by, open: parts.len(), bytes: Some(0) });
        for part in parts {
            let spot = (trie, part.prefix);
            match (part.slots, trie) {
                (Some(slots), TrieId::Storage(account)) => {
                    site.progress.put_slots(&account, &part.prefix, &part.hash, &slots, site.write);
                    self.settle(&spot, Some(slots.iter().map(Encodable::length).sum()), site);
                }
                _ => self.visit(spot, part.hash, site),
            }
        }
        if let TrieId::Storage(account) = trie {
            self.end_storage(&account, site);
        }
        Ok(())
    }

    /// Opens a part, unless it is held.
    fn visit(&mut self, spot: Spot, hash: B256, site: &mut Site<'_>) {
        let (trie, prefix) = spot;
        let how = match site.progress.reconcile(trie, &prefix, &hash, site.write) {
            Held::Whole => {
                if trie == TrieId::Accounts {
                    self.visit_storages(&prefix, site);
                }
                self.settle(&spot, None, site);
                return;
            }
            Held::Parts => How::Node,
            Held::Nothing => How::Leaves,
        };
        self.open.insert(spot, Open { hash, how, asked: None, failed: None });
        self.ready.insert(spot);
    }

    /// Opens the storages of a part of the account trie that is held.
    fn visit_storages(&mut self, prefix: &Prefix, site: &mut Site<'_>) {
        for account in site.progress.storages(prefix) {
            if let Some((root, false)) = site.progress.storage(&account) {
                self.visit((TrieId::Storage(account), Prefix::ROOT), root, site);
                self.end_storage(&account, site);
            }
        }
    }

    fn end_storage(&mut self, account: &B256, site: &mut Site<'_>) {
        let trie = TrieId::Storage(*account);
        let next = self.open.range((trie, Prefix::ROOT)..).next();
        if next.is_none_or(|((other, _), _)| *other != trie) {
            self.left_out.remove(account);
            site.progress.finish_storage(account, site.write);
        }
    }

    /// A part is held, and with it perhaps those around it. Who said of one that it is too large is accused where its
    /// leaves would have fitted into a message.
    fn settle(&mut self, spot: &Spot, bytes: Option<usize>, site: &mut Site<'_>) {
        let (trie, mut prefix) = *spot;
        let mut bytes = bytes;
        while let Some(above) = prefix.ancestors().find(|above| self.cuts.contains_key(&(trie, *above))) {
            let Some(cut) = self.cuts.get_mut(&(trie, above)) else { return };
            cut.open = cut.open.saturating_sub(1);
            cut.bytes = cut.bytes.zip(bytes).map(|(all, more)| all + more);
            if cut.open > 0 {
                return;
            }
            let Some(Cut { hash, by, bytes: total, .. }) = self.cuts.remove(&(trie, above)) else { return };
            if let (Some(liar), Some(bytes)) = (by, total.filter(|total| *total <= site.limits.bytes)) {
                let place = self.place(&(trie, above), hash);
                site.accused.push((liar, Fault::NotTooLarge { place, bytes, max: site.limits.bytes }));
            }
            (prefix, bytes) = (above, total);
        }
    }

    fn hash(&self, spot: &Spot) -> Option<B256> {
        self.open.get(spot).map(|open| open.hash)
    }

    fn close(&mut self, spot: &Spot) {
        self.open.remove(spot);
        self.ready.remove(spot);
    }

    fn place(&self, spot: &Spot, expected: B256) -> Box<Place> {
        Box::new(Place { height: self.height, trie: spot.0, prefix: spot.1, expected })
    }
}
