//! What the processes used in a window and what the chain did meanwhile, as figures.

use std::time::Instant;

use anyhow::ensure;

use super::Run;
use crate::bench::{
    cpu,
    load::Pace,
    machine::Machine,
    process::Process,
    report::{BlockCost, Comparison, PROFILE, Percentiles, Report, megabytes, round},
};

/// The processes at one time.
pub(super) struct Snapshot {
    at: Instant,
    boxes_cpu_us: Vec<u64>,
    /// Of the followers that run.
    followers_cpu_us: Vec<u64>,
    own_cpu_us: u64,
    /// Of the boxes.
    memory: Vec<cpu::Memory>,
}

/// The processes at both ends of a measured window.
pub(super) struct Window {
    pub(super) start: Snapshot,
    pub(super) end: Snapshot,
}

impl Window {
    /// CPU time, user and system, that each box used in it.
    fn boxes_cpu_us(&self) -> Vec<u64> {
        used(&self.start.boxes_cpu_us, &self.end.boxes_cpu_us)
    }

    /// The same for each follower.
    pub(super) fn followers_cpu_us(&self) -> Vec<u64> {
        used(&self.start.followers_cpu_us, &self.end.followers_cpu_us)
    }
}

fn used(start: &[u64], end: &[u64]) -> Vec<u64> {
    start.iter().zip(end).map(|(start, end)| end - start).collect()
}

impl Run<'_> {
    /// The processes now.
    pub(super) fn snapshot(&self, followers: &[Process]) -> anyhow::Result<Snapshot> {
        Ok(Snapshot {
            at: Instant::now(),
            boxes_cpu_us: self.pids.iter().map(|pid| cpu::cpu_us(*pid)).collect::<Result<_, _>>()?,
            followers_cpu_us: followers.iter().map(Process::cpu_us).collect::<Result<_, _>>()?,
            own_cpu_us: cpu::cpu_us(std::process::id())?,
            memory: self.pids.iter().map(|pid| cpu::memory(*pid)).collect::<Result<_, _>>()?,
        })
    }

    /// The blocks of a window, and what they took.
    pub(super) fn block_cost(&self, window: &Window) -> anyhow::Result<BlockCost> {
        let seconds = (window.end.at - window.start.at).as_secs_f64();
        Ok(BlockCost {
            blocks_per_second: round(self.blocks(window)? as f64 / seconds),
            cpu_us_per_block_per_box: self.per_block(window, &window.boxes_cpu_us())?,
        })
    }

    /// The mean CPU time of processes for each block of a window.
    pub(super) fn per_block(&self, window: &Window, cpu_us: &[u64]) -> anyhow::Result<f64> {
        let blocks = self.blocks(window)? * cpu_us.len() as u64;
        Ok(round(cpu_us.iter().sum::<u64>() as f64 / blocks as f64))
    }

    /// How many blocks were finalized in a window, with or without transactions.
    fn blocks(&self, window: &Window) -> anyhow::Result<u64> {
        let log = self.log.lock().expect("no holder of the lock panics");
        let blocks = log.blocks(window.start.at, window.end.at);
        ensure!(
            blocks > 0,
            "no block was finalized in a measured window; see the boxes' logs, or choose more --seconds"
        );
        Ok(blocks)
    }

    /// The result: figures of a window, and of the whole run.
    pub(super) fn report(
        &self,
        window: &Window,
        comparison: Option<Comparison>,
        failed: u64,
        machine: Machine,
    ) -> anyhow::Result<Report> {
        // Before the lock, which this takes too.
        let block_cost = self.block_cost(window)?;
        let Window { start, end } = window;
        let log = self.log.lock().expect("no holder of the lock panics");
        let within = |at: Instant| (start.at..end.at).contains(&at);
        let blocks: Vec<_> = log.blocks.iter().filter(|block| within(block.at)).collect();
        let transactions: usize = blocks.iter().map(|block| block.transactions).sum();
        ensure!(transactions > 0, "no transaction was finalized in the measured window");
        let gas: u64 = blocks.iter().map(|block| block.gas_used).sum();
        let seconds = (end.at - start.at).as_secs_f64();
        let finality: Vec<_> = log.finality.iter().filter(|sample| within(sample.at)).map(|sample| sample.ms).collect();
        let known: Vec<_> = finality.iter().flatten().copied().collect();
        let client = log.client.iter().filter(|(at, _)| within(*at)).map(|(_, ms)| *ms).collect();
        let intervals = log.arrivals.windows(2).filter(|pair| within(pair[0].1) && pair[1].0 == pair[0].0 + 1);
        let apart = |pair: &[(u64, Instant)]| (pair[1].0, (pair[1].1 - pair[0].1).as_secs_f64() * 1000.0);
        let (first, others): (Vec<_>, Vec<_>) =
            intervals.map(apart).partition(|(number, _)| number.is_multiple_of(self.args.devnet.epoch_blocks));
        let times = |intervals: Vec<(u64, f64)>| Percentiles::of(intervals.into_iter().map(|(_, ms)| ms).collect());
        let each = |us: u64| us as f64 / transactions as f64;
        let by_box: Vec<_> = window.boxes_cpu_us().into_iter().map(each).collect();
        Ok(Report {
            version: env!("CARGO_PKG_VERSION"),
            profile: PROFILE,
            boxes: self.boxes.len(),
            followers: self.followers.len(),
            accel: self.args.devnet.accel.name(),
            workload: self.args.workload.name(),
            seconds: round(seconds),
            rate: self.args.rate.map(std::num::NonZeroU32::get),
            accounts: self.setup.plan.accounts.len(),
            in_flight: match self.pace {
                Pace::Saturate { in_flight } => Some(in_flight),
                Pace::Rate(_) => None,
            },
            tps: round(transactions as f64 / seconds),
            gas_per_second: round(gas as f64 / seconds),
            transactions,
            blocks: blocks.len(),
            failed,
            finality_samples: known.len(),
            finality_missing: finality.len() - known.len(),
            finality_ms: Percentiles::of(known),
            client_ms: Percentiles::of(client),
            epochs: first.len(),
            interval_ms: times(others),
            first_of_epoch_ms: times(first),
            block_cost,
            comparison,
            cpu_us_per_tx_per_box: round(by_box.iter().sum::<f64>() / by_box.len() as f64),
            cpu_us_per_tx_by_box: by_box.into_iter().map(round).collect(),
            client_cpu_us_per_tx: round(each(end.own_cpu_us - start.own_cpu_us)),
            rss_mb_max: megabytes(end.memory.iter().map(|memory| memory.peak).max().unwrap_or(0)),
            rss_mb_start: megabytes(start.memory.iter().map(|memory| memory.resident).max().unwrap_or(0)),
            machine,
        })
    }
}
