//! A database into which a state is fetched from other boxes.

use std::{collections::BTreeMap, path::Path};

use alloy_consensus::Header;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable as _;
use dolmen_types::{Block, Certificate};

use super::{Pivot, Prefix, Progress, Write, records, write::Operation};
use crate::{
    Account, Origin, StoreError,
    db::{Db, Entry, cf, damaged, height_key, meta, read_height},
    store::write_block,
};

/// What is in a database's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contents {
    /// No database, or one in which nothing was written yet.
    Nothing,
    /// A database being filled.
    Filling,
    /// A chain.
    Chain,
}

impl Contents {
    /// Looks into the directory of a database that nobody has open.
    pub fn of(path: &Path) -> Result<Self, StoreError> {
        // RocksDB's pointer to the rest; opening would make it.
        if !path.join("CURRENT").exists() {
            return Ok(Self::Nothing);
        }
        let db = Db::open(path)?;
        if db.get(cf::META, meta::GENESIS)?.is_some() {
            return Ok(Self::Chain);
        }
        Ok(if db.get(cf::META, meta::FILLING)?.is_some() { Self::Filling } else { Self::Nothing })
    }
}

/// A database that is being filled, open for writing.
pub struct Filling {
    db: Db,
    genesis: Block,
    record: Bytes,
}

impl Filling {
    /// Opens a database that is being filled with the chain's state, or begins one where there is nothing.
    pub fn open(path: &Path, origin: &Origin) -> Result<Self, StoreError> {
        let db = Db::open(path)?;
        if db.get(cf::META, meta::GENESIS)?.is_some() {
            return Err(StoreError::HasChain(path.to_owned()));
        }
        let expected = origin.block.hash();
        let mark = db.get(cf::META, meta::FILLING)?.map(|mark| mark.to_vec());
        match mark {
            Some(mark) => {
                let found = B256::try_from(mark.as_slice()).map_err(|_| damaged("mark", meta::FILLING))?;
                if found != expected {
                    return Err(StoreError::OtherChain { found, expected });
                }
            }
            None => {
                let mut batch = db.batch();
                batch.put(cf::META, meta::FILLING, expected.as_slice());
                // Code of block zero may be too large for a message, and here it is at hand.
                for (hash, code) in origin.codes() {
                    batch.put(cf::CODE, hash.as_slice(), code);
                }
                batch.commit()?;
            }
        }
        Ok(Self { db, genesis: origin.block.clone(), record: origin.record.clone() })
    }

    /// What the database has. Reads all its accounts.
    pub fn progress(&self) -> Result<Progress, StoreError> {
        let mut progress =
            Progress::new(self.genesis.hash(), self.pivot()?, self.db.get(cf::META, records::WHOLE)?.is_some());
        self.load_parts(&mut progress)?;
        for entry in self.db.scan(cf::CODE, &[]) {
            let (hash, _) = entry?;
            progress.load_code(read_hash(&hash, "code")?);
        }
        for entry in self.db.scan(cf::ACCOUNTS, &[]) {
            let (key, value) = entry?;
            let account = Account::decode(&mut &*value).map_err(|_| damaged("account", &key))?;
            if !progress.load_account(&read_hash(&key, "account")?, account.code_hash) {
                return Err(damaged("account of no part", &key));
            }
        }
        for entry in self.db.scan(cf::HEADERS, &[]) {
            let (key, value) = entry?;
            // A link has a header, but no block.
            if self.db.get(cf::BODIES, &key)?.is_none() {
                continue;
            }
            let header = Header::decode(&mut &*value).map_err(|_| damaged("header", &key))?;
            progress.load_block(read_height(&key, "header")?, header.hash_slow());
        }
        Ok(progress)
    }

    /// Writes durably: all of it or, at a power cut, nothing.
    pub fn apply(&self, write: &Write) -> Result<(), StoreError> {
        let mut batch = self.db.batch();
        for operation in &write.operations {
            match operation {
                Operation::Put { family, key, value } => batch.put(family, key, value),
                Operation::Delete { family, key } => batch.delete(family, key),
                Operation::DeleteRange { family, from, to } => batch.delete_range(family, from, to),
                Operation::Block { block, receipts } => write_block(&mut batch, block, receipts),
                Operation::Finish(pivot) => {
                    write_block(&mut batch, &self.genesis, &[]);
                    batch.put(cf::EPOCHS, &height_key(0), &self.record);
                    let next_epoch = pivot.certificate().epoch.saturating_add(1);
                    batch.put(cf::EPOCHS, &height_key(next_epoch), pivot.record());
                    let height = height_key(pivot.number());
                    batch.put(cf::CERTIFICATES, &height, &alloy_rlp::encode(pivot.certificate()));
                    batch.put(cf::META, meta::HEAD, &height);
                    // The state of no block before is kept.
                    batch.put(cf::META, meta::FLOOR, &height);
                    batch.put(cf::META, meta::GENESIS, self.genesis.hash().as_slice());
                    let (from, to) = records::all();
                    batch.delete_range(cf::META, &from, &to);
                }
            }
        }
        batch.commit()
    }

