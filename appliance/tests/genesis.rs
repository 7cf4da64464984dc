//! `dolmen genesis` as the members of a chain use it, and the examples in every command's help.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

const FEES: &str = "0x00000000000000000000000000000000000000f0";
const OTHER_FEES: &str = "0x00000000000000000000000000000000000000f1";
const ACCOUNT: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

fn dolmen<'a>(dir: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dolmen")).current_dir(dir).args(arguments).output().expect("the binary starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("what it prints is UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("messages are UTF-8")
}

/// Makes a key and returns its public half.
fn key(dir: &Path, file: &str) -> String {
    let name = format!("soft:{file}");
    let output = dolmen(dir, ["keys", "create", &name, "--algorithm", "ed25519", "--for", "vote,transport"]);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).split_whitespace().last().expect("the public key stands last").to_owned()
}

/// `dolmen genesis new` with these options beside the chain id and the file.
fn new(dir: &Path, options: &[&str]) -> Output {
    dolmen(dir, ["genesis", "new", "--chain-id", "2026", "--out", "genesis.json"].iter().chain(options).copied())
}

/// Fails with this exit status and a message that has each of these parts; writes no genesis file.
fn assert_refused(dir: &Path, options: &[&str], status: i32, parts: &[&str]) {
    let output = new(dir, options);
    assert_eq!(output.status.code(), Some(status), "{}", stderr(&output));
    for part in parts {
        assert!(stderr(&output).contains(part), "{part:?} is not in: {}", stderr(&output));
    }
    assert!(!dir.join("genesis.json").exists());
}

#[test]
fn a_new_file_passes_the_check_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (key(dir.path(), "a.key"), key(dir.path(), "b.key"));
    let validators = [format!("box-a:alpha={a}@{FEES}"), format!("box-b={b}@{OTHER_FEES}")];
    let organisation = format!("alpha={ACCOUNT}");
    let account = format!("{ACCOUNT}=1000.5");
    let options = [
        "--validator",
        &validators[0],
        "--validator",
        &validators[1],
        "--account",
        &account,
        "--organisation",
        &organisation,
    ];
    let output = new(dir.path(), &options);
    assert!(output.status.success(), "{}", stderr(&output));

    let path = dir.path().join("genesis.json");
    let content = fs::read(&path).unwrap();
    let file: Value = serde_json::from_slice(&content).unwrap();
    assert_eq!(file["chain_id"], 2026);
    assert_eq!(file["validators"][0]["name"], "box-a");
    assert_eq!(file["validators"][0]["organisation"], "alpha");
    assert_eq!(file["governance"]["organisations"][0]["account"], ACCOUNT);
    assert_eq!(file["governance"]["epoch_blocks"], 600);
    assert_eq!(file["validators"][1]["public_key"], Value::from(b));
    assert_eq!(file["accounts"][ACCOUNT]["balance"], format!("{:#x}", 1_000_500_000_000_000_000_000_u128));

    let check = || dolmen(dir.path(), ["genesis", "check", "genesis.json"]);
    let checked = check();
    assert!(checked.status.success(), "{}", stderr(&checked));
    let line = stdout(&checked);
    // The account and Ethereum's two contracts.
    assert!(line.starts_with("genesis.json: chain 2026, 2 validators, 3 accounts, block zero 0x"), "{line}");
    assert_eq!(line.trim_end().rsplit_once("0x").map(|(_, hash)| hash.len()), Some(64), "{line}");
    assert_eq!(stdout(&check()), line);

    let again = new(dir.path(), &options);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("a genesis file is never overwritten"), "{}", stderr(&again));
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (a, b) = (key(dir, "a.key"), key(dir, "b.key"));
    let (good, same_name, same_key) =
        (format!("box-a={a}@{FEES}"), format!("box-a={b}@{FEES}"), format!("box-b={a}@{FEES}"));

    // What cannot be read is a wrong option.
    for (validator, what) in [
        ("box-a", "expected NAME:ORGANISATION=PUBLIC_KEY@FEE_RECIPIENT"),
        (format!("box-a={a}").as_str(), "expected NAME:ORGANISATION=PUBLIC_KEY@FEE_RECIPIENT"),
        (format!("box-a={}@{FEES}", &a[1..]).as_str(), "the public key is not 64 hexadecimal digits"),
        (format!("box-a={a}@0xf0").as_str(), "the fee recipient is not an address"),
    ] {
        assert_refused(dir, &["--validator", validator], 2, &["--validator", validator, what]);
    }
    for (account, what) in [
        (ACCOUNT, "expected ADDRESS=ETHER"),
        ("0xf0=1", "not an address"),
        (format!("{ACCOUNT}=much").as_str(), "the balance is not a number of ether"),
        (format!("{ACCOUNT}=0").as_str(), "the balance is zero; leave the account out"),
    ] {
        assert_refused(dir, &["--validator", &good, "--account", account], 2, &["--account", account, what]);
    }

    // What contradicts something else is found when all is there.
    let used = "is already used by another validator";
    assert_refused(dir, &["--validator", &good, "--validator", &same_name], 1, &["validators[1].name", "box-a", used]);
    assert_refused(dir, &["--validator", &good, "--validator", &same_key], 1, &["validators[1].public_key", &a, used]);
    let same_fees = format!("box-b={b}@{FEES}");
    let own = "an account of this validator alone";
    assert_refused(dir, &["--validator", &good, "--validator", &same_fees], 1, &["validators[1].fee_recipient", own]);
    let stray = format!("box-a:gamma={a}@{FEES}");
    assert_refused(dir, &["--validator", &stray], 1, &["validators[0].organisation", "gamma"]);
    let account = format!("{ACCOUNT}=1");
    let twice = ["--validator", good.as_str(), "--account", account.as_str(), "--account", account.as_str()];
    assert_refused(dir, &twice, 1, &["twice; give its whole balance once"]);
}

