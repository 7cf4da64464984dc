//! The audit log: who did what, in a journal of lines that hang together (`provisioning/journal`). A record is written
//! before what it says is done (OWASP ASVS 5.0 §16.2 and §16.3).

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use dolmen_provisioning_journal::{Entry, Journal, JournalError, Reader};
use serde::{Deserialize, Serialize};

use crate::{
    AuditEntry, AuditOutcome, AuditPage, OpenError, Refusal, Timestamp,
    limits::{AUDIT_CHARS_MAX, AUDIT_PAGE, AUDIT_RECENT, NAME_CHARS_MAX, REFUSALS_BURST, REFUSALS_SECONDS},
    name::clean,
    rate::Bucket,
};

/// The journal's name.
pub(crate) const FILE: &str = "access.journal";
/// The version of the records' form.
const VERSION: u32 = 1;
/// The box itself: no user's name has a colon.
pub(crate) const BOX: &str = "box:";
/// Somebody who did not say, or did not show, who he is: no user's name begins so.
pub(crate) const NOBODY: &str = "-";

/// What the journal has of one thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) v: u32,
    pub(crate) who: String,
    pub(crate) from: String,
    pub(crate) action: String,
    pub(crate) target: Option<String>,
    pub(crate) outcome: AuditOutcome,
    pub(crate) code: Option<String>,
    pub(crate) detail: Option<String>,
    /// Whether it changes the file of users.
    pub(crate) change: bool,
    /// A record of a change that came to nothing.
    pub(crate) voids: Option<u64>,
}

/// Who does what to what, before it is known whether he may.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) who: String,
    pub(crate) from: String,
    pub(crate) action: &'static str,
    pub(crate) target: Option<String>,
    pub(crate) detail: Option<String>,
}

impl Note {
    pub(crate) fn record(&self, outcome: AuditOutcome, code: Option<&str>) -> Record {
        let short = |text: &String| clean(text, AUDIT_CHARS_MAX);
        Record {
            v: VERSION,
            // Already names, with what tells tokens and the box from users.
            who: clean(&self.who, NAME_CHARS_MAX + 8),
            from: clean(&self.from, NAME_CHARS_MAX),
            action: self.action.to_owned(),
            target: self.target.as_ref().map(short),
            outcome,
            code: code.map(str::to_owned),
            detail: self.detail.as_ref().map(short),
            change: false,
            voids: None,
        }
    }

    fn of_box(action: &'static str) -> Self {
        Self { who: BOX.to_owned(), from: NOBODY.to_owned(), action, target: None, detail: None }
    }
}

/// The log, open to write.
#[derive(Debug)]
pub(crate) struct Audit {
    journal: Journal<Record>,
    /// The last records, the latest last.
    recent: VecDeque<AuditEntry>,
    refusals: Bucket,
    /// Refusals that came too often to be recorded.
    unrecorded: u64,
}

impl Audit {
    /// Opens the log; a new one begins with a record. All of its records come back.
    pub(crate) fn open(directory: &Path, now: u64) -> Result<(Self, Vec<Entry<Record>>), OpenError> {
        let (journal, mut entries) = Journal::<Record>::open(&directory.join(FILE))?;
        if let Some(entry) = entries.iter().find(|entry| entry.record.v != VERSION) {
            return Err(OpenError::Version(entry.record.v));
        }
        let recent = entries.len().saturating_sub(AUDIT_RECENT);
        let recent = entries.iter().skip(recent).map(view).collect();
        let mut audit = Self { journal, recent, refusals: Bucket::full(REFUSALS_BURST, now), unrecorded: 0 };
        if entries.is_empty() {
            entries.push(audit.append(now, Note::of_box("begin").record(AuditOutcome::Done, None))?);
        }
        Ok((audit, entries))
    }

    /// Writes a record, and returns once the disk has it.
    pub(crate) fn append(&mut self, now: u64, record: Record) -> Result<Entry<Record>, JournalError> {
        let entry = self.journal.append(now, record)?;
        if self.recent.len() >= AUDIT_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(view(&entry));
        Ok(entry)
    }

