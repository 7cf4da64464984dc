//! The cases.

use std::thread;

use dolmen_accel_api::{Algorithm, BatchVerifier as _, Message, Verdict, VerifyJob};
use dolmen_accel_library::Library;
use dolmen_hsm_api::{Domain, KeyError, KeyInfo, KeySpec, KeyUri, Signer};
use futures::executor::block_on;

use crate::Fixture;

const MESSAGE: Message<'static> = Message::Bytes(b"a message");
/// Threads that sign at once, and how often each does.
const THREADS: usize = 8;
const SIGNATURES: usize = 6;

fn votes(algorithm: Algorithm) -> KeySpec {
    KeySpec { algorithm, domains: [Domain::Vote, Domain::Transport].into_iter().collect() }
}

/// A key to work with: one that is there, or a new one.
fn some_key(fixture: &dyn Fixture, name: &str) -> (KeyUri, std::sync::Arc<dyn Signer>) {
    if let Some((uri, _)) = fixture.prepared().first() {
        return (uri.clone(), fixture.store().open(uri).expect("a prepared key opens"));
    }
    let uri = fixture.uri(name);
    let algorithm = *fixture.algorithms().first().expect("a store has an algorithm");
    (uri.clone(), fixture.store().create(&uri, votes(algorithm)).expect("a key is made"))
}

fn remove(fixture: &dyn Fixture, uri: &KeyUri) {
    if fixture.prepared().is_empty() {
        fixture.store().delete(uri).expect("a key is deleted");
    }
}

/// Whether a signature holds: by OpenSSL, and by the engine's baseline.
fn holds(key: &dyn Signer, message: Message<'_>, signature: &[u8; 64]) -> bool {
    let job = [VerifyJob { key: key.public_key(), message, signature }];
    let mut verdict = [Verdict::Invalid];
    dolmen_accel_library::baseline().verify(key.algorithm(), &job, &mut verdict).expect("the baseline checks");
    let baseline = verdict[0].is_valid();
    let mut verdict = [Verdict::Invalid];
    Library::OpenSsl.peer().verify(key.algorithm(), &job, &mut verdict).expect("OpenSSL checks");
    assert_eq!(verdict[0].is_valid(), baseline, "{}: OpenSSL and the baseline differ", key.algorithm());
    baseline
}

fn sign(key: &dyn Signer) -> Result<[u8; 64], KeyError> {
    block_on(key.sign(Domain::Vote, MESSAGE)).map(|signature| signature.0)
}

fn left_out(case: &str) {
    eprintln!("left out, this device cannot be brought there: {case}");
}

pub(crate) fn keys_are_made_once_found_and_deleted(fixture: &dyn Fixture) {
    for (index, algorithm) in fixture.algorithms().into_iter().enumerate() {
        let uri = fixture.uri(&format!("made-{index}"));
        let store = fixture.store();
        let made = store.create(&uri, votes(algorithm)).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert!(matches!(store.create(&uri, votes(algorithm)), Err(KeyError::Exists(_))), "{algorithm}");
        let opened = fixture.store().open(&uri).expect("what was made opens");
        assert_eq!(KeyInfo::of(&*opened).public_key, KeyInfo::of(&*made).public_key, "{algorithm}");
        assert_eq!((opened.algorithm(), opened.residence()), (algorithm, made.residence()));
        let listed = store.list().expect("keys are listed");
        let found = listed.iter().find(|key| key.public_key == made.public_key()).expect("what was made is listed");
        assert_eq!((found.algorithm, found.domains), (algorithm, made.domains()));
        let again = fixture.store().open(&found.uri).expect("a listed name opens");
        assert_eq!(again.public_key(), made.public_key());
        drop((made, opened, again));
        store.delete(&uri).expect("a key is deleted");
        assert!(matches!(store.open(&uri), Err(KeyError::NotFound(_))), "{algorithm}");
        assert!(matches!(store.delete(&uri), Err(KeyError::NotFound(_))), "{algorithm}");
        assert!(store.list().expect("keys are listed").iter().all(|key| key.public_key != found.public_key));
    }
}

