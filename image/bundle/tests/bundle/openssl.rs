//! `openssl` as the other side: it takes our signatures and makes some that we take.

use std::{fs, path::Path, process::Command};

use dolmen_image_bundle::{ReleaseKey, Sign, SignedManifest, SigningKey, answer};

use crate::support::{PRIVATE, PUBLIC, bundle, bundle_of, check, contents, key, keys, signed};

fn openssl(directory: &Path, arguments: &str) -> bool {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(directory).output();
    let output = output.expect("openssl; scripts/setup.sh installs it");
    eprintln!("{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

const VERIFY: &str = "pkeyutl -verify -pubin -inkey release.pem -rawin -in message -sigfile signature";
const SIGN: &str = "pkeyutl -sign -inkey release.key -rawin -in message -out signature";

fn directory(message: &[u8], signature: &[u8]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let files = [
        ("release.pem", PUBLIC.as_bytes()),
        ("release.key", PRIVATE.as_bytes()),
        ("message", message),
        ("signature", signature),
    ];
    for (name, content) in files {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    directory
}

#[test]
fn it_takes_our_signatures() {
    let signed = signed();
    let message = [b"dolmen-image-manifest-v1\0", signed.json()].concat();
    assert!(openssl(directory(&message, signed.signature()).path(), VERIFY));
    // That it looks at all.
    assert!(!openssl(directory(signed.json(), signed.signature()).path(), VERIFY));

    let file = b"action = \"verify\"\n";
    let message = [&b"dolmen-answer-v1\0"[..], file].concat();
    assert!(openssl(directory(&message, &answer::sign(file, &key()).unwrap()).path(), VERIFY));
}

#[test]
fn we_take_its_signatures() {
    let json = signed().json().to_vec();
    let directory = directory(&[b"dolmen-image-manifest-v1\0", &json[..]].concat(), b"");
    assert!(openssl(directory.path(), SIGN));
    let signature: [u8; 64] = fs::read(directory.path().join("signature")).unwrap().try_into().unwrap();
    SignedManifest::verify(json.clone(), signature, &keys()).unwrap();
    // Ed25519 has one signature for a message.
    assert_eq!(&signature, signed().signature());
    let [boot, uki, verity, root] = contents();
    check(&bundle_of(&json, [&boot, &uki, &verity, &root])[..], &keys()).unwrap();
    assert_eq!(bundle_of(&json, [&boot, &uki, &verity, &root]), bundle());
}

#[test]
fn we_take_its_keys() {
    let directory = directory(b"message", b"");
    assert!(openssl(directory.path(), "genpkey -algorithm ed25519 -out release.key"));
    assert!(openssl(directory.path(), "pkey -in release.key -pubout -out release.pem"));
    let read = |name| fs::read_to_string(directory.path().join(name)).unwrap();
    let key = SigningKey::from_pem(&read("release.key")).unwrap();
    let public = ReleaseKey::from_pem(&read("release.pem")).unwrap();
    assert_eq!(key.public_key(), public);
    assert!(openssl(directory.path(), SIGN) && openssl(directory.path(), VERIFY));
    let signature: [u8; 64] = fs::read(directory.path().join("signature")).unwrap().try_into().unwrap();
    assert!(public.verify(b"message", &signature));
}
