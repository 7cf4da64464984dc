//! `dolmen bench chain`, in short: the result has its keys, and every transaction took effect. What it measured is of
//! a debug build on a busy machine, so no figure is judged.

use std::process::Command;

use dolmen_tests::dolmen;
use serde_json::Value;

/// Keys that programs which compare results rely on.
const KEYS: [&str; 9] = [
    "boxes",
    "workload",
    "seconds",
    "tps",
    "finality_ms.p50",
    "finality_ms.p99",
    "cpu_us_per_tx_per_box",
    "rss_mb_max",
    "machine.cpu",
];

#[test]
fn a_short_run_reports_what_the_chain_did() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("result.json");
    let output = Command::new(dolmen())
        .args("bench chain --boxes 4 --workload erc20 --seconds 5 --rate 50 --accounts 40 --json".split(' '))
        .arg(&json)
        .arg("--dir")
        .arg(dir.path().join("chain"))
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(!err.contains('\x1b'), "progress is for terminals: {err}");

    let result: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let value = |key: &str| key.split('.').fold(&result, |value, key| &value[key]);
    for key in KEYS {
        assert!(!value(key).is_null(), "no `{key}` in {result:#}");
    }
    assert_eq!(value("boxes"), 4);
    assert_eq!(value("workload"), "erc20");
    assert_eq!(value("rate"), 50);
    assert_eq!(value("failed"), 0);
    let number = |key: &str| value(key).as_f64().unwrap_or_else(|| panic!("`{key}` is a number in {result:#}"));
    assert!(number("transactions") > 0.0);
    assert!(number("tps") > 0.0);
    assert!(number("cpu_us_per_tx_per_box") > 0.0);
    assert!(number("rss_mb_max") > 0.0);
    assert!(number("finality_ms.p50") <= number("finality_ms.p99"));
    for row in ["throughput", "finality", "CPU time", "memory"] {
        assert!(out.lines().any(|line| line.starts_with(row)), "no `{row}` in\n{out}");
    }
}
