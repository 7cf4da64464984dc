//! The boxes as child processes.

use std::{collections::HashSet, fs::OpenOptions, process::Stdio, time::Duration};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::layout::Layout;
use crate::backends::Backend;

/// How long a box may take to stop before it is killed, which it must survive anyway.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Running boxes. Their standard input is a pipe from this process: when it dies, however it dies, they stop.
pub(super) struct Boxes {
    children: Vec<(String, Child)>,
    reported: HashSet<String>,
}

impl Boxes {
    pub(super) fn start(layout: &Layout, accel: Backend) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut children = Vec::new();
        for own in &layout.boxes {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&own.log)
                .with_context(|| format!("cannot open {}", own.log.display()))?;
            let mut command = Command::new(&program);
            if let Some(configuration) = &own.softhsm {
                command.env("SOFTHSM2_CONF", configuration);
            }
            let child = command
                .args(["run", "--stop-on-stdin-eof", "--accel", accel.name(), "--config"])
                .arg(&own.config)
                .stdin(Stdio::piped())
                .stdout(log.try_clone().context("cannot share the log file")?)
                .stderr(log)
                .kill_on_drop(true)
                .spawn()
                .with_context(|| format!("cannot start {}", own.name))?;
            children.push((own.name.clone(), child));
        }
        Ok(Self { children, reported: HashSet::new() })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.children.iter().filter_map(|(_, child)| child.id()).collect()
    }

    /// Names of boxes that have stopped.
    pub(super) fn dead(&mut self) -> Vec<String> {
        let stopped = |(name, child): &mut (String, Child)| match child.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(name.clone()),
        };
        self.children.iter_mut().filter_map(stopped).collect()
    }

    /// Names of boxes that have stopped since the last call.
    pub(super) fn newly_dead(&mut self) -> Vec<String> {
        let dead = self.dead();
        dead.into_iter().filter(|name| self.reported.insert(name.clone())).collect()
    }

    /// Asks every box to stop and waits for it.
    pub(super) async fn stop(&mut self) {
        for (_, child) in &self.children {
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                // It may have stopped by itself.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
        }
        for (name, child) in &mut self.children {
            if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
                anstream::eprintln!("{name} does not stop; killing it");
                let _ = child.kill().await;
            }
        }
    }
}
