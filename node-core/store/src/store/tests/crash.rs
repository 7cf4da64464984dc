//! A power cut at any byte of the write-ahead log.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

const BLOCKS: u64 = 4;

/// The write-ahead log that is being written.
fn log(database: &Path) -> PathBuf {
    let files = fs::read_dir(database).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// Copies a database as a power cut leaves it: only the first `len` bytes of its log were written.
fn copy_cut(from: &Path, to: &Path, len: u64) {
    for entry in fs::read_dir(from).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap();
        if name != "LOCK" {
            fs::copy(&file, to.join(name)).unwrap();
        }
    }
    let cut = fs::OpenOptions::new().write(true).open(to.join(log(from).file_name().unwrap())).unwrap();
    cut.set_len(len).unwrap();
}

fn head(store: &Store) -> (B256, B256) {
    let head = store.head();
    (head.block.hash(), head.state.root())
}

#[test]
fn a_torn_log_opens_at_a_whole_block() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), 2);
    let len = || fs::metadata(log(dir.path())).unwrap().len();
    // Bytes of the log once a height is committed, and what is then the head.
    let mut commits = vec![(len(), head(&store))];
    for height in 1..=BLOCKS {
        store.commit(&next(&store, height, height % 3), None).unwrap();
        commits.push((len(), head(&store)));
    }
    let mut cuts = vec![0, commits[0].0 / 2];
    for pair in commits.windows(2) {
        let (from, to) = (pair[0].0, pair[1].0);
        assert!(to > from, "a commit writes to the log");
        cuts.extend([from - 1, from, from + 1, from.midpoint(to), to - 1, to]);
    }
    cuts.dedup();
    for cut in cuts {
        let copy = tempfile::tempdir().unwrap();
        copy_cut(dir.path(), copy.path(), cut);
        let whole = commits.iter().rposition(|(len, _)| *len <= cut).unwrap_or(0);
        let survivor = open(copy.path(), 2);
        assert_eq!(survivor.head().block.number(), whole as u64, "cut after {cut} bytes");
        assert_eq!(head(&survivor), commits[whole].1, "cut after {cut} bytes");
        let after = next(&survivor, 77, 7);
        survivor.commit(&after, None).unwrap();
        assert_eq!(head(&survivor), (after.block.hash(), after.block.header().state_root));
    }
}
