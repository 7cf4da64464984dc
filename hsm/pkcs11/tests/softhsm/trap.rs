use dolmen_hsm_api::{Algorithm, KeyError, KeyStore as _};
use dolmen_hsm_pkcs11::{Pkcs11Config, Pkcs11Store, Sm2Input, Sm2Mechanisms};

use crate::device::{Device, key, spec};

/// `CKM_EC_KEY_PAIR_GEN` and `CKM_ECDSA`: they work on the curve of SM2, and give signatures that are not SM2's.
const ECDSA: Sm2Mechanisms = Sm2Mechanisms { key_pair_gen: 0x1040, sign: 0x1041, input: Sm2Input::Digest };

#[test]
fn ecdsa_on_the_curve_of_sm2_is_no_sm2() {
    let device = Device::new();
    for input in [Sm2Input::Digest, Sm2Input::Message] {
        let sm2 = Some(Sm2Mechanisms { input, ..ECDSA });
        let store = Pkcs11Store::new(Pkcs11Config { sm2, ..device.config() });
        let refused = store.create(&key("box"), spec(Algorithm::Sm2)).unwrap_err();
        assert!(matches!(refused, KeyError::SelfTest { .. }), "{refused}");
        let refused = refused.to_string();
        assert!(refused.contains("it signs ECDSA on the SM2 curve, which is no SM2 signature"), "{refused}");
        assert!(refused.contains("set the numbers of its maker's mechanisms"), "{refused}");
        // Nothing is left that the next attempt, with the right numbers, would stumble over.
        assert!(store.list().unwrap().is_empty());
        assert!(matches!(store.open(&key("box")), Err(KeyError::NotFound(_))));
    }
}

#[test]
fn sm2_takes_mechanisms_that_there_are() {
    let device = Device::new();
    let refused = device.store().create(&key("box"), spec(Algorithm::Sm2)).unwrap_err();
    assert!(matches!(refused, KeyError::Algorithm { algorithm: Algorithm::Sm2, .. }), "{refused}");
    let sm2 = Some(Sm2Mechanisms { key_pair_gen: 0x8000_1234, ..ECDSA });
    let store = Pkcs11Store::new(Pkcs11Config { sm2, ..device.config() });
    let refused = store.create(&key("box"), spec(Algorithm::Sm2)).unwrap_err();
    assert!(matches!(refused, KeyError::Algorithm { .. }), "{refused}");
    assert!(store.list().unwrap().is_empty());
}
