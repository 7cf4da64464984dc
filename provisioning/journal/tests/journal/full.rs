//! A disk without room: the journal says so, takes nothing more, and is sound when it is opened again.

use std::{env, process::Command};

use dolmen_provisioning_journal::{Journal, JournalError};

use crate::support::{Place, Record, said};

const PLACE: &str = "DOLMEN_TEST_JOURNAL";

/// In a process of its own, whose files may have 8 KB. The shell ignores the signal that would end it, and what is
/// ignored stays so.
#[test]
fn a_full_disk_ends_writing() {
    let place = Place::with(&[Record::Opened]);
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" --ignored --exact full::until_it_is_full";
    let mut command = Command::new("dash");
    command.args(["-c", script]).arg(env::current_exe().unwrap()).env(PLACE, place.path());
    let output = command.output().expect("dash starts");
    assert!(output.status.success(), "{output:?}");
    // Whole lines alone count, and there is room again.
    let (mut journal, entries) = place.open().unwrap();
    assert!(journal.dropped() > 0);
    assert_eq!(entries.len() as u64, journal.head().number);
    assert!(entries.len() > 10, "{}", entries.len());
    journal.append(9, said("there is room")).unwrap();
}

#[test]
#[ignore = "a_full_disk_ends_writing runs it, with a limit"]
fn until_it_is_full() {
    let path = env::var_os(PLACE).expect("a_full_disk_ends_writing runs this");
    let (mut journal, _) = Journal::open(path.as_ref()).unwrap();
    let error = (0..1000).find_map(|time| journal.append(time, said("more and more")).err()).expect("it is full");
    assert!(matches!(error, JournalError::Write { .. }), "{error}");
    for _ in 0..2 {
        assert!(matches!(journal.append(1, said("")), Err(JournalError::Broken(_))));
        assert!(matches!(journal.append_all(1, &[said("")]), Err(JournalError::Broken(_))));
    }
    // It still can be read, up to where it is whole.
    assert_eq!(journal.verify().unwrap(), journal.head());
}
