//! Devices lock keys after some wrong passwords: none is wasted.

use std::{fs, os::unix::fs::PermissionsExt as _, thread};

use dolmen_hsm_api::{KeyError, KeyStore as _};
use dolmen_hsm_sdf::{SdfConfig, SdfStore};

use crate::mock::{LOCKED, Mock, PASSWORD, signs, uri};

#[test]
fn a_wrong_password_is_tried_once() {
    let mock = Mock::new();
    mock.pin("pin", "wrong");
    for _ in 0..8 {
        let error = mock.store().open(&uri(1)).expect_err("the password is wrong");
        assert!(
            matches!(&error, KeyError::WrongPin { source_file, .. } if *source_file == mock.path("pin")),
            "{error}"
        );
    }
    assert_eq!((mock.count("access"), mock.count("wrong")), (1, 1));
    mock.pin("pin", "wrong too");
    for _ in 0..8 {
        assert!(matches!(mock.store().open(&uri(1)), Err(KeyError::WrongPin { .. })));
    }
    assert_eq!((mock.count("access"), mock.count("wrong")), (2, 2));
    mock.pin("pin", PASSWORD);
    assert!(signs(&*mock.store().open(&uri(1)).unwrap()).unwrap());
    assert_eq!(mock.count("wrong"), 2);
}

#[test]
fn threads_share_the_one_try() {
    let mock = Mock::new();
    mock.pin("pin", "wrong");
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert!(matches!(mock.store().open(&uri(1)), Err(KeyError::WrongPin { .. }))));
        }
    });
    assert_eq!(mock.count("wrong"), 1);
}

/// The password is changed at the device while a key is open: recovery must not lock the key.
#[test]
fn an_open_key_spends_no_second_try_when_it_comes_back() {
    let mock = Mock::new();
    let key = mock.store().open(&uri(1)).unwrap();
    mock.set("password", "changed");
    assert!(signs(&*key).unwrap(), "its session still has the right");
    mock.forget();
    for _ in 0..8 {
        let error = signs(&*key).expect_err("the password is no longer right");
        assert!(matches!(error, KeyError::WrongPin { .. }) && !error.is_transient(), "{error}");
    }
    assert_eq!(mock.count("wrong"), 1);
    mock.pin("pin", "changed");
    assert!(signs(&*key).unwrap());
}

#[test]
fn a_lock_is_named_where_the_configuration_knows_the_makers_code() {
    let mock = Mock::new();
    mock.set("locked", "");
    let locked = mock.store().open(&uri(1)).unwrap_err();
    assert!(matches!(locked, KeyError::Locked { .. }), "{locked}");
    let unnamed = SdfStore::new(SdfConfig { locked_codes: vec![LOCKED + 1], ..mock.config() });
    assert!(matches!(unnamed.open(&uri(1)), Err(KeyError::WrongPin { .. })));
}

#[test]
fn a_password_is_asked_for_where_the_device_wants_one() {
    let mock = Mock::new();
    let store = SdfStore::new(SdfConfig { pin_source: None, ..mock.config() });
    let error = store.open(&uri(1)).unwrap_err();
    assert!(matches!(error, KeyError::NoPin { .. }), "{error}");
    assert_eq!(mock.count("access"), 0);
    mock.unset("password");
    assert!(signs(&*store.open(&uri(1)).unwrap()).unwrap(), "a device that wants none");
}

#[test]
fn the_file_is_its_owners_alone() {
    let mock = Mock::new();
    fs::set_permissions(mock.path("pin"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(mock.store().open(&uri(1)), Err(KeyError::Mode { mode: 0o644, .. })));
    fs::remove_file(mock.path("pin")).unwrap();
    assert!(matches!(mock.store().open(&uri(1)), Err(KeyError::Io { .. })));
    assert_eq!(mock.count("access"), 0);
}

/// No message and no debug form has the password.
#[test]
fn passwords_do_not_show() {
    let mock = Mock::new();
    let store = mock.store();
    let key = store.open(&uri(1)).unwrap();
    mock.pin("pin", "planted-too");
    let wrong = store.open(&uri(1)).unwrap_err();
    let shown = format!("{store:?} {key:?} {wrong:?} {wrong}");
    assert!(!shown.contains("planted"), "{shown}");
}
