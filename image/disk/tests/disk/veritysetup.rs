//! Hash trees that cryptsetup's veritysetup makes and checks.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use dolmen_image_disk::verity::{RootHash, Salt, Superblock, VerityError, format, verify};
use tempfile::TempDir;
use uuid::{Uuid, uuid};

use crate::support::{output, run, text};

const UUID: Uuid = uuid!("12345678-9abc-4def-8123-456789abcdef");

/// A data device of so many blocks, no two of which are equal.
fn data(blocks: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("data");
    let bytes: Vec<u8> =
        (1..=blocks * 512).flat_map(|word| word.wrapping_mul(0xd134_2543_de82_ef95).to_le_bytes()).collect();
    fs::write(&path, bytes).expect("a file in it");
    (folder, path)
}

fn open(path: &Path) -> File {
    File::open(path).expect("a file that was written before")
}

/// Ours, beside the data.
fn formatted(data: &Path, blocks: u64, salt: &Salt) -> (PathBuf, RootHash) {
    let path = data.with_file_name("ours");
    let superblock = Superblock { uuid: UUID, data_blocks: blocks, salt: salt.clone() };
    let mut hashes = File::create(&path).expect("a file beside the data");
    (path, format(&mut open(data), &mut hashes, &superblock, &mut |_| {}).expect("a tree"))
}

/// Theirs, beside the data.
fn veritysetup_format(data: &Path, salt: &Salt) -> (PathBuf, RootHash) {
    let (path, root) = (data.with_file_name("theirs"), data.with_file_name("root"));
    let salt = format!("--salt={salt}");
    let (uuid, file) = (format!("--uuid={UUID}"), format!("--root-hash-file={}", root.display()));
    run("veritysetup", &["format", &salt, &uuid, &file, &data.display().to_string()], &path);
    (path, fs::read_to_string(root).expect("the root hash").trim().parse().expect("64 digits"))
}

fn verified(data: &Path, hashes: &Path, blocks: u64, root: &RootHash) -> Result<(), VerityError> {
    verify(&mut open(data), &mut open(hashes), blocks, root, &mut |_| {})
}

#[test]
fn hash_devices_are_the_same() {
    for (blocks, salt) in [(1, 32), (2, 0), (127, 1), (128, 32), (129, 256), (1_000, 64), (16_384, 32), (16_385, 32)] {
        let salt = Salt::new(&vec![0xa5; salt]).unwrap();
        let (_folder, data) = data(blocks);
        let (theirs, their_root) = veritysetup_format(&data, &salt);
        let (ours, our_root) = formatted(&data, blocks, &salt);
        assert_eq!(our_root, their_root, "{blocks} blocks");
        assert!(fs::read(&ours).unwrap() == fs::read(&theirs).unwrap(), "{blocks} blocks");
        verified(&data, &theirs, blocks, &their_root).unwrap();
        let superblock = Superblock::read(&mut open(&theirs)).unwrap();
        assert_eq!(superblock, Superblock { uuid: UUID, data_blocks: blocks, salt });
    }
}

#[test]
fn both_find_what_was_changed() {
    let blocks = 300;
    let (_folder, data) = data(blocks);
    let (hashes, root) = formatted(&data, blocks, &Salt::new(b"a salt").unwrap());
    let theirs = |root: &RootHash| {
        // The root hash comes after the file that `output` names last, so it is told from a file.
        let file = data.with_file_name("expected");
        fs::write(&file, root.to_string()).unwrap();
        let root = format!("--root-hash-file={}", file.display());
        output("veritysetup", &["verify", &root, &data.display().to_string()], &hashes, "")
    };
    assert!(theirs(&root).status.success(), "{}", text(&theirs(&root)));
    verified(&data, &hashes, blocks, &root).unwrap();

    let other = RootHash::from_bytes([7; 32]);
    assert!(!theirs(&other).status.success());
    assert!(matches!(verified(&data, &hashes, blocks, &other), Err(VerityError::RootHash { .. })));

    // The last byte of data block 299, and the first of the third hash block of level 0, which is block 4.
    for (file, at) in [(&data, 300 * 4096 - 1), (&hashes, 4 * 4096)] {
        let whole = fs::read(file).unwrap();
        let mut changed = whole.clone();
        changed[at] ^= 1;
        fs::write(file, &changed).unwrap();
        assert!(!theirs(&root).status.success(), "{}", text(&theirs(&root)));
        let error = verified(&data, &hashes, blocks, &root).unwrap_err();
        let named =
            matches!(error, VerityError::DataBlock { block: 299 } | VerityError::HashBlock { block: 4, level: 0 });
        assert!(named, "{error}");
        fs::write(file, &whole).unwrap();
    }
}
