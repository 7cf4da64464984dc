//! The blocks that a box needs beside the state: the pivot, and those before it that the EVM may ask the hash of.

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rlp::Header as RlpHeader;
use dolmen_store::snapshot::{Pivot, Progress, Write};
use dolmen_types::{Block, PublicKey, Receipt, receipt};

use super::Ask;
use crate::{
    fault::{BlockFault, Fault},
    limits::HEADERS_MAX,
};

/// Headers and blocks that are still to be fetched.
#[derive(Debug, Default)]
pub(super) struct Chain {
    headers_asked: Option<u64>,
    has_headers: bool,
    blocks: BTreeMap<u64, Fetch>,
}

/// A block that is missing.
#[derive(Debug)]
struct Fetch {
    hash: B256,
    header: Header,
    /// What came of it so far, from one peer alone: so it is plain who sent a wrong one.
    came: Vec<u8>,
    from: Option<PublicKey>,
    /// That peer did not go on with it: another one may begin anew.
    is_open: bool,
    /// The request that it is in.
    asked: Option<u64>,
}

/// What came of headers.
pub(super) enum Headers {
    /// They are those that were asked for.
    Taken,
    /// The peer has not all of them.
    TooFew,
    /// They lead to another block zero.
    OtherChain(B256),
}

/// How many headers are needed: the pivot's and those before it, without block zero's.
pub(super) fn headers_needed(pivot: &Pivot) -> usize {
    usize::try_from(pivot.number()).unwrap_or(HEADERS_MAX).min(HEADERS_MAX)
}

impl Chain {
    /// Whether nothing is missing.
    pub(super) fn is_done(&self) -> bool {
        self.has_headers && self.blocks.is_empty()
    }

    pub(super) fn missing(&self) -> usize {
        self.blocks.len()
    }

    /// The hash of a block that is missing.
    pub(super) fn hash(&self, number: u64) -> Option<B256> {
        self.blocks.get(&number).map(|fetch| fetch.hash)
    }

    /// What to ask a peer for next, in a request with this id.
    pub(super) fn next(&mut self, peer: &PublicKey, id: u64) -> Option<Ask> {
        if !self.has_headers {
            if self.headers_asked.is_some() {
                return None;
            }
            self.headers_asked = Some(id);
            return Some(Ask::Headers);
        }
        let is_free =
            |fetch: &Fetch| fetch.asked.is_none() && (fetch.is_open || fetch.from.is_none_or(|from| from == *peer));
        let (number, fetch) = self.blocks.iter_mut().find(|(_, fetch)| is_free(fetch))?;
        if fetch.from != Some(*peer) {
            fetch.from = Some(*peer);
            fetch.came = Vec::new();
        }
        (fetch.asked, fetch.is_open) = (Some(id), false);
        Some(Ask::Block { number: *number, offset: fetch.came.len() })
    }

    /// A request for headers is over.
    pub(super) fn release_headers(&mut self, id: u64) {
        if self.headers_asked == Some(id) {
            self.headers_asked = None;
        }
    }

    /// A request for a block is over, or its time is; in vain, where it failed.
    pub(super) fn release_block(&mut self, number: u64, id: u64, has_failed: bool) {
        if let Some(fetch) = self.blocks.get_mut(&number).filter(|fetch| fetch.asked == Some(id)) {
            (fetch.asked, fetch.is_open) = (None, has_failed);
        }
    }

    /// A peer is gone: what it sent of blocks is of no use to others.
    pub(super) fn forget(&mut self, peer: &PublicKey) {
        for fetch in self.blocks.values_mut().filter(|fetch| fetch.from == Some(*peer)) {
            fetch.from = None;
            fetch.came = Vec::new();
        }
    }

    /// Takes in the headers of the pivot and of the blocks before it, the pivot's first.
    pub(super) fn take_headers(&mut self, headers: Vec<Header>, progress: &Progress) -> Result<Headers, Fault> {
        let Some(pivot) = progress.pivot().filter(|_| !self.has_headers) else { return Ok(Headers::Taken) };
        let needed = headers_needed(pivot);
        if headers.len() > needed {
            return Err(Fault::Count { what: "headers", asked: needed, found: headers.len() });
        }
        let (mut expected, mut height) = (pivot.hash(), pivot.number());
        for header in &headers {
            let found = header.hash_slow();
            if found != expected {
                return Err(Fault::Header { height, expected, found });
            }
            (expected, height) = (header.parent_hash, height.saturating_sub(1));
        }
        if headers.len() < needed {
            return Ok(Headers::TooFew);
        }
        if height == 0 && expected != progress.genesis() {
            return Ok(Headers::OtherChain(expected));
        }
        let mut hash = pivot.hash();
        for header in headers {
            let parent = header.parent_hash;
            if !progress.has_block(header.number, &hash) {
                let fetch = Fetch { hash, header, came: Vec::new(), from: None, is_open: false, asked: None };
                self.blocks.insert(fetch.header.number, fetch);
            }
            hash = parent;
        }
        self.has_headers = true;
        Ok(Headers::Taken)
    }

