//! Blocks and backups, from one box to another.

use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use age::secrecy::ExposeSecret as _;
use dolmen_store::{Options, Store, StoreError};

use crate::{
    BackupError, BackupKind, ExportError, Exported, Fault, FollowError, Identities, ImportError, Imported, LightError,
    Manifest, Recipients, RestoreError, Restored, SealError, StreamError, backup, export, import, restore,
    testing::{EPOCH_BLOCKS, TestChain, unwatched},
    verify,
};

const DEPTH: NonZeroU64 = NonZeroU64::new(10).expect("not zero");

/// Where a second box of the chain has its database.
fn second(test: &TestChain) -> PathBuf {
    test.dir.path().join("second")
}

fn export_all(test: &TestChain, name: &str) -> (PathBuf, Exported) {
    let path = test.dir.path().join(name);
    let exported = export(&test.chain, &test.database(), &path, 1, None, &mut unwatched).unwrap();
    (path, exported)
}

/// Fails unless two databases have the same head, and the second one is whole.
fn assert_same(test: &TestChain, other: &Path) {
    let report = verify(&test.chain, other, &mut unwatched).unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    let (ours, theirs) = (test.store(), test.open(other));
    assert_eq!(theirs.head().block, ours.head().block);
    assert_eq!(theirs.head().state.root(), ours.head().state.root());
    for number in 0..=ours.head().block.number() {
        assert_eq!(theirs.block(number).unwrap(), ours.block(number).unwrap());
        assert_eq!(theirs.receipts(number).unwrap(), ours.receipts(number).unwrap());
        assert_eq!(theirs.certificate(number).unwrap(), ours.certificate(number).unwrap());
    }
}

/// The records that the contract makes, in blocks that the executor made.
#[test]
fn a_real_chain_is_followed_by_its_epochs() {
    let test = TestChain::new(45, 10);
    let (store, verifier) = (test.store(), &**test.chain.verifier());
    let mut client = test.chain.light_client();
    for epoch in 0..2 {
        let number = (epoch + 1) * EPOCH_BLOCKS - 1;
        let (header, certificate) =
            (store.header(number).unwrap().unwrap(), store.certificate(number).unwrap().unwrap());
        let record = store.epoch_record(epoch + 1).unwrap().unwrap();
        client.advance(&header, &certificate, &record, verifier).unwrap();
    }
    let (header, certificate) = (store.header(45).unwrap().unwrap(), store.certificate(45).unwrap().unwrap());
    client.check(&header, &certificate, verifier).unwrap();
    assert_eq!(client.validators().len(), 4);
}

#[test]
fn blocks_go_from_one_box_to_another() {
    let mut test = TestChain::new(45, 10);
    let (path, exported) = export_all(&test, "blocks");
    let bytes = fs::metadata(&path).unwrap().len();
    assert_eq!(exported, Exported { from: 1, to: 45, certificates: 16, left_out: 0, bytes });
    let other = second(&test);
    let store = test.open(&other);
    let imported = import(&test.chain, &store, &path, &mut unwatched).unwrap();
    assert_eq!(imported, Imported { imported: 45, skipped: 0, left_out: 0, head: 45 });
    // Again, and with more.
    let imported = import(&test.chain, &store, &path, &mut unwatched).unwrap();
    assert_eq!(imported, Imported { imported: 0, skipped: 45, left_out: 0, head: 45 });
    (0..4).for_each(|_| test.extend());
    let (path, exported) = export_all(&test, "more");
    // Of these four 48 alone has a certificate.
    assert_eq!((exported.to, exported.left_out), (48, 1));
    let imported = import(&test.chain, &store, &path, &mut unwatched).unwrap();
    assert_eq!(imported, Imported { imported: 3, skipped: 45, left_out: 0, head: 48 });
    test.extend_with(true);
    let path = test.dir.path().join("rest");
    export(&test.chain, &test.database(), &path, 49, None, &mut unwatched).unwrap();
    import(&test.chain, &store, &path, &mut unwatched).unwrap();
    drop(store);
    assert_same(&test, &other);
}

