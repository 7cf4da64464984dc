//! Following a chain block by block, with proof of how far it is final.

use alloy_consensus::Header;
use alloy_primitives::B256;
use dolmen_types::{Block, Certificate};

use crate::{Chain, LightClient, LightError};

/// Why a block or what belongs to it is not the chain's.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The block has another height or parent.
    #[error("block {found} does not follow block {height} ({hash}): its parent is {parent}")]
    Link {
        /// Height of the block before it.
        height: u64,
        /// Hash of the block before it.
        hash: B256,
        /// Its height.
        found: u64,
        /// Its `parentHash`.
        parent: B256,
    },
    /// The last block of an epoch has no certificate.
    #[error("the certificate of block {height} is missing, which leads from epoch {epoch} to the next")]
    NoCertificate {
        /// The block's height.
        height: u64,
        /// Its epoch.
        epoch: u64,
    },
    /// The record of an epoch is missing.
    #[error("the record of epoch {epoch} is missing, which follows block {height}")]
    NoRecord {
        /// The last block before it.
        height: u64,
        /// The epoch.
        epoch: u64,
    },
    /// A record where none is due.
    #[error("a record of epoch {epoch} comes after block {height}, where none is due")]
    StrayRecord {
        /// The block before it.
        height: u64,
        /// The epoch in it.
        epoch: u64,
    },
    /// A certificate or record proves nothing.
    #[error(transparent)]
    Light(#[from] LightError),
}

/// Takes blocks in order, each with its certificate where it has one and the record of the next epoch after an epoch's
/// last. Holding one proves that the blocks up to [`Self::proven`] are final, and that those above lead back to them.
pub struct Follower<'a> {
    chain: &'a Chain,
    light: LightClient,
    tip: Header,
    tip_hash: B256,
    /// Whether the tip's own certificate was seen.
    certified: bool,
    proven: u64,
}

impl<'a> Follower<'a> {
    /// Begins at block zero.
    pub fn new(chain: &'a Chain) -> Self {
        let block = &chain.origin().block;
        let (tip, tip_hash) = (block.header().clone(), block.hash());
        Self { chain, light: chain.light_client(), tip, tip_hash, certified: true, proven: 0 }
    }

    /// Begins at a block that this box holds to be final. `record` is that of the epoch that the next block is in.
    pub fn after(chain: &'a Chain, tip: Header, record: &[u8]) -> Result<Self, FollowError> {
        let epochs = chain.epochs();
        let light = LightClient::trusting(chain.hash(), epochs, epochs.of(tip.number + 1), record)?;
        Ok(Self { chain, light, tip_hash: tip.hash_slow(), proven: tip.number, certified: true, tip })
    }

    /// Height of the last block.
    pub const fn height(&self) -> u64 {
        self.tip.number
    }

    /// Hash of the last block.
    pub const fn hash(&self) -> B256 {
        self.tip_hash
    }

    /// Header of the last block.
    pub const fn header(&self) -> &Header {
        &self.tip
    }

    /// Height up to which the blocks are proven to be final.
    pub const fn proven(&self) -> u64 {
        self.proven
    }

    /// The next block.
    pub fn block(&mut self, block: &Block) -> Result<(), FollowError> {
        let (height, header) = (self.tip.number, block.header());
        if self.chain.epochs().of(height + 1) != self.light.epoch() {
            let epoch = self.light.epoch();
            return Err(if self.certified {
                FollowError::NoRecord { height, epoch: epoch + 1 }
            } else {
                FollowError::NoCertificate { height, epoch }
            });
        }
        if header.number != height + 1 || header.parent_hash != self.tip_hash {
            let (hash, found, parent) = (self.tip_hash, header.number, header.parent_hash);
            return Err(FollowError::Link { height, hash, found, parent });
        }
        (self.tip, self.tip_hash, self.certified) = (header.clone(), block.hash(), false);
        Ok(())
    }

    /// The certificate of the last block.
    pub fn certificate(&mut self, certificate: &Certificate) -> Result<(), FollowError> {
        let height = self.tip.number;
        self.light.check_hash(height, &self.tip_hash, certificate, &**self.chain.verifier())?;
        (self.certified, self.proven) = (true, height);
        Ok(())
    }

    /// The record of the next epoch, after the certificate of this one's last block.
    pub fn record(&mut self, epoch: u64, record: &[u8]) -> Result<(), FollowError> {
        let height = self.tip.number;
        let known = self.light.epoch();
        if epoch != known + 1 || !self.chain.epochs().is_last(height) || self.chain.epochs().of(height) != known {
            return Err(FollowError::StrayRecord { height, epoch });
        }
        if !self.certified {
            return Err(FollowError::NoCertificate { height, epoch: known });
        }
        self.light.enter(&self.tip, record)?;
        Ok(())
    }
}