#[test]
fn the_check_names_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let check = |file: &str| {
        let output = dolmen(dir.path(), ["genesis", "check", file]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        stderr(&output).to_owned()
    };
    let error = check("absent.json");
    assert!(error.contains("cannot read the genesis file absent.json"), "{error}");

    let validator = format!("box-a={}@{FEES}", key(dir.path(), "a.key"));
    assert!(new(dir.path(), &["--validator", &validator]).status.success());
    let content = fs::read_to_string(dir.path().join("genesis.json")).unwrap();
    fs::write(dir.path().join("bad.json"), content.replacen("2026", "0", 1)).unwrap();
    let error = check("bad.json");
    assert!(error.contains("bad.json is not a valid genesis file") && error.contains("`chain_id`: 0"), "{error}");
}

#[test]
fn the_help_of_every_command_has_examples() {
    for command in [
        "run",
        "devnet",
        "genesis new",
        "genesis check",
        "keys create",
        "keys list",
        "keys show",
        "keys rotate",
        "keys delete",
        "keys attest",
        "keys seal",
        "keys unseal",
        "keys approve",
        "keys bench",
        "bench sign",
        "gov status",
        "gov organisations",
        "gov boxes",
        "gov policies",
        "gov permissions",
        "gov proposals",
        "gov show",
        "gov epoch",
        "gov request",
        "gov propose",
        "gov propose admit-organisation",
        "gov propose remove-organisation",
        "gov propose change-organisation",
        "gov propose admit-follower",
        "gov propose admit-validator",
        "gov propose promote",
        "gov propose demote",
        "gov propose retire",
        "gov propose replace",
        "gov propose change-box",
        "gov propose set-policy",
        "gov propose set-parameters",
        "gov propose set-permission-modes",
        "gov propose set-permission",
        "gov vote",
        "gov withdraw",
        "status",
        "bench chain",
        "bench sync",
        "evm statetest",
    ] {
        let output = dolmen(Path::new("."), command.split(' ').chain(["--help"]));
        assert!(output.status.success(), "{}", stderr(&output));
        let help = stdout(&output);
        let examples = help.split_once("Example").map(|(_, examples)| examples);
        assert!(examples.is_some_and(|text| text.contains(&format!("  dolmen {command}"))), "{command}:\n{help}");
    }
}