    /// Writes that a change came to nothing.
    pub(crate) fn void(&mut self, now: u64, number: u64, code: &str) -> Result<(), JournalError> {
        let note = Note { detail: Some(format!("record {number}")), ..Note::of_box("void") };
        let record = Record { voids: Some(number), ..note.record(AuditOutcome::Refused, Some(code)) };
        self.append(now, record).map(drop)
    }

    /// Writes a refusal, as far as they do not come too often: nobody fills the disk with them. What was left out is said
    /// with the next one.
    pub(crate) fn refused(&mut self, now: u64, note: &Note, refusal: &Refusal) {
        if !self.refusals.take(REFUSALS_BURST, REFUSALS_SECONDS, now) {
            self.unrecorded += 1;
            return;
        }
        let mut note = note.clone();
        if self.unrecorded > 0 {
            let detail = note.detail.take().unwrap_or_default();
            note.detail = Some(format!("{} refusals before were not recorded. {detail}", self.unrecorded));
        }
        // It changes nothing, so it is refused all the same where the disk does not take it.
        if self.append(now, note.record(AuditOutcome::Refused, Some(refusal.code()))).is_ok() {
            self.unrecorded = 0;
        }
    }

    /// A page out of memory, as far as it is there.
    pub(crate) fn page(&self, query: &Query) -> Result<AuditPage, PathBuf> {
        let mut page = Page::new(query);
        self.recent.iter().for_each(|entry| page.offer(entry));
        let all = self.recent.front().is_none_or(|first| first.seq == 1);
        let page = page.finish();
        if all || page.more { Ok(page) } else { Err(self.journal.path().to_owned()) }
    }
}

/// What a page is to have.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// Records before this one.
    pub(crate) before: Option<u64>,
    /// So many at most.
    pub(crate) limit: usize,
    /// Of this one alone.
    pub(crate) who: Option<String>,
}

impl Query {
    pub(crate) fn new(before: Option<u64>, limit: Option<usize>, who: Option<String>) -> Self {
        Self { before, limit: limit.unwrap_or(50).clamp(1, AUDIT_PAGE), who }
    }
}

/// A page from the file, which somebody else may be writing.
pub(crate) fn read_page(path: &Path, query: &Query) -> Result<AuditPage, JournalError> {
    let mut page = Page::new(query);
    for entry in Reader::<Record>::open(path)? {
        let entry = view(&entry?);
        if query.before.is_some_and(|before| entry.seq >= before) {
            break;
        }
        page.offer(&entry);
    }
    Ok(page.finish())
}

/// A page that is being made, from the first record to the last.
struct Page<'a> {
    query: &'a Query,
    entries: VecDeque<AuditEntry>,
}

impl<'a> Page<'a> {
    fn new(query: &'a Query) -> Self {
        Self { query, entries: VecDeque::new() }
    }

    fn offer(&mut self, entry: &AuditEntry) {
        let own = self.query.who.as_ref().is_none_or(|who| *who == entry.who);
        if own && self.query.before.is_none_or(|before| entry.seq < before) {
            // One more than asked for says that there are more.
            if self.entries.len() > self.query.limit {
                self.entries.pop_front();
            }
            self.entries.push_back(entry.clone());
        }
    }

    fn finish(mut self) -> AuditPage {
        let more = self.entries.len() > self.query.limit;
        if more {
            self.entries.pop_front();
        }
        AuditPage { entries: self.entries.into_iter().rev().collect(), more }
    }
}

fn view(entry: &Entry<Record>) -> AuditEntry {
    let Entry { number, time, record, .. } = entry;
    AuditEntry {
        seq: *number,
        at: Timestamp(*time),
        who: record.who.clone(),
        from: record.from.clone(),
        action: record.action.clone(),
        target: record.target.clone(),
        outcome: record.outcome,
        code: record.code.clone(),
        detail: record.detail.clone(),
    }
}
