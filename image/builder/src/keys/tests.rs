use std::fs;

use openssl::{
    asn1::Asn1Time,
    bn::BigNum,
    hash::MessageDigest,
    rsa::Rsa,
    x509::{X509Builder, X509NameBuilder},
};

use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../keys/test");
const FILES: [&str; 9] =
    ["pk.crt", "kek.crt", "db.crt", "db.key", "pcr.pub", "pcr.key", "release.pem", "release.key", "masa.pem"];

/// Keys that nobody else has.
fn own() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).unwrap();
    for name in ["pk", "kek", "db", "masa"] {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(1_790_000_000).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(2_790_000_000).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        let file = if name == "masa" { "masa.pem".to_owned() } else { format!("{name}.crt") };
        write(&file, builder.build().to_pem().unwrap());
        write(&format!("{name}.key"), key.private_key_to_pem_pkcs8().unwrap());
    }
    let pcr = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    write("pcr.pub", pcr.public_key_to_pem().unwrap());
    write("pcr.key", pcr.private_key_to_pem_pkcs8().unwrap());
    let release = PKey::generate_ed25519().unwrap();
    write("release.pem", release.public_key_to_pem().unwrap());
    write("release.key", release.private_key_to_pem_pkcs8().unwrap());
    folder
}

#[test]
fn test_keys_are_read_and_known() {
    let keys = Keys::read(Path::new(FOLDER), false).unwrap();
    assert!(keys.test);
    let error = Keys::read(Path::new(FOLDER), true).unwrap_err();
    assert!(matches!(error, KeysError::Test { .. }), "{error}");
    assert!(error.to_string().contains("--keys DIR"), "{error}");
}

#[test]
fn production_refuses_every_single_test_key() {
    let own = own();
    assert!(!Keys::read(own.path(), true).unwrap().test);
    for (public, private) in [
        ("pk.crt", None),
        ("kek.crt", None),
        ("db.crt", Some("db.key")),
        ("pcr.pub", Some("pcr.key")),
        ("release.pem", Some("release.key")),
        ("masa.pem", None),
    ] {
        let mixed = tempfile::tempdir().unwrap();
        for name in FILES {
            let from = if name == public || Some(name) == private { Path::new(FOLDER) } else { own.path() };
            fs::copy(from.join(name), mixed.path().join(name)).unwrap();
        }
        let error = Keys::read(mixed.path(), true).unwrap_err();
        assert!(matches!(&error, KeysError::Test { path } if path.ends_with(public)), "{public}: {error}");
        assert!(Keys::read(mixed.path(), false).unwrap().test);
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let (own, other) = (own(), own());
    for (key, public) in [("db.key", "db.crt"), ("pcr.key", "pcr.pub"), ("release.key", "release.pem")] {
        let before = fs::read(own.path().join(key)).unwrap();
        fs::copy(other.path().join(key), own.path().join(key)).unwrap();
        let error = Keys::read(own.path(), true).unwrap_err();
        assert!(matches!(&error, KeysError::Mismatch { public: found, .. } if found.ends_with(public)), "{error}");
        fs::write(own.path().join(key), "no key").unwrap();
        let error = Keys::read(own.path(), true).unwrap_err();
        assert!(matches!(&error, KeysError::Damaged { path, .. } if path.ends_with(key)), "{error}");
        fs::write(own.path().join(key), before).unwrap();
    }
    fs::remove_file(own.path().join("pcr.pub")).unwrap();
    assert!(matches!(Keys::read(own.path(), true), Err(KeysError::File(_))));
}
