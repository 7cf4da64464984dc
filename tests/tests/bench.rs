//! `dolmen bench`, in short: results have their keys, every transaction took effect, and every verdict was checked. What
//! is measured is of a debug build on a busy machine, so no figure is judged.

use std::process::Command;

use dolmen_tests::dolmen;
use serde_json::Value;

/// Keys of `dolmen bench chain` that programs which compare results rely on.
const KEYS: [&str; 12] = [
    "boxes",
    "accel",
    "workload",
    "seconds",
    "tps",
    "finality_ms.p50",
    "finality_ms.p99",
    "blocks_per_second",
    "cpu_us_per_block_per_box",
    "cpu_us_per_tx_per_box",
    "rss_mb_max",
    "machine.cpu",
];

/// Runs a benchmark that starts a chain, and gives its result and what it printed.
fn chain_result(arguments: &str) -> (Value, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let json = dir.path().join("result.json");
    let output = Command::new(dolmen())
        .arg("bench")
        .args(arguments.split(' '))
        .arg("--json")
        .arg(&json)
        .arg("--dir")
        .arg(dir.path().join("chain"))
        .output()
        .expect("dolmen starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(!err.contains('\x1b'), "progress is for terminals: {err}");
    let result = std::fs::read(&json).expect("the result was written");
    (serde_json::from_slice(&result).expect("the result is JSON"), out.into_owned())
}

#[test]
fn a_short_run_reports_what_the_chain_did() {
    let (result, out) = chain_result("chain --boxes 4 --workload erc20 --seconds 5 --rate 50 --accounts 40");
    let value = |key: &str| key.split('.').fold(&result, |value, key| &value[key]);
    for key in KEYS {
        assert!(!value(key).is_null(), "no `{key}` in {result:#}");
    }
    assert_eq!(value("boxes"), 4);
    assert_eq!(value("followers"), 0);
    assert!(value("comparison").is_null());
    assert_eq!(value("workload"), "erc20");
    assert_eq!(value("rate"), 50);
    assert_eq!(value("failed"), 0);
    let number = |key: &str| value(key).as_f64().unwrap_or_else(|| panic!("`{key}` is a number in {result:#}"));
    assert!(number("transactions") > 0.0);
    assert!(number("tps") > 0.0);
    assert!(number("cpu_us_per_tx_per_box") > 0.0);
    assert!(number("cpu_us_per_block_per_box") > 0.0);
    assert!(number("rss_mb_max") > 0.0);
    assert!(number("finality_ms.p50") <= number("finality_ms.p99"));
    for row in ["throughput", "finality", "CPU time", "memory"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "no `{row}` in\n{out}");
    }
}

#[test]
fn followers_are_measured_beside_the_boxes_that_vote() {
    let (result, out) =
        chain_result("chain --boxes 4 --followers 2 --workload transfer --seconds 3 --rate 20 --accounts 40");
    for (key, expected) in [("boxes", 4), ("followers", 2), ("rate", 20), ("failed", 0)] {
        assert_eq!(result[key], expected, "{key}");
    }
    let by_box = result["cpu_us_per_tx_by_box"].as_array().expect("a list");
    assert_eq!(by_box.len(), 4, "followers are not among the boxes");
    let comparison = &result["comparison"];
    for key in ["cpu_us_per_block_per_follower", "cpu_ratio", "height"] {
        assert!(comparison[key].as_f64() > Some(0.0), "`{key}` in {result:#}");
    }
    assert!(comparison["behind_blocks_max"].is_u64(), "{result:#}");
    let without = comparison["without"].as_array().expect("a list");
    assert_eq!(without.len(), 2, "before the followers and after them");
    for window in without.iter().chain([&result]) {
        for key in ["blocks_per_second", "cpu_us_per_block_per_box"] {
            assert!(window[key].as_f64() > Some(0.0), "`{key}` in {result:#}");
        }
    }
    for row in ["followers", "without them"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "no `{row}` in\n{out}");
    }
}

