//! Stock tools against a devnet: viem, ethers, cast and web3.py at its chain, and schemathesis at a box's own API; and
//! the box's page in a browser against others.
//!
//! One test runs all files of a kind, one after the other: starting four boxes for each would take longer than most do.

mod release;

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use dolmen_tests::{AddedBox, Devnet, Joining, PATIENCE, dolmen, process, wait_for};

/// Longest run of one file: a minute is usual for the longest but one, and machines differ.
const FILE_WITHIN: Duration = Duration::from_secs(240);
/// The same in a browser, where one file looks at every screen four times.
const WEB_WITHIN: Duration = Duration::from_secs(900);
/// The file that stops a box of the devnet.
const OUTAGE: &str = "web/outage.test.mjs";
/// Lines of a passing tool's output that are shown: its summary.
const SUMMARY_LINES: usize = 8;
/// Lines that begin so are shown of a passing tool as well: what Node.js calls a diagnostic, such as a figure.
const DIAGNOSTIC: char = 'ℹ';
/// Longer lines are cut: some errors quote whole contracts.
const LINE_CHARS_MAX: usize = 400;

#[test]
fn stock_tools_work() {
    let e2e = e2e();
    let python = env::var_os("DOLMEN_PYTHON").map_or_else(|| cache().join("venv/bin/python"), PathBuf::from);
    assert!(python.exists(), "Python with its packages is missing ({}): run scripts/setup.sh test", python.display());
    let mut commands: Vec<_> = node_files(&e2e, "").into_iter().map(node).collect();
    for file in ["test_web3.py", "api/test_description.py"] {
        let mut pytest = process::command(&python);
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "-ra", file]);
        commands.push((file.into(), pytest));
    }
    run(&e2e, &Devnet::start(), commands, FILE_WITHIN);
}

#[test]
fn the_page_works_in_a_browser() {
    let e2e = e2e();
    let mut files = node_files(&e2e, "web");
    files.sort_by_key(|file| file == Path::new(OUTAGE));
    assert_eq!(files.last().map(PathBuf::as_path), Some(Path::new(OUTAGE)), "the file that stops a box runs last");
    let release = tempfile::tempdir().expect("a directory");
    release::write_into(release.path());
    let parts = files.into_iter().map(|file| {
        let (file, mut command) = node(file);
        command.env("DOLMEN_RELEASE", release.path());
        (file, command)
    });
    run(&e2e, &Devnet::start(), parts.collect(), WEB_WITHIN);
}

#[test]
fn boxes_are_let_in_on_the_page() {
    let e2e = e2e();
    let dir = tempfile::tempdir().expect("a directory");
    let devnet = Devnet::start_zero_touch(dir.path(), 1, &[]);
    let net = Joining::of(&devnet);
    let [declined, approved] = ["DEVNET-0002", "DEVNET-0003"];
    let plugged_in = [declined, approved].map(|serial_number| {
        let added = AddedBox::start(net.dir(), &["--wait"]);
        let waits = || net.known("alpha", serial_number).filter(|one| one["standing"] == "waiting").map(drop);
        wait_for("a box to wait for approval", PATIENCE, waits);
        added
    });
    run(&e2e, &devnet, node_files(&e2e, "web/joining").into_iter().map(node).collect(), FILE_WITHIN);
    assert_eq!(net.role(approved).as_deref(), Some("validator"));
    // It was declined at first.
    assert_eq!(net.known("alpha", declined).expect("it came")["standing"], "approved");
    drop(plugged_in);
}

fn e2e() -> PathBuf {
    let e2e = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e");
    assert!(e2e.join("node_modules").exists(), "tests/e2e/node_modules is missing: run scripts/setup.sh test");
    e2e
}

/// A file of tests, and what runs it.
type Part = (PathBuf, Command);

fn node(file: PathBuf) -> Part {
    // Without --test, which would start the file in a process of its own.
    let mut command = process::command("node");
    command.arg("--test-reporter=spec").arg(&file).env("PATH", path_with_node(&cache()));
    (file, command)
}

/// Runs one after the other against one devnet.
fn run(e2e: &Path, devnet: &Devnet, parts: Vec<Part>, within: Duration) {
    let mut failed = Vec::new();
    for (name, mut command) in parts {
        command.current_dir(e2e).env("DOLMEN_DEVNET", devnet.dir().join("devnet.json"));
        command.env("DOLMEN_BIN", dolmen()).env("NO_COLOR", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("DOLMEN_SHOTS", shots());
        let started = Instant::now();
        let ended = process::run_or_kill(&mut command, within);
        let passed = ended.status.success();
        let verdict = match (passed, ended.timed_out) {
            (true, _) => "passed",
            (false, false) => "FAILED",
            (false, true) => "did not end and was KILLED",
        };
        eprintln!("=== {} {verdict} in {:.0?}", name.display(), started.elapsed());
        let skip = if passed { ended.output.lines().count().saturating_sub(SUMMARY_LINES) } else { 0 };
        let lines = ended.output.lines().enumerate();
        for (_, line) in lines.filter(|(at, line)| *at >= skip || line.starts_with(DIAGNOSTIC)) {
            eprintln!("{}", line.chars().take(LINE_CHARS_MAX).collect::<String>());
        }
        if !passed {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?} failed; the output of each stands above");
}

/// The test files that lie in a folder of `tests/e2e` itself, as paths from there, in a fixed order.
fn node_files(e2e: &Path, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(e2e.join(folder)).expect("tests/e2e can be listed");
    let names = entries.map(|entry| entry.expect("tests/e2e can be listed").file_name());
    let tests = names.filter(|name| name.to_string_lossy().ends_with(".test.mjs"));
    let mut files: Vec<PathBuf> = tests.map(|name| Path::new(folder).join(name)).collect();
    files.sort();
    assert!(!files.is_empty(), "no *.test.mjs in {}", e2e.join(folder).display());
    files
}

/// Where the browser's pictures of the page are kept: beside the build output, unless DOLMEN_SHOTS says where.
fn shots() -> PathBuf {
    let beside = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    env::var_os("DOLMEN_SHOTS").map_or_else(beside, PathBuf::from)
}

/// Where `scripts/setup.sh` puts tools.
fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache/dolmen");
    env::var_os("DOLMEN_CACHE").map_or_else(home, PathBuf::from)
}

/// The system's `PATH` behind the Node.js that setup got where the system's is too old.
fn path_with_node(cache: &Path) -> OsString {
    let system = env::var_os("PATH").unwrap_or_default();
    let parts = std::iter::once(cache.join("node/bin")).chain(env::split_paths(&system));
    env::join_paths(parts).expect("no path holds a colon")
}