#[test]
fn an_export_names_what_it_cannot_do() {
    let mut test = TestChain::new(6, 10);
    let (path, _) = export_all(&test, "blocks");
    let run = |path: &Path, from, to| export(&test.chain, &test.database(), path, from, to, &mut unwatched);
    assert!(matches!(run(&path, 1, None), Err(ExportError::Exists(_))));
    let new = test.dir.path().join("new");
    assert!(matches!(run(&new, 0, None), Err(ExportError::BlockZero)));
    assert!(matches!(run(&new, 1, Some(2)), Err(ExportError::Nothing { from: 1, to: 2 })));
    assert!(matches!(run(&new, 7, None), Err(ExportError::Nothing { from: 7, to: 6 })));
    assert!(!new.exists());
    assert_eq!(run(&new, 2, Some(4)).unwrap().to, 3);
    // Its first block is the box's second.
    let store = test.open(&second(&test));
    let gap = import(&test.chain, &store, &new, &mut unwatched);
    assert!(matches!(gap, Err(ImportError::Gap { first: 2, head: 0 })));
    test.stop();
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_is_named() {
    let test = TestChain::new(25, 10);
    let (path, _) = export_all(&test, "blocks");
    let whole = fs::read(&path).unwrap();
    let store = test.open(&second(&test));
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = import(&test.chain, &store, &path, &mut unwatched).unwrap_err();
        assert_eq!(store.head().block.number(), 0, "{error}");
        error
    };
    // Cut anywhere.
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let error = refused(&whole[..at]);
        assert!(
            matches!(error, ImportError::Stream { source: StreamError { fault: Fault::Cut, .. }, .. }),
            "{at}: {error}"
        );
    }
    // Changed anywhere.
    for at in (0..whole.len()).step_by(whole.len() / 120) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        refused(&bytes);
    }
    // The height is told: the middle of the file is not its beginning or end.
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 1;
    let ImportError::Stream { source: StreamError { height, .. }, .. } = refused(&bytes) else {
        panic!("another error")
    };
    assert!((5..22).contains(&height), "block {height}");
    fs::write(&path, &whole).unwrap();
    import(&test.chain, &store, &path, &mut unwatched).unwrap();
}

#[test]
fn another_chains_blocks_are_refused() {
    let test = TestChain::new(3, 10);
    let other = TestChain::with_time(3, 10, 1_790_000_000_001);
    let (path, _) = export_all(&other, "blocks");
    let error = import(&test.chain, test.store(), &path, &mut unwatched).unwrap_err();
    assert!(matches!(error, ImportError::Stream { source: StreamError { fault: Fault::OtherChain { .. }, .. }, .. }));
    let result = export(&test.chain, &other.database(), &test.dir.path().join("new"), 1, None, &mut unwatched);
    assert!(matches!(result, Err(ExportError::Source(crate::SourceError::OtherChain { .. }))));
    let error = import(&test.chain, test.store(), &test.dir.path().join("absent"), &mut unwatched).unwrap_err();
    assert!(matches!(error, ImportError::File { .. }));
}

/// Blocks that the validators did not sign, by a box that has their hashes right.
#[test]
fn blocks_without_the_validators_are_not_imported() {
    let test = TestChain::new(0, 10);
    let mut forger = TestChain::new(4, 10);
    // The same chain, but the certificates are of another set.
    let path = test.dir.path().join("blocks");
    let store = test.open(&second(&test));
    {
        use crate::{
            blocks::{Item, write_item},
            format::{Content, FileHeader, RecordWriter},
            testing::{certify, public_key, signer},
        };
        let header = FileHeader { content: Content::Export, genesis: test.chain.hash(), first: 1, last: 4 };
        let mut out = RecordWriter::new(fs::File::create(&path).unwrap(), &header).unwrap();
        let signers: Vec<_> = (11..15).map(signer).collect();
        let keys: Vec<_> = signers.iter().map(|signer| public_key(&**signer)).collect();
        let signers: Vec<_> = signers.iter().map(|signer| &**signer).collect();
        for number in 1..=4 {
            let block = forger.store().block(number).unwrap().unwrap();
            let certificate = Some(certify(&test.chain.hash(), 0, block.hash(), &keys, &signers));
            write_item(&mut out, &Item { block, receipts: None, certificate, record: None }).unwrap();
        }
        out.finish().unwrap();
    }
    let error = import(&test.chain, &store, &path, &mut unwatched).unwrap_err();
    let ImportError::Proof { height: 1, source } = error else { panic!("{error}") };
    assert!(matches!(source, FollowError::Light(LightError::Signature { height: 1, .. })), "{source}");
    assert_eq!(store.head().block.number(), 0);
    forger.stop();
}

