use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use dolmen_accel_api::{BatchVerifier as _, Verdict, VerifyJob};
use dolmen_accel_library::Library;
use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeySpec, KeyStore, KeyUri, Message, Signer};
use dolmen_hsm_suite::Fixture;
use futures::executor::block_on;
use zeroize::Zeroizing;

use crate::{SoftStore, passphrase::Passphrase};

const OFFERED: [Algorithm; 4] = [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::EcdsaSecp256k1, Algorithm::Sm2];

fn store(directory: &Path) -> SoftStore {
    SoftStore::cheap(directory.to_owned(), directory.join("passphrase"))
}

fn uri(name: &str) -> KeyUri {
    name.parse().unwrap()
}

fn spec(algorithm: Algorithm) -> KeySpec {
    KeySpec { algorithm, domains: [Domain::Vote, Domain::Transport].into_iter().collect() }
}

/// Whether a library that shares no code with the store accepts what the key signs.
fn holds(key: &dyn Signer, message: Message<'_>, signature: &[u8]) -> bool {
    let library = if key.algorithm() == Algorithm::Ed25519 { Library::AwsLc } else { Library::OpenSsl };
    let job = VerifyJob { key: key.public_key(), message, signature };
    let mut verdict = [Verdict::Invalid];
    library.peer().verify(key.algorithm(), &[job], &mut verdict).unwrap();
    verdict[0].is_valid()
}

#[test]
fn a_key_is_made_once_opened_again_and_signs() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    for algorithm in OFFERED {
        let uri = uri(&format!("soft:{algorithm}"));
        let made = store.create(&uri, spec(algorithm)).unwrap();
        assert!(matches!(store.create(&uri, spec(algorithm)), Err(KeyError::Exists(_))));
        let opened = store.open(&uri).unwrap();
        assert_eq!((opened.uri(), opened.algorithm(), opened.domains()), (&uri, algorithm, made.domains()));
        assert_eq!(opened.public_key(), made.public_key());
        for message in [Message::Bytes(b"a message"), Message::Bytes(b""), Message::Digest(&[7; 32])] {
            let signature = block_on(opened.sign(Domain::Vote, message)).unwrap();
            assert!(holds(&*opened, message, &signature.0), "{algorithm}: {message:?}");
            assert!(!holds(&*opened, Message::Bytes(b"another"), &signature.0), "{algorithm}");
            assert_eq!(block_on(made.sign(Domain::Vote, message)).unwrap(), signature, "{algorithm}: the same bytes");
        }
        let file = directory.path().join(format!("{algorithm}.key"));
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let listed: Vec<_> = store.list().unwrap().into_iter().map(|key| key.uri.to_string()).collect();
    assert_eq!(listed, ["soft:ed25519", "soft:p256", "soft:secp256k1", "soft:sm2"]);
    store.delete(&uri("soft:p256")).unwrap();
    assert!(matches!(store.delete(&uri("soft:p256")), Err(KeyError::NotFound(_))));
    assert!(matches!(store.open(&uri("soft:p256")), Err(KeyError::NotFound(_))));
    assert_eq!(store.list().unwrap().len(), 3);
}

#[test]
fn a_key_signs_for_what_it_was_made_for() {
    let directory = tempfile::tempdir().unwrap();
    let key = store(directory.path()).create(&uri("soft:box"), spec(Algorithm::Ed25519)).unwrap();
    block_on(key.sign(Domain::Transport, Message::Bytes(b"hello"))).unwrap();
    let refused = block_on(key.sign(Domain::Tls, Message::Bytes(b"hello"))).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the key soft:box may not sign for tls, only for vote,transport; use a key that was made for it"
    );
}

#[test]
fn what_cannot_be_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let refused = store.create(&uri("tpm:box"), spec(Algorithm::Ed25519)).unwrap_err();
    assert_eq!(refused.to_string(), "tpm:box is not a key of the key directory; name one as soft:NAME");
    let refused = store.create(&uri("soft:box"), spec(Algorithm::Bls12381)).unwrap_err();
    assert!(refused.to_string().contains("ed25519, p256, secp256k1 and sm2"), "{refused}");
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn only_the_passphrase_opens_it() {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path()).create(&uri("soft:box"), spec(Algorithm::Ed25519)).unwrap();
    let path = directory.path().join("passphrase");
    let passphrase = fs::read_to_string(&path).unwrap();
    fs::write(&path, passphrase.replacen(&passphrase[..1], "x", 1)).unwrap();
    assert!(matches!(store(directory.path()).open(&uri("soft:box")), Err(KeyError::WrongPassphrase { .. })));
    // A medium that is not there is no reason for a second passphrase.
    fs::remove_file(&path).unwrap();
    let missing = store(directory.path()).create(&uri("soft:other"), spec(Algorithm::Ed25519)).unwrap_err();
    assert!(matches!(missing, KeyError::Io { operation: "read the passphrase", .. }) && !path.exists(), "{missing}");
    fs::write(&path, passphrase).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    store(directory.path()).open(&uri("soft:box")).unwrap();
}