pub(crate) fn signatures_hold_elsewhere(fixture: &dyn Fixture) {
    let mut keys = Vec::new();
    for (uri, algorithm) in fixture.prepared() {
        let key = fixture.store().open(&uri).expect("a prepared key opens");
        assert_eq!(key.algorithm(), algorithm);
        keys.push((uri, key));
    }
    for (index, algorithm) in fixture.algorithms().into_iter().enumerate() {
        let uri = fixture.uri(&format!("signs-{index}"));
        let key = fixture.store().create(&uri, votes(algorithm)).expect("a key is made");
        keys.push((uri, key));
    }
    assert!(!keys.is_empty());
    for (uri, key) in keys {
        for message in [MESSAGE, Message::Bytes(b""), Message::Bytes(&[7; 300]), Message::Digest(&[7; 32])] {
            let signature = block_on(key.sign(Domain::Vote, message)).unwrap_or_else(|error| panic!("{uri}: {error}"));
            assert!(holds(&*key, message, &signature.0), "{uri}: {message:?}");
            assert!(!holds(&*key, Message::Bytes(b"another"), &signature.0), "{uri}");
        }
        drop(key);
        remove(fixture, &uri);
    }
}

pub(crate) fn keys_sign_for_what_they_were_made_for(fixture: &dyn Fixture) {
    if fixture.algorithms().is_empty() {
        return left_out("keys with uses");
    }
    let (uri, made) = some_key(fixture, "uses");
    for key in [made, fixture.store().open(&uri).expect("it opens")] {
        sign(&*key).expect("it may sign votes");
        let refused = block_on(key.sign(Domain::Tls, MESSAGE)).expect_err("it may not sign for TLS");
        assert!(matches!(refused, KeyError::Domain { domain: Domain::Tls, .. }), "{refused}");
    }
    remove(fixture, &uri);
}

pub(crate) fn many_sign_at_once(fixture: &dyn Fixture) {
    let (uri, key) = some_key(fixture, "many");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let key = &key;
            scope.spawn(move || {
                for round in 0..SIGNATURES {
                    let text = format!("{thread} {round}");
                    let message = Message::Bytes(text.as_bytes());
                    let signature = block_on(key.sign(Domain::Vote, message)).expect("it signs");
                    assert!(holds(&**key, message, &signature.0), "{text}: another thread's signature");
                }
            });
        }
    });
    drop(key);
    remove(fixture, &uri);
}

pub(crate) fn what_is_not_there_is_named(fixture: &dyn Fixture) {
    let uri = fixture.uri("nobody");
    let store = fixture.store();
    let error = store.open(&uri).expect_err("there is no such key");
    assert!(matches!(error, KeyError::NotFound(_)) && error.to_string().contains(&uri.to_string()), "{error}");
    let foreign: KeyUri =
        if matches!(uri, KeyUri::Soft(_)) { "tpm:nobody" } else { "soft:nobody" }.parse().expect("a name");
    assert!(matches!(store.open(&foreign), Err(KeyError::Foreign { .. })));
    let spec = votes(Algorithm::Bls12381);
    let refused = store.create(&uri, spec).expect_err("no device here has BLS");
    assert!(matches!(refused, KeyError::Algorithm { .. } | KeyError::Unsupported { .. }), "{refused}");
}

pub(crate) fn a_wrong_pin_is_named(fixture: &dyn Fixture) {
    let (uri, key) = some_key(fixture, "pin");
    drop(key);
    match fixture.wrong_pin() {
        None => left_out("a wrong PIN"),
        Some(store) => {
            let error = store.open(&uri).expect_err("the PIN is wrong");
            assert!(matches!(error, KeyError::WrongPin { .. } | KeyError::WrongPassphrase { .. }), "{error}");
        }
    }
    let key = fixture.store().open(&uri).expect("the right PIN still opens it");
    sign(&*key).expect("and it signs");
    drop(key);
    remove(fixture, &uri);
}

