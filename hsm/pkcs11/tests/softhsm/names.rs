use cryptoki::{
    context::Pkcs11,
    object::{Attribute, ObjectClass},
};
use dolmen_hsm_api::{Algorithm, Domain, Domains, KeyError, KeyStore as _};
use dolmen_hsm_pkcs11::{Pkcs11Config, Pkcs11Store};
use zeroize::Zeroizing;

use crate::device::{Device, TOKEN, key, sign, spec, uri};

#[test]
fn tokens_of_one_name_are_told_apart() {
    let device = Device::with_tokens(&[TOKEN, TOKEN]);
    let store = device.store();
    let refused = store.create(&key("box"), spec(Algorithm::Ed25519)).unwrap_err();
    assert!(refused.to_string().contains("2 tokens fit"), "{refused}");
    assert!(refused.to_string().contains("by serial= or slot-id="), "{refused}");
    let serials = device.serials();
    assert_eq!(serials.len(), 2);
    let named = |serial: &str| uri(&format!("pkcs11:token={TOKEN};serial={serial};object=box"));
    let keys: Vec<_> = serials
        .iter()
        .map(|serial| store.create(&named(serial), spec(Algorithm::Ed25519)).unwrap().public_key().to_vec())
        .collect();
    assert_ne!(keys[0], keys[1]);
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 2);
    for (serial, public_key) in serials.iter().zip(&keys) {
        let found = listed.iter().find(|key| key.public_key == *public_key).unwrap();
        assert_eq!(found.uri, named(serial));
        sign(&*store.open(&found.uri).unwrap()).unwrap();
    }
}

#[test]
fn what_is_there_instead_is_said() {
    let device = Device::new();
    let absent = device.store().open(&uri("pkcs11:token=another;object=box")).unwrap_err();
    assert!(matches!(absent, KeyError::Absent { .. }), "{absent}");
    let absent = absent.to_string();
    assert!(absent.contains("a PKCS#11 token with token=another is not there"), "{absent}");
    assert!(absent.contains(&format!("{TOKEN:?} (serial {}", device.serials()[0])), "{absent}");
    let text = format!("pkcs11:token={TOKEN};object=box?module-path=/nowhere/lib.so");
    let absent = device.store().open(&uri(&text)).unwrap_err().to_string();
    assert!(absent.contains("the PKCS#11 library /nowhere/lib.so is not there"), "{absent}");
}

#[test]
fn a_name_may_say_all_by_itself() {
    let device = Device::new();
    let (module, pin) = (device.module(), device.path("pin"));
    let text = format!("pkcs11:object=box?module-path={}&pin-source=file:{}", module.display(), pin.display());
    let store = Pkcs11Store::new(Pkcs11Config::default());
    sign(&*store.create(&uri(&text), spec(Algorithm::EcdsaP256)).unwrap()).unwrap();
    let nowhere = store.open(&key("box")).unwrap_err();
    assert!(nowhere.to_string().contains("module-path="), "{nowhere}");
}

#[test]
fn keys_have_identifiers_too() {
    let device = Device::new();
    let store = device.store();
    let both = uri(&format!("pkcs11:token={TOKEN};object=box;id=%01%02"));
    let made = store.create(&both, spec(Algorithm::EcdsaP256)).unwrap();
    for name in [both, uri(&format!("pkcs11:token={TOKEN};id=%01%02")), key("box")] {
        let opened = store.open(&name).unwrap();
        assert_eq!((opened.public_key(), opened.domains()), (made.public_key(), made.domains()), "{name}");
    }
    let taken = uri(&format!("pkcs11:token={TOKEN};object=other;id=%01%02"));
    assert!(matches!(store.create(&taken, spec(Algorithm::EcdsaP256)), Err(KeyError::Exists(_))));
    let unlabelled = uri(&format!("pkcs11:token={TOKEN};id=%03"));
    assert!(matches!(store.create(&unlabelled, spec(Algorithm::EcdsaP256)), Err(KeyError::Unsupported { .. })));
}

/// A key that was made with other tools says nothing about what it is for.
#[test]
fn a_key_without_uses_may_sign_for_all() {
    let device = Device::new();
    let store = device.store();
    let made = store.create(&key("box"), spec(Algorithm::Ed25519)).unwrap();
    assert!(!made.domains().contains(Domain::Tls));
    // The process is logged in, so that another user of the library is too.
    let context = Pkcs11::new(device.module()).unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_rw_session(slot).unwrap();
    for object in session.find_objects(&[Attribute::Class(ObjectClass::DATA)]).unwrap() {
        session.destroy_object(object).unwrap();
    }
    let opened = store.open(&key("box")).unwrap();
    assert_eq!(opened.domains(), Domain::ALL.into_iter().collect::<Domains>());
    assert_eq!(store.list().unwrap()[0].domains, opened.domains());
}

/// A key's name may come to mean another key while it is open. It then signs no more, rather than with that one.
#[test]
fn another_key_does_not_take_its_place() {
    let device = Device::new();
    let store = device.store();
    let first = store.create(&key("box"), spec(Algorithm::EcdsaP256)).unwrap();
    sign(&*first).unwrap();
    store.delete(&key("box")).unwrap();
    assert!(matches!(sign(&*first), Err(KeyError::NotFound(_))));
    let second = store.create(&key("box"), spec(Algorithm::EcdsaP256)).unwrap();
    assert_ne!(first.public_key(), second.public_key());
    let refused = sign(&*first).unwrap_err();
    assert!(matches!(refused, KeyError::SelfTest { .. }), "{refused}");
    assert!(refused.to_string().contains("another key has its name now"), "{refused}");
    sign(&*second).unwrap();
}

#[test]
fn keys_from_elsewhere_are_taken() {
    let device = Device::new();
    let store = device.store();
    let secret = Zeroizing::new([7; 32]);
    for algorithm in [Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1, Algorithm::Ed25519] {
        let name = key(algorithm.name());
        // Taking it tests it: the device signs by the secret, and the signature holds under the public key.
        let taken = store.import(&name, spec(algorithm), &secret);
        let taken = taken.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(store.open(&name).unwrap().public_key(), taken.public_key());
        assert!(matches!(store.import(&name, spec(algorithm), &secret), Err(KeyError::Exists(_))));
    }
    let zero = store.import(&key("zero"), spec(Algorithm::EcdsaP256), &Zeroizing::new([0; 32]));
    assert!(matches!(zero, Err(KeyError::Secret(Algorithm::EcdsaP256))));
    assert_eq!(store.list().unwrap().len(), 3);
}