struct Keys {
    recipients: Recipients,
    identities: Identities,
    identity_file: PathBuf,
}

fn keys(dir: &Path, name: &str) -> Keys {
    let identity = age::x25519::Identity::generate();
    let identity_file = dir.join(name);
    fs::write(&identity_file, identity.to_string().expose_secret()).unwrap();
    Keys {
        recipients: Recipients::parse([identity.to_public().to_string().as_str()]).unwrap(),
        identities: Identities::read(&identity_file).unwrap(),
        identity_file,
    }
}

fn back_up(test: &TestChain, keys: &Keys, full: bool) -> Result<Option<crate::Backup>, BackupError> {
    let dir = test.dir.path().join("backups");
    backup(&test.chain, &test.database(), &dir, &keys.recipients, full, &mut unwatched)
}

fn restore_to(test: &TestChain, keys: &Keys, data_dir: &Path) -> Result<Restored, RestoreError> {
    let dir = test.dir.path().join("backups");
    restore(&test.chain, &dir, &keys.identities, data_dir, Options::history(DEPTH), &mut unwatched)
}

#[test]
fn a_box_comes_back_from_a_full_backup_and_those_since() {
    let mut test = TestChain::new(20, 10);
    let keys = keys(test.dir.path(), "identity");
    let full = back_up(&test, &keys, false).unwrap().unwrap();
    // Block 20 has no certificate: the state is that of the block before.
    assert_eq!((full.number, full.kind, full.from, full.to), (1, BackupKind::Full, 1, 19));
    assert_eq!(full.recipients, keys.recipients.names());
    let loaded = test.dir.path().join("loaded");
    let restored = restore_to(&test, &keys, &loaded).unwrap();
    assert_eq!((restored.loaded, restored.head, restored.hash, restored.backups), (19, 19, full.hash, 1));
    assert!(verify(&test.chain, &loaded.join("db"), &mut unwatched).unwrap().is_clean());

    (0..25).for_each(|_| test.extend());
    let second = back_up(&test, &keys, false).unwrap().unwrap();
    assert_eq!((second.number, second.kind, second.from, second.to), (2, BackupKind::Incremental, 20, 45));
    assert_eq!(back_up(&test, &keys, false).unwrap(), None, "nothing new");
    test.extend_with(true);
    back_up(&test, &keys, false).unwrap().unwrap();
    let data_dir = test.dir.path().join("restored");
    let restored = restore_to(&test, &keys, &data_dir).unwrap();
    assert_eq!((restored.loaded, restored.head, restored.backups), (19, 46, 3));
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "the database and nothing else");
    assert_same(&test, &data_dir.join("db"));

    // A full one makes those before it needless.
    let full = back_up(&test, &keys, true).unwrap().unwrap();
    assert_eq!((full.number, full.kind, full.from, full.to), (4, BackupKind::Full, 1, 46));
    fs::remove_file(test.dir.path().join("backups/000001-state.zst.age")).unwrap();
    let again = test.dir.path().join("again");
    assert_eq!(restore_to(&test, &keys, &again).unwrap().backups, 1);
    assert_same(&test, &again.join("db"));
}

