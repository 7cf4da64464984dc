//! `dolmen backup`, `restore` and `verify`, as an administrator runs them beside a box.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    BoxInfo, PATIENCE, dolmen,
    process::{self, Ended},
};

/// A key of the age library's own tests.
pub const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// Its public half.
pub const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// Backs a box up into a directory; returns what the manifest says of the backup.
pub fn backup(own: &BoxInfo, to: &Path) -> Value {
    json(command("backup", own).arg("--to").arg(to).args(["--recipient", RECIPIENT]))["backup"].take()
}

/// Makes the database of a box without data from a directory of backups; returns the height of its last block.
pub fn restore(own: &BoxInfo, from: &Path) -> u64 {
    json(&mut to_restore(own, from))["head"].as_u64().expect("a height")
}

/// The same from backups that are damaged: it must be refused, with an error that has all these words.
pub fn assert_not_restored(own: &BoxInfo, from: &Path, words: &[&str]) {
    let refused = process::run(&mut to_restore(own, from), PATIENCE);
    assert_eq!(refused.status.code(), Some(1), "{}", refused.output);
    for word in words {
        assert!(refused.output.contains(word), "no `{word}` in the message: {}", refused.output);
    }
}

/// Checks the database of a box that does not run.
pub fn verify(own: &BoxInfo) -> Ended {
    process::run(&mut command("verify", own), PATIENCE)
}

/// `dolmen verify` found nothing wrong, in a database with all blocks.
pub fn assert_clean(verified: &Ended) {
    let is_clean = verified.status.success() && verified.output.starts_with("clean: blocks 1 to ");
    assert!(is_clean, "{}", verified.output);
}

fn to_restore(own: &BoxInfo, from: &Path) -> Command {
    let identity = own.dir().join("key.txt");
    fs::write(&identity, IDENTITY).expect("the key can be written");
    let mut command = command("restore", own);
    command.arg("--from").arg(from).arg("--identity").arg(identity);
    command
}

fn command(name: &str, own: &BoxInfo) -> Command {
    let mut command = Command::new(dolmen());
    command.args([name, "--config"]).arg(&own.config);
    command
}

/// What a command prints as JSON; it must succeed.
fn json(command: &mut Command) -> Value {
    let ended = process::run(command.arg("--json"), PATIENCE);
    assert!(ended.status.success(), "{command:?}: {}", ended.output);
    serde_json::from_str(&ended.output).unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", ended.output))
}
