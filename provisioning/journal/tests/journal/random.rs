//! Whatever is written and whatever becomes of the file.

use std::ops::Range;

use dolmen_provisioning_journal::JournalError;
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::support::{Place, Record};

fn record() -> impl Strategy<Value = Record> {
    let said = (any::<String>(), vec(any::<u8>(), 0..40)).prop_map(|(who, bytes)| Record::Said { who, bytes });
    prop_oneof![Just(Record::Opened), said]
}

fn records(count: Range<usize>) -> impl Strategy<Value = Vec<Record>> {
    vec(record(), count)
}

/// What becomes of a file.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..9_usize).prop_map(|(at, count)| Change::Remove(at, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len();
    match change {
        Change::Cut(at) => bytes.truncate(at.index(length + 1)),
        Change::Set(at, byte) => bytes[at.index(length)] = *byte,
        Change::Insert(at, more) => {
            drop(bytes.splice(at.index(length + 1)..at.index(length + 1), more.iter().copied()))
        }
        Change::Remove(at, count) => {
            let at = at.index(length);
            drop(bytes.drain(at..(at + count).min(length)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However it is written, in one go or closed in between.
    #[test]
    fn records_come_back(parts in vec((records(0..4), any::<bool>()), 0..5)) {
        let place = Place::new();
        let mut journal = Some(place.open().unwrap().0);
        let mut written = Vec::new();
        for (records, together) in parts {
            let mut open = journal.take().unwrap_or_else(|| place.open().unwrap().0);
            if together {
                open.append_all(1, &records).unwrap();
                journal = Some(open);
            } else {
                records.iter().for_each(|record| drop(open.append(1, record.clone()).unwrap()));
            }
            written.extend(records);
        }
        drop(journal);
        prop_assert_eq!(place.records(), written);
    }

    /// A changed file is refused, or only lacks lines at its end.
    #[test]
    fn no_change_gives_other_records(records in records(1..5), changes in vec(change(), 1..3)) {
        let place = Place::with(&records);
        let mut bytes = place.bytes();
        for change in &changes {
            if !bytes.is_empty() {
                apply(&mut bytes, change);
            }
        }
        place.write(&bytes);
        match place.open() {
            Ok((journal, entries)) => {
                let found: Vec<_> = entries.into_iter().map(|entry| entry.record).collect();
                prop_assert!(records.starts_with(&found));
                prop_assert_eq!(journal.verify().unwrap(), journal.head());
            }
            Err(JournalError::Damaged { line, .. }) => prop_assert!(line <= records.len() as u64 + 1),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }
}
