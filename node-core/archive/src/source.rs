//! Reading blocks and state from a database that a box may be writing to, with the checks that make it safe.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::Path,
    thread,
    time::Duration,
};

use alloy_consensus::Header;
use alloy_primitives::{B256, KECCAK256_EMPTY, keccak256};
use dolmen_store::{Family, LoadError, ReadOnly, StateHasher, StateRecord, StoreError};
use dolmen_types::{Block, receipt};

use crate::{
    Chain, FollowError, Follower, Progress, Watch,
    blocks::{Item, write_item},
    format::{Kind, RecordWriter},
    state_file::{SLOTS_BYTES, encode_account, push_slot},
};

/// How often a database is opened again that does not fit together, and how long a box has in between. What a box
/// deletes while its database is opened is a log or a table every few minutes at most, so the second time does.
const OPENINGS_MAX: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// Blocks between two reports of progress.
const REPORT_BLOCKS: u64 = 256;
/// Accounts between two reports of progress.
const REPORT_ACCOUNTS: u64 = 4096;

/// Why blocks or state were not read from a database and written to a file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database is of another chain.
    #[error(
        "the database is of the chain with genesis {found}, the genesis file gives {expected}; use its own settings"
    )]
    OtherChain {
        /// Genesis hash in the database.
        found: B256,
        /// The chain's.
        expected: B256,
    },
    /// The database begins later, because it was filled from other boxes.
    #[error(
        "the database begins with block {first}, because this box was filled from others; \
         ask a box that has block {from}"
    )]
    BeginsLater {
        /// The first block asked for.
        from: u64,
        /// The first block that there is.
        first: u64,
    },
    /// A record is missing.
    #[error("the database has no {what} of {place}; run `dolmen verify`")]
    Missing {
        /// The kind of record.
        what: &'static str,
        /// Where.
        place: String,
    },
    /// A record is not what a header commits to.
    #[error("the {what} in the database is not what block {height} commits to; run `dolmen verify`")]
    Mismatch {
        /// The kind of record.
        what: &'static str,
        /// The block.
        height: u64,
    },
    /// The blocks do not prove each other.
    #[error("the blocks in the database do not prove each other; run `dolmen verify`")]
    Follow(#[from] FollowError),
    /// The state's records make no state.
    #[error("the state in the database is damaged; run `dolmen verify`")]
    State(#[from] LoadError),
    /// The file could not be written.
    #[error("the file cannot be written; check free space and permissions there")]
    Write(#[from] io::Error),
}

impl SourceError {
    /// Whether the database may have been opened while a box was changing its files, so that the same may work later.
    const fn may_pass(&self) -> bool {
        match self {
            Self::Write(_) | Self::OtherChain { .. } | Self::BeginsLater { .. } => false,
            Self::Store(StoreError::NoDatabase(_) | StoreError::Filling(_) | StoreError::Version { .. }) => false,
            Self::Store(_) | Self::Missing { .. } | Self::Mismatch { .. } | Self::Follow(_) | Self::State(_) => true,
        }
    }
}

/// Opens a chain's database and works on it; where that fails and a box was writing to it meanwhile, once more.
pub(crate) fn read_settled<T>(
    chain: &Chain,
    path: &Path,
    mut work: impl FnMut(&ReadOnly) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let mut openings = 0;
    loop {
        openings += 1;
        let (error, head) = match ReadOnly::open(path) {
            Ok(database) => match check_chain(chain, &database).and_then(|()| work(&database)) {
                Ok(done) => return Ok(done),
                Err(error) => (error, database.head().ok()),
            },
            Err(error) => (error.into(), None),
        };
        if openings == OPENINGS_MAX || !error.may_pass() {
            return Err(error);
        }
        thread::sleep(PAUSE);
        // A database that nobody writes to will not be another.
        let now = ReadOnly::open(path).and_then(|database| database.head());
        if head.is_some() && now.ok() == head {
            return Err(error);
        }
    }
}

fn check_chain(chain: &Chain, database: &ReadOnly) -> Result<(), SourceError> {
    let (found, expected) = (database.genesis_hash()?, chain.hash());
    if found == expected { Ok(()) } else { Err(SourceError::OtherChain { found, expected }) }
}

/// Writes the blocks `from..=to`, each proven to follow the one before it and to be whole, and the last one to be
/// final. Answers with how many of them have certificates.
pub(crate) fn copy_blocks<W: Write>(
    chain: &Chain,
    database: &ReadOnly,
    out: &mut RecordWriter<W>,
    (from, to): (u64, u64),
    with_receipts: bool,
    watch: Watch<'_>,
) -> Result<u64, SourceError> {
    if let Some(first) = database.first_block()?.filter(|first| *first > from && from <= to) {
        return Err(SourceError::BeginsLater { from, first });
    }
    let mut follower = follower_before(chain, database, from)?;
    let mut certificates = 0;
    for height in from..=to {
        let item = read_item(chain, database, height, with_receipts)?;
        follower.block(&item.block)?;
        if let Some(certificate) = &item.certificate {
            follower.certificate(certificate)?;
            certificates += 1;
        }
        if let Some((epoch, record)) = &item.record {
            follower.record(*epoch, record)?;
        }
        write_item(out, &item)?;
        let done = height - from + 1;
        if done.is_multiple_of(REPORT_BLOCKS) || height == to {
            watch(Progress { step: "blocks", done, total: to - from + 1 });
        }
    }
    if follower.proven() < to {
        return Err(missing("certificate", format!("block {to}")));
    }
    Ok(certificates)
}

/// A follower that expects the block at `height` next.
fn follower_before<'a>(chain: &'a Chain, database: &ReadOnly, height: u64) -> Result<Follower<'a>, SourceError> {
    let Some(before) = height.checked_sub(1).filter(|before| *before > 0) else { return Ok(Follower::new(chain)) };
    let header = database.header(before)?.ok_or_else(|| missing("header", format!("block {before}")))?;
    let epoch = chain.epochs().of(height);
    let record = database.epoch_record(epoch)?.ok_or_else(|| missing("record", format!("epoch {epoch}")))?;
    Ok(Follower::after(chain, header, &record)?)
}

