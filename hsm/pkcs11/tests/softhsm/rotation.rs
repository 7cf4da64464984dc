use std::fs;

use dolmen_hsm_api::{Algorithm, KeyError, KeyStore as _};

use crate::device::{Device, key, sign, spec};

/// Labels that a rotation changes: the new key's as a trial, those of the old pair, and those of the new one.
const CHANGES: usize = 5;

/// Wherever a rotation stops, the name finds the old key or the new one, and the next rotation goes through.
#[test]
fn a_rotation_may_stop_anywhere() {
    let device = Device::new();
    let store = device.store();
    let (name, old_name) = (key("turn"), key("turn.old"));
    let mut before = store.create(&name, spec(Algorithm::EcdsaP256)).unwrap().public_key().to_vec();
    let mut turned = Vec::new();
    for changes in 0..=CHANGES {
        fs::write(device.path("changes"), changes.to_string()).unwrap();
        let rotated = store.rotate(&name);
        device.clear("changes");
        device.clear("removed");
        assert_eq!(rotated.is_ok(), changes == CHANGES, "{changes}");
        let now = device.store().open(&name).unwrap_or_else(|error| panic!("{changes}: {error}"));
        sign(&*now).unwrap();
        assert_eq!(now.domains(), spec(Algorithm::EcdsaP256).domains, "{changes}");
        if now.public_key() != before {
            turned.push(changes);
            let old = device.store().open(&old_name).unwrap();
            assert_eq!((old.public_key(), old.domains()), (&before[..], now.domains()), "{changes}");
            sign(&*old).unwrap();
        }
        before = store.rotate(&name).unwrap_or_else(|error| panic!("{changes}: {error}")).public_key().to_vec();
        let mut names: Vec<_> = store.list().unwrap().into_iter().map(|key| key.uri).collect();
        names.sort_by_key(ToString::to_string);
        assert_eq!(names, [name.clone(), old_name.clone()], "{changes}: nothing is left behind");
    }
    assert_eq!(turned, [3, 4, 5], "from where the old key has lost its name on");
}

#[test]
fn labels_may_stay() {
    let device = Device::new();
    let store = device.store();
    let made = store.create(&key("turn"), spec(Algorithm::Ed25519)).unwrap();
    device.set("stubborn");
    let refused = store.rotate(&key("turn")).unwrap_err();
    assert!(matches!(refused, KeyError::Unsupported { .. }), "{refused}");
    sign(&*made).unwrap();
    let listed = store.list().unwrap();
    assert_eq!((listed.len(), &listed[0].uri), (1, &key("turn")));
}

/// A key that someone called NAME.new is theirs.
#[test]
fn a_name_that_is_taken_stays() {
    let device = Device::new();
    let store = device.store();
    store.create(&key("turn"), spec(Algorithm::Ed25519)).unwrap();
    let theirs = store.create(&key("turn.new"), spec(Algorithm::Ed25519)).unwrap();
    assert!(matches!(store.rotate(&key("turn")), Err(KeyError::Exists(uri)) if uri == key("turn.new")));
    sign(&*theirs).unwrap();
    store.delete(&key("turn")).unwrap();
    assert!(matches!(store.open(&key("turn")), Err(KeyError::NotFound(_))));
}
