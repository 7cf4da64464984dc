//! One join, measured: from the first start of an empty box until it has what the others have.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use super::{fill::Fill, report::Join};
use crate::{
    bench::{
        client::Rpc,
        cpu,
        devnet::{BoxDescription, Description},
        follower::Follower,
        metrics::Metrics,
        process::Process,
        report::{Progress, megabytes, round},
    },
    config::SyncFrom,
};

/// What a box sent to those that fetch a state.
const SYNC_SENT: &str = "dolmen_sync_sent_bytes_total";
/// What a box received since its consensus started.
const RECEIVED: &str = "runtime_inbound_bandwidth_total";
/// How long the boxes are watched while nobody joins.
const QUIET: Duration = Duration::from_secs(10);
/// How long a box may take to connect with another: a killed one is let in again after a second or two.
const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long a join may take: what starts and waits take on a busy machine, and for each account a hundred times what a
/// debug build takes to execute it.
const JOIN_MAX: Duration = Duration::from_secs(600);
const JOIN_MAX_EACH: Duration = Duration::from_millis(2);
/// How long an epoch may take: an idle chain makes two blocks a second.
const EPOCH_MAX: Duration = Duration::from_secs(60);
const EPOCH_MAX_EACH: Duration = Duration::from_secs(1);
/// Between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(20);

/// When a box that joins is killed.
#[derive(Clone, Copy)]
pub(super) struct Kills {
    /// How often.
    pub(super) count: u32,
    /// How long after it has connected.
    pub(super) after: Duration,
}

impl Kills {
    /// It is left alone.
    pub(super) const NONE: Self = Self { count: 0, after: Duration::ZERO };
}

/// The chain that is joined.
pub(super) struct Site<'a> {
    boxes: &'a [Rpc],
    metrics: Vec<Metrics>,
    pids: Vec<u32>,
    fill: &'a Fill,
    progress: &'a Progress,
}

/// Its boxes at one time.
struct Look {
    height: u64,
    /// All boxes together.
    cpu_us: u64,
    sync_sent: u64,
}

/// What the processes of a box that joins used, one after the other.
#[derive(Default)]
struct Used {
    starts: u32,
    resumed: u32,
    states: u32,
    cpu_us: u64,
    memory_peak: u64,
}

impl Used {
    fn add(&mut self, process: &Process) -> anyhow::Result<()> {
        self.starts += 1;
        self.resumed += u32::from(process.said().is_resumed);
        self.states += process.said().states;
        self.cpu_us += process.cpu_us()?;
        self.memory_peak = self.memory_peak.max(process.memory_peak()?);
        Ok(())
    }
}

impl<'a> Site<'a> {
    /// The devnet's chain; `boxes` are clients of its boxes.
    pub(super) fn new(
        description: &Description,
        boxes: &'a [Rpc],
        fill: &'a Fill,
        progress: &'a Progress,
    ) -> anyhow::Result<Self> {
        let metrics = |node: &BoxDescription| Metrics::new(&node.name, &node.metrics, node.certificate.clone());
        let metrics = description.boxes.iter().map(metrics).collect();
        let pids = description.boxes.iter().map(|node| node.pid).collect();
        Ok(Self { boxes, metrics, pids, fill, progress })
    }

    /// Waits until the state that the boxes offer, of the last block of an epoch, has all accounts.
    pub(super) async fn wait_for_state(&self, epoch_blocks: u64) -> anyhow::Result<()> {
        let start = Instant::now();
        let max = EPOCH_MAX.as_secs() + EPOCH_MAX_EACH.as_secs() * epoch_blocks;
        let target = (self.boxes[0].height().await? / epoch_blocks + 1) * epoch_blocks;
        loop {
            let mut least = u64::MAX;
            for rpc in self.boxes {
                least = least.min(rpc.height().await?);
            }
            if least >= target {
                return Ok(());
            }
            ensure!(
                start.elapsed().as_secs() < max,
                "a box is at block {least} after {max} s, and the epoch ends before {target}: see that the boxes make \
                 blocks, or choose fewer --epoch-blocks"
            );
            self.progress.say(format!("waiting for the epoch's end, block {least} of {target}"));
            tokio::time::sleep(POLL).await;
        }
    }

