//! Records, and files with them.

use std::{fs, path::PathBuf};

use dolmen_provisioning_journal::{Entry, Journal, JournalError};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Record {
    Opened,
    Said { who: String, bytes: Vec<u8> },
}

pub(crate) fn said(who: &str) -> Record {
    Record::Said { who: who.to_owned(), bytes: vec![0, 255] }
}

/// A directory for a journal.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    /// A journal with these records, closed again.
    pub(crate) fn with(records: &[Record]) -> Self {
        let place = Self::new();
        let (mut journal, _) = place.open().expect("a new journal");
        for (at, record) in records.iter().enumerate() {
            journal.append(1_800_000_000 + at as u64, record.clone()).expect("it is written");
        }
        place
    }

    pub(crate) fn open(&self) -> Result<(Journal<Record>, Vec<Entry<Record>>), JournalError> {
        Journal::open(&self.path())
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let (_, entries) = self.open().expect("a journal");
        entries.into_iter().map(|entry| entry.record).collect()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).expect("a file")
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).expect("a file");
    }
}

/// Which line is damaged.
pub(crate) fn damaged<T: std::fmt::Debug>(result: Result<T, JournalError>) -> u64 {
    match result.expect_err("it is damaged") {
        JournalError::Damaged { line, .. } => line,
        error => panic!("{error}"),
    }
}
