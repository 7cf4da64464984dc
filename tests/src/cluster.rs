//! A chain whose boxes are this test's own children, to be killed and started again.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{BoxInfo, Chain, PATIENCE, dolmen, process, wait_for};

/// Boxes of one chain. Dropping it kills those that run.
pub struct Cluster {
    /// Where the boxes are.
    pub chain: Chain,
    children: Vec<Option<Child>>,
    // Last, so that the directory outlives the boxes that write to it.
    _dir: TempDir,
}

impl Cluster {
    /// Creates a chain and starts its boxes; returns when all have finalized a block.
    pub fn start(boxes: usize) -> Self {
        let mut cluster = Self::prepare(boxes);
        (0..boxes).for_each(|index| cluster.spawn(index));
        cluster.wait_for_height(1);
        cluster
    }

    /// Creates a chain without starting anything.
    pub fn prepare(boxes: usize) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        prepare(dir.path(), boxes);
        let chain = Chain::read(dir.path());
        Self { chain, children: (0..boxes).map(|_| None).collect(), _dir: dir }
    }

    /// One box.
    pub fn node(&self, index: usize) -> &BoxInfo {
        &self.chain.boxes[index]
    }

    /// Starts a box that does not run; returns without waiting for it.
    pub fn spawn(&mut self, index: usize) {
        assert!(self.children[index].is_none(), "box {index} runs already");
        let own = &self.chain.boxes[index];
        let log = OpenOptions::new().create(true).append(true).open(own.log()).expect("the log can be written");
        let mut command = Command::new(dolmen());
        // Standard input is a pipe from this test: however the test ends, the box ends too.
        command.args(["run", "--stop-on-stdin-eof", "--config"]).arg(&own.config).stdin(Stdio::piped());
        command.stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        self.children[index] = Some(command.spawn().expect("dolmen starts"));
    }

    /// Starts a box that does not run and waits until it answers.
    pub fn restart(&mut self, index: usize) {
        self.spawn(index);
        let own = self.chain.boxes[index].clone();
        wait_for(&format!("{} to answer", own.name), PATIENCE, || {
            self.assert_running();
            own.height()
        });
    }

    /// Ends a box with SIGKILL: it can neither finish a write nor tell its peers.
    pub fn kill9(&mut self, index: usize) {
        let mut child = self.children[index].take().unwrap_or_else(|| panic!("box {index} does not run"));
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// Stops a box in order with SIGTERM; it must end with success.
    pub fn stop(&mut self, index: usize) {
        let mut child = self.children[index].take().unwrap_or_else(|| panic!("box {index} does not run"));
        process::send(child.id(), Signal::SIGTERM);
        let status = process::wait(&mut child, PATIENCE);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let success = status.is_some_and(|status| status.success());
        assert!(success, "box {index} ended with {status:?} on SIGTERM (None: not within {PATIENCE:?})");
    }

    /// Stops every box that runs.
    pub fn stop_all(&mut self) {
        for index in 0..self.children.len() {
            if self.children[index].is_some() {
                self.stop(index);
            }
        }
    }

    /// Fails the test where a box that should run has ended by itself.
    pub fn assert_running(&mut self) {
        for (own, child) in self.chain.boxes.iter().zip(&mut self.children) {
            let ended = child.as_mut().and_then(|child| child.try_wait().expect("a child can be waited for"));
            assert!(ended.is_none(), "{} ended by itself: {ended:?}", own.name);
        }
    }

    /// The lowest and the highest finalized height among the boxes that run.
    pub fn heights(&self) -> (u64, u64) {
        let running = self.chain.boxes.iter().zip(&self.children).filter(|(_, child)| child.is_some());
        let heights: Vec<u64> = running.map(|(own, _)| own.height().unwrap_or(0)).collect();
        (heights.iter().copied().min().unwrap_or(0), heights.iter().copied().max().unwrap_or(0))
    }

    /// Waits until every box that runs has finalized a height.
    pub fn wait_for_height(&mut self, height: u64) {
        wait_for(&format!("every running box to reach block {height}"), PATIENCE, || {
            self.assert_running();
            (self.heights().0 >= height).then_some(())
        });
    }

    /// Waits until every box that runs has everything that any of them had finalized at the call, and `more` blocks.
    pub fn wait_for_progress(&mut self, more: u64) {
        let target = self.heights().1 + more;
        self.wait_for_height(target);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            self.chain.print_logs();
        }
        for child in self.children.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes the files of a new chain on free ports.
fn prepare(dir: &Path, boxes: usize) {
    let mut command = Command::new(dolmen());
    command.args(["devnet", "--prepare", "--base-port", "0", "--boxes", &boxes.to_string(), "--dir"]).arg(dir);
    let prepared = process::run(&mut command, PATIENCE);
    assert!(prepared.status.success(), "`dolmen devnet --prepare` failed: {}", prepared.output);
}
