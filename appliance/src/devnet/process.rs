//! Boxes, and whatever else a devnet runs, as child processes of this program.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::layout::{Layout, Place};
use crate::backends::Backend;

/// How long a process may take to stop before it is killed, which it must survive anyway.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Running processes. Their standard input is a pipe from this one: when it dies, however it dies, they stop.
pub(super) struct Processes {
    program: PathBuf,
    children: Vec<(String, Child)>,
    reported: HashSet<String>,
}

impl Processes {
    /// None yet.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { program: program()?, children: Vec::new(), reported: HashSet::new() })
    }

    /// The boxes that founded a chain.
    pub(super) fn of(layout: &Layout, accel: Backend) -> anyhow::Result<Self> {
        let mut processes = Self::new()?;
        for own in &layout.boxes {
            let place = &own.place;
            processes.start(&place.name, &place.log(), place.namespace.as_deref(), |command| {
                if let Some(configuration) = &own.softhsm {
                    command.env("SOFTHSM2_CONF", configuration);
                }
                command.args(["run", "--stop-on-stdin-eof", "--accel", accel.name(), "--config"]).arg(place.config());
            })?;
        }
        Ok(processes)
    }

    /// Starts this program once more, with what it prints in a log; in a network namespace if one is given.
    pub(super) fn start(
        &mut self,
        name: &str,
        log: &Path,
        namespace: Option<&str>,
        configure: impl FnOnce(&mut Command),
    ) -> anyhow::Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("cannot open {}", log.display()))?;
        let mut command = match namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
            None => Command::new(&self.program),
        };
        configure(&mut command);
        let child = command
            .stdin(Stdio::piped())
            .stdout(file.try_clone().context("cannot share the log file")?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// The numbers of the processes of boxes.
    pub(super) fn pids(&self, places: &[Place]) -> Vec<Option<u32>> {
        let pid = |place: &Place| self.children.iter().find(|(name, _)| *name == place.name)?.1.id();
        places.iter().map(pid).collect()
    }

    /// Names of processes that have stopped.
    pub(super) fn dead(&mut self) -> Vec<String> {
        let stopped = |(name, child): &mut (String, Child)| match child.try_wait() {
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => Some(name.clone()),
        };
        self.children.iter_mut().filter_map(stopped).collect()
    }

    /// Names of processes that have stopped since the last call.
    pub(super) fn newly_dead(&mut self) -> Vec<String> {
        let dead = self.dead();
        dead.into_iter().filter(|name| self.reported.insert(name.clone())).collect()
    }

    /// Asks every process to stop and waits for it.
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

fn program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}

/// Runs a command of this program to its end, as people do; gives what it printed.
pub(super) async fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> anyhow::Result<String> {
    let mut command = Command::new(program()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.context("cannot start this program")?;
    let what: Vec<_> = command.as_std().get_args().map(|argument| argument.to_string_lossy()).collect();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`dolmen {}` failed: {}", what.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
