//! `openssl` as the other side: it takes our messages and makes some that we take.

use std::{fs, path::Path, process::Command};

use dolmen_provisioning_bundle::{Admission, ChainBundle};
use dolmen_provisioning_ca::Certificate;
use tempfile::TempDir;

use crate::support::{BOX, REGISTRAR, admission_expectation, expectation, serial, world};

const VERIFY: &str = "cms -verify -binary -inform DER -in message -CAfile root.pem -purpose any -attime 1800000001 -out \
                      content";
const SIGN: &str = "cms -sign -binary -nodetach -outform DER -md sha256 -in text -signer signer.der -certform DER \
                    -inkey signer.key -keyform DER -certfile issuing.pem -out message";

fn openssl(directory: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(directory).output();
    let output = output.expect("openssl; scripts/setup.sh installs it");
    eprintln!("{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

/// With the organisation's certificates.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let pem = |name: &str, certificate: &Certificate| {
        fs::write(directory.path().join("der"), certificate.der()).expect("a file");
        assert!(openssl(directory.path(), &format!("x509 -inform DER -in der -out {name}")));
    };
    pem("root.pem", world().root());
    pem("other.pem", &world().stranger.chain[1]);
    pem("issuing.pem", &world().machine.chain[1]);
    directory
}

/// A key whose secret consists of this byte, as openssl takes it (RFC 5915): it computes the public half itself.
fn key(secret: u8) -> Vec<u8> {
    let curve = b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    [&b"\x30\x31\x02\x01\x01\x04\x20"[..], &[secret; 32], curve].concat()
}

/// What openssl makes of a text, signed by somebody.
fn sign(directory: &TempDir, text: &[u8], secret: u8, certificate: &Certificate) -> Vec<u8> {
    for (name, bytes) in [("text", text), ("signer.key", &key(secret)), ("signer.der", certificate.der())] {
        fs::write(directory.path().join(name), bytes).expect("a file");
    }
    assert!(openssl(directory.path(), "x509 -inform DER -in signer.der -out signer.pem"));
    assert!(openssl(directory.path(), "ec -inform DER -in signer.key -out signer.key.pem"));
    let arguments =
        SIGN.replace("signer.der -certform DER", "signer.pem").replace("signer.key -keyform DER", "signer.key.pem");
    assert!(openssl(directory.path(), &arguments));
    fs::read(directory.path().join("message")).expect("a file")
}

#[test]
fn it_takes_our_messages() {
    let directory = directory();
    let (bundle, admission) = (world().bundle(), world().admission());
    for (message, json) in [
        (world().registrar.bundle(&bundle), bundle.to_json().unwrap()),
        (world().machine.admission(&admission), admission.to_json().unwrap()),
    ] {
        fs::write(directory.path().join("message"), &message).unwrap();
        assert!(openssl(directory.path(), VERIFY));
        assert_eq!(fs::read(directory.path().join("content")).unwrap(), json);
        // That it looks at all.
        assert!(!openssl(directory.path(), &VERIFY.replace("root.pem", "other.pem")));
        let mut forged = message;
        *forged.last_mut().unwrap() ^= 1;
        fs::write(directory.path().join("message"), forged).unwrap();
        assert!(!openssl(directory.path(), VERIFY));
    }
}

#[test]
fn we_take_its_messages() {
    let directory = directory();
    let bundle = world().bundle();
    let registrar = &world().registrar.chain[0];
    let message = sign(&directory, &bundle.to_json().unwrap(), REGISTRAR, registrar);
    assert_eq!(ChainBundle::verify(&message, &expectation(&serial())).unwrap().content(), &bundle);
    // Written by hand: other spaces say the same.
    let text = String::from_utf8(bundle.to_json().unwrap()).unwrap().replace(",\"chain_id\"", ",\n  \"chain_id\" ");
    let message = sign(&directory, text.as_bytes(), REGISTRAR, registrar);
    assert_eq!(ChainBundle::verify(&message, &expectation(&serial())).unwrap().content(), &bundle);
    let admission = world().admission();
    let message = sign(&directory, &admission.to_json().unwrap(), BOX, &world().machine.chain[0]);
    assert_eq!(Admission::verify(&message, &admission_expectation()).unwrap().content(), &admission);
}
