//! `dolmen keys` as whoever looks after a box uses it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn keys(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dolmen"));
    command.current_dir(dir).arg("keys").args(arguments).output().expect("the binary starts")
}

fn refused(dir: &Path, arguments: &[&str]) -> String {
    let output = keys(dir, arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).expect("messages are UTF-8")
}

fn listed(dir: &Path, arguments: &[&str]) -> Value {
    let output = keys(dir, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn keys_are_made_shown_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let create = ["create", "soft:box", "--algorithm", "ed25519", "--for", "vote,transport", "--json"];
    let made = listed(dir, &create);
    assert_eq!(made[0]["uri"], "soft:box");
    assert_eq!(made[0]["for"], json!(["vote", "transport"]));
    let public_key = made[0]["public_key"].as_str().unwrap();
    assert!(public_key.len() == 64 && public_key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    for file in ["keys/box.key", "keys/passphrase"] {
        assert_eq!(fs::metadata(dir.join(file)).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    assert!(refused(dir, &create).contains("there is a key soft:box already"));

    listed(dir, &["create", "soft:page", "--algorithm", "p256", "--for", "tls", "--json"]);
    assert_eq!(listed(dir, &["show", "soft:box", "--json"]), made);
    let all = listed(dir, &["list", "--json"]);
    assert_eq!((all.as_array().unwrap().len(), &all[0]), (2, &made[0]));
    let table = String::from_utf8(keys(dir, &["list"]).stdout).unwrap();
    assert!(
        table.starts_with(&format!("soft:box   ed25519    vote,transport  memory  {public_key}\nsoft:page  p256 ")),
        "{table}"
    );

    listed(dir, &["create", "soft:box", "--algorithm", "sm2", "--for", "api", "--dir", "other", "--json"]);
    assert!(dir.join("other/box.key").exists() && dir.join("other/passphrase").exists());

    assert!(refused(dir, &["delete", "soft:box"]).contains("--yes"));
    assert!(keys(dir, &["delete", "soft:box", "--yes"]).status.success());
    assert_eq!(listed(dir, &["list", "--json"]).as_array().unwrap().len(), 1);
    assert!(refused(dir, &["show", "soft:box"]).contains("there is no key soft:box; `dolmen keys list`"));
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let create = |uri, algorithm, uses| refused(dir, &["create", uri, "--algorithm", algorithm, "--for", uses]);
    assert!(create("box", "ed25519", "vote").contains("begins with soft:, tpm:, pkcs11: or sdf:"));
    assert!(create("soft:../box", "ed25519", "vote").contains("is no name"));
    assert!(create("soft:box", "rsa", "vote").contains("rsa"));
    assert!(create("soft:box", "bls12381", "vote").contains("ed25519, p256, secp256k1 and sm2"));
    assert!(create("soft:box", "ed25519", "everything").contains("vote, transport, tls"));
    assert!(create("pkcs11:object=box", "p256", "tls").contains("module"));
    assert!(refused(dir, &["list", "--dir", "nowhere"]).contains("nowhere: cannot list the keys"));

    // Another box's passphrase.
    assert!(keys(dir, &["create", "soft:box", "--algorithm", "sm2", "--for", "api"]).status.success());
    fs::write(dir.join("other"), "not it\n").unwrap();
    let other = ["show", "soft:box", "--passphrase-file", "other"];
    let mode = fs::Permissions::from_mode;
    fs::set_permissions(dir.join("other"), mode(0o644)).unwrap();
    assert!(refused(dir, &other).contains("mode 644; run `chmod go= other`"));
    fs::set_permissions(dir.join("other"), mode(0o600)).unwrap();
    let message = refused(dir, &other);
    assert!(
        message.contains("the passphrase in other does not open the key soft:box") && !message.contains("not it"),
        "{message}"
    );
}