/// Code and slots of accounts that changed in blocks that no certificate proves yet are taken back.
#[test]
fn the_state_is_that_of_the_last_proven_block() {
    let mut test = TestChain::new(18, 10);
    let keys = keys(test.dir.path(), "identity");
    // Up to block 22, with a new account in block 20, but 19 is the last one with a certificate.
    test.extend_with(true);
    (0..3).for_each(|_| test.extend_with(false));
    assert_eq!(back_up(&test, &keys, false).unwrap().unwrap().to, 19);
    let data_dir = test.dir.path().join("restored");
    assert_eq!(restore_to(&test, &keys, &data_dir).unwrap().head, 19);
    assert!(verify(&test.chain, &data_dir.join("db"), &mut unwatched).unwrap().is_clean());
}

#[test]
fn a_running_box_is_backed_up() {
    let mut test = TestChain::new(5, 40);
    let keys = keys(test.dir.path(), "identity");
    let (database, dir, ended) = (test.database(), test.dir.path().join("backups"), AtomicBool::new(false));
    // The same chain for the thread, which only reads.
    let reader = TestChain::new(0, 40);
    thread::scope(|scope| {
        let (keys, ended, dir, chain) = (&keys, &ended, &dir, &reader.chain);
        let backups = scope.spawn(move || {
            let mut made = 0;
            while !ended.load(Ordering::Acquire) || made == 0 {
                let backup = backup(chain, &database, dir, &keys.recipients, false, &mut unwatched).unwrap();
                made += usize::from(backup.is_some());
            }
            made
        });
        (0..40).for_each(|_| test.extend());
        ended.store(true, Ordering::Release);
        assert!(backups.join().unwrap() > 0);
    });
    back_up(&test, &keys, false).unwrap();
    let data_dir = test.dir.path().join("restored");
    assert_eq!(restore_to(&test, &keys, &data_dir).unwrap().head, 45);
    assert_same(&test, &data_dir.join("db"));
}

#[test]
fn the_wrong_identity_opens_nothing() {
    let test = TestChain::new(3, 10);
    let (ours, other) = (keys(test.dir.path(), "ours"), keys(test.dir.path(), "other"));
    back_up(&test, &ours, false).unwrap();
    let data_dir = test.dir.path().join("restored");
    let error = restore_to(&test, &other, &data_dir).unwrap_err();
    assert!(matches!(error, RestoreError::Seal(SealError::Decrypt { .. })), "{error}");
    assert!(!data_dir.join("db").exists());
    // And then with the right one, over what the attempt left.
    restore_to(&test, &ours, &data_dir).unwrap();
    assert!(ours.identity_file.exists());
}

#[test]
fn damaged_and_missing_files_are_named() {
    let mut test = TestChain::new(6, 10);
    let keys = keys(test.dir.path(), "identity");
    let backups = test.dir.path().join("backups");
    let data_dir = test.dir.path().join("restored");
    assert!(matches!(restore_to(&test, &keys, &data_dir), Err(RestoreError::NoBackup(_))));
    back_up(&test, &keys, false).unwrap();
    for name in ["000001-blocks.zst.age", "000001-state.zst.age"] {
        let path = backups.join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        fs::write(&path, changed).unwrap();
        let error = restore_to(&test, &keys, &data_dir).unwrap_err();
        assert!(matches!(error, RestoreError::Seal(SealError::Digest { what: "SHA-256", .. })), "{error}");
        assert!(error.to_string().contains(name), "{error}");
        fs::write(&path, whole).unwrap();
    }
    // What there is nothing to add to is not added to.
    (0..3).for_each(|_| test.extend());
    let state = backups.join("000001-state.zst.age");
    fs::rename(&state, backups.join("elsewhere")).unwrap();
    assert!(matches!(back_up(&test, &keys, false), Err(BackupError::Incomplete(path)) if path == state));
    fs::rename(backups.join("elsewhere"), &state).unwrap();
    back_up(&test, &keys, false).unwrap();
    restore_to(&test, &keys, &data_dir).unwrap();
}