    /// Takes in a part of a block, where it is the one that is missing next; with the last one the block is written.
    pub(super) fn take_block(
        &mut self,
        (number, offset): (u64, usize),
        (length, bytes): (u64, &[u8]),
        from: &PublicKey,
        block_bytes_max: usize,
        (progress, write): (&mut Progress, &mut Write),
    ) -> Result<(), Fault> {
        let fetch = self.blocks.get_mut(&number);
        let Some(fetch) = fetch.filter(|fetch| fetch.from == Some(*from) && fetch.came.len() == offset) else {
            return Ok(());
        };
        let hash = fetch.hash;
        let fault = |source| Fault::Block { height: number, hash, source: Box::new(source) };
        let max = bytes_max(&fetch.header, block_bytes_max);
        let came = (fetch.came.len() + bytes.len()) as u64;
        if length > max || came > length || bytes.is_empty() {
            return Err(fault(BlockFault::Length { bytes: length, max }));
        }
        fetch.came.extend_from_slice(bytes);
        if came < length {
            return Ok(());
        }
        let (block, receipts) = check_block(&fetch.came, &fetch.header, &hash, block_bytes_max).map_err(fault)?;
        self.blocks.remove(&number);
        progress.put_block(Arc::new(block), receipts, write);
        Ok(())
    }
}

/// The most that a block with its receipts can take, in bytes. A byte of a log costs 8 gas, of which a fifth may be
/// given back (EIP-3529); all else in a receipt costs more.
fn bytes_max(header: &Header, block_bytes_max: usize) -> u64 {
    (block_bytes_max as u64).saturating_add(header.gas_used / 6).saturating_add(4096)
}

/// Reads a block with its receipts; both are the header's, or this fails.
fn check_block(
    bytes: &[u8],
    header: &Header,
    hash: &B256,
    block_bytes_max: usize,
) -> Result<(Block, Vec<Receipt>), BlockFault> {
    let mut rest = bytes;
    let mut lists = RlpHeader::decode_bytes(&mut rest, true).map_err(BlockFault::Form)?;
    if !rest.is_empty() {
        return Err(BlockFault::Form(alloy_rlp::Error::UnexpectedLength));
    }
    let block = take_list(&mut lists)?;
    // Headers and transactions are in the block, whose own decoder bounds them. Of receipts the least takes 5 bytes,
    // and 300 in memory: there may only be as many as transactions.
    let block = Block::decode(block, block_bytes_max).map_err(BlockFault::Block)?;
    if block.hash() != *hash {
        return Err(BlockFault::Hash(block.hash()));
    }
    let (transactions, receipts) = (block.transactions().len(), count(lists).map_err(BlockFault::Form)?);
    if receipts != transactions {
        return Err(BlockFault::Receipts { transactions, receipts });
    }
    let receipts = receipt::decode_list(lists).map_err(BlockFault::Form)?;
    let (found, expected) = (receipt::root(&receipts), header.receipts_root);
    if found == expected { Ok((block, receipts)) } else { Err(BlockFault::ReceiptsRoot { expected, found }) }
}

/// The first list, with its header.
fn take_list<'a>(lists: &mut &'a [u8]) -> Result<&'a [u8], BlockFault> {
    let whole = *lists;
    let items = RlpHeader::decode_bytes(lists, true).map_err(BlockFault::Form)?;
    let header = whole.len() - lists.len() - items.len();
    Ok(&whole[..header + items.len()])
}

/// How many items a list has; any that is none, or bytes behind it, are an error.
fn count(mut list: &[u8]) -> Result<usize, alloy_rlp::Error> {
    let mut items = RlpHeader::decode_bytes(&mut list, true)?;
    if !list.is_empty() {
        return Err(alloy_rlp::Error::UnexpectedLength);
    }
    let mut count = 0;
    while !items.is_empty() {
        RlpHeader::decode_bytes(&mut items, true)?;
        count += 1;
    }
    Ok(count)
}
