//! `dolmen devnet` as `make run` starts it: what it prints and writes, what its boxes serve, how it stops and resumes.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use dolmen_tests::{BOXES, BoxInfo, Devnet, PATIENCE, check_same_blocks, dolmen, process, transfer, wait_for};
use nix::pty::openpty;
use serde_json::{Value, json};

/// Wei sent to see a balance again after a restart.
const GIFT: u64 = 123_456_789;

#[test]
fn a_devnet_serves_and_stops_on_ctrl_c() {
    let mut devnet = Devnet::start();
    check_ready_line(&devnet);
    for own in &devnet.chain.boxes {
        check_pages(own);
    }
    check_status_command(&devnet.chain.boxes[1]);
    check_help_where_nobody_answers(&devnet.chain.boxes[0]);
    let status = devnet.interrupt();
    assert!(status.success(), "Ctrl-C is the usual way to end it, and it ended with {status}");
}

#[test]
fn a_terminal_shows_the_chain_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let _devnet = Devnet::start_with(dir.path(), Stdio::from(terminal.slave));
    let shown = read_terminal(File::from(terminal.master));
    let mut text = String::new();
    let mut next_height = |above: u64| {
        wait_for(&format!("a line with a height above {above}"), PATIENCE, || {
            text.extend(shown.try_iter());
            // Each line goes back to the start of the one before; the last may not be whole yet.
            let (whole, _) = text.rsplit_once('\r')?;
            whole.split('\r').filter_map(height_in_line).find(|height| *height > above)
        })
    };
    let first = next_height(0);
    next_height(first);
}

/// What arrives at a terminal, piece by piece; the thread ends when nobody writes to it any more.
fn read_terminal(mut terminal: File) -> mpsc::Receiver<String> {
    let (sender, shown) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = terminal.read(&mut bytes) {
            // The receiver goes first where the test ends.
            let _ = sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    shown
}

/// The height in a line of a devnet whose boxes all finalize; every figure of the line must be there.
fn height_in_line(line: &str) -> Option<u64> {
    let words: Vec<&str> = line.trim_start_matches("\x1b[2K").split_whitespace().collect();
    let after = |word: &str| Some(*words.get(words.iter().position(|found| *found == word)? + 1)?);
    let figure = |word: &str| after(word).is_some_and(|text| text.parse::<f64>().is_ok());
    let finality = words.contains(&"finality") && figure("p50") && figure("p99");
    if !words.starts_with(&["4/4", "boxes"]) || !finality || words.last() != Some(&"tx/s") {
        return None;
    }
    after("height")?.parse().ok()
}

#[test]
fn a_second_run_resumes_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let mut devnet = Devnet::start_in(dir.path());
    let (from, to) = (&devnet.chain.accounts[0], &devnet.chain.accounts[1]);
    let first = &devnet.chain.boxes[0];
    let (hash, raw) = transfer(devnet.chain.chain_id, from, 0, to.address, GIFT);
    first.call("eth_sendRawTransaction", json!([raw]));
    let receipt = wait_for("the receipt of a transfer", PATIENCE, || {
        Some(first.call("eth_getTransactionReceipt", json!([hash]))).filter(|receipt| !receipt.is_null())
    });
    let balances = balances(&devnet);
    assert_ne!(balances[0], balances[1], "one account paid, the other was paid");
    let (genesis, height) = (first.genesis_hash(), first.height().expect("it answers"));
    devnet.interrupt();

    let devnet = Devnet::start_in(dir.path());
    let first = &devnet.chain.boxes[0];
    assert_eq!(genesis, first.genesis_hash());
    let resumed = first.height().expect("it answers");
    assert!(resumed >= height, "height {resumed} after the restart, {height} before it");
    for own in &devnet.chain.boxes {
        wait_for("a box to catch up", PATIENCE, || own.height().filter(|reached| *reached >= height));
        assert_eq!(receipt, own.call("eth_getTransactionReceipt", json!([hash])), "receipt on {}", own.name);
    }
    assert_eq!(balances, self::balances(&devnet));
    check_same_blocks(&devnet.chain.boxes, 0..=height);
}

#[test]
fn boxes_stop_when_their_devnet_is_killed() {
    let mut devnet = Devnet::start();
    let status = devnet.kill();
    assert!(!status.success(), "SIGKILL is no success");
}

#[test]
fn another_number_of_boxes_is_refused_for_an_existing_chain() {
    let dir = tempfile::tempdir().unwrap();
    let prepare = |boxes: &str| {
        let mut command = Command::new(dolmen());
        command.args(["devnet", "--prepare", "--base-port", "0", "--boxes", boxes, "--dir"]).arg(dir.path());
        process::run(&mut command, PATIENCE)
    };
    assert!(prepare("4").status.success());
    for boxes in ["3", "5"] {
        let refused = prepare(boxes);
        assert!(!refused.status.success());
        assert!(refused.output.contains("run it with --boxes 4 or choose another --dir"), "{}", refused.output);
    }
    assert!(prepare("4").status.success(), "the refusals must leave the chain as it was");
}

