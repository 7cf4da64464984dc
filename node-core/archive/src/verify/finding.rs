//! What is wrong with a database, what follows from it, and what to do.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// Findings that are kept; a damaged disk makes as many as it has records.
const FINDINGS_MAX: usize = 1000;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Files of RocksDB.
    Files,
    /// The records about the database itself.
    Meta,
    /// A header.
    Header,
    /// A block's transactions.
    Body,
    /// A block's receipts.
    Receipts,
    /// The index of logs.
    Bloom,
    /// The index of blocks by hash.
    BlockIndex,
    /// The index of transactions by hash.
    TransactionIndex,
    /// Accounts and slots.
    State,
    /// Contract code.
    Code,
    /// What earlier states are read from.
    History,
    /// Who votes in an epoch.
    EpochRecord,
    /// A proof that a block is final.
    Certificate,
}

impl Subject {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Meta => "meta",
            Self::Header => "header",
            Self::Body => "body",
            Self::Receipts => "receipts",
            Self::Bloom => "bloom",
            Self::BlockIndex => "block index",
            Self::TransactionIndex => "transaction index",
            Self::State => "state",
            Self::Code => "code",
            Self::History => "history",
            Self::EpochRecord => "epoch record",
            Self::Certificate => "certificate",
        }
    }

    /// What follows from such a fault.
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::Files => "what is in the damaged part cannot be read: the box stops, or answers with errors",
            Self::Meta => "the box may not start, or take another block for its last one",
            Self::Header => "questions about the block fail, and other boxes get no valid block from this one",
            Self::Body => "questions about the block's transactions fail or have wrong answers",
            Self::Receipts => "questions about the block's receipts and logs fail or have wrong answers",
            Self::Bloom => "searches for logs miss those of the block",
            Self::BlockIndex => "the block is not found by its hash",
            Self::TransactionIndex => "the transaction is not found by its hash, or another is",
            Self::State => "the box does not start, because its state is not the chain's",
            Self::Code => "calls of the contract fail, and the box cannot execute blocks that call it",
            Self::History => "questions about earlier states fail or have wrong answers",
            Self::EpochRecord => "the box does not know who votes, and may not start or follow the chain",
            Self::Certificate => "others cannot be shown that the block is final; exports and backups stop before it",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Files => {
                "check the disk (smartctl, the kernel's log) and replace it if it fails; then move db/ out of data_dir \
                 and start the box, which fills it again from consensus/ and its peers, or restore a backup"
            }
            Self::History => {
                "if nobody asks for earlier states, leave it: it goes when history.depth blocks have passed; else move \
                 db/ out of data_dir and start the box, which fills it again"
            }
            Self::Certificate => {
                "move db/ out of data_dir and start the box, which fills it again with the certificates in consensus/"
            }
            Self::Meta
            | Self::Header
            | Self::Body
            | Self::Receipts
            | Self::Bloom
            | Self::BlockIndex
            | Self::TransactionIndex
            | Self::State
            | Self::Code
            | Self::EpochRecord => {
                "move db/ out of data_dir and start the box, which fills it again from consensus/ and its peers, or \
                 restore a backup; keep the old db/ until that is done"
            }
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that is wrong with a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// What is wrong.
    pub what: String,
    /// Where.
    pub place: String,
}

impl Serialize for Finding {
    /// With what follows from it and what to do, so that a report needs nothing else.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Finding", 5)?;
        out.serialize_field("subject", &self.subject)?;
        out.serialize_field("what", &self.what)?;
        out.serialize_field("where", &self.place)?;
        out.serialize_field("consequence", self.subject.consequence())?;
        out.serialize_field("next", self.subject.remedy())?;
        out.end()
    }
}

/// A bounded list of them.
#[derive(Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    more: u64,
}

impl Findings {
    /// Adds one, unless it says what the last one says.
    pub(super) fn add(&mut self, subject: Subject, place: impl fmt::Display, what: impl fmt::Display) {
        let finding = Finding { subject, what: what.to_string(), place: place.to_string() };
        if self.list.last() == Some(&finding) {
            return;
        }
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        } else {
            self.more += 1;
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.list.len()).unwrap_or(u64::MAX).saturating_add(self.more)
    }

    /// The list, and how many there are beyond it.
    pub(super) fn into_parts(self) -> (Vec<Finding>, u64) {
        (self.list, self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_are_kept_and_the_rest_counted() {
        let mut findings = Findings::default();
        for block in 0..FINDINGS_MAX + 5 {
            findings.add(Subject::Body, block, "gone");
            findings.add(Subject::Body, block, "gone");
        }
        // Beyond the list a repetition is not noticed.
        assert_eq!(findings.count(), 1010);
        let (list, more) = findings.into_parts();
        assert_eq!((list.len(), more), (1000, 10));
        let json = serde_json::to_value(&list[0]).unwrap();
        assert_eq!((json["subject"].as_str(), json["where"].as_str()), (Some("body"), Some("0")));
        assert!(json["next"].as_str().unwrap().contains("db/") && json["consequence"].is_string());
    }
}