/// A backup that somebody else made, with files that fit its manifest.
#[test]
fn a_forged_backup_is_refused() {
    let test = TestChain::new(3, 10);
    let keys = keys(test.dir.path(), "identity");
    let other = TestChain::with_time(3, 10, 1_790_000_000_001);
    let dir = test.dir.path().join("backups");
    backup(&other.chain, &other.database(), &dir, &keys.recipients, false, &mut unwatched).unwrap();
    let data_dir = test.dir.path().join("restored");
    assert!(matches!(restore_to(&test, &keys, &data_dir), Err(RestoreError::OtherChain { .. })));
    assert!(matches!(back_up(&test, &keys, false), Err(BackupError::OtherChain { .. })));
    // The manifest says that it is ours; the files do not.
    let mut manifest = Manifest::load(&dir).unwrap().unwrap();
    manifest.genesis_hash = test.chain.hash();
    manifest.save(&dir).unwrap();
    let error = restore_to(&test, &keys, &data_dir).unwrap_err();
    let RestoreError::Stream { source: StreamError { fault, .. }, .. } = error else { panic!("{error}") };
    assert!(matches!(fault, Fault::OtherChain { .. }), "{fault}");
    // And a box that does not have its last block adds nothing to it.
    assert!(matches!(back_up(&test, &keys, false), Err(BackupError::Fork { height: 3, .. })));
}

#[test]
fn an_interrupted_backup_leaves_those_before_it() {
    let mut test = TestChain::new(6, 10);
    let keys = keys(test.dir.path(), "identity");
    let backups = test.dir.path().join("backups");
    back_up(&test, &keys, false).unwrap();
    // Cut off while it wrote, and before the manifest named what it had written.
    for name in ["000002-blocks.zst.age.partial", "000002-blocks.zst.age", "manifest.json.partial"] {
        fs::write(backups.join(name), b"half").unwrap();
    }
    fs::write(backups.join("notes.txt"), b"mine").unwrap();
    let data_dir = test.dir.path().join("restored");
    assert_eq!(restore_to(&test, &keys, &data_dir).unwrap().head, 6);
    (0..3).for_each(|_| test.extend());
    back_up(&test, &keys, false).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(&backups).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let expected = [
        ".lock",
        "000001-blocks.zst.age",
        "000001-state.zst.age",
        "000002-blocks.zst.age",
        "manifest.json",
        "notes.txt",
    ];
    assert_eq!(names, expected);
    assert_eq!(restore_to(&test, &keys, &test.dir.path().join("again")).unwrap().head, 9);
    // A lost manifest loses no files.
    fs::rename(backups.join("manifest.json"), backups.join("lost")).unwrap();
    assert!(matches!(back_up(&test, &keys, true), Err(BackupError::NoManifest(_))));
    fs::rename(backups.join("lost"), backups.join("manifest.json")).unwrap();
    // Only one at a time.
    let lock = fs::File::create(backups.join(".lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(back_up(&test, &keys, true), Err(BackupError::Locked(_))));
}

#[test]
fn a_restore_overwrites_nothing_and_leaves_no_half() {
    let test = TestChain::new(6, 10);
    let keys = keys(test.dir.path(), "identity");
    back_up(&test, &keys, false).unwrap();
    let data_dir = test.dir.path().join("restored");
    fs::create_dir_all(data_dir.join("consensus")).unwrap();
    let error = restore_to(&test, &keys, &data_dir).unwrap_err();
    assert!(matches!(&error, RestoreError::NotEmpty { found, .. } if found == "consensus"), "{error}");
    fs::remove_dir(data_dir.join("consensus")).unwrap();
    // What an interrupted one left is begun again.
    fs::create_dir_all(data_dir.join("db.restoring")).unwrap();
    fs::write(data_dir.join("db.restoring/CURRENT"), b"half").unwrap();
    restore_to(&test, &keys, &data_dir).unwrap();
    assert!(matches!(restore_to(&test, &keys, &data_dir), Err(RestoreError::NotEmpty { .. })));
    // It is this chain's alone.
    let other = TestChain::with_time(0, 10, 1_790_000_000_001);
    let opened = Store::open(&data_dir.join("db"), other.chain.origin(), Options::history(DEPTH));
    assert!(matches!(opened, Err(StoreError::OtherChain { .. })));
}
