//! `dolmen gov` where there is no chain yet: a box's request, and what is said to who forgot something.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const FEES: &str = "0x00000000000000000000000000000000000000f5";

fn dolmen(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dolmen")).current_dir(dir).args(arguments).output().expect("the binary starts")
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}", stderr(output));
    std::str::from_utf8(&output.stdout).expect("what it prints is UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("messages are UTF-8")
}

/// Makes a key and returns its public half.
fn key(dir: &Path, uri: &str, algorithm: &str, uses: &str) -> String {
    let made = dolmen(dir, &["keys", "create", uri, "--algorithm", algorithm, "--for", uses]);
    stdout(&made).split_whitespace().last().expect("the public key stands last").to_owned()
}

#[test]
fn a_box_asks_to_be_admitted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let public_key = key(dir, "soft:consensus", "ed25519", "vote,transport");
    let request = ["gov", "request", "--organisation", "3", "--fee-recipient", FEES];
    let by_hand = ["--key", "soft:consensus", "--name", "box-5", "--endpoint", "10.0.0.5:30303", "--chain-id", "7"];
    let printed = dolmen(dir, &[&request[..], &by_hand].concat());
    let printed: Value = serde_json::from_str(stdout(&printed)).expect("JSON alone");
    assert_eq!(printed["public_key"], Value::from(public_key.clone()));
    assert_eq!(printed["organisation"], 3);
    assert_eq!((&printed["name"], &printed["chain_id"]), (&"box-5".into(), &7.into()));
    assert_eq!((&printed["endpoint"], &printed["fee_recipient"]), (&"10.0.0.5:30303".into(), &FEES.into()));
    assert_eq!(printed["possession"].as_str().map(str::len), Some(2 + 2 * 64));

    // The box's own settings say most of it.
    let validator = format!("a={public_key}@{FEES}");
    let genesis = ["genesis", "new", "--chain-id", "7", "--out", "genesis.json", "--validator", &validator];
    stdout(&dolmen(dir, &genesis));
    let config =
        "name = \"box-5\"\ngenesis = \"genesis.json\"\ndata_dir = \"data\"\n[p2p]\nlisten = \"10.0.0.5:30303\"\n";
    fs::write(dir.join("box.toml"), config).unwrap();
    let written = dolmen(dir, &[&request[..], &["--config", "box.toml", "--out", "request.json"]].concat());
    assert!(stdout(&written).contains("request.json: box-5 with the key"), "{}", stdout(&written));
    let written: Value = serde_json::from_slice(&fs::read(dir.join("request.json")).unwrap()).expect("JSON");
    assert_eq!(written, printed, "Ed25519 signs the same message the same way");
}

#[test]
fn what_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let refused = |arguments: &[&str]| {
        let output = dolmen(dir, arguments);
        assert!(!output.status.success(), "{arguments:?}");
        stderr(&output).to_owned()
    };
    // Port 1 is reserved and nobody listens on it.
    let nobody = refused(&["gov", "status", "--rpc", "http://127.0.0.1:1"]);
    assert!(nobody.contains("no box answers at http://127.0.0.1:1; give") && nobody.contains("--rpc"), "{nobody}");
    assert!(refused(&["gov", "vote", "1", "yes"]).contains("say who signs: --key URI"));
    assert!(refused(&["gov", "vote", "1", "yes", "--print", "--key", "soft:a"]).contains("say who signs"));
    assert!(refused(&["gov", "vote", "1", "maybe", "--print"]).contains("possible values: yes, no"));
    assert!(refused(&["gov", "withdraw", "1", "--devnet", "d"]).contains("--as says for which organisation"));
    assert!(
        refused(&["gov", "request", "--organisation", "3", "--fee-recipient", FEES])
            .contains("--key names the box's consensus key")
    );
    assert!(refused(&["gov", "propose", "set-parameters", "--print"]).contains("say what changes: --gas-limit"));
    key(dir, "soft:page", "p256", "api");
    let wrong = refused(&["gov", "vote", "1", "yes", "--key", "soft:page"]);
    assert!(wrong.contains("soft:page is of p256; accounts sign with secp256k1"), "{wrong}");
    let request =
        ["gov", "request", "--organisation", "3", "--fee-recipient", FEES, "--name", "b", "--chain-id", "7", "--key"];
    assert!(refused(&[&request[..], &["soft:page"]].concat()).contains("ed25519"));
    key(dir, "soft:votes", "ed25519", "vote");
    assert!(refused(&[&request[..], &["soft:votes"]].concat()).contains("may not sign for transport"));
}
