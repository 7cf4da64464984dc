//! The chain under test: `dolmen devnet` as a child process.

use std::{
    collections::VecDeque,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use alloy_primitives::{Address, B256};
use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

use super::{DevnetSettings, client::Rpc, report::Progress};
use crate::config::PeerConfig;

/// Accounts with funds that the devnet's genesis gets.
const DEV_ACCOUNTS: u32 = 10;
/// How long the boxes may take to start and finalize: a debug build on a busy machine takes some seconds.
const READY_MAX: Duration = Duration::from_secs(180);
/// How long the boxes, or one of them, may take to stop.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Lines of the devnet's output kept for an error message, and their length in bytes.
const OUTPUT_LINES: usize = 30;
const OUTPUT_LINE_BYTES: usize = 400;

/// What `devnet.json` says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Description {
    /// EIP-155 chain id.
    pub(super) chain_id: u64,
    /// The boxes, in order.
    pub(super) boxes: Vec<BoxDescription>,
    /// Accounts with funds.
    pub(super) accounts: Vec<DevAccount>,
}

impl Description {
    /// Clients of the boxes, in order.
    pub(super) fn clients(&self) -> anyhow::Result<Vec<Rpc>> {
        self.boxes.iter().map(|node| Rpc::new(&node.name, &node.rpc)).collect()
    }
}

/// A box of the devnet.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct BoxDescription {
    /// Its name.
    pub(super) name: String,
    /// URL of its JSON-RPC over HTTP.
    pub(super) rpc: String,
    /// URL of its metrics.
    pub(super) metrics: String,
    /// URL of its web page, which has the event stream.
    pub(super) ui: String,
    /// The certificate of that page.
    pub(super) certificate: PathBuf,
    /// What lets this machine's programs read it.
    pub(super) token: PathBuf,
    /// Its process.
    pub(super) pid: u32,
}

/// An account of the devnet's genesis.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DevAccount {
    /// Its address.
    pub(super) address: Address,
    /// Its key.
    pub(super) private_key: B256,
}

/// The last lines that the devnet wrote.
type Output = Arc<Mutex<VecDeque<String>>>;

/// Where a devnet lies.
pub(super) struct Place {
    /// The folder.
    pub(super) dir: PathBuf,
    /// It is removed in the end.
    is_temporary: bool,
}

impl Place {
    /// The one that is asked for, or a temporary one.
    pub(super) fn of(settings: &DevnetSettings) -> Self {
        match &settings.dir {
            Some(dir) => Self { dir: dir.clone(), is_temporary: false },
            None => {
                let dir = std::env::temp_dir().join(format!("dolmen-bench-{}", std::process::id()));
                Self { dir, is_temporary: true }
            }
        }
    }

    /// Fails where it holds a chain: boxes that join find the others by its genesis file, which must be of this run, and
    /// accounts are to be new.
    pub(super) fn ensure_new(&self) -> anyhow::Result<()> {
        ensure!(
            !self.dir.join("genesis.json").exists(),
            "{} holds a chain already, and this benchmark begins one of its own; choose another --dir",
            self.dir.display()
        );
        Ok(())
    }
}

/// A running devnet. [`Devnet::during`] ends it in order; dropped, it is killed, and its boxes stop by themselves.
pub(super) struct Devnet {
    child: Child,
    output: Output,
    pub(super) description: Description,
    /// Where the chain lies.
    pub(super) dir: PathBuf,
    is_temporary: bool,
}

impl Devnet {
    /// Starts the boxes, which list `peers` beside each other, and waits until all of them finalize blocks.
    pub(super) async fn start(settings: &DevnetSettings, place: Place, peers: &[PeerConfig]) -> anyhow::Result<Self> {
        let DevnetSettings { boxes, accel, base_port, swtpm, softhsm, epoch_blocks, .. } = *settings;
        let Place { dir, is_temporary } = place;
        let listed = peers.iter().map(|peer| format!("--peer={}@{}", peer.public_key, peer.address));
        let executable = std::env::current_exe().context("find the path of this program")?;
        let mut child = Command::new(executable)
            .arg("devnet")
            .args(["--boxes", &boxes.to_string(), "--base-port", &base_port.to_string()])
            .args(["--accel", accel.name(), "--epoch-blocks", &epoch_blocks.to_string()])
            .args(["--accounts", &DEV_ACCOUNTS.to_string(), "--dir"])
            .arg(&dir)
            .args(swtpm.then_some("--swtpm"))
            .args(softhsm.then_some("--softhsm"))
            .args(listed)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start `dolmen devnet`")?;
        let output = Output::default();
        let (ready_tx, ready) = watch::channel(false);
        let stdout = child.stdout.take().context("the devnet's output is piped")?;
        let stderr = child.stderr.take().context("the devnet's errors are piped")?;
        tokio::spawn(drain(stdout, output.clone(), Some(ready_tx)));
        tokio::spawn(drain(stderr, output.clone(), None));
        let description = Description { chain_id: 0, boxes: Vec::new(), accounts: Vec::new() };
        let mut devnet = Self { child, output, description, dir, is_temporary };
        match devnet.become_ready(ready, boxes).await {
            Ok(()) => Ok(devnet),
            Err(error) => Err(devnet.fail(error).await),
        }
    }

