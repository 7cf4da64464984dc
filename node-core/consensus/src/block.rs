//! A block as consensus sees it: a digest, a height, a parent and opaque bytes.

use std::sync::Arc;

use alloy_primitives::B256;
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, RangeCfg, Read, Write};
use commonware_consensus::{BoundedBlock, Heightable, types::Height};
use commonware_cryptography::{Digestible, sha256::Digest};
use dolmen_types::Block;

/// Bytes of the length prefix before a block, at most.
const LENGTH_PREFIX_MAX: usize = 5;

/// A shared block with commonware's traits. Its digest is the block hash, keccak256 of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload(pub(crate) Arc<Block>);

pub(crate) const fn to_digest(hash: B256) -> Digest {
    Digest(hash.0)
}

impl Write for Payload {
    fn write(&self, out: &mut impl BufMut) {
        Bytes::from(self.0.encode()).write(out);
    }
}

impl EncodeSize for Payload {
    fn encode_size(&self) -> usize {
        // The length prefix is a varint: the size of an empty string of that length plus the bytes.
        let len = self.0.encoded_len();
        commonware_codec::varint::UInt(u32::try_from(len).unwrap_or(u32::MAX)).encode_size() + len
    }
}

impl Read for Payload {
    /// Largest encoded block.
    type Cfg = usize;

    fn read_cfg(input: &mut impl Buf, max: &usize) -> Result<Self, Error> {
        let bytes = Bytes::read_cfg(input, &RangeCfg::new(..=*max))?;
        let block = Block::decode(&bytes, *max).map_err(|error| Error::Wrapped("block", Box::new(error)))?;
        Ok(Self(Arc::new(block)))
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
        max + LENGTH_PREFIX_MAX
    }
}
