//! `dolmen backup`, `restore`, `verify`, `export` and `import` on a chain of one box, as its administrator uses them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use age::secrecy::ExposeSecret as _;
use serde_json::Value;

/// Longest wait for the first blocks.
const PATIENCE: Duration = Duration::from_secs(60);

/// A box, killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dolmen(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dolmen"));
    command.current_dir(dir).env_remove("RUST_LOG");
    command
}

fn run(dir: &Path, arguments: &str) -> Output {
    dolmen(dir).args(arguments.split(' ')).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it prints UTF-8")
}

/// What a command prints as JSON; it must succeed.
fn json(dir: &Path, arguments: &str) -> Value {
    let output = run(dir, &format!("{arguments} --json"));
    assert!(output.status.success(), "{arguments}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// Fails with exit status 1 and a message with this in it.
fn assert_refused(dir: &Path, arguments: &str, message: &str) {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {}", text(&output.stdout));
    assert!(text(&output.stderr).contains(message), "{arguments}: {}", text(&output.stderr));
}

/// Makes a chain of one box, with settings of two more that have the same genesis file and other directories.
fn prepare(dir: &Path) {
    let created = run(dir, "keys create soft:consensus --algorithm ed25519 --for vote,transport");
    let key = text(&created.stdout).split_whitespace().last().expect("the public key stands last");
    let validator = format!("box-a={key}@0x00000000000000000000000000000000000000f0");
    let new = format!("genesis new --chain-id 7 --out genesis.json --block-interval-max-ms 50 --validator {validator}");
    assert!(run(dir, &new).status.success());
    // Free until somebody else takes it.
    let p2p = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a free port");
    for name in ["box", "second", "third"] {
        let settings = format!(
            "name = \"{name}\"\ngenesis = \"genesis.json\"\ndata_dir = \"{name}-data\"\n\
             [p2p]\nlisten = \"{p2p}\"\n[rpc]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [log]\nformat = \"json\"\n"
        );
        fs::write(dir.join(format!("{name}.toml")), settings).expect("the settings can be written");
    }
}

fn start(dir: &Path) -> Running {
    let mut child = dolmen(dir)
        // Should this test be killed, then so is the box.
        .args(["run", "--stop-on-stdin-eof", "--config", "box.toml"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let log = BufReader::new(child.stderr.take().expect("it is piped"));
    let mut lines = log.lines().map(|line| line.expect("the log is UTF-8"));
    assert!(lines.any(|line| line.contains("\"serving\"")), "the box does not start");
    // Read on, or the box would wait for its log to be read.
    std::thread::spawn(move || lines.for_each(drop));
    Running(child)
}

#[test]
fn a_chain_goes_to_other_boxes_by_files() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    prepare(dir);
    let identity = age::x25519::Identity::generate();
    fs::write(dir.join("key.txt"), identity.to_string().expose_secret()).unwrap();
    let backup = format!("backup --config box.toml --to backups --recipient {}", identity.to_public());
    assert_refused(dir, &backup, "there is no database");

    let mut running = start(dir);
    let began = Instant::now();
    let full = loop {
        // The first block is proven soon.
        let output = run(dir, &format!("{backup} --json"));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        if made["backup"]["to"].as_u64().is_some_and(|to| to > 0) {
            break made;
        }
        let _ = fs::remove_dir_all(dir.join("backups"));
        assert!(began.elapsed() < PATIENCE, "{}", text(&output.stderr));
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(full["backup"]["kind"], "full");
    std::thread::sleep(Duration::from_secs(1));
    let second = json(dir, &backup);
    assert_eq!(second["backup"]["kind"], "incremental");
    let to = second["backup"]["to"].as_u64().expect("a height");
    assert!(to > full["backup"]["to"].as_u64().expect("a height"));
    let exported = json(dir, "export --config box.toml --out chain.blocks");
    assert!(exported["to"].as_u64().expect("a height") >= to);
    assert_refused(dir, "export --config box.toml --out chain.blocks", "exports overwrite none");
    assert_refused(dir, "import --config box.toml chain.blocks", "is in use by another process");
    // It ends with its standard input.
    drop(running.0.stdin.take());
    assert!(running.0.wait().unwrap().success());

    let report = json(dir, "verify --config box.toml");
    assert_eq!(report["findings"], serde_json::json!([]));
    assert!(report["head"].as_u64().expect("a height") >= to);
    let restored = json(dir, "restore --from backups --identity key.txt --config second.toml");
    assert_eq!((restored["head"].as_u64(), restored["backups"].as_u64()), (Some(to), Some(2)));
    assert_refused(dir, "restore --from backups --identity key.txt --config second.toml", "is not empty");
    let imported = json(dir, "import --config third.toml chain.blocks");
    assert_eq!((&imported["head"], &imported["skipped"]), (&exported["to"], &Value::from(0)));
    for settings in ["second.toml", "third.toml"] {
        let output = run(dir, &format!("verify --config {settings}"));
        assert!(output.status.success(), "{}", text(&output.stdout));
        assert!(text(&output.stdout).starts_with("clean: blocks 1 to "), "{}", text(&output.stdout));
    }

    fs::write(dir.join("box-data/db/CURRENT"), "MANIFEST-999999\n").unwrap();
    let output = run(dir, "verify --config box.toml");
    assert_eq!(output.status.code(), Some(1));
    let found = text(&output.stdout);
    assert!(found.starts_with("files: ") && found.contains("move db/ out of data_dir"), "{found}");
}

#[test]
fn who_may_open_a_backup_must_be_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    prepare(dir);
    assert_refused(dir, "backup --config box.toml --to backups", "no recipient was given");
    assert_refused(dir, "backup --config box.toml --to backups --recipient age1x", "`age1x` is no recipient");
    assert_refused(dir, "backup --config box.toml --to backups --recipient-file absent", "cannot read absent");
    assert!(!dir.join("backups").exists());
}