    async fn become_ready(&mut self, mut ready: watch::Receiver<bool>, boxes: u32) -> anyhow::Result<()> {
        let result = tokio::select! {
            result = timeout(READY_MAX, ready.wait_for(|ready| *ready)) => match result {
                Ok(Ok(_)) => Ok(()),
                // Its last lines say more; they are there once it has ended.
                Ok(Err(_)) => Err("closed its output before it was ready".to_owned()),
                Err(_) => Err(format!("was not ready after {} s", READY_MAX.as_secs())),
            },
            result = interrupted() => { result?; Err("was interrupted".to_owned()) },
        };
        if let Err(reason) = result {
            bail!("`dolmen devnet` {reason}; its last lines:\n{}", self.last_lines());
        }
        let path = self.dir.join("devnet.json");
        let json = tokio::fs::read(&path).await.with_context(|| format!("read {}", path.display()))?;
        self.description = serde_json::from_slice(&json).with_context(|| format!("read {}", path.display()))?;
        let (found, funded) = (self.description.boxes.len(), self.description.accounts.len());
        ensure!(found == boxes as usize, "{} lists {found} boxes, {boxes} were asked for", path.display());
        ensure!(funded > 0, "{} lists no account with funds", path.display());
        Ok(())
    }

    /// Does `work` while the boxes run, then ends them. Fails where the work does, where the boxes end before it, and
    /// where the user ends this program.
    pub(super) async fn during<T>(
        mut self,
        progress: &Progress,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let result = tokio::select! {
            result = work => result,
            error = self.ended() => Err(error),
            result = interrupted() => {
                self.stop().await?;
                result?;
                bail!("interrupted before the end");
            }
        };
        progress.say("stopping the boxes".to_owned());
        match result {
            Ok(done) => {
                self.stop().await?;
                Ok(done)
            }
            Err(error) => Err(self.fail(error).await),
        }
    }

    /// Waits until the devnet ends by itself, which it should not do, and says why.
    async fn ended(&mut self) -> anyhow::Error {
        match self.child.wait().await {
            Ok(status) => {
                anyhow::anyhow!("the devnet ended ({status}) under load; its last lines:\n{}", self.last_lines())
            }
            Err(error) => anyhow::Error::new(error).context("wait for the devnet"),
        }
    }

    /// Ends the boxes and removes a temporary folder.
    async fn stop(mut self) -> anyhow::Result<()> {
        stop_process(&mut self.child, "the devnet").await?;
        if self.is_temporary && self.dir.exists() {
            tokio::fs::remove_dir_all(&self.dir)
                .await
                .with_context(|| format!("remove the temporary folder {}", self.dir.display()))?;
        }
        Ok(())
    }

    /// Ends the boxes after a failure; their folder stays, and the error says where it is.
    async fn fail(mut self, error: anyhow::Error) -> anyhow::Error {
        let error = error.context(format!("the benchmark failed; the boxes' logs are in {}", self.dir.display()));
        match stop_process(&mut self.child, "the devnet").await {
            Ok(()) => error,
            Err(other) => error.context(format!("{other:#}")),
        }
    }

    fn last_lines(&self) -> String {
        let lines = self.output.lock().expect("no holder of the lock panics");
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }
}

/// Asks a process that this program started to stop, and kills it where it does not; boxes of a devnet stop with it.
pub(super) async fn stop_process(child: &mut Child, name: &str) -> anyhow::Result<()> {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else { return Ok(()) };
    // It may have ended by itself.
    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    if timeout(STOP_MAX, child.wait()).await.is_err() {
        tracing::warn!(name, seconds = STOP_MAX.as_secs(), "a process did not stop in time and is killed");
        child.kill().await.with_context(|| format!("kill {name}"))?;
    }
    Ok(())
}

/// Completes when the user asks this program to end.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).context("listen for SIGTERM")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("listen for SIGINT"),
        _ = terminate.recv() => Ok(()),
    }
}

/// Reads a stream to its end, so that the devnet never waits for a reader; keeps the last lines.
async fn drain(stream: impl AsyncRead + Unpin, output: Output, ready: Option<watch::Sender<bool>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(mut line)) = lines.next_line().await {
        if let Some(ready) = ready.as_ref().filter(|_| line.starts_with("READY")) {
            ready.send_replace(true);
        }
        line.truncate(line.floor_char_boundary(OUTPUT_LINE_BYTES));
        let mut output = output.lock().expect("no holder of the lock panics");
        if output.len() == OUTPUT_LINES {
            output.pop_front();
        }
        output.push_back(line);
    }
}
