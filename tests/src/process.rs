//! Processes that a test starts: signals, bounded waits, and whether one is really gone.

use std::{
    ffi::OsStr,
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
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

/// A program that the kernel kills when the thread that started it ends, so that none outlives its test. It stays in
/// the test's process group: what the test runner or Ctrl-C sends reaches it and all that it starts.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs a program to its end; panics with what it printed where that takes longer than `within`.
pub fn run(command: &mut Command, within: Duration) -> Ended {
    let ended = run_or_kill(command, within);
    assert!(!ended.timed_out, "{command:?} did not end within {within:?}; it printed:\n{}", ended.output);
    ended
}

/// Runs a program to its end, which is SIGKILL to it and all that it started where it takes longer than `within`.
pub fn run_or_kill(command: &mut Command, within: Duration) -> Ended {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    // Read while it runs: a full pipe would stop it.
    let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let read_stdout = thread::spawn(move || lossy(&mut stdout));
    let read_stderr = thread::spawn(move || lossy(&mut stderr));
    let status = wait(&mut child, within);
    if status.is_none() {
        kill_tree(child.id());
    }
    let text = |reader: thread::JoinHandle<String>| reader.join().expect("reading a pipe does not panic");
    let output = [text(read_stdout), text(read_stderr)].concat();
    Ended { status: child.wait().expect("a child can be waited for"), timed_out: status.is_none(), output }
}

/// SIGKILL to a process and all that it started: one that lived on would hold the pipes open. Each is stopped before it
/// is asked for its children, so that it starts no more of them.
fn kill_tree(id: u32) {
    send(id, Signal::SIGSTOP);
    children(id).into_iter().for_each(kill_tree);
    send(id, Signal::SIGKILL);
}

/// The processes that a process started and that have not ended.
fn children(id: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<u32>>())
        .collect()
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

/// Which of these boxes and devnets still run. Kills them: they would disturb the next test.
pub fn kill_left(pids: &[u32]) -> Vec<u32> {
    let left: Vec<u32> = pids.iter().copied().filter(|pid| is_running(*pid)).collect();
    left.iter().for_each(|pid| send(*pid, Signal::SIGKILL));
    left
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
