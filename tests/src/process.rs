//! Processes that a test starts: signals, bounded waits, and whether one is really gone.

use std::{
    fs,
    io::Read,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

/// What a program that ended left behind.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it was killed because it took too long.
    pub timed_out: bool,
    /// Standard output and standard error, one after the other.
    pub output: String,
}

/// Runs a program to its end; panics with what it printed where that takes longer than `within`.
pub fn run(command: &mut Command, within: Duration) -> Ended {
    let ended = run_or_kill(command, within);
    assert!(!ended.timed_out, "{command:?} did not end within {within:?}; it printed:\n{}", ended.output);
    ended
}

/// Runs a program to its end, which is SIGKILL to it and all that it started where it takes longer than `within`.
pub fn run_or_kill(command: &mut Command, within: Duration) -> Ended {
    // A group of its own: what it started must not hold its pipes open after it was killed.
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Read while it runs: a full pipe would stop it.
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read_stdout = thread::spawn(move || lossy(&mut stdout));
    let read_stderr = thread::spawn(move || lossy(&mut stderr));
    let status = wait(&mut child, within);
    if status.is_none() {
        let _ = killpg(pid(child.id()), Signal::SIGKILL);
    }
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("reading a pipe does not panic");
    let output = [text(read_stdout), text(read_stderr)].concat();
    Ended { status: child.wait().expect("a child can be waited for"), timed_out: status.is_none(), output }
}

/// Waits for a child; `None` where it still runs after `within`.
pub fn wait(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if started.elapsed() >= within {
            return None;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a signal to a process that this test started, directly or through `dolmen devnet`.
pub fn send(pid: u32, signal: Signal) {
    // It may have ended by itself.
    let _ = kill(self::pid(pid), signal);
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).expect("process ids are small"))
}

/// Whether a process with this id runs and is a `dolmen`. An ended one that nobody waited for does not run.
pub fn is_running(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let Some((name, rest)) = stat.rsplit_once(") ") else { return false };
    name.ends_with("(dolmen") && !rest.starts_with(['Z', 'X'])
}

/// The last lines of a file, for a failed test's output.
pub fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn lossy(pipe: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
