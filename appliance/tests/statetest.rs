//! `dolmen evm statetest` on the fixtures in tests/fixtures/statetests, whose expected results come from another EVM.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// Cases in the passing fixtures; a fixture that lost its cases must not pass unseen.
const PASSING_CASES: usize = 76;

/// Report on fail/failing.json: what Geth's `evm statetest` prints, but for its fork list and its words on a fork
/// that it does not know.
const FAILING_REPORT: &str = r#"[
  {
    "name": "failing",
    "pass": false,
    "fork": "Constantinople",
    "error": "unsupported fork \"Constantinople\": revm has no rules for it, leave it out with --fork"
  },
  {
    "name": "failing",
    "pass": false,
    "stateRoot": "0x4cab505200f37ac82caa7cfc6f9da9c946a2239218a64fc7d28b772aed049a96",
    "fork": "London",
    "error": "post state root mismatch: got 4cab505200f37ac82caa7cfc6f9da9c946a2239218a64fc7d28b772aed049a96, want 0000000000000000000000000000000000000000000000000000000000000001"
  },
  {
    "name": "failing",
    "pass": false,
    "stateRoot": "0x4cab505200f37ac82caa7cfc6f9da9c946a2239218a64fc7d28b772aed049a96",
    "fork": "London",
    "error": "post state logs hash mismatch: got 1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347, want 0000000000000000000000000000000000000000000000000000000000000002"
  },
  {
    "name": "failing",
    "pass": false,
    "stateRoot": "0x4cab505200f37ac82caa7cfc6f9da9c946a2239218a64fc7d28b772aed049a96",
    "fork": "London",
    "error": "expected error \"TransactionException.NONCE_MISMATCH_TOO_LOW\", got no error"
  }
]
"#;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/statetests").join(name)
}

fn statetest<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dolmen"))
        .args(["evm", "statetest"])
        .args(arguments)
        .output()
        .expect("the binary starts")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("the report is UTF-8")
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("messages are UTF-8")
}

/// The passing fixtures, in the order in which a directory is run.
fn passing_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(fixture("pass")).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.sort();
    files
}

/// Name, fork and root of each case of a fixture, by test name, fork name and position.
fn expectations(path: &Path) -> Vec<[String; 3]> {
    let content: Value = serde_json::from_slice(&fs::read(path).expect("the fixture is there")).expect("it is JSON");
    let mut cases = Vec::new();
    for (name, unit) in content.as_object().expect("an object of tests") {
        for (fork, posts) in unit["post"].as_object().expect("an object of forks") {
            for post in posts.as_array().expect("a list of cases") {
                cases.push([name.clone(), fork.clone(), post["hash"].as_str().expect("a root").to_owned()]);
            }
        }
    }
    // Stable, so that the cases of one fork keep their order.
    cases.sort_by(|[name, fork, _], [other_name, other_fork, _]| (name, fork).cmp(&(other_name, other_fork)));
    cases
}

/// The report of a run in which every case passes, as Geth formats it.
fn report(cases: &[[String; 3]]) -> String {
    let entries: Vec<_> = cases
        .iter()
        .map(|[name, fork, root]| {
            format!(
                "  {{\n    \"name\": \"{name}\",\n    \"pass\": true,\n    \"stateRoot\": \"{root}\",\n    \
                 \"fork\": \"{fork}\"\n  }}"
            )
        })
        .collect();
    format!("[\n{}\n]\n", entries.join(",\n"))
}

