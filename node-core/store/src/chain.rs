//! Reads of finalized blocks, receipts and transaction positions.

use std::{cmp::Ordering, sync::atomic};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use dolmen_types::{Block, Certificate, Receipt, receipt};

use crate::{
    Store, StoreError,
    db::{cf, damaged, height_key, read_height},
};

/// Where a transaction stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPosition {
    /// Height of its block.
    pub number: u64,
    /// Its place in the block, from 0.
    pub index: u32,
}

impl Store {
    /// The header at a height, `None` above the head.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        if self.is_above_head(number) { Ok(None) } else { self.read_header(number) }
    }

    /// Whether a height is above the head: a commit writes its block before it becomes the head, and none shows until
    /// then.
    fn is_above_head(&self, number: u64) -> bool {
        number > self.head().block.number()
    }

    fn read_header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::HEADERS, &key)? else { return Ok(None) };
        Header::decode(&mut &*bytes).map(Some).map_err(|_| damaged("header", &key))
    }

    /// The block at a height, `None` above the head.
    pub fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let head = self.head();
        match number.cmp(&head.block.number()) {
            Ordering::Less => self.read_block(number),
            Ordering::Equal => Ok(Some((*head.block).clone())),
            Ordering::Greater => Ok(None),
        }
    }

    /// The block at a height, be it the head's or not.
    pub(crate) fn read_block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let key = height_key(number);
        let Some(header) = self.read_header(number)? else { return Ok(None) };
        let Some(body) = self.db.get(cf::BODIES, &key)? else {
            // An epoch's last block may be kept to prove those after it, and one may be pruned just now.
            return if number < self.first_block() { Ok(None) } else { Err(damaged("body", &key)) };
        };
        Block::from_parts(header, &body).map(Some).map_err(|_| damaged("body", &key))
    }

    /// Height of the finalized block with this hash.
    pub fn number_of(&self, hash: &B256) -> Result<Option<u64>, StoreError> {
        let height = self.db.get(cf::HASHES, hash.as_slice())?;
        let number = height.map(|height| read_height(&height, "height of a block")).transpose()?;
        Ok(number.filter(|number| !self.is_above_head(*number)))
    }

    /// Hash of the finalized block at a height.
    pub fn hash_of(&self, number: u64) -> Result<Option<B256>, StoreError> {
        Ok(self.header(number)?.map(|header| header.hash_slow()))
    }

    /// The receipts of the block at a height, one a transaction.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        if self.is_above_head(number) {
            return Ok(None);
        }
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::RECEIPTS, &key)? else { return Ok(None) };
        receipt::decode_list(&bytes).map(Some).map_err(|_| damaged("receipts", &key))
    }

    /// Where a finalized transaction stands.
    pub fn transaction(&self, hash: &B256) -> Result<Option<TransactionPosition>, StoreError> {
        let Some(bytes) = self.db.get(cf::TRANSACTIONS, hash.as_slice())? else { return Ok(None) };
        let bad = || damaged("transaction position", hash.as_slice());
        let (number, index) = bytes.split_at_checked(8).ok_or_else(bad)?;
        let number = read_height(number, "transaction position")?;
        let index = index.try_into().map(u32::from_be_bytes).map_err(|_| bad())?;
        Ok((!self.is_above_head(number)).then_some(TransactionPosition { number, index }))
    }

    /// The certificate of the block at a height, where it has one of its own.
    pub fn certificate(&self, number: u64) -> Result<Option<Certificate>, StoreError> {
        let key = height_key(number);
        let Some(bytes) = self.db.get(cf::CERTIFICATES, &key)?.filter(|_| !self.is_above_head(number)) else {
            return Ok(None);
        };
        Certificate::decode(&bytes).map(Some).map_err(|_| damaged("certificate", &key))
    }

    /// The first certificate of the block at a height or of one after it, and that one's height: what finalizes a block
    /// finalizes those before it.
    pub fn certificate_from(&self, number: u64) -> Result<Option<(u64, Certificate)>, StoreError> {
        let Some(entry) = self.db.scan(cf::CERTIFICATES, &height_key(number)).next() else { return Ok(None) };
        let (key, bytes) = entry?;
        let height = read_height(&key, "height of a certificate")?;
        if self.is_above_head(height) {
            return Ok(None);
        }
        Certificate::decode(&bytes).map(|found| Some((height, found))).map_err(|_| damaged("certificate", &key))
    }

    /// The last block that has a certificate of its own, with that.
    pub fn last_certified(&self) -> Result<Option<(Block, Certificate)>, StoreError> {
        let head = height_key(self.head().block.number());
        let Some((key, _)) = self.db.seek_back(cf::CERTIFICATES, &head)? else { return Ok(None) };
        let number = read_height(&key, "certificate")?;
        Ok(self.block(number)?.zip(self.certificate(number)?))
    }

    /// The record of an epoch; `None` where its predecessor's last block is above the head.
    pub fn epoch_record(&self, epoch: u64) -> Result<Option<Bytes>, StoreError> {
        Ok(self.db.get(cf::EPOCHS, &height_key(epoch))?.map(|record| Bytes::copy_from_slice(&record)))
    }

    /// Lowest height whose state can still be read.
    pub fn history_floor(&self) -> u64 {
        self.floor.load(atomic::Ordering::Acquire)
    }
}
