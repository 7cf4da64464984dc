//! Blocks from zero to the last: each against its header, its header against its child's, and all against the
//! certificates.

use std::collections::HashSet;

use alloy_consensus::Header;
use alloy_primitives::B256;
use alloy_rlp::Decodable as _;
use dolmen_governance::requests_hash;
use dolmen_store::Family;
use dolmen_types::{Block, Certificate, receipt};

use super::{Audit, Subject, causes, tables::hex};
use crate::{LightClient, source::is_whole};

/// Where the walk over the blocks is.
struct Walk {
    /// Hash of the block before, where its header is whole.
    before: Option<B256>,
    /// Knows the validators of the epoch that the walk is in; `None` where their record is damaged.
    light: Option<LightClient>,
    certified: u64,
    /// Records of the two indexes that are there under the keys that belong there.
    hashes: u64,
    transactions: u64,
}

impl Audit<'_> {
    /// Checks all blocks. Answers with the height of the last one that has a certificate that holds.
    pub(super) fn check_blocks(&mut self) -> u64 {
        let light = self.chain.light_client();
        let mut walk = Walk { before: None, light: Some(light), certified: 0, hashes: 0, transactions: 0 };
        self.check_record_zero();
        for number in std::iter::once(0).chain(self.first..=self.head) {
            if number == self.first && number > 1 {
                walk.before = None;
                self.check_links(&mut walk);
            }
            walk.before = self.check_block(number, &mut walk);
            if walk.before.is_none() && self.chain.epochs().is_last(number) {
                // Its header would have led to the next validators.
                walk.light = self.trusted_client(self.chain.epochs().of(number).saturating_add(1));
            }
            self.progress("blocks", number, self.head);
        }
        let (hashes, transactions) = (walk.hashes, walk.transactions);
        if self.surplus(Family::Hashes, hashes) > 0 {
            self.find_stray_hashes(hashes);
        }
        if self.surplus(Family::Transactions, transactions) > 0 {
            self.find_stray_transactions(transactions);
        }
        walk.certified
    }

    /// What a database that was filled from other boxes has of the epochs before its first block: their last blocks'
    /// headers and certificates, and the records that these lead to.
    fn check_links(&mut self, walk: &mut Walk) {
        let epochs = self.chain.epochs();
        for epoch in 0..epochs.of(self.first) {
            let Some(number) = epochs.last(epoch) else { return };
            let place = format!("block {number}");
            match self.check_header(number, &number.to_be_bytes(), &place) {
                Some(header) => self.check_finality(&header, &header.hash_slow(), &place, walk),
                None => walk.light = self.trusted_client(epoch.saturating_add(1)),
            }
        }
    }

    /// Checks one block; its hash, where its header is whole.
    fn check_block(&mut self, number: u64, walk: &mut Walk) -> Option<B256> {
        let (key, place) = (number.to_be_bytes(), format!("block {number}"));
        let header = self.check_header(number, &key, &place)?;
        let hash = header.hash_slow();
        if number == 0 && hash != self.chain.hash() {
            let what = format!("its hash is {hash}, the genesis file gives {}", self.chain.hash());
            self.findings.add(Subject::Header, &place, what);
        }
        if let Some(before) = walk.before.filter(|before| *before != header.parent_hash) {
            let what = format!("its hash is {before}, but the next block's parentHash is {}", header.parent_hash);
            self.findings.add(Subject::Header, format!("block {}", number.saturating_sub(1)), what);
        }
        match self.read(Family::Hashes, hash.as_slice(), &place) {
            Ok(Some(height)) => {
                walk.hashes += 1;
                if height != key {
                    self.findings.add(Subject::BlockIndex, &place, format!("its hash leads to {}", hex(&height)));
                }
            }
            Ok(None) => self.findings.add(Subject::BlockIndex, &place, format!("its hash {hash} is not there")),
            Err(_) => {}
        }
        self.check_body(&header, &key, &place, walk);
        self.check_receipts(&header, &key, &place);
        let expected = (!header.logs_bloom.is_zero()).then(|| header.logs_bloom.to_vec());
        if self.read(Family::Blooms, &key, &place).is_ok_and(|found| found != expected) {
            self.findings.add(Subject::Bloom, &place, "the bloom filter is not the header's");
        }
        self.check_finality(&header, &hash, &place, walk);
        Some(hash)
    }

    fn check_header(&mut self, number: u64, key: &[u8], place: &str) -> Option<Header> {
        let Some(bytes) = self.read(Family::Headers, key, place).ok()? else {
            self.findings.add(Subject::Header, place, "there is none");
            return None;
        };
        let mut rest = bytes.as_slice();
        let header = Header::decode(&mut rest).ok().filter(|header| alloy_rlp::encode(header) == bytes);
        let Some(header) = header.filter(|_| rest.is_empty()) else {
            self.findings.add(Subject::Header, place, "it does not decode");
            return None;
        };
        if header.number != number {
            self.findings.add(Subject::Header, place, format!("it says that it is of block {}", header.number));
        }
        Some(header)
    }

    fn check_body(&mut self, header: &Header, key: &[u8], place: &str, walk: &mut Walk) {
        let body = match self.read(Family::Bodies, key, place) {
            Ok(Some(body)) => body,
            Ok(None) => return self.findings.add(Subject::Body, place, "there is none"),
            Err(_) => return,
        };
        let Ok(block) = Block::from_parts(header.clone(), &body) else {
            return self.findings.add(Subject::Body, place, "it does not decode");
        };
        if !is_whole(&block) || block.encode_body() != body {
            self.findings.add(Subject::Body, place, "its transactions are not those of the header's transactionsRoot");
            // Their positions would be looked for under hashes that are none of the chain's.
            return;
        }
        for (index, transaction) in (0_u32..).zip(block.transactions()) {
            let hash = transaction.tx_hash();
            let expected = [key, &index.to_be_bytes()].concat();
            match self.read(Family::Transactions, hash.as_slice(), place) {
                Ok(Some(position)) => {
                    walk.transactions += 1;
                    if position != expected {
                        let what = format!("transaction {index}, {hash}, leads to {}", hex(&position));
                        self.findings.add(Subject::TransactionIndex, place, what);
                    }
                }
                Ok(None) => {
                    self.findings.add(
                        Subject::TransactionIndex,
                        place,
                        format!("transaction {index}, {hash}, is not there"),
                    );
                }
                Err(_) => {}
            }
        }
    }

    fn check_receipts(&mut self, header: &Header, key: &[u8], place: &str) {
        let bytes = match self.read(Family::Receipts, key, place) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return self.findings.add(Subject::Receipts, place, "there are none"),
            Err(_) => return,
        };
        let receipts = receipt::decode_list(&bytes).ok().filter(|receipts| receipt::encode_list(receipts) == bytes);
        let Some(receipts) = receipts else {
            return self.findings.add(Subject::Receipts, place, "they do not decode");
        };
        if receipt::root(&receipts) != header.receipts_root || receipt::bloom(&receipts) != header.logs_bloom {
            self.findings.add(Subject::Receipts, place, "they are not those of the header's receiptsRoot");
        }
    }

    /// The record of epoch zero follows from the genesis file.
    fn check_record_zero(&mut self) {
        let Ok(record) = self.read(Family::Epochs, &0_u64.to_be_bytes(), "epoch 0") else { return };
        if record.as_deref() != Some(&self.chain.origin().record()[..]) {
            self.findings.add(Subject::EpochRecord, "epoch 0", "it is not what the genesis file gives");
        }
    }

    /// The certificate of a block, where it has one, and the next epoch's record, where it is an epoch's last.
    fn check_finality(&mut self, header: &Header, hash: &B256, place: &str, walk: &mut Walk) {
        let (number, epochs) = (header.number, self.chain.epochs());
        let is_last = epochs.is_last(number);
        match self.read(Family::Certificates, &number.to_be_bytes(), place) {
            Ok(Some(bytes)) => match Certificate::decode(&bytes) {
                Ok(certificate) if alloy_rlp::encode(&certificate) == bytes => {
                    let verifier = self.chain.verifier();
                    let light = walk.light.as_ref();
                    match light.map(|light| light.check_hash(number, hash, &certificate, &**verifier)) {
                        Some(Ok(())) => walk.certified = number,
                        Some(Err(error)) => self.findings.add(Subject::Certificate, place, causes(&error)),
                        None => {}
                    }
                }
                _ => self.findings.add(Subject::Certificate, place, "it does not decode"),
            },
            Ok(None) if is_last => {
                self.findings.add(Subject::Certificate, place, "there is none, and the block is its epoch's last");
            }
            Ok(None) | Err(_) => {}
        }
        if is_last {
            walk.light = self.check_record(header, epochs.of(number).saturating_add(1));
        }
    }

    /// The record of an epoch against the last header before it. Whether that header's certificate holds is another
    /// matter.
    fn check_record(&mut self, header: &Header, epoch: u64) -> Option<LightClient> {
        let place = format!("epoch {epoch}");
        let Some(record) = self.read(Family::Epochs, &epoch.to_be_bytes(), &place).ok()? else {
            self.findings.add(Subject::EpochRecord, &place, "there is none");
            return None;
        };
        if header.requests_hash != Some(requests_hash(&record)) {
            let what = format!("it is not the one that block {} commits to", header.number);
            self.findings.add(Subject::EpochRecord, &place, what);
            return None;
        }
        match LightClient::trusting(self.chain.hash(), self.chain.epochs(), epoch, &record) {
            Ok(light) => Some(light),
            Err(error) => {
                self.findings.add(Subject::EpochRecord, &place, causes(&error));
                None
            }
        }
    }

    /// A client that believes the record of an epoch. A wrong one shows by the certificates that it does not fit.
    fn trusted_client(&self, epoch: u64) -> Option<LightClient> {
        let record = self.database.epoch_record(epoch).ok().flatten()?;
        LightClient::trusting(self.chain.hash(), self.chain.epochs(), epoch, &record).ok()
    }

    /// Names the entries of the index of blocks that no block has. `expected` are those that blocks have.
    fn find_stray_hashes(&mut self, expected: u64) {
        let database = self.database;
        let mut left = self.surplus(Family::Hashes, expected);
        self.each_record(Family::Hashes, "block index", |findings, key, value| {
            let height = super::height_of(value);
            let header = height.and_then(|height| database.header(height).ok().flatten());
            if left > 0 && header.is_none_or(|header| *header.hash_slow() != *key) {
                findings.add(
                    Subject::BlockIndex,
                    hex(key),
                    format!("it leads to {}, which has another hash", hex(value)),
                );
                left -= 1;
            }
        });
    }

    /// The same for transactions.
    fn find_stray_transactions(&mut self, expected: u64) {
        let database = self.database;
        let mut left = self.surplus(Family::Transactions, expected);
        let mut last: Option<(u64, HashSet<B256>)> = None;
        self.each_record(Family::Transactions, "transaction index", |findings, key, value| {
            let height = value.get(..8).and_then(super::height_of);
            if let Some(height) = height.filter(|height| last.as_ref().is_none_or(|(of, _)| of != height)) {
                let block = database.block(height).ok().flatten();
                let hashes = block.iter().flat_map(|block| block.transactions()).map(|found| *found.tx_hash());
                last = Some((height, hashes.collect()));
            }
            let hash = B256::try_from(key).ok();
            let known = height.is_some() && last.as_ref().zip(hash).is_some_and(|((_, of), hash)| of.contains(&hash));
            if left > 0 && !known {
                findings.add(
                    Subject::TransactionIndex,
                    hex(key),
                    format!("it leads to {}, where it is not", hex(value)),
                );
                left -= 1;
            }
        });
    }
}
