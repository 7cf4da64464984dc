//! What a session can do, against libraries that share no code with the device.

use std::path::Path;

use dolmen_hsm_api::{KeyError, Message, SealPolicy, Sealer as _};
use dolmen_hsm_sdf::{Code, Device, Library, SdfError, SdfSealer, Session};
use sm3::{Digest as _, Sm3};
use sm4::{
    Sm4,
    cipher::{BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _},
};

use crate::mock::{Mock, PASSWORD, holds};

fn code<T>(result: Result<T, SdfError>) -> Option<Code> {
    result.err().and_then(|error| error.code())
}

#[test]
fn a_library_is_one_of_the_standard() {
    let mock = Mock::new();
    let failed = Library::load(&mock.path("key-1")).expect_err("text is no library").to_string();
    assert!(failed.starts_with("cannot load ") && failed.contains("key-1"), "{failed}");
    let failed = Library::load(Path::new("libm.so.6")).expect_err("it has no device").to_string();
    assert!(failed.contains("it has no SDF_OpenDevice"), "{failed}");
    let library = Library::load(&mock.library()).unwrap();
    let device = Device::open(&library).unwrap();
    assert_eq!(code(Device::open(&library)), Some(Code::OPEN_DEVICE));
    drop(device);
    Device::open(&library).unwrap();
}

#[test]
fn a_device_says_what_it_is_and_has_random_bytes() {
    let mock = Mock::new();
    let session = mock.session();
    let info = session.info().unwrap();
    assert_eq!((info.issuer.as_str(), info.device.as_str()), ("Dolmen tests", "mock"));
    assert_eq!((info.serial.as_str(), info.version, info.asymmetric), ("2026010100100001", 7, [0x20000, 256]));
    let [first, second]: [[u8; 32]; 2] = [(); 2].map(|()| *session.random().unwrap());
    assert_ne!(first, second);
    assert!(first != [0; 32] && second != [0; 32]);
    drop(session);
    assert_eq!((mock.count("sessions"), mock.count("leaked")), (0, 0));
}

#[test]
fn hashes_are_those_of_sm3() {
    let mock = Mock::new();
    let session = mock.session();
    for length in [0, 1, 3, 64, 4096, 4097, 20_000] {
        let message: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let expected: [u8; 32] = Sm3::digest(&message).into();
        assert_eq!(session.sm3(&message).unwrap(), expected, "{length}");
    }
}

#[test]
fn signatures_hold_and_need_a_right_of_the_session() {
    let mock = Mock::new();
    let device = mock.open();
    let [session, other] = [(); 2].map(|()| Session::open(&device).unwrap());
    let public_key = session.public_key(2).unwrap();
    let e = session.sm3_with_identity(&public_key, b"a message").unwrap();
    assert_eq!(code(session.sign(2, &e)), Some(Code::NO_RIGHT));
    assert_eq!(code(session.access_right(2, b"wrong")), Some(Code::RIGHT_REFUSED));
    session.access_right(2, PASSWORD.as_bytes()).unwrap();
    let signature = session.sign(2, &e).unwrap();
    assert_eq!(code(other.sign(2, &e)), Some(Code::NO_RIGHT), "the right is the other session's");
    assert_eq!(code(session.sign(1, &e)), Some(Code::NO_RIGHT), "the right is to another key");
    assert_eq!(code(session.public_key(9)), Some(Code::NO_KEY));

    for message in [Message::Bytes(b"a message"), Message::Digest(&e)] {
        assert!(holds(&public_key, message, &signature), "{message:?}");
    }
    assert!(!holds(&public_key, Message::Bytes(b"another"), &signature));
    let mut changed = signature;
    changed[63] ^= 1;
    for (signature, good) in [(signature, true), (changed, false)] {
        assert_eq!(other.verify(2, &e, &signature).unwrap(), good);
        assert_eq!(other.verify_with(&public_key, &e, &signature).unwrap(), good);
    }
    assert!(!other.verify(1, &e, &signature).unwrap(), "under another key");
    assert_eq!(code(other.verify(9, &e, &signature)), Some(Code::NO_KEY));

    session.release_right(2).unwrap();
    assert_eq!(code(session.sign(2, &e)), Some(Code::NO_RIGHT));
}