#[test]
fn every_passing_fixture_passes_with_the_other_evms_roots() {
    let files = passing_files();
    let mut all = Vec::new();
    for path in &files {
        let cases = expectations(path);
        let output = statetest([text(path)]);
        assert_eq!(stdout(&output), report(&cases), "{}", path.display());
        assert_eq!(stderr(&output), "", "{}", path.display());
        assert_eq!(output.status.code(), Some(0), "{}", path.display());
        all.extend(cases);
    }
    assert_eq!(all.len(), PASSING_CASES);

    // The directory gives the same results in one report.
    let output = statetest([text(&fixture("pass"))]);
    assert_eq!(stdout(&output), report(&all));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_failure_is_reported_with_its_reason_and_exit_code_1() {
    let output = statetest([text(&fixture("fail/failing.json"))]);
    assert_eq!(stdout(&output), FAILING_REPORT);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn one_failing_file_fails_the_run_and_leaves_the_others_passed() {
    let output = statetest([text(&fixture("pass/types.json")), text(&fixture("fail/failing.json"))]);
    let results: Value = serde_json::from_slice(&output.stdout).expect("the report is JSON");
    let passes: Vec<_> = results.as_array().expect("an array").iter().map(|result| result["pass"] == true).collect();
    let (types, failing) = passes.split_at(expectations(&fixture("pass/types.json")).len());
    assert!(types.iter().all(|pass| *pass), "{passes:?}");
    assert_eq!(failing, [false; 4]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn an_unreadable_file_is_named_and_the_others_still_run() {
    let types = fixture("pass/types.json");
    let output = statetest([
        text(&fixture("malformed/truncated.json")),
        text(&fixture("absent.json")),
        text(&types),
        text(&fixture("malformed/no_gas_limit.json")),
    ]);
    assert_eq!(stdout(&output), report(&expectations(&types)));
    assert_eq!(output.status.code(), Some(1));

    let messages: Vec<_> = stderr(&output).lines().collect();
    assert_eq!(messages.len(), 3, "{messages:#?}");
    let expected = [
        ("truncated.json", "not a state test file: EOF while parsing"),
        ("absent.json", "cannot read the file: "),
        ("no_gas_limit.json", "transaction of \"noGasLimit\": missing field `gasLimit`"),
    ];
    for (message, (file, reason)) in messages.iter().zip(expected) {
        assert!(message.starts_with("error: ") && message.contains(file) && message.contains(reason), "{message}");
    }
}

#[test]
fn fork_and_name_select_cases() {
    let pass = fixture("pass");
    let output = statetest(["--fork", "Prague", "--fork", "Berlin", "--run", "access", text(&pass)]);
    let types = expectations(&fixture("pass/types.json"));
    let selected: Vec<_> = types
        .into_iter()
        .filter(|[name, fork, _]| name.contains("access") && (fork == "Prague" || fork == "Berlin"))
        .collect();
    assert_eq!(selected.len(), 4);
    assert_eq!(stdout(&output), report(&selected));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_run_of_nothing_is_an_error() {
    let output = statetest(["--fork", "prague", text(&fixture("pass"))]);
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("matches fork prague and any name: nothing was run"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_directory_without_fixtures_is_an_error() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("statetest-none");
    fs::create_dir_all(&directory).expect("the folder can be made");
    let output = statetest([text(&directory)]);
    assert!(stderr(&output).contains("the directory holds no *.json file"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn lines_for_people_have_indexes_and_a_summary() {
    let output = statetest(["--human", "--run", "gasLimitCap", text(&fixture("pass/invalid.json"))]);
    assert_eq!(
        stdout(&output),
        "PASS gasLimitCap [Osaka, data 0, gas 0, value 0]\n\
         PASS gasLimitCap [Osaka, data 0, gas 1, value 0]\n\
         PASS gasLimitCap [Prague, data 0, gas 0, value 0]\n\
         PASS gasLimitCap [Prague, data 0, gas 1, value 0]\n\
         4 passed, 0 failed, 0 path(s) not run\n"
    );

    let output = statetest(["--human", "--fork", "Constantinople", text(&fixture("fail/failing.json"))]);
    assert!(stdout(&output).starts_with("FAIL failing [Constantinople, data 0, gas 0, value 0]: unsupported fork"));
    assert!(stdout(&output).ends_with("\n0 passed, 1 failed, 0 path(s) not run\n"), "{}", stdout(&output));
    assert_eq!(output.status.code(), Some(1));
}