fn read_item(chain: &Chain, database: &ReadOnly, height: u64, with_receipts: bool) -> Result<Item, SourceError> {
    let place = || format!("block {height}");
    let block = database.block(height)?.ok_or_else(|| missing("header", place()))?;
    if !is_whole(&block) {
        return Err(SourceError::Mismatch { what: "body", height });
    }
    let receipts = if with_receipts {
        let receipts = database.receipts(height)?.ok_or_else(|| missing("receipts", place()))?;
        if receipt::root(&receipts) != block.header().receipts_root {
            return Err(SourceError::Mismatch { what: "list of receipts", height });
        }
        Some(receipts)
    } else {
        None
    };
    let record = if chain.epochs().is_last(height) {
        let epoch = chain.epochs().of(height) + 1;
        let record = database.epoch_record(epoch)?.ok_or_else(|| missing("record", format!("epoch {epoch}")))?;
        Some((epoch, record))
    } else {
        None
    };
    Ok(Item { block, receipts, certificate: database.certificate(height)?, record })
}

/// Whether a block's body is the one that its header commits to, in the one form that this chain's blocks have.
pub(crate) fn is_whole(block: &Block) -> bool {
    let sealed = Block::seal(block.header().clone(), block.transactions().to_vec());
    sealed.hash() == block.hash() && sealed.encoded() == block.encoded()
}

/// Writes the state after the block with this header, which must be the header's.
pub(crate) fn copy_state<W: Write>(
    database: &ReadOnly,
    out: &mut RecordWriter<W>,
    header: &Header,
    watch: Watch<'_>,
) -> Result<(), SourceError> {
    let height = header.number;
    let mut accounts = 0_u64;
    let (mut hasher, mut codes, mut slots) = (StateHasher::default(), BTreeSet::new(), Vec::new());
    database.visit_state(height, |record| -> Result<(), SourceError> {
        match record {
            StateRecord::Account { key, account } => {
                flush(out, &mut slots)?;
                hasher.account(key, account)?;
                out.write(Kind::Account, &encode_account(&key, &account))?;
                if account.code_hash != KECCAK256_EMPTY {
                    codes.insert(account.code_hash);
                }
                accounts += 1;
                if accounts.is_multiple_of(REPORT_ACCOUNTS) {
                    watch(Progress { step: "accounts", done: accounts, total: 0 });
                }
            }
            StateRecord::Slot { key, value } => {
                hasher.slot(key, value)?;
                push_slot(&mut slots, &key, &value);
                if slots.len() >= SLOTS_BYTES {
                    flush(out, &mut slots)?;
                }
            }
        }
        Ok(())
    })?;
    flush(out, &mut slots)?;
    if hasher.root() != header.state_root {
        return Err(SourceError::Mismatch { what: "state", height });
    }
    for hash in codes {
        let code = database.get(Family::Code, hash.as_slice())?;
        let code = code.ok_or_else(|| missing("code", hash.to_string()))?;
        if keccak256(&code) != hash {
            return Err(SourceError::Mismatch { what: "code", height });
        }
        out.write(Kind::Code, &code)?;
    }
    Ok(())
}

/// Writes the slots that were gathered.
fn flush<W: Write>(out: &mut RecordWriter<W>, slots: &mut Vec<u8>) -> io::Result<()> {
    if !slots.is_empty() {
        out.write(Kind::Slots, slots)?;
        slots.clear();
    }
    Ok(())
}

const fn missing(what: &'static str, place: String) -> SourceError {
    SourceError::Missing { what, place }
}