/// SM4-CBC by hand.
fn cbc(key: [u8; 16], iv: [u8; 16], blocks: &[u8]) -> Vec<u8> {
    let cipher = Sm4::new(&key.into());
    let mut last = iv;
    let mut encrypted = Vec::new();
    for block in blocks.chunks_exact(16) {
        let mixed: [u8; 16] = std::array::from_fn(|i| block[i] ^ last[i]);
        let mut mixed = mixed.into();
        cipher.encrypt_block(&mut mixed);
        last = mixed.into();
        encrypted.extend(last);
    }
    encrypted
}

#[test]
fn keys_are_wrapped_encrypt_and_come_back() {
    let mock = Mock::new();
    let session = mock.session();
    let kek: [u8; 16] = rand::random();
    mock.set("kek-1", &const_hex::encode(kek));
    let (iv, text): ([u8; 16], [u8; 48]) = (rand::random(), std::array::from_fn(|i| u8::try_from(i).unwrap()));

    let (key, wrapped) = session.generate_key(1).unwrap();
    assert_eq!((wrapped.algorithm, wrapped.bytes.len()), (0x401, 16), "ECB, as the standard has it");
    let mut unwrapped = <[u8; 16]>::try_from(wrapped.bytes.as_slice()).unwrap().into();
    Sm4::new(&kek.into()).decrypt_block(&mut unwrapped);
    let encrypted = key.encrypt(&iv, &text).unwrap();
    assert_eq!(encrypted, cbc(unwrapped.into(), iv, &text));
    assert_eq!(*key.decrypt(&iv, &encrypted).unwrap(), text);
    assert_eq!(code(key.encrypt(&iv, &text[1..])), Some(Code::ARGUMENT), "half a block");
    drop(key);

    let again = session.import_key(1, &wrapped).unwrap();
    assert_eq!(*again.decrypt(&iv, &encrypted).unwrap(), text);
    let (other, _) = session.generate_key(1).unwrap();
    assert_ne!(other.encrypt(&iv, &text).unwrap(), encrypted);
    assert_eq!(code(session.generate_key(2)), Some(Code::NO_KEY));
    // More than the device has room for at once: each key goes when it is dropped.
    for _ in 0..20 {
        session.generate_key(1).unwrap();
    }
}

#[test]
fn a_device_that_wraps_in_cbc_alone_is_understood() {
    let mock = Mock::new();
    mock.set("kek-cbc", "");
    let session = mock.session();
    let (key, wrapped) = session.generate_key(1).unwrap();
    assert_eq!((wrapped.algorithm, wrapped.bytes.len()), (0x402, 32));
    let encrypted = key.encrypt(&[1; 16], &[2; 32]).unwrap();
    let again = session.import_key(1, &wrapped).unwrap();
    assert_eq!(*again.decrypt(&[1; 16], &encrypted).unwrap(), [2; 32]);
}

#[test]
fn sealed_secrets_come_back_unchanged_or_not_at_all() {
    let mock = Mock::new();
    let sealer = SdfSealer::new(mock.config(), 1);
    let none = SealPolicy::default();
    for length in [0, 1, 16, 32, 63, 64] {
        let secret: Vec<u8> = (0..length).collect();
        let sealed = sealer.seal(&secret, &none).unwrap();
        assert_eq!(*sealer.unseal(&sealed, None).unwrap(), secret, "{length}");
        assert_ne!(sealer.seal(&secret, &none).unwrap(), sealed, "{length}: never the same twice");
    }
    let sealed = sealer.seal(&[7; 32], &none).unwrap();
    for byte in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[byte] ^= 1;
        // A wrapped key or an index that was changed may be refused by the device itself.
        sealer.unseal(&changed, None).expect_err(&byte.to_string());
    }
    let cut = sealer.unseal(&sealed[..sealed.len() - 1], None).unwrap_err();
    assert!(matches!(cut, KeyError::Policy { .. }), "{cut}");
    mock.set("kek-1", &const_hex::encode([9; 16]));
    let elsewhere = sealer.unseal(&sealed, None).unwrap_err();
    assert!(matches!(elsewhere, KeyError::Policy { .. }), "{elsewhere}");

    let bound = SealPolicy { pcrs: vec![7], ..SealPolicy::default() };
    assert!(matches!(sealer.seal(&[7; 32], &bound), Err(KeyError::Policy { .. })));
    assert!(matches!(sealer.seal(&[7; 65], &none), Err(KeyError::Policy { .. })));
    let missing = SdfSealer::new(mock.config(), 5).seal(&[7; 32], &none).unwrap_err();
    assert!(missing.to_string().contains("SDR_KEYNOTEXIST"), "{missing}");
    assert_eq!((mock.count("sessions"), mock.count("leaked")), (0, 0));
}
