//! The process of a box beside the devnet's, and what its log says.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::{cpu, devnet::stop_process};
use crate::backends::Backend;

/// Between two looks at the log: far shorter than any state takes, so that a box is killed when it is to be.
const POLL: Duration = Duration::from_millis(5);
/// Last lines of the log for an error message.
const LAST_LINES: usize = 10;

/// What a box's log has said since it was started.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// It goes on with a state of which it has a part.
    pub(super) is_resumed: bool,
    /// When it had its first connection with another box while it had no state.
    pub(super) connected: Option<Instant>,
    /// Blocks whose state it began to fetch.
    pub(super) states: u32,
    /// When it had a state to go on from, and the block's height.
    pub(super) state: Option<(Instant, u64)>,
    /// Whether it answers.
    pub(super) is_serving: bool,
}

impl Said {
    fn take(&mut self, line: &str, at: Instant) {
        // What is not JSON is a last error, and the end of the process says more.
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let height = line["height"].as_u64();
        match line["message"].as_str() {
            Some("fetching the state from other boxes") => self.is_resumed = line["is_begun"] == true,
            Some("connected") => self.connected = self.connected.or(Some(at)),
            Some("fetching the state of a block") => self.states += 1,
            Some("the state is there") => self.state = height.map(|height| (at, height)),
            // It may have had a state, or block zero, from the beginning.
            Some("serving") => {
                self.state = self.state.or(height.map(|height| (at, height)));
                self.is_serving = true;
            }
            _ => {}
        }
    }
}

/// A box that runs; dropped, it is killed.
pub(super) struct Process {
    name: String,
    child: Child,
    pid: u32,
    log: File,
    /// The beginning of a line whose end is not there yet.
    line: Vec<u8>,
    last: VecDeque<String>,
    said: Said,
}

impl Process {
    /// Starts a box that logs JSON.
    pub(super) fn start(name: &str, settings: &Path, log: &Path, accel: Backend) -> anyhow::Result<Self> {
        let open = || format!("cannot open {}", log.display());
        let output = OpenOptions::new().create(true).append(true).open(log).with_context(open)?;
        let mut reader = File::open(log).with_context(open)?;
        reader.seek(SeekFrom::End(0)).with_context(open)?;
        let child = Command::new(std::env::current_exe().context("find the path of this program")?)
            .args(["run", "--stop-on-stdin-eof", "--accel", accel.name(), "--config"])
            .arg(settings)
            // It is to say what is read here.
            .env_remove("RUST_LOG")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().context("cannot share the log file")?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().with_context(|| format!("{name} ended at once; see {}", log.display()))?;
        let (line, last, said) = (Vec::new(), VecDeque::new(), Said::default());
        Ok(Self { name: name.to_owned(), child, pid, log: reader, line, last, said })
    }

    /// What its log has said by now. Fails where the process has ended.
    pub(super) fn look(&mut self) -> anyhow::Result<&Said> {
        // Before reading, so that its last words are read.
        let ended = self.child.try_wait().with_context(|| format!("wait for {}", self.name))?;
        self.log.read_to_end(&mut self.line).with_context(|| format!("read the log of {}", self.name))?;
        let at = Instant::now();
        while let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.line.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            self.said.take(&line, at);
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line);
        }
        if let Some(status) = ended {
            let last: String = self.last.iter().map(|line| format!("\n  {line}")).collect();
            bail!("{} ended by itself ({status}); its last lines:{last}", self.name);
        }
        Ok(&self.said)
    }

    /// What its log had said at the last look.
    pub(super) fn said(&self) -> &Said {
        &self.said
    }

    /// Waits until the log says something; false where it does not before `deadline`.
    pub(super) async fn says(&mut self, deadline: Instant, what: impl Fn(&Said) -> bool) -> anyhow::Result<bool> {
        loop {
            if what(self.look()?) {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                return Ok(false);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The CPU time that it used since its start, in microseconds.
    pub(super) fn cpu_us(&self) -> anyhow::Result<u64> {
        cpu::cpu_us(self.pid)
    }

    /// The most memory that was resident since its start, in bytes.
    pub(super) fn memory_peak(&self) -> anyhow::Result<u64> {
        Ok(cpu::memory(self.pid)?.peak)
    }

    /// Ends it with SIGKILL: it can neither finish a write nor tell anybody.
    pub(super) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await.with_context(|| format!("kill {}", self.name))
    }

    /// Asks it to stop.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        stop_process(&mut self.child, &self.name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_a_join_is_understood() {
        let (mut said, at) = (Said::default(), Instant::now());
        for line in [
            r#"{"level":"INFO","message":"fetching the state from other boxes","peers":4,"is_begun":true}"#,
            r#"{"level":"INFO","message":"connected","peer":"00"}"#,
            r#"{"level":"INFO","message":"fetching the state of a block","height":39}"#,
            r#"{"level":"INFO","message":"fetching the state","height":39,"bytes":7}"#,
            r#"{"level":"INFO","message":"fetching the state of a block","height":79}"#,
            "error: no JSON",
        ] {
            said.take(line, at);
        }
        assert!(said.is_resumed && said.connected == Some(at) && said.states == 2 && said.state.is_none());
        said.take(r#"{"message":"the state is there","elapsed_s":3,"height":79,"bytes":9}"#, at);
        said.take(r#"{"message":"serving","height":80,"rpc":"127.0.0.1:1"}"#, at + POLL);
        assert_eq!((said.state, said.is_serving), (Some((at, 79)), true));
        let mut said = Said::default();
        said.take(r#"{"message":"serving","height":0,"rpc":"127.0.0.1:1"}"#, at);
        assert_eq!((said.state, said.connected, said.is_serving), (Some((at, 0)), None, true));
    }
}