pub(crate) fn a_rotated_key_leaves_its_predecessor(fixture: &dyn Fixture) {
    let (uri, first) = some_key(fixture, "turn");
    let store = fixture.store();
    match store.rotate(&uri) {
        Err(KeyError::Unsupported { .. }) => left_out("rotation"),
        Err(error) => panic!("{error}"),
        Ok(second) => {
            assert_ne!(first.public_key(), second.public_key());
            assert_eq!((first.algorithm(), first.domains()), (second.algorithm(), second.domains()));
            let third = store.rotate(&uri).expect("again");
            let now = fixture.store().open(&uri).expect("the new key opens");
            assert_eq!(now.public_key(), third.public_key());
            let old = fixture.uri("turn.old");
            let kept = fixture.store().open(&old).expect("the old key opens");
            assert_eq!(kept.public_key(), second.public_key());
            sign(&*kept).expect("and it signs");
            store.delete(&old).expect("and it can go");
        }
    }
    drop(first);
    remove(fixture, &uri);
}

pub(crate) fn sessions_do_not_pile_up(fixture: &dyn Fixture) {
    let (uri, key) = some_key(fixture, "sessions");
    if fixture.sessions().is_none() {
        left_out("counting sessions");
    } else {
        let mut most = 0;
        for round in 0..40 {
            let key = fixture.store().open(&uri).expect("it opens");
            sign(&*key).expect("it signs");
            drop(key);
            let open = fixture.sessions().expect("it tells");
            // Stores that are gone may take a moment to close what they had.
            if round == 4 {
                most = open;
            }
            assert!(round <= 4 || open <= most + 2, "{open} sessions after {round} rounds, {most} at first");
        }
    }
    drop(key);
    remove(fixture, &uri);
}

pub(crate) fn forgotten_sessions_are_opened_again(fixture: &mut dyn Fixture) {
    let (uri, key) = some_key(fixture, "forget");
    let before = sign(&*key).expect("it signs");
    assert!(holds(&*key, MESSAGE, &before));
    if fixture.forget_sessions() {
        let signature = sign(&*key).expect("a session that is lost is opened again");
        assert!(holds(&*key, MESSAGE, &signature));
    } else {
        left_out("lost sessions");
    }
    drop(key);
    remove(fixture, &uri);
}

pub(crate) fn a_lost_device_signs_nothing_and_comes_back(fixture: &mut dyn Fixture) {
    let (uri, key) = some_key(fixture, "lose");
    sign(&*key).expect("it signs");
    if fixture.lose() {
        for _ in 0..3 {
            let error = sign(&*key).expect_err("the device is gone");
            assert!(error.is_transient(), "{error}");
        }
        assert!(fixture.store().open(&uri).is_err(), "the device is gone");
        fixture.bring_back();
        let signature = sign(&*key).expect("the device is back");
        assert!(holds(&*key, MESSAGE, &signature));
        let again = fixture.store().open(&uri).expect("the device is back");
        assert_eq!(again.public_key(), key.public_key());
    } else {
        left_out("a lost device");
    }
    drop(key);
    remove(fixture, &uri);
}

pub(crate) fn a_locked_device_is_named(fixture: &mut dyn Fixture) {
    let (uri, key) = some_key(fixture, "lock");
    drop(key);
    if fixture.lock() {
        let error = fixture.store().open(&uri).and_then(|key| sign(&*key)).expect_err("the device is locked");
        assert!(matches!(error, KeyError::Locked { .. }), "{error}");
        fixture.unlock();
        sign(&*fixture.store().open(&uri).expect("it is unlocked")).expect("and it signs");
    } else {
        left_out("a locked device");
    }
    remove(fixture, &uri);
}

pub(crate) fn a_full_device_is_named(fixture: &mut dyn Fixture) {
    if !fixture.fill() {
        return left_out("a full device");
    }
    let uri = fixture.uri("one-too-many");
    let algorithm = *fixture.algorithms().first().expect("a store has an algorithm");
    let error = fixture.store().create(&uri, votes(algorithm)).expect_err("there is no room");
    assert!(matches!(error, KeyError::Full { .. }), "{error}");
    fixture.make_room();
    assert!(matches!(fixture.store().open(&uri), Err(KeyError::NotFound(_))), "half a key is left");
    fixture.store().create(&uri, votes(algorithm)).expect("there is room again");
    fixture.store().delete(&uri).expect("it is deleted");
}
