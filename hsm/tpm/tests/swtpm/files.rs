//! Files of keys that somebody changed.

use std::fs;

use dolmen_hsm_api::{Algorithm, Domain, KeyError, KeySpec, KeyStore as _, Message};
use dolmen_hsm_tpm::TpmStore;
use futures::executor::block_on;

use crate::support::{Open as _, Swtpm};

/// The TPM knows what a key was made for: neither a copy with other uses nor a rotation of one gets anywhere, whether the
/// genuine key is loaded or not.
#[test]
fn uses_cannot_be_edited() {
    let (swtpm, directory) = (Swtpm::new(), tempfile::tempdir().unwrap());
    let store = TpmStore::new(swtpm.open(), directory.path().into());
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let (genuine, edited) = (format!("tpm:{algorithm}"), format!("tpm:{algorithm}-edited"));
        let (genuine, edited) = (genuine.parse().unwrap(), edited.parse().unwrap());
        let spec = KeySpec { algorithm, domains: [Domain::Tls].into_iter().collect() };
        let key = store.create(&genuine, spec).unwrap();
        block_on(key.sign(Domain::Tls, Message::Bytes(b"it is loaded"))).unwrap();
        let text = fs::read_to_string(directory.path().join(format!("{algorithm}.tpm"))).unwrap();
        assert!(text.contains("\"tls\""));
        let path = directory.path().join(format!("{algorithm}-edited.tpm"));
        fs::copy(directory.path().join(format!("{algorithm}.tpm")), &path).unwrap();
        fs::write(&path, text.replace("\"tls\"", "\"api\"")).unwrap();
        store.open(&edited).expect_err("the TPM was told another use");
        store.rotate(&edited).expect_err("nor does a new key get it");
        block_on(key.sign(Domain::Tls, Message::Bytes(b"the genuine one still signs"))).unwrap();
        fs::write(&path, text.replace("dolmen-tpm-key-1", "dolmen-tpm-key-2")).unwrap();
        assert!(matches!(store.open(&edited), Err(KeyError::Damaged { .. })));
        fs::remove_file(&path).unwrap();
    }
}

/// A key is of no use to another TPM.
#[test]
fn keys_do_not_move() {
    let (one, two, directory) = (Swtpm::new(), Swtpm::new(), tempfile::tempdir().unwrap());
    let spec = |algorithm| KeySpec { algorithm, domains: [Domain::Vote].into_iter().collect() };
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
        let uri = format!("tpm:{algorithm}").parse().unwrap();
        TpmStore::new(one.open(), directory.path().into()).create(&uri, spec(algorithm)).unwrap();
        let error = TpmStore::new(two.open(), directory.path().into()).open(&uri).unwrap_err();
        assert!(matches!(error, KeyError::Policy { .. }) && error.to_string().contains("another TPM"), "{error}");
    }
}
