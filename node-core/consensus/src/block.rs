//! A block as consensus sees it: a digest, a height, a parent and opaque bytes, with hints of who signed its transactions.
//!
//! On the wire: the length of the block, the block, the length of the hints, and 20 bytes for each. The digest does not
//! cover the hints, so whoever passes a block on can change them: that costs the receiver time, nothing else.

use std::sync::Arc;

use alloy_primitives::{Address, B256};
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, RangeCfg, Read, Write, varint::UInt};
use commonware_consensus::{BoundedBlock, Heightable, types::Height};
use commonware_cryptography::{Digestible, sha256::Digest};
use dolmen_types::Block;

/// Bytes of a length prefix, at most.
const LENGTH_PREFIX_MAX: usize = 5;
/// Bytes of an encoded transaction, at least, unless its signature is of small numbers. A block with more transactions
/// has fewer hints than transactions.
const TRANSACTION_LEN_MIN: usize = 80;

/// Bytes of the hints of a block of at most `block_max` bytes.
const fn hints_max(block_max: usize) -> usize {
    block_max / TRANSACTION_LEN_MIN * Address::len_bytes()
}

/// A length as it is encoded. Lengths are far below 2^32, for a block is.
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A shared block with commonware's traits. Its digest is the block hash, keccak256 of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Arc<Block>);

impl Payload {
    /// The hints that are sent: no more than a receiver takes with a block of this size.
    fn hints(&self) -> &[Address] {
        let hints = self.0.sender_hints();
        &hints[..hints.len().min(self.0.encoded_len() / TRANSACTION_LEN_MIN)]
    }
}

pub(crate) const fn to_digest(hash: B256) -> Digest {
    Digest(hash.0)
}

impl Write for Payload {
    fn write(&self, out: &mut impl BufMut) {
        self.0.encoded().0.write(out);
        let hints = self.hints();
        UInt(length(hints.len() * Address::len_bytes())).write(out);
        hints.iter().for_each(|hint| out.put_slice(hint.as_slice()));
    }
}

impl EncodeSize for Payload {
    fn encode_size(&self) -> usize {
        // A length prefix is a varint.
        let with_prefix = |len| UInt(length(len)).encode_size() + len;
        with_prefix(self.0.encoded_len()) + with_prefix(self.hints().len() * Address::len_bytes())
    }
}

impl Read for Payload {
    /// Largest encoded block.
    type Cfg = usize;

    fn read_cfg(input: &mut impl Buf, max: &usize) -> Result<Self, Error> {
        let bytes = Bytes::read_cfg(input, &RangeCfg::new(..=*max))?;
        let hints = Bytes::read_cfg(input, &RangeCfg::new(..=hints_max(*max)))?;
        let block = Block::decode(&bytes, *max).map_err(|error| Error::Wrapped("block", Box::new(error)))?;
        let (hints, rest) = hints.as_chunks::<{ Address::len_bytes() }>();
        if !rest.is_empty() {
            return Err(Error::Invalid("block", "sender hints are not addresses"));
        }
        Ok(Self(Arc::new(block.with_sender_hints(hints.iter().map(Address::from).collect()))))
    }
}

impl Digestible for Payload {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        to_digest(self.0.hash())
    }
}

impl Heightable for Payload {
    fn height(&self) -> Height {
        Height::new(self.0.number())
    }
}

impl commonware_consensus::Block for Payload {
    fn parent(&self) -> Digest {
        to_digest(self.0.header().parent_hash)
    }
}

impl BoundedBlock for Payload {
    fn max_encode_size(max: &usize) -> usize {
        max + hints_max(*max) + 2 * LENGTH_PREFIX_MAX
    }
}