    /// Watches the boxes while nobody joins; returns the CPU time of a block on a box, in microseconds.
    pub(super) async fn quiet(&self) -> anyhow::Result<f64> {
        self.progress.say("measuring without a join".to_owned());
        let before = self.look().await?;
        tokio::time::sleep(QUIET).await;
        Ok(self.cpu_us_per_block(&before, &self.look().await?))
    }

    /// Has a box join, and stops it. Also returns how long it fetched a state after it had connected.
    pub(super) async fn join(&self, follower: &Follower, kills: Kills) -> anyhow::Result<(Join, Duration)> {
        let (before, start) = (self.look().await?, Instant::now());
        let mut used = Used::default();
        let mut process = self.begin(follower, kills, &mut used).await?;
        let max = JOIN_MAX + JOIN_MAX_EACH * self.fill.accounts;
        let height = follower.catch_up(&mut process, &self.boxes[0], (start, max), self.progress).await?;
        let seconds = start.elapsed().as_secs_f64();
        used.add(&process)?;
        let after = self.look().await?;
        let blocks_bytes = follower.metrics.counter(RECEIVED).await?;
        let disk_bytes = follower.disk_bytes()?;
        self.check(follower, height.min(after.height)).await?;
        let said = process.said().clone();
        process.stop().await?;
        let (state_at, state_height) = said.state.context("a box that answers has a state")?;
        ensure!(
            follower.from == SyncFrom::Blocks || state_height > 0,
            "{} executed all blocks, for nobody offered it a state; see {}",
            follower.name,
            follower.log().display()
        );
        let fetch = said.connected.map_or(Duration::ZERO, |connected| state_at.saturating_duration_since(connected));
        let join = Join {
            name: follower.name.clone(),
            starts: used.starts,
            resumed: used.resumed,
            states: used.states,
            state_height,
            height,
            seconds: round(seconds),
            state_seconds: round((state_at - start).as_secs_f64()),
            cpu_seconds: round(used.cpu_us as f64 / 1_000_000.0),
            rss_mb_max: megabytes(used.memory_peak),
            state_mb: megabytes(after.sync_sent - before.sync_sent),
            blocks_mb: megabytes(blocks_bytes),
            disk_mb: megabytes(disk_bytes),
            cpu_us_per_block_per_box: self.cpu_us_per_block(&before, &after),
        };
        Ok((join, fetch))
    }

    /// Starts a box, and kills and starts it again as often as it is to be, unless it has a state before. Returns the
    /// process that is left alone.
    async fn begin(&self, follower: &Follower, kills: Kills, used: &mut Used) -> anyhow::Result<Process> {
        let mut process = follower.start()?;
        for kill in 0..kills.count {
            self.progress.say(format!("{}: killed {kill} of {} times", follower.name, kills.count));
            let deadline = Instant::now() + CONNECT_MAX;
            let has_begun = process.says(deadline, |said| said.connected.is_some() || said.state.is_some()).await?;
            ensure!(
                has_begun,
                "{} has no connection after {} s; see {}",
                follower.name,
                CONNECT_MAX.as_secs(),
                follower.log().display()
            );
            let deadline = process.said().connected.unwrap_or_else(Instant::now) + kills.after;
            if process.says(deadline, |said| said.state.is_some()).await? {
                break;
            }
            used.add(&process)?;
            process.kill().await?;
            process = follower.start()?;
        }
        Ok(process)
    }

    /// Checks that the box has the chain's block at a height, and its accounts.
    async fn check(&self, follower: &Follower, height: u64) -> anyhow::Result<()> {
        follower.check_block(&self.boxes[0], height).await?;
        self.fill.check(&follower.rpc).await
    }

    async fn look(&self) -> anyhow::Result<Look> {
        let mut sync_sent = 0;
        for metrics in &self.metrics {
            sync_sent += metrics.counter(SYNC_SENT).await?;
        }
        let cpu_us = self.pids.iter().map(|pid| cpu::cpu_us(*pid)).sum::<anyhow::Result<u64>>()?;
        Ok(Look { height: self.boxes[0].height().await?, cpu_us, sync_sent })
    }

    fn cpu_us_per_block(&self, before: &Look, after: &Look) -> f64 {
        let blocks = (after.height - before.height).max(1) * self.boxes.len() as u64;
        round((after.cpu_us - before.cpu_us) as f64 / blocks as f64)
    }
}