/// Nothing in a file can be changed unnoticed: not what the key is for, nor what it is said to be.
#[test]
fn changed_files_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let uri = uri("soft:box");
    store.create(&uri, spec(Algorithm::EcdsaP256)).unwrap();
    let path = directory.path().join("box.key");
    let text = fs::read_to_string(&path).unwrap();
    let field = |name: &str| {
        let value = serde_json::from_str::<serde_json::Value>(&text).unwrap()[name].as_str().unwrap().to_owned();
        let first = if value.starts_with('0') { "1" } else { "0" };
        (value.clone(), format!("{first}{}", &value[1..]))
    };
    let changes = [
        ("\"vote\",".to_owned(), "\"vote\", \"tls\",".to_owned()),
        ("\"p256\"".to_owned(), "\"sm2\"".to_owned()),
        ("\"memory_kib\": 64".to_owned(), "\"memory_kib\": 65".to_owned()),
        ("\"memory_kib\": 64".to_owned(), "\"memory_kib\": 4000000000".to_owned()),
        field("public_key"),
        field("salt"),
        field("nonce"),
        field("secret"),
        ("dolmen-key-1".to_owned(), "dolmen-key-2".to_owned()),
        ("\"format\"".to_owned(), "\"more\": 1, \"format\"".to_owned()),
        ("}".to_owned(), String::new()),
    ];
    for (from, to) in changes {
        assert!(text.contains(&from), "{from}");
        fs::write(&path, text.replacen(&from, &to, 1)).unwrap();
        let refused = store.open(&uri).expect_err(&from);
        assert!(matches!(refused, KeyError::WrongPassphrase { .. } | KeyError::Damaged { .. }), "{from}: {refused}");
    }
    fs::write(&path, text.replacen("\"vote\",", "\"vote\", \"tls\",", 1)).unwrap();
    store.rotate(&uri).expect_err("a new key would have the edited uses");
    fs::write(&path, "x".repeat(20_000)).unwrap();
    assert!(matches!(store.open(&uri), Err(KeyError::Damaged { .. })));
    fs::write(&path, &text).unwrap();
    store.open(&uri).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(store.open(&uri), Err(KeyError::Mode { mode: 0o640, .. })));
}

/// No message and no debug form has the passphrase.
#[test]
fn secrets_do_not_show() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passphrase");
    fs::write(&path, "planted-passphrase").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let store = store(directory.path());
    let key = store.create(&uri("soft:box"), spec(Algorithm::Ed25519)).unwrap();
    fs::write(&path, "planted-too").unwrap();
    let wrong = store.open(&uri("soft:box")).unwrap_err();
    let shown = format!("{store:?} {key:?} {wrong:?} {wrong}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn passphrases_come_from_private_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passphrase");
    assert!(matches!(Passphrase::load(&path), Err(KeyError::Io { .. })));
    let made = Passphrase::load_or_create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((made.0.len(), &made.0), (64, &Passphrase::load_or_create(&path).unwrap().0));
    for (content, good) in [("one line\nmore\n", true), ("", false), ("\nsecond", false), (&"x".repeat(2000), false)] {
        fs::write(&path, content).unwrap();
        assert_eq!(Passphrase::load(&path).is_ok(), good, "{content:?}");
    }
    fs::write(&path, "one line\nmore\n").unwrap();
    assert_eq!(&Passphrase::load(&path).unwrap().0[..], b"one line");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(Passphrase::load(&path), Err(KeyError::Mode { mode: 0o604, .. })));
}

struct Directory(PathBuf);

impl Fixture for Directory {
    fn store(&self) -> Arc<dyn KeyStore> {
        Arc::new(store(&self.0))
    }

    fn uri(&self, name: &str) -> KeyUri {
        uri(&format!("soft:{name}"))
    }

    fn algorithms(&self) -> Vec<Algorithm> {
        OFFERED.to_vec()
    }

    fn wrong_pin(&self) -> Option<Arc<dyn KeyStore>> {
        let path = self.0.join("another");
        fs::write(&path, "another passphrase").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        Some(Arc::new(SoftStore::cheap(self.0.clone(), path)))
    }
}

#[test]
fn conformance() {
    let directory = tempfile::tempdir().unwrap();
    dolmen_hsm_suite::run(&mut Directory(directory.path().to_owned()));
}

#[test]
fn keys_from_elsewhere_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let (uri, secret) = (uri("soft:box"), Zeroizing::new([7; 32]));
    let taken = store.import(&uri, spec(Algorithm::Ed25519), &secret).unwrap();
    let expected = ed25519_dalek::SigningKey::from_bytes(&secret).verifying_key().to_bytes();
    assert_eq!(taken.public_key(), expected);
    assert_eq!(store.open(&uri).unwrap().public_key(), expected);
    assert!(matches!(store.import(&uri, spec(Algorithm::Ed25519), &secret), Err(KeyError::Exists(_))));
    // Zero is no secret of a curve.
    let zero = store.import(&"soft:zero".parse().unwrap(), spec(Algorithm::EcdsaP256), &Zeroizing::new([0; 32]));
    assert!(matches!(zero, Err(KeyError::Secret(_))));
}