#[test]
fn followers_take_a_steady_load() {
    let output = Command::new(dolmen()).args(["bench", "chain", "--followers", "1"]).output().expect("dolmen starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains("--rate"), "{}\n{err}", output.status);
}

/// Figures of a join, each above zero.
const JOIN_FIGURES: [&str; 8] = [
    "seconds",
    "state_seconds",
    "cpu_seconds",
    "rss_mb_max",
    "blocks_mb",
    "disk_mb",
    "height",
    "cpu_us_per_block_per_box",
];

/// Epochs of a hundred blocks: the boxes keep a state for longer than the box that is killed takes.
#[test]
fn boxes_join_from_a_snapshot_with_kills_and_by_executing_all_blocks() {
    let (result, out) = chain_result("sync --accounts 3000 --interruptions 3 --rate 20 --epoch-blocks 100");
    for (key, expected) in [("boxes", 4), ("accounts", 3000), ("rate", 20), ("interruptions", 3), ("epoch_blocks", 100)]
    {
        assert_eq!(result[key], expected, "{key}");
    }
    assert!(result["machine"]["cpu"].is_string());
    assert!(result["fill_blocks"].as_u64() > Some(0) && result["fill_transactions"].as_u64() > Some(0));
    let joins = result["joins"].as_array().expect("a list");
    let names: Vec<_> = joins.iter().map(|join| &join["name"]).collect();
    assert_eq!(names, ["snapshot", "interrupted", "replay"]);
    for join in joins {
        for key in JOIN_FIGURES {
            assert!(join[key].as_f64() > Some(0.0), "`{key}` in {join:#}");
        }
    }
    let number = |join: usize, key: &str| joins[join][key].as_u64().unwrap_or_else(|| panic!("{key} in {result:#}"));
    // The first state that the boxes could offer is that of an epoch's last block.
    for join in [0, 1] {
        assert!(joins[join]["state_mb"].as_f64() > Some(0.0) && number(join, "states") > 0);
        assert!(number(join, "state_height") >= 99);
    }
    assert_eq!((number(0, "starts"), number(0, "resumed"), number(0, "state_height") % 100), (1, 0, 99));
    let kills = number(1, "starts") - 1;
    assert!((1..=3).contains(&kills) && (1..=kills).contains(&number(1, "resumed")), "{result:#}");
    assert_eq!((number(2, "starts"), number(2, "states"), number(2, "state_height")), (1, 0, 0));
    assert_eq!(joins[2]["state_mb"], 0.0);
    for key in ["seconds", "cpu_seconds", "rss_mb_max", "received_mb", "disk_mb"] {
        assert!(result["replay_to_snapshot"][key].is_number(), "{key}");
    }
    for row in ["accounts", "interrupted", "time, s", "CPU time, s", "files, MB"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "no `{row}` in\n{out}");
    }
}

/// Keys of a result of the other benchmarks.
const RESULT_KEYS: [&str; 11] =
    ["alg", "op", "impl", "known_keys", "keys", "batch", "threads", "ops_per_cpu_s", "ops_per_s", "p50_us", "verified"];

/// Runs a benchmark of signatures and the like, and gives its results.
fn results(arguments: &str) -> Vec<Value> {
    let output = Command::new(dolmen())
        .arg("bench")
        .args(arguments.split(' '))
        .args(["--seconds", "0.05", "--json", "-"])
        .output()
        .expect("dolmen starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {}\n{err}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).expect("standard output is JSON alone");
    assert!(report["machine"]["cpu"].is_string());
    let results = report["results"].as_array().expect("a list").clone();
    for result in &results {
        for key in RESULT_KEYS {
            assert!(!result[key].is_null(), "{arguments}: no `{key}` in {result:#}");
        }
        assert!(result["verified"].as_u64() > Some(0) && result["ops_per_cpu_s"].as_f64() > Some(0.0));
    }
    results
}

fn has(results: &[Value], name: &str, algorithm: &str) -> bool {
    results.iter().any(|result| result["impl"] == name && result["alg"] == algorithm)
}

#[test]
fn signature_engines_run_beside_libraries() {
    let verify = results("verify --alg all --keys 4 --batch 8");
    for algorithm in ["secp256k1", "p256", "sm2", "ed25519", "bls12381"] {
        assert!(has(&verify, "dolmen", algorithm), "no engine of ours for {algorithm}");
    }
    let peers =
        [("openssl", "sm2"), ("aws-lc-rs", "p256"), ("libsecp256k1", "secp256k1"), ("ed25519-dalek", "ed25519")];
    for (peer, algorithm) in peers {
        assert!(has(&verify, peer, algorithm), "no {peer} for {algorithm} in {verify:#?}");
    }
    for arguments in ["recover --batch 8 --keys 4", "sign --batch 4", "hash --batch 8", "cipher --batch 4 --size 64"] {
        assert!(!results(arguments).is_empty(), "{arguments}");
    }
}
