//! Boxes that follow the chain under load: what they cost the boxes that vote.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures::future::try_join_all;

use super::{Run, figures::Window};
use crate::{
    bench::{
        ChainArgs,
        follower::{Follower, Ports},
        load::Lane,
        process::Process,
        report::{Comparison, round},
    },
    config::SyncFrom,
};

/// How long the followers may take to start and to connect on a busy machine.
const START_MAX: Duration = Duration::from_secs(120);
/// How long they may take to have the head's block once the load has ended.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);

/// Makes the followers of a chain that will lie in `place`.
pub(super) fn create(args: &ChainArgs, place: &Path) -> anyhow::Result<Vec<Follower>> {
    let mut ports = Ports::after(&args.devnet)?;
    // A state is there to join with only once an epoch is over.
    let from = SyncFrom::Blocks;
    let create =
        |number: u32| Follower::create(place, (&format!("follower-{number}"), from), &mut ports, args.devnet.accel);
    (0..args.followers).map(create).collect()
}

impl Run<'_> {
    /// Measures a window before the followers start, one with them and one after they have stopped, so that a machine that
    /// gets slower or faster is not taken for their doing. Returns the second window, and what it is beside the others.
    pub(super) async fn compare(&self, lanes: Vec<Lane>, rate: f64) -> anyhow::Result<(Window, Vec<Lane>, Comparison)> {
        let (before, lanes) = self.measure(lanes, rate, &[]).await?;
        self.drain().await;
        let mut processes = self.start_followers().await?;
        let (with, lanes) = self.measure(lanes, rate, &processes).await?;
        let behind_blocks_max = self.behind(&mut processes).await?;
        self.drain().await;
        let height = self.check_followers(&mut processes, (Instant::now(), CATCH_UP_MAX)).await?;
        self.progress.say("stopping the followers".to_owned());
        for process in processes {
            process.stop().await?;
        }
        let (after, lanes) = self.measure(lanes, rate, &[]).await?;
        let without = [self.block_cost(&before)?, self.block_cost(&after)?];
        let mean = without.iter().map(|cost| cost.cpu_us_per_block_per_box).sum::<f64>() / without.len() as f64;
        let comparison = Comparison {
            cpu_us_per_block_per_follower: self.per_block(&with, &with.followers_cpu_us())?,
            behind_blocks_max,
            height,
            without,
            cpu_ratio: round(self.block_cost(&with)?.cpu_us_per_block_per_box / mean),
        };
        Ok((with, lanes, comparison))
    }

    /// Starts the followers, and waits until they have the chain.
    async fn start_followers(&self) -> anyhow::Result<Vec<Process>> {
        // They share the cores, and each executes what the chain did so far.
        let window = Duration::from_secs(u64::from(self.args.seconds));
        let (start, max) = (Instant::now(), START_MAX + window * self.args.followers);
        self.progress.say(format!("starting {} followers", self.followers.len()));
        let mut processes = self.followers.iter().map(Follower::start).collect::<anyhow::Result<Vec<_>>>()?;
        self.check_followers(&mut processes, (start, max)).await?;
        Ok(processes)
    }

    /// How many blocks the slowest follower is behind the first box.
    async fn behind(&self, processes: &mut [Process]) -> anyhow::Result<u64> {
        for process in processes {
            // One that has ended says more than that it does not answer.
            process.look()?;
        }
        let head = self.boxes[0].height().await?;
        let heights = try_join_all(self.followers.iter().map(|follower| follower.rpc.height())).await?;
        Ok(heights.into_iter().map(|height| head.saturating_sub(height)).max().unwrap_or(0))
    }

    /// Waits until every follower has what the first box has, for at most `max` after `start`, and checks that it is the
    /// same block; returns the least height.
    async fn check_followers(
        &self,
        processes: &mut [Process],
        (start, max): (Instant, Duration),
    ) -> anyhow::Result<u64> {
        let (chain, mut least) = (&self.boxes[0], u64::MAX);
        for (follower, process) in self.followers.iter().zip(processes) {
            let own = follower.catch_up(process, chain, (start, max), self.progress).await?;
            // It may have a block of which that box has not heard yet.
            let height = own.min(chain.height().await?);
            follower.check_block(chain, height).await?;
            least = least.min(height);
        }
        Ok(least)
    }
}
