//! What goes wrong with a device, and how a key comes back.

use dolmen_hsm_api::{Domain, Domains, KeyError, KeyInfo, KeySpec, KeyStore as _, KeyUri, Message, Residence};
use dolmen_hsm_sdf::{SdfConfig, SdfStore};
use futures::{executor::block_on, future::join_all};
use zeroize::Zeroizing;

use crate::mock::{MESSAGE, Mock, PASSWORD, signs, uri};

#[test]
fn a_key_that_was_changed_meanwhile_signs_no_more() {
    let mock = Mock::new();
    let key = mock.store().open(&uri(1)).unwrap();
    assert!(signs(&*key).unwrap());
    mock.set_key(1);
    mock.forget();
    for _ in 0..2 {
        let error = signs(&*key).expect_err("it is another key");
        assert!(matches!(error, KeyError::SelfTest { .. }) && !error.is_transient(), "{error}");
    }
    assert_eq!(mock.count("wrong"), 0);
    let new = mock.store().open(&uri(1)).unwrap();
    assert_ne!(new.public_key(), key.public_key());
    assert!(signs(&*new).unwrap());
    signs(&*key).expect_err("the session that the new one uses is none for the old one");
}

#[test]
fn a_device_that_signs_wrongly_is_refused() {
    let mock = Mock::new();
    mock.set("bad-signature", "");
    let error = mock.store().open(&uri(1)).unwrap_err();
    assert!(matches!(error, KeyError::SelfTest { .. }), "{error}");
    mock.unset("bad-signature");
    mock.store().open(&uri(1)).unwrap();
}

#[test]
fn a_session_that_is_lost_costs_one_opening_of_the_device() {
    let mock = Mock::new();
    let key = mock.store().open(&uri(1)).unwrap();
    assert_eq!((mock.count("devices"), mock.count("access")), (1, 1));
    for lost in 1..=3 {
        mock.forget();
        assert!(signs(&*key).unwrap());
        assert!(signs(&*key).unwrap());
        assert_eq!((mock.count("devices"), mock.count("access")), (1 + lost, 1 + lost));
    }
    drop(key);
    assert_eq!(["sessions", "leaked", "overlaps"].map(|what| mock.count(what)), [0; 3]);
}

#[test]
fn stores_and_keys_share_one_device() {
    let mock = Mock::new();
    let keys: Vec<_> = (1..=3).map(|index| mock.store().open(&uri(index)).unwrap()).collect();
    let signing = (0..30).map(|i| keys[i % 3].sign(Domain::Api, MESSAGE));
    for signed in block_on(join_all(signing)) {
        signed.unwrap();
    }
    assert_eq!(mock.store().list().unwrap().len(), 3);
    assert_eq!(mock.count("devices"), 1);
    let sessions = mock.count("sessions");
    assert!((1..=SdfConfig::default().sessions_max).contains(&sessions), "{sessions}");
    drop(keys);
    assert_eq!(["sessions", "leaked", "overlaps"].map(|what| mock.count(what)), [0; 3]);
    assert!(signs(&*mock.store().open(&uri(1)).unwrap()).unwrap(), "it opens again");
    assert_eq!(mock.count("devices"), 2);
}

#[test]
fn a_full_queue_says_so() {
    let mock = Mock::new();
    let key = mock.store().open(&uri(1)).unwrap();
    mock.set("slow", "20");
    let signed = block_on(join_all((0..100).map(|_| key.sign(Domain::Vote, MESSAGE))));
    let (good, full): (Vec<_>, Vec<_>) = signed.into_iter().partition(Result::is_ok);
    assert!(good.len() >= 64 && !full.is_empty(), "{} signed, {} refused", good.len(), full.len());
    for error in full.into_iter().filter_map(Result::err) {
        assert!(error.is_transient() && error.to_string().contains("64 signatures wait for it already"), "{error}");
    }
    mock.unset("slow");
    assert!(signs(&*key).unwrap());
}

#[test]
fn keys_are_listed_by_their_indexes() {
    let mock = Mock::new();
    mock.unset("key-2");
    mock.set_key(12);
    let listed = mock.store().list().unwrap();
    let uris: Vec<_> = listed.iter().map(|key| key.uri.to_string()).collect();
    assert_eq!(uris, ["sdf:1", "sdf:3", "sdf:12"]);
    for listed in listed {
        assert_eq!(listed, KeyInfo::of(&*mock.store().open(&listed.uri).unwrap()));
        assert_eq!(
            (listed.domains, listed.residence),
            (Domain::ALL.into_iter().collect::<Domains>(), Residence::Device)
        );
    }
    let few = SdfStore::new(SdfConfig { keys_max: 2, pin_source: None, ..mock.config() });
    assert_eq!(few.list().unwrap().len(), 1, "and without a password");
    mock.set("removed", "");
    assert!(matches!(mock.store().list(), Err(KeyError::Absent { .. })));
}

#[test]
fn a_name_may_say_which_device_and_password() {
    let (mock, other) = (Mock::new(), Mock::new());
    let pin = other.pin("other-pin", PASSWORD);
    mock.pin("pin", "wrong");
    let name = format!("sdf:2?module-path={}&pin-source=file:{}", other.library().display(), pin.display());
    let uri: KeyUri = name.parse().unwrap();
    let key = mock.store().open(&uri).unwrap();
    assert_eq!(key.uri(), &uri);
    assert!(signs(&*key).unwrap());
    assert_eq!((mock.count("devices"), other.count("devices")), (0, 1));
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let mock = Mock::new();
    let refused = |module_path| SdfStore::new(SdfConfig { module_path, ..mock.config() }).open(&uri(1)).unwrap_err();
    for path in ["missing.so", "pin"] {
        let error = refused(Some(mock.path(path)));
        assert!(matches!(error, KeyError::Absent { .. }) && error.to_string().contains(path), "{error}");
    }
    let error = refused(None);
    assert!(error.to_string().contains("module-path="), "{error}");
    mock.set("removed", "");
    assert!(matches!(mock.store().open(&uri(1)), Err(KeyError::Absent { .. })));
    mock.unset("removed");
    mock.store().open(&uri(1)).unwrap();
}

#[test]
fn keys_are_made_and_deleted_at_the_device() {
    let mock = Mock::new();
    let store = mock.store();
    let spec = KeySpec { algorithm: dolmen_hsm_api::Algorithm::Sm2, domains: Domains::default() };
    let secret = Zeroizing::new([1; 32]);
    let refused = [
        store.create(&uri(9), spec).map(drop),
        store.import(&uri(9), spec, &secret).map(drop),
        store.rotate(&uri(1)).map(drop),
        store.delete(&uri(1)),
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, KeyError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("with the tool of the device's maker"), "{error}");
    }
    let foreign: KeyUri = "soft:box".parse().unwrap();
    assert!(matches!(store.delete(&foreign), Err(KeyError::Foreign { .. })));
    assert_eq!(mock.count("devices"), 0, "nothing was opened for that");
}

/// A digest is `e` itself.
#[test]
fn digests_are_signed_as_they_are() {
    let mock = Mock::new();
    let key = mock.store().open(&uri(3)).unwrap();
    let message = Message::Digest(&[7; 32]);
    let signature = block_on(key.sign(Domain::Vote, message)).unwrap();
    assert!(crate::mock::holds(key.public_key(), message, &signature.0));
}