    /// Keeps the last blocks of epochs, without their bodies, and what proves them. The caller has checked that they
    /// are the chain's, one epoch after the other from the first on. The node reads the record of the head's epoch, and
    /// others who know the genesis file alone can be shown all of them.
    pub fn keep_links(&self, links: &[Pivot]) -> Result<(), StoreError> {
        if links.is_empty() {
            return Ok(());
        }
        let mut batch = self.db.batch();
        for link in links {
            let (height, next_epoch) = (height_key(link.number()), link.certificate().epoch.saturating_add(1));
            batch.put(cf::HEADERS, &height, &alloy_rlp::encode(link.header()));
            batch.put(cf::CERTIFICATES, &height, &alloy_rlp::encode(link.certificate()));
            batch.put(cf::EPOCHS, &height_key(next_epoch), link.record());
        }
        batch.commit()
    }

    /// The link at a height, where it was kept.
    pub fn link(&self, number: u64) -> Result<Option<Pivot>, StoreError> {
        let key = height_key(number);
        let (Some(header), Some(certificate)) = (self.db.get(cf::HEADERS, &key)?, self.db.get(cf::CERTIFICATES, &key)?)
        else {
            return Ok(None);
        };
        let header = Header::decode(&mut &*header).map_err(|_| damaged("header", &key))?;
        let certificate = Certificate::decode(&certificate).map_err(|_| damaged("certificate", &key))?;
        let next_epoch = height_key(certificate.epoch.saturating_add(1));
        let record = self.db.get(cf::EPOCHS, &next_epoch)?.ok_or_else(|| damaged("record of an epoch", &next_epoch))?;
        Ok(Some(Pivot::new(header, certificate, Bytes::copy_from_slice(&record))))
    }

    /// The last epoch whose record was kept, with it; none before there is a link.
    pub fn last_record(&self) -> Result<Option<(u64, Bytes)>, StoreError> {
        let Some((key, record)) = self.db.seek_back(cf::EPOCHS, &height_key(u64::MAX))? else { return Ok(None) };
        Ok(Some((read_height(&key, "record of an epoch")?, Bytes::from(record.into_vec()))))
    }

    fn pivot(&self) -> Result<Option<Pivot>, StoreError> {
        let Some(pivot) = self.db.get(cf::META, records::PIVOT)? else { return Ok(None) };
        Pivot::decode(&mut &*pivot).map(Some).map_err(|_| damaged("pivot", records::PIVOT))
    }

    fn load_parts(&self, progress: &mut Progress) -> Result<(), StoreError> {
        for (prefix, hash) in self.records(records::ACCOUNT_PARTS)? {
            let bad = || damaged("part of the accounts", &prefix);
            let prefix = Prefix::unpacked(&prefix).ok_or_else(bad)?;
            progress.load_part(prefix, read_hash(&hash, "part of the accounts")?);
        }
        for (account, value) in self.records(records::STORAGES)? {
            let bad = || damaged("storage", &account);
            let (&is_whole, root) = value.split_last().ok_or_else(bad)?;
            progress.load_storage(read_hash(&account, "storage")?, read_hash(root, "storage")?, is_whole == 1);
        }
        for (key, hash) in self.records(records::SLOT_PARTS)? {
            let bad = || damaged("part of a storage", &key);
            let (account, prefix) = key.split_at_checked(32).ok_or_else(bad)?;
            let prefix = Prefix::unpacked(prefix).ok_or_else(bad)?;
            let hash = read_hash(&hash, "part of a storage")?;
            if !progress.load_slots(&B256::from_slice(account), prefix, hash) {
                return Err(bad());
            }
        }
        Ok(())
    }

    /// Records of a kind, by the rest of their keys.
    fn records(&self, kind: &[u8]) -> Result<BTreeMap<Vec<u8>, Box<[u8]>>, StoreError> {
        let mut found = BTreeMap::new();
        for entry in self.db.scan(cf::META, kind) {
            let (key, value): Entry = entry?;
            let Some(rest) = key.strip_prefix(kind) else { break };
            found.insert(rest.to_vec(), value);
        }
        Ok(found)
    }
}

fn read_hash(bytes: &[u8], what: &'static str) -> Result<B256, StoreError> {
    B256::try_from(bytes).map_err(|_| damaged(what, bytes))
}