/// `READY chain=… boxes=… rpc=… ui=… dir=…`, which scripts wait for. Reading `devnet.json` checked its keys.
fn check_ready_line(devnet: &Devnet) {
    let chain = &devnet.chain;
    let first = &chain.boxes[0];
    let dir = devnet.dir().canonicalize().expect("it exists");
    let words = [
        "READY".to_owned(),
        format!("chain={}", chain.chain_id),
        format!("boxes={BOXES}"),
        format!("rpc={}", first.rpc),
        format!("ui={}", first.ui),
        format!("dir={}", dir.display()),
    ];
    assert_eq!(devnet.ready, words.join(" "));
    assert_eq!(chain.boxes.len(), BOXES);
    assert_eq!(chain.accounts.len(), 10);
    assert_eq!(chain.genesis, dir.join("genesis.json"));
    for own in &chain.boxes {
        assert_eq!(own.ws, own.rpc.replacen("http", "ws", 1));
        assert_eq!(own.metrics, format!("{}metrics", own.ui));
        assert!(own.config.is_file() && own.log().is_file(), "{} has its files", own.name);
        assert!(process::is_running(own.pid.expect("a running box has a process")));
        let id = own.call("eth_chainId", json!([]));
        assert_eq!(id, format!("{:#x}", chain.chain_id));
    }
}

/// The page and what machines read.
fn check_pages(own: &BoxInfo) {
    let page = own.get("/");
    assert_eq!(page.status, 200);
    assert!(page.headers.contains("content-type: text/html"), "{}", page.headers);
    assert!(page.body.contains("<!doctype html>") || page.body.contains("<!DOCTYPE html>"), "{}", page.body);
    let script = page.body.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    assert_eq!(own.get(script.expect("the page has a script")).status, 200, "it is served");
    // The page knows its own addresses; files and operations that are not there are not the page.
    assert_eq!(own.get("/blocks/17").body, page.body);
    assert_eq!((own.get("/assets/nothing-here.js").status, own.get("/api/v1/nothing-here").status), (404, 404));

    let height = own.height().expect("it answers");
    let metrics = own.get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metric(&metrics.body, "dolmen_height") >= height, "metrics know the height {height}:\n{}", metrics.body);
    assert_eq!(metrics.body.matches("# EOF").count(), 1, "the end mark stands once");

    check_metrics(own, &metrics.body);
    assert_eq!((own.get("/healthz").status, own.get("/healthz").body.as_str()), (200, "ok\n"));
    wait_for("a box of a fresh chain to be ready", PATIENCE, || (own.get("/readyz").status == 200).then_some(()));
}

/// What is documented, and what rules and dashboards ask for, is what a box shows.
fn check_metrics(own: &BoxInfo, metrics: &str) {
    if own.name != "box-0" {
        return;
    }
    let file = own.dir().join("metrics.txt");
    fs::write(&file, metrics).expect("it can be written");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/check_monitoring.py");
    let checked = process::run(Command::new("python3").arg("-B").arg(script).arg("--metrics").arg(&file), PATIENCE);
    assert!(checked.status.success(), "{}", checked.output);
}

/// A metric without labels.
fn metric(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no metric {name} in:\n{text}"))
}

/// `dolmen status`, as JSON and for people.
fn check_status_command(own: &BoxInfo) {
    let status = |json: &[&str]| {
        process::run(Command::new(dolmen()).args(["status", "--config"]).arg(&own.config).args(json), PATIENCE)
    };
    let machine = status(&["--json"]);
    assert!(machine.status.success(), "{}", machine.output);
    let parsed: Value = serde_json::from_str(&machine.output).expect("JSON alone is printed");
    assert_eq!(parsed["name"], own.name);
    assert_eq!(parsed["role"], "validator");
    assert_eq!((&parsed["validators"], &parsed["quorum"]), (&json!(4), &json!(3)));
    assert_eq!(parsed["genesis_hash"], own.genesis_hash());
    assert!(parsed["height"].as_u64() > Some(0), "{parsed}");
    assert_eq!(parsed["rpc_url"], own.rpc);
    let connected = |parsed: &Value| {
        parsed["peers"].as_array().map_or(0, |peers| peers.iter().filter(|peer| peer["connected"] == true).count())
    };
    // Peers report once a second.
    wait_for("three peers", PATIENCE, || {
        let parsed: Value = serde_json::from_str(&own.get("/api/v1/status").body).expect("JSON");
        (connected(&parsed) == BOXES - 1).then_some(())
    });
    let (url, certificate, token) = (&own.ui, &own.certificate, &own.token);
    let mut elsewhere = Command::new(dolmen());
    elsewhere.args(["status", "--url", url, "--certificate"]).arg(certificate).arg("--token").arg(token);
    let people = process::run(&mut elsewhere, PATIENCE);
    assert!(people.status.success(), "{}", people.output);
    assert!(people.output.contains(&own.name) && people.output.contains("height"), "{}", people.output);
}

fn check_help_where_nobody_answers(own: &BoxInfo) {
    // Port 1 is reserved and nobody listens on it.
    let mut command = Command::new(dolmen());
    command.args(["status", "--url", "https://127.0.0.1:1", "--certificate"]).arg(&own.certificate);
    let refused = process::run(command.arg("--token").arg(&own.token), PATIENCE);
    assert!(!refused.status.success());
    assert!(refused.output.contains("no box answers") && refused.output.contains("--url"), "{}", refused.output);
}

/// The first two accounts' balances, when no block that changes them is on its way.
fn balances(devnet: &Devnet) -> Vec<Value> {
    thread::sleep(Duration::from_millis(100));
    let accounts = devnet.chain.accounts.iter().take(2);
    accounts.map(|account| devnet.chain.boxes[0].call("eth_getBalance", json!([account.address, "latest"]))).collect()
}
