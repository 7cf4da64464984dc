//! Reading every table file once, and finding records that belong nowhere.

use alloy_primitives::{KECCAK256_EMPTY, keccak256};
use dolmen_store::Family;

use super::{Audit, Findings, Subject, causes};

/// How many records of a family there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tally {
    pub(super) records: u64,
    /// Whether all of them could be read.
    pub(super) whole: bool,
}

/// Records of one family that are outside of the heights that it should have: one finding for all of them.
#[derive(Default)]
struct Outside {
    count: u64,
    first: u64,
}

impl Outside {
    fn see(&mut self, height: u64) {
        if self.count == 0 {
            self.first = height;
        }
        self.count += 1;
    }
}

impl Audit<'_> {
    /// Reads all records but those of the state, which are read with it.
    pub(super) fn check_tables(&mut self) {
        let families = [
            Family::Meta,
            Family::Headers,
            Family::Bodies,
            Family::Receipts,
            Family::Blooms,
            Family::Certificates,
            Family::Epochs,
            Family::Hashes,
            Family::Transactions,
            Family::Code,
            Family::Changes,
            Family::AccountHistory,
            Family::SlotHistory,
        ];
        for family in families {
            self.check_table(family);
        }
    }

    fn check_table(&mut self, family: Family) {
        let (head, floor) = (self.head, self.floor);
        // The first record of an epoch is there when the last block before it is.
        let last_epoch = self.chain.epochs().of(head.saturating_add(1));
        let heights = match family {
            Family::Changes | Family::AccountHistory | Family::SlotHistory => floor.saturating_add(1)..=head,
            Family::Epochs => 0..=last_epoch,
            _ => 0..=head,
        };
        let key_bytes = match family {
            Family::Hashes | Family::Transactions | Family::Code => 32,
            Family::AccountHistory => 40,
            Family::SlotHistory => 72,
            _ => 8,
        };
        let (mut outside, mut codes) = (Outside::default(), Vec::new());
        let step = family.name();
        let tally = self.each_record(family, step, |findings, key, value| match family {
            Family::Meta => {}
            _ if key.len() != key_bytes => {
                findings.add(subject_of(family), hex(key), "a record with a key of no length")
            }
            Family::Hashes | Family::Transactions => {}
            Family::Code => {
                let hash = keccak256(value);
                if *key == *hash && hash != KECCAK256_EMPTY {
                    codes.push(hash);
                } else {
                    findings.add(Subject::Code, hex(key), format!("the code there has the hash {hash}"));
                }
            }
            _ => match key.last_chunk::<8>().map(|height| u64::from_be_bytes(*height)) {
                Some(height) if heights.contains(&height) => {}
                height => outside.see(height.unwrap_or_default()),
            },
        });
        self.codes.extend(codes);
        self.tallies.insert(family, tally);
        if outside.count > 0 {
            let (first, last) = (heights.start(), heights.end());
            let what = match outside.count {
                1 => format!("a record outside of {first} to {last}, where none belongs"),
                more => format!("{more} records outside of {first} to {last}, where none belong; the first is here"),
            };
            self.findings.add(subject_of(family), format!("{} {}", family.name(), outside.first), what);
        }
    }

    /// Shows each record of a family. Behind a part of a file that cannot be read it goes on at the next file's
    /// beginning or end.
    pub(super) fn each_record(
        &mut self,
        family: Family,
        step: &'static str,
        mut see: impl FnMut(&mut Findings, &[u8], &[u8]),
    ) -> Tally {
        let mut tally = Tally { records: 0, whole: true };
        let mut from = Vec::new();
        loop {
            let mut last: Option<Box<[u8]>> = None;
            let mut broken = false;
            for record in self.database.scan(family, &from) {
                match record {
                    Ok((key, value)) => {
                        see(&mut self.findings, &key, &value);
                        tally.records += 1;
                        // How many there are is not known.
                        if tally.records.is_multiple_of(16_384) {
                            (self.watch)(crate::Progress { step, done: tally.records, total: 0 });
                        }
                        last = Some(key);
                    }
                    Err(error) => {
                        self.findings.add(Subject::Files, format!("table of {}", family.name()), causes(&error));
                        (broken, tally.whole) = (true, false);
                    }
                }
            }
            if !broken {
                return tally;
            }
            let reached = last.map_or(from, Vec::from);
            let keys = self.database.table_keys(family).unwrap_or_default();
            match keys.into_iter().find(|key| *key > reached) {
                Some(key) => from = key,
                None => return tally,
            }
        }
    }
}

/// What a finding about a record of this family is about.
pub(super) const fn subject_of(family: Family) -> Subject {
    match family {
        Family::Meta => Subject::Meta,
        Family::Headers => Subject::Header,
        Family::Bodies => Subject::Body,
        Family::Receipts => Subject::Receipts,
        Family::Blooms => Subject::Bloom,
        Family::Hashes => Subject::BlockIndex,
        Family::Transactions => Subject::TransactionIndex,
        Family::Accounts | Family::Slots => Subject::State,
        Family::Code => Subject::Code,
        Family::AccountHistory | Family::SlotHistory | Family::Changes => Subject::History,
        Family::Epochs => Subject::EpochRecord,
        Family::Certificates => Subject::Certificate,
    }
}

pub(super) fn hex(key: &[u8]) -> String {
    alloy_primitives::hex::encode_prefixed(key)
}
