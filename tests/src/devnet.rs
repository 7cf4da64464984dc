//! `dolmen devnet` as a test runs it.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{BOXES, Chain, EPOCH_BLOCKS, PATIENCE, dolmen, ports::quiet_ports, process, wait_for};

/// `dolmen devnet` itself waits two minutes for its boxes, then says which one is the trouble.
const READY_WITHIN: Duration = Duration::from_secs(150);

/// A running `dolmen devnet`.
pub struct Devnet {
    /// What it wrote to `devnet.json`.
    pub chain: Chain,
    /// Its `READY` line.
    pub ready: String,
    dir: PathBuf,
    child: Child,
    // Last, so that the directory outlives the boxes that write to it.
    owned: Option<TempDir>,
}

impl Devnet {
    /// Starts four boxes of a new chain in a temporary directory and waits until all finalize.
    pub fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut devnet = Self::start_in(dir.path());
        devnet.owned = Some(dir);
        devnet
    }

    /// Starts a new chain of four boxes in a directory, or resumes the one that is there.
    pub fn start_in(dir: &Path) -> Self {
        Self::start_with(dir, Stdio::inherit())
    }

    /// The same with another standard error, where `dolmen devnet` shows how the chain does.
    pub fn start_with(dir: &Path, stderr: Stdio) -> Self {
        Self::launch(dir, stderr, &[])
    }

    /// The same with more options.
    pub fn start_with_options(dir: &Path, options: &[&str]) -> Self {
        Self::launch(dir, Stdio::inherit(), options)
    }

    /// Starts a chain that so many boxes join by themselves, fresh from the factory, and waits until all of them vote.
    pub fn start_zero_touch(dir: &Path, boxes: usize, options: &[&str]) -> Self {
        let boxes = boxes.to_string();
        let all = [&["--zero-touch", "--boxes", &boxes, "--base-port", "0"], options].concat();
        Self::launch_with(dir, Stdio::inherit(), &all)
    }

    fn launch(dir: &Path, stderr: Stdio, options: &[&str]) -> Self {
        let (boxes, epoch, port) = (BOXES.to_string(), EPOCH_BLOCKS.to_string(), quiet_ports(BOXES).to_string());
        let all = ["--boxes", &boxes, "--epoch-blocks", &epoch, "--base-port", &port];
        Self::launch_with(dir, stderr, &[&all, options].concat())
    }

    fn launch_with(dir: &Path, stderr: Stdio, options: &[&str]) -> Self {
        let mut command = process::command(dolmen());
        command.args(["devnet", "--dir"]).arg(dir).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("setpriv (util-linux) starts dolmen");
        let lines = read_lines(child.stdout.take().expect("piped"));
        let Some(ready) = wait_for_ready(&lines) else {
            process::send(child.id(), Signal::SIGTERM);
            let status = process::wait(&mut child, PATIENCE);
            let _ = child.kill();
            if dir.join("devnet.json").exists() {
                Chain::read(dir).print_logs();
            }
            panic!("no READY line from `dolmen devnet` within {READY_WITHIN:?}; it ended with {status:?}");
        };
        Self { chain: Chain::read(dir), ready, dir: dir.to_owned(), child, owned: None }
    }

    /// The chain's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process of `dolmen devnet` and those of its boxes.
    pub fn pids(&self) -> Vec<u32> {
        let boxes = self.chain.boxes.iter().map(|own| own.pid.expect("a running devnet names its processes"));
        std::iter::once(self.child.id()).chain(boxes).collect()
    }

    /// Ctrl-C in a terminal: the interrupt goes to every process at once. Returns how `dolmen devnet` ended, when it
    /// and all its boxes are gone.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.pids().into_iter().for_each(|pid| process::send(pid, Signal::SIGINT));
        self.wait_until_gone()
    }

    /// Kills `dolmen devnet` alone, with no chance to stop its boxes, and waits until all are gone.
    pub fn kill(&mut self) -> ExitStatus {
        process::send(self.child.id(), Signal::SIGKILL);
        self.wait_until_gone()
    }

    fn wait_until_gone(&mut self) -> ExitStatus {
        let status = process::wait(&mut self.child, PATIENCE).expect("dolmen devnet did not stop");
        let pids = self.pids();
        wait_for("every box to stop", PATIENCE, || pids.iter().all(|pid| !process::is_running(*pid)).then_some(()));
        status
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        if thread::panicking() {
            self.chain.print_logs();
        }
        let pids = self.pids();
        // One that was waited for already has no process id of its own any more.
        if let Ok(None) = self.child.try_wait() {
            process::send(self.child.id(), Signal::SIGINT);
            if process::wait(&mut self.child, PATIENCE).is_none() {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
        let left = process::kill_left(&pids);
        assert!(left.is_empty() || thread::panicking(), "processes {left:?} outlived their devnet");
    }
}

/// A box more, by `dolmen devnet add-box`. It ends with this.
pub struct AddedBox {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl AddedBox {
    /// Plugs it in.
    pub fn start(dir: &Path, options: &[&str]) -> Self {
        let mut command = process::command(dolmen());
        command.args(["devnet", "add-box", "--dir"]).arg(dir).args(options);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("dolmen starts");
        let lines = read_lines(child.stdout.take().expect("piped"));
        Self { child, lines }
    }

    /// Waits until it votes.
    pub fn wait(&mut self) {
        assert!(wait_for_ready(&self.lines).is_some(), "the box that was added does not vote");
    }
}

impl Drop for AddedBox {
    fn drop(&mut self) {
        process::send(self.child.id(), Signal::SIGINT);
        if process::wait(&mut self.child, PATIENCE).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The line that says so; those before it are for people, who see them where the test shows its output.
fn wait_for_ready(lines: &mpsc::Receiver<String>) -> Option<String> {
    let end = Instant::now() + READY_WITHIN;
    loop {
        let line = lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
        if line.starts_with("READY ") {
            return Some(line);
        }
        eprintln!("{line}");
    }
}

/// Standard output line by line; the thread ends with the process.
fn read_lines(stdout: std::process::ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The receiver hears the first lines only; the rest is read so that the pipe never fills.
            let _ = sender.send(line);
        }
    });
    lines
}
