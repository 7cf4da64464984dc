//! Blocks in files: each with its receipts, certificate and the next epoch's record, where it has them.

use std::io::{self, BufRead, Write};

use alloy_primitives::Bytes;
use dolmen_types::{Block, Certificate, Receipt, receipt};

use crate::{
    Chain,
    format::{Content, Fault, FileHeader, Kind, RecordReader, RecordWriter},
};

/// What is wrong with a file of blocks, and where.
#[derive(Debug, thiserror::Error)]
#[error("the file is wrong at block {height}")]
pub struct StreamError {
    /// Height of the block that was being read.
    pub height: u64,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// A block with what belongs to it.
pub(crate) struct Item {
    pub(crate) block: Block,
    /// In full backups.
    pub(crate) receipts: Option<Vec<Receipt>>,
    pub(crate) certificate: Option<Certificate>,
    /// Number and record of the next epoch, after an epoch's last block.
    pub(crate) record: Option<(u64, Bytes)>,
}

/// Writes a block with what belongs to it.
pub(crate) fn write_item<W: Write>(out: &mut RecordWriter<W>, item: &Item) -> io::Result<()> {
    out.write(Kind::Block, item.block.encoded())?;
    if let Some(receipts) = &item.receipts {
        out.write(Kind::Receipts, &receipt::encode_list(receipts))?;
    }
    if let Some(certificate) = &item.certificate {
        out.write(Kind::Certificate, &alloy_rlp::encode(certificate))?;
    }
    if let Some((epoch, record)) = &item.record {
        out.write(Kind::EpochRecord, &[&epoch.to_be_bytes()[..], &record[..]].concat())?;
    }
    Ok(())
}

/// Reads blocks. Each has the height after that of the one before it, and a body that its header commits to; whether
/// they follow each other, and receipts, certificates and records, are the caller's to check.
pub(crate) struct BlockReader<R> {
    records: RecordReader<R>,
    /// The record that ended the last block.
    next: Option<(Kind, Vec<u8>)>,
    /// Height of the block to be read.
    height: u64,
    block_bytes_max: usize,
}

impl<R: BufRead> BlockReader<R> {
    /// Reads the beginning of a file, which must be of this content and chain.
    pub(crate) fn new(input: R, content: Content, chain: &Chain) -> Result<Self, StreamError> {
        let records = RecordReader::new(input).map_err(|fault| StreamError { height: 0, fault })?;
        let FileHeader { content: found, genesis, first, .. } = *records.header();
        let wrong = |fault| Err(StreamError { height: first, fault });
        if genesis != chain.hash() {
            return wrong(Fault::OtherChain { found: genesis, expected: chain.hash() });
        }
        if found != content {
            return wrong(Fault::Content { found: found.name(), expected: content.name() });
        }
        let mut reader = Self { records, next: None, height: first, block_bytes_max: chain.block_bytes_max() };
        reader.next = reader.record()?;
        Ok(reader)
    }

    /// Height of the first block.
    pub(crate) const fn first(&self) -> u64 {
        self.records.header().first
    }

    /// Height of the last block, below the first where there is none.
    pub(crate) const fn last(&self) -> u64 {
        self.records.header().last
    }

    /// The next block; `None` after the last one, when the file is known to be whole.
    pub(crate) fn read(&mut self) -> Result<Option<Item>, StreamError> {
        let height = self.height;
        let wrong = |fault| StreamError { height, fault };
        let Some((kind, payload)) = self.next.take() else {
            let (found, claimed) = (height - self.first(), self.last().saturating_add(1).saturating_sub(self.first()));
            return if found == claimed { Ok(None) } else { Err(wrong(Fault::Count { found, claimed })) };
        };
        if kind != Kind::Block {
            return Err(wrong(Fault::Misplaced(kind.name())));
        }
        let block = Block::decode(&payload, self.block_bytes_max).map_err(|error| wrong(error.into()))?;
        if block.number() != height || height > self.last() {
            return Err(wrong(Fault::Misplaced("a block of another height")));
        }
        let mut item = Item { block, receipts: None, certificate: None, record: None };
        loop {
            self.next = self.record()?;
            match &self.next {
                Some((kind, payload)) if *kind != Kind::Block => add(&mut item, *kind, payload).map_err(wrong)?,
                _ => break,
            }
        }
        // No block has the highest number: the next one could not follow it.
        self.height =
            height.checked_add(1).ok_or_else(|| wrong(Fault::Misplaced("a block of an impossible height")))?;
        Ok(Some(item))
    }

    fn record(&mut self) -> Result<Option<(Kind, Vec<u8>)>, StreamError> {
        self.records.read().map_err(|fault| StreamError { height: self.height, fault })
    }
}

/// Adds a record to the block that it follows: receipts, certificate and record, in this order and each at most once.
fn add(item: &mut Item, kind: Kind, payload: &[u8]) -> Result<(), Fault> {
    match kind {
        Kind::Receipts if item.receipts.is_none() && item.certificate.is_none() && item.record.is_none() => {
            let receipts = receipt::decode_list(payload).map_err(|_| Fault::Malformed("receipts"))?;
            if receipt::encode_list(&receipts) != payload {
                return Err(Fault::Malformed("receipts"));
            }
            item.receipts = Some(receipts);
        }
        Kind::Certificate if item.certificate.is_none() && item.record.is_none() => {
            item.certificate = Some(Certificate::decode(payload)?);
        }
        Kind::EpochRecord if item.record.is_none() => {
            let (epoch, record) = payload.split_first_chunk().ok_or(Fault::Malformed("record of an epoch"))?;
            item.record = Some((u64::from_be_bytes(*epoch), Bytes::copy_from_slice(record)));
        }
        _ => return Err(Fault::Misplaced(kind.name())),
    }
    Ok(())
}
