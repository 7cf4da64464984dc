use std::{collections::HashSet, fs, path::PathBuf};

use dolmen_store::damage;
use tempfile::TempDir;

use super::*;
use crate::testing::{EPOCH_BLOCKS, TestChain, copy_database, unwatched};

/// A chain of a stopped box over three epochs, with history of its last blocks.
fn stopped() -> TestChain {
    let mut test = TestChain::new(45, 10);
    test.stop();
    // Opened again, so that RocksDB writes its log into tables.
    test.start();
    test.stop();
    test
}

fn check(test: &TestChain, path: &Path) -> Result<Report, VerifyError> {
    verify(&test.chain, path, &mut unwatched)
}

/// A copy of the database, to be damaged.
fn copied(test: &TestChain) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    copy_database(&test.database(), &path);
    (dir, path)
}

/// A key and its value.
type Entry = (Box<[u8]>, Box<[u8]>);

fn records(test: &TestChain, family: Family) -> Vec<Entry> {
    let database = ReadOnly::open(&test.database()).unwrap();
    database.scan(family, &[]).collect::<Result<_, _>>().unwrap()
}

/// First, middle and last record.
fn some(records: Vec<Entry>) -> Vec<Entry> {
    let places: HashSet<_> = [0, records.len() / 2, records.len().saturating_sub(1)].into();
    records.into_iter().enumerate().filter(|(place, _)| places.contains(place)).map(|(_, record)| record).collect()
}

/// The value with its last bit turned over; nothing becomes something.
fn flipped(value: &[u8]) -> Vec<u8> {
    let mut value = value.to_vec();
    match value.last_mut() {
        Some(last) => *last ^= 1,
        None => value.push(1),
    }
    value
}

#[test]
fn a_whole_database_is_clean() {
    let test = stopped();
    let report = check(&test, &test.database()).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    let Report { head, certified, first, floor, accounts, slots, written_meanwhile, .. } = report;
    assert_eq!((head, certified, first, floor, written_meanwhile), (45, 45, 1, 35, false));
    assert!(accounts > 5 && slots > 5, "{accounts} accounts, {slots} slots");
}

#[test]
fn a_running_boxs_database_is_clean_too() {
    let test = TestChain::new(7, 10);
    assert!(check(&test, &test.database()).unwrap().is_clean());
}

