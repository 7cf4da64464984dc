use std::{fs, os::unix::fs::PermissionsExt as _};

use dolmen_hsm_api::{Algorithm, KeyError, KeyStore as _};

use crate::device::{Device, PIN, key, sign, spec};

#[test]
fn a_wrong_pin_is_presented_once() {
    let device = Device::new();
    device.store().create(&key("box"), spec(Algorithm::Ed25519)).unwrap();
    let before = device.count("logins");
    let path = device.pin_file("wrong", "not the PIN");
    for _ in 0..5 {
        // As a program that is started again and again in one process would, and a loop that goes on.
        let store = device.store_with_pin(Some(path.clone()));
        for _ in 0..5 {
            let refused = store.open(&key("box")).unwrap_err();
            assert!(matches!(refused, KeyError::WrongPin { .. }), "{refused}");
        }
    }
    assert_eq!(device.count("logins"), before + 1);
    device.pin_file("wrong", "not the PIN either");
    let store = device.store_with_pin(Some(path));
    assert!(matches!(store.open(&key("box")), Err(KeyError::WrongPin { .. })));
    assert_eq!(device.count("logins"), before + 2);
    device.pin_file("wrong", PIN);
    sign(&*store.open(&key("box")).unwrap()).unwrap();
}

#[test]
fn a_signing_loop_presents_a_wrong_pin_once() {
    let device = Device::new();
    let key = device.store().create(&key("box"), spec(Algorithm::Ed25519)).unwrap();
    let before = device.count("logins");
    device.pin_file("pin", "not the PIN");
    sign(&*key).unwrap();
    device.set("forget");
    for _ in 0..10 {
        assert!(matches!(sign(&*key), Err(KeyError::WrongPin { .. })));
    }
    assert_eq!(device.count("logins"), before + 1);
    device.pin_file("pin", PIN);
    sign(&*key).unwrap();
    assert_eq!(device.count("logins"), before + 2);
}

/// A token asks a process for its PIN once. Who comes later with another one must not get in by that.
#[test]
fn nobody_gets_in_on_another_login() {
    let device = Device::new();
    let held = device.store().create(&key("box"), spec(Algorithm::Ed25519)).unwrap();
    let before = device.count("logins");
    let wrong = device.store_with_pin(Some(device.pin_file("wrong", "not the PIN")));
    assert!(matches!(wrong.open(&key("box")), Err(KeyError::WrongPin { .. })));
    let without = device.store_with_pin(None);
    let refused = without.open(&key("box")).unwrap_err();
    assert!(matches!(refused, KeyError::NoPin { .. }), "{refused}");
    assert_eq!(device.count("logins"), before, "the token was not asked");
    sign(&*held).unwrap();
    // Another file with the same PIN is as good.
    let same = device.store_with_pin(Some(device.pin_file("same", &format!("{PIN}\n"))));
    sign(&*same.open(&key("box")).unwrap()).unwrap();
}

#[test]
fn a_pin_must_be_private() {
    let device = Device::new();
    let path = device.path("pin");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = device.store().open(&key("box")).unwrap_err();
    assert!(matches!(refused, KeyError::Mode { mode: 0o644, .. }), "{refused}");
    let without = device.store_with_pin(None).open(&key("box")).unwrap_err();
    assert!(matches!(without, KeyError::NoPin { .. }), "{without}");
    fs::remove_file(&path).unwrap();
    let missing = device.store().open(&key("box")).unwrap_err();
    assert!(matches!(missing, KeyError::Io { .. }), "{missing}");
    assert_eq!(device.count("logins"), 0);
}

/// No message and no debug form has the PIN.
#[test]
fn pins_do_not_show() {
    let device = Device::new();
    let store = device.store();
    let opened = store.create(&key("box"), spec(Algorithm::EcdsaP256)).unwrap();
    let mut shown = format!("{store:?} {opened:?} {:?}", device.config());
    let exists = store.create(&key("box"), spec(Algorithm::EcdsaP256)).unwrap_err();
    let wrong = device.store_with_pin(Some(device.pin_file("wrong", "planted-wrong"))).open(&key("box")).unwrap_err();
    drop((store, opened));
    device.set("locked");
    let locked = device.store().open(&key("box")).unwrap_err();
    device.set("removed");
    let removed = device.store().open(&key("box")).unwrap_err();
    for error in [exists, wrong, locked, removed] {
        shown += &format!(" {error:?} {error}");
    }
    assert!(!shown.contains("planted"), "{shown}");
}
