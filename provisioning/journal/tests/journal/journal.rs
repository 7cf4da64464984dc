//! Writing and reading.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    process::Command,
};

use dolmen_provisioning_journal::{Head, Journal, JournalError, LineHash, Reader, verify};

use crate::support::{Place, Record, said};

#[test]
fn what_is_written_is_read_again() {
    let place = Place::new();
    let (mut journal, entries) = place.open().unwrap();
    assert_eq!((entries, journal.head(), journal.dropped()), (vec![], Head::EMPTY, 0));
    let first = journal.append(7, Record::Opened).unwrap();
    assert_eq!((first.number, first.prev, first.time), (1, LineHash::NONE, 7));
    journal.append_all(8, &[said("a\nb"), said("c")]).unwrap();
    journal.append_all(9, &[]).unwrap();
    let head = journal.head();
    assert_eq!((head.number, journal.verify().unwrap()), (3, head));
    drop(journal);
    let (mut journal, entries) = place.open().unwrap();
    assert_eq!(entries[0], first);
    assert_eq!(entries.iter().map(|entry| entry.time).collect::<Vec<_>>(), [7, 8, 8]);
    assert_eq!(entries[2].record, said("c"));
    assert_eq!((journal.head(), verify(&place.path()).unwrap()), (head, head));
    // It goes on where it ended.
    assert_eq!(journal.append(10, Record::Opened).unwrap().prev, head.hash);
    assert_eq!(place.bytes().iter().filter(|byte| **byte == b'\n').count(), 4);
}

/// Other programs read these files, and so do later versions of this one.
#[test]
fn the_format_does_not_change() {
    let place = Place::with(&[Record::Opened, said("x")]);
    let expected = "\
{\"number\":1,\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"time\":1800000000,\
\"record\":\"opened\",\"sum\":\"SUM1\"}
{\"number\":2,\"prev\":\"PREV2\",\"time\":1800000001,\"record\":{\"said\":{\"who\":\"x\",\"bytes\":[0,255]}},\
\"sum\":\"SUM2\"}
";
    let sha256sum = |script: &str| {
        let output = Command::new("sh").args(["-c", script, "sh"]).arg(place.path()).output().expect("a shell");
        String::from_utf8(output.stdout).expect("digits")[..64].to_owned()
    };
    let sum = |line: u8| {
        sha256sum(&format!("sed -n {line}p \"$1\" | sed 's/,\"sum\":\"[0-9a-f]*\"}}$//' | tr -d '\\n' | sha256sum"))
    };
    let expected = expected
        .replace("SUM1", &sum(1))
        .replace("SUM2", &sum(2))
        .replace("PREV2", &sha256sum("sed -n 1p \"$1\" | sha256sum"));
    assert_eq!(String::from_utf8(place.bytes()).unwrap(), expected);
}

#[test]
fn one_process_writes() {
    let place = Place::with(&[Record::Opened]);
    let (journal, _) = place.open().unwrap();
    assert!(matches!(place.open(), Err(JournalError::Locked(path)) if path == place.path()));
    // Readers are not in the way, and do not lock.
    let read: Vec<_> = Reader::<Record>::open(&place.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), 1);
    assert_eq!(verify(&place.path()).unwrap(), journal.head());
    drop(journal);
    place.open().expect("it is free");
}

#[test]
fn only_the_owner_reads_it() {
    let place = Place::new();
    let mode = || fs::metadata(place.path()).unwrap().permissions().mode() & 0o777;
    drop(place.open().unwrap());
    assert_eq!(mode(), 0o600);
    fs::set_permissions(place.path(), Permissions::from_mode(0o644)).unwrap();
    drop(place.open().unwrap());
    assert_eq!(mode(), 0o600);
}

#[test]
fn what_cannot_be_had_is_said() {
    let place = Place::new();
    let missing = place.path().join("missing");
    assert!(matches!(Reader::<Record>::open(&missing), Err(JournalError::Open { path, .. }) if path == missing));
    assert!(matches!(Journal::<Record>::open(&missing), Err(JournalError::Open { .. })));
    let directory = place.path();
    fs::create_dir(&directory).unwrap();
    assert!(matches!(Journal::<Record>::open(&directory), Err(JournalError::Open { .. })));
}

/// A record that is too long is not written, and nothing else is the matter.
#[test]
fn lines_have_a_bound() {
    let place = Place::new();
    let (mut journal, _) = place.open().unwrap();
    journal.append(1, said("a")).unwrap();
    let long = said(&"x".repeat(256 << 10));
    assert!(matches!(journal.append(2, long.clone()), Err(JournalError::LineBytes(_))));
    // None of those that were to be written together.
    assert!(matches!(journal.append_all(2, &[said("b"), long]), Err(JournalError::LineBytes(_))));
    journal.append(3, said("c")).unwrap();
    drop(journal);
    assert_eq!(place.records(), [said("a"), said("c")]);
}

/// The records of another program, or of a later version.
#[test]
fn other_records_are_no_damage() {
    let place = Place::new();
    let (mut other, _) = Journal::<u32>::open(&place.path()).unwrap();
    other.append(1, 7).unwrap();
    drop(other);
    assert!(matches!(place.open(), Err(JournalError::Record { line: 1, .. })));
    assert_eq!(verify(&place.path()).unwrap().number, 1);
}

/// Somebody who writes to the file without asking.
#[test]
fn a_file_that_others_change_is_found() {
    let place = Place::with(&[Record::Opened, said("a")]);
    let (journal, _) = place.open().unwrap();
    let whole = place.bytes();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    place.write(&whole[..first]);
    assert!(matches!(journal.verify(), Err(JournalError::Changed { found: 1, expected: 2, .. })));
    place.write(&whole);
    journal.verify().expect("it is as it was");
}