#[test]
fn every_record_that_was_lost_or_changed_is_found() {
    let test = stopped();
    for family in Family::ALL {
        let of_family = records(&test, family);
        assert!(!of_family.is_empty(), "{family:?} has no record to damage");
        for (key, value) in some(of_family) {
            for change in [None, Some(flipped(&value))] {
                let (_dir, path) = copied(&test);
                damage(&path, family, &key, change.as_deref()).unwrap();
                let what = format!("{family:?} {} {change:?}", tables::hex(&key));
                match check(&test, &path) {
                    Ok(report) => assert!(!report.is_clean() || is_no_fault(family, &key, &change), "{what}"),
                    // Another version's database is not read at all.
                    Err(VerifyError::Store(StoreError::Version { .. })) => {
                        assert!(family == Family::Meta && *key == *b"version", "{what}");
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
            }
        }
    }
}

/// Nothing says which blocks but each epoch's last should have a certificate.
fn is_no_fault(family: Family, key: &[u8], change: &Option<Vec<u8>>) -> bool {
    let is_last = height_of(key).is_some_and(|height| height % EPOCH_BLOCKS == EPOCH_BLOCKS - 1);
    family == Family::Certificates && change.is_none() && !is_last
}

#[test]
fn every_record_that_was_added_is_found() {
    let test = stopped();
    let above = 48_u64.to_be_bytes();
    // A key that changed in the last block, at a height at which it did not.
    let (key, _) = records(&test, Family::SlotHistory).pop().unwrap();
    let stray = |key: &[u8]| [key, &[0xee; 8]].concat();
    for (family, key, value) in [
        (Family::Headers, above.to_vec(), vec![0xc0]),
        (Family::Bodies, above.to_vec(), vec![0xc0]),
        (Family::Receipts, above.to_vec(), vec![0xc0]),
        (Family::Blooms, above.to_vec(), vec![0; 256]),
        // Block 1 has no logs.
        (Family::Blooms, 1_u64.to_be_bytes().to_vec(), vec![1; 256]),
        (Family::Hashes, vec![0xee; 32], 7_u64.to_be_bytes().to_vec()),
        (Family::Transactions, vec![0xee; 32], [&7_u64.to_be_bytes()[..], &[0; 4]].concat()),
        (Family::Accounts, vec![0xee; 32], alloy_rlp::encode(dolmen_store::Account::default())),
        // Of an account that is there, and of one that is not.
        (Family::Slots, [&records(&test, Family::Slots)[0].0[..32], &[0xee; 32]].concat(), vec![1]),
        (Family::Slots, vec![0xee; 64], vec![1]),
        (Family::Code, vec![0xee; 32], vec![0]),
        (Family::AccountHistory, stray(&[0xee; 32]), vec![]),
        (Family::SlotHistory, [&[0xee; 64][..], &key[64..]].concat(), vec![1]),
        (Family::Changes, above.to_vec(), vec![0xc0]),
        (Family::Changes, 3_u64.to_be_bytes().to_vec(), vec![0xc0]),
        (Family::Epochs, 7_u64.to_be_bytes().to_vec(), vec![1]),
        (Family::Certificates, 1_u64.to_be_bytes().to_vec(), vec![0xc0]),
        (Family::Certificates, above.to_vec(), vec![0xc0]),
        (Family::Headers, vec![1, 2, 3], vec![0xc0]),
    ] {
        let (_dir, path) = copied(&test);
        damage(&path, family, &key, Some(&value)).unwrap();
        assert!(!check(&test, &path).unwrap().is_clean(), "{family:?} {}", tables::hex(&key));
    }
}

/// Two faults far apart in the history: the one further back is not hidden by the other.
#[test]
fn a_list_of_findings_goes_on_behind_the_first() {
    let test = stopped();
    let (_dir, path) = copied(&test);
    for number in [37_u64, 44] {
        damage(&path, Family::Receipts, &number.to_be_bytes(), None).unwrap();
        damage(&path, Family::Changes, &number.to_be_bytes(), None).unwrap();
    }
    let findings = check(&test, &path).unwrap().findings;
    for number in [37, 44] {
        for subject in [Subject::Receipts, Subject::History] {
            let place = format!("block {number}");
            assert!(
                findings.iter().any(|finding| finding.subject == subject && finding.place == place),
                "{findings:#?}"
            );
        }
    }
}

#[test]
fn damaged_files_are_found() {
    let test = stopped();
    let names: Vec<String> = fs::read_dir(test.database())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sst") || name.starts_with("MANIFEST") || name == "CURRENT")
        .collect();
    assert!(names.iter().filter(|name| name.ends_with(".sst")).count() >= 10, "{names:?}");
    for name in &names {
        let (_dir, path) = copied(&test);
        let mut bytes = fs::read(path.join(name)).unwrap();
        // In a table the first block of records; in the manifest the first record; in CURRENT the manifest's name.
        bytes[12] ^= 0x10;
        fs::write(path.join(name), bytes).unwrap();
        let report = check(&test, &path).unwrap();
        assert!(report.findings.iter().any(|finding| finding.subject == Subject::Files), "{name}: {report:#?}");
        fs::remove_file(path.join(name)).unwrap();
        assert!(!check(&test, &path).unwrap().is_clean(), "{name} is gone");
    }
}

#[test]
fn a_database_of_another_chain_or_none_is_no_finding() {
    let test = stopped();
    let other = TestChain::with_time(0, 10, 1_790_000_000_001);
    assert!(matches!(check(&other, &test.database()), Err(VerifyError::OtherChain { .. })));
    let absent = test.dir.path().join("absent");
    assert!(matches!(check(&test, &absent), Err(VerifyError::Store(StoreError::NoDatabase(_)))));
    assert!(!absent.exists(), "a check makes nothing");
}
