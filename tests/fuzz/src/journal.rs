//! Journals: files of lines, each with a sum over itself and the hash of the one before.

use std::{fs, path::Path, sync::LazyLock};

use dolmen_image_bundle::Hash;
use dolmen_provisioning_journal::{Entry, Journal, JournalError, Reader, verify};
use serde_json::Value;
use tempfile::TempDir;

use crate::Target;

pub(crate) const TARGETS: &[Target] =
    &[Target::new("journal_file", files, file).cases(600), Target::new("journal_lines", lines, sealed).cases(600)];

/// In a line that is to be sealed: the hash of the line before.
const PREV: &str = "@";

fn entries() -> Vec<(u64, Value)> {
    let event = |name: &str| serde_json::json!({ "what": name, "more": [1, null, "\u{e9}\u{1}"] });
    vec![(1_800_000_000, event("began")), (1_800_000_007, event("seen")), (u64::MAX, Value::Null)]
}

static WRITTEN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let directory = directory();
    let path = directory.path().join("journal");
    let (mut journal, _) = Journal::open(&path).expect("a new journal");
    for (time, record) in entries() {
        journal.append(time, record).expect("room on the disk");
    }
    fs::read(&path).expect("a file")
});

fn files() -> Vec<Vec<u8>> {
    vec![WRITTEN.clone()]
}

/// In memory, where there is such a place: journals wait for the disk.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    directory.expect("a directory")
}

/// What is read is what was written: the entries, appended to a new journal, make the same file.
fn file(bytes: &[u8]) -> bool {
    let directory = directory();
    let [path, copy] = ["journal", "copy"].map(|name| directory.path().join(name));
    fs::write(&path, bytes).expect("a file");
    let mut reader = Reader::<Value>::open(&path).expect("a small file");
    let read: Result<Vec<Entry<Value>>, _> = reader.by_ref().collect();
    let head = verify(&path);
    let read = match read {
        Ok(read) => read,
        Err(error) => {
            // Whoever verifies a journal does not look into its records.
            assert!(head.is_err() || matches!(error, JournalError::Record { .. }), "{error}");
            assert!(Journal::<Value>::open(&path).is_err());
            assert_eq!(fs::read(&path).expect("a file"), bytes, "damage is left as it is");
            return false;
        }
    };
    assert_eq!((head.expect("it was read"), reader.head().number), (reader.head(), read.len() as u64));
    let (journal, entries) = Journal::<Value>::open(&path).expect("it was read");
    assert_eq!((entries, journal.head()), (read.clone(), reader.head()));
    let kept = fs::read(&path).expect("a file");
    assert!(bytes.starts_with(&kept) && bytes.len() as u64 - kept.len() as u64 == journal.dropped());
    let (mut again, _) = Journal::open(&copy).expect("a new journal");
    for entry in read {
        again.append(entry.time, entry.record).expect("room on the disk");
    }
    // JSON has many texts for a value; what a journal wrote has one.
    assert!(again.head() == reader.head() || !WRITTEN.starts_with(&kept));
    true
}

/// Lines without their sums.
fn lines() -> Vec<Vec<u8>> {
    let line = |(number, (time, record)): (usize, (u64, Value))| {
        format!("{{\"number\":{},\"prev\":\"{PREV}\",\"time\":{time},\"record\":{record}", number + 1)
    };
    let lines: Vec<_> = entries().into_iter().enumerate().map(line).collect();
    vec![lines.join("\n").into_bytes(), lines[0].clone().into_bytes()]
}

/// Lines with their sums, and hashes of the lines before.
fn sealed(text: &[u8]) -> bool {
    let (mut all, mut prev) = (Vec::new(), "0".repeat(64));
    for line in String::from_utf8_lossy(text).split('\n') {
        let body = line.replace(PREV, &prev);
        let line = format!("{body},\"sum\":\"{}\"}}\n", Hash::of(body.as_bytes()));
        prev = Hash::of(line.as_bytes()).to_string();
        all.extend(line.into_bytes());
    }
    file(&all)
}
