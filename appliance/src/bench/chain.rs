//! The phases of a run: start, set up, calibrate, sign, warm up, measure, drain, check, report. With followers,
//! `chain/followers.rs` signs, warms up, measures and drains three times. `chain/figures.rs` makes the figures.

mod figures;
mod followers;

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use self::figures::Window;
use super::{
    ChainArgs,
    client::Rpc,
    devnet::{Description, Devnet, Place},
    follower::Follower,
    load::{self, Flight, LANES_PER_BOX, Lane, Load, Pace},
    machine::Machine,
    process::Process,
    report::{Progress, Report, write_json},
    watch::{Log, Watcher},
    workload::{Setup, failed_receipts},
};

/// Load before the measured window: fills the pools and settles the block size.
const WARM_UP: Duration = Duration::from_secs(2);
/// Transactions of the calibration, which finds out how many to sign: a few seconds' worth.
const CALIBRATION: u64 = 20_000;
/// How long the calibration lasts at most.
const CALIBRATION_MAX: Duration = Duration::from_secs(5);
/// Transactions signed for each one that the calibration expects, so that a faster chain does not run out of them.
const MARGIN: f64 = 1.5;
/// Transactions signed in advance at most: about 1 GB. The window ends early where it needs more.
const SIGNED_MAX: f64 = 2_000_000.0;
/// How long sent transactions may take to be finalized once sending has ended.
const DRAIN_MAX: Duration = Duration::from_secs(60);
/// Receipts looked at.
const RECEIPTS_MAX: usize = 2000;
/// How long the last box may take to have what the first one has.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// Between two looks at a state that is waited for.
const POLL: Duration = Duration::from_millis(20);

/// Measures a chain under load, prints the result and writes it where `args` says. Fails where a transaction was
/// refused, failed or is missing.
pub(crate) async fn chain(args: ChainArgs) -> anyhow::Result<()> {
    ensure!(
        args.followers == 0 || args.rate.is_some(),
        "--followers compares the CPU time of blocks under the same load without and with followers; say with --rate how \
         many transactions to send per second"
    );
    let progress = Progress::new();
    let machine = Machine::read();
    let place = Place::of(&args.devnet);
    let followers = if args.followers > 0 {
        place.ensure_new()?;
        followers::create(&args, &place.dir)?
    } else {
        Vec::new()
    };
    let peers: Vec<_> = followers.iter().map(|follower| follower.peer.clone()).collect();
    progress.say(format!("starting {} boxes", args.devnet.boxes));
    let devnet = Devnet::start(&args.devnet, place, &peers).await?;
    let machine = machine.writing_to(&devnet.dir);
    let description = devnet.description.clone();
    let (report, problems) = devnet.during(&progress, run(&args, &description, &followers, machine, &progress)).await?;
    drop(progress);
    report.print();
    if let Some(path) = &args.json {
        write_json(&report, path)?;
    }
    ensure!(problems.is_empty(), "the result is not valid:\n  {}", problems.join("\n  "));
    Ok(())
}

async fn run(
    args: &ChainArgs,
    description: &Description,
    followers: &[Follower],
    machine: Machine,
    progress: &Progress,
) -> anyhow::Result<(Report, Vec<String>)> {
    let boxes = description.clients()?;
    let lanes = (boxes.len() * LANES_PER_BOX).min(args.accounts as usize);
    let pace = match args.rate {
        Some(rate) => Pace::Rate(f64::from(rate.get())),
        None => Pace::Saturate { in_flight: args.in_flight as usize },
    };
    let accounts = args.accounts as usize;
    let setup = Setup::run(&boxes[0], &description.accounts, (args.workload, accounts, lanes), progress).await?;
    ensure!(setup.plan.fees.chain_id == description.chain_id, "the boxes are of another chain than devnet.json says");
    let flight = Flight::new(lanes, pace);
    let watcher = Watcher::open(&description.boxes, boxes[0].clone(), flight.clone()).await?;
    let log = watcher.log.clone();
    let pids = description.boxes.iter().map(|node| node.pid).collect();
    let run = Run { args, boxes, pids, followers, pace, setup: Arc::new(setup), flight, log, progress };
    tokio::select! {
        result = run.phases(machine) => result,
        result = watcher.follow() => result.map(|never: Infallible| match never {}),
    }
}

/// A run after its set-up.
struct Run<'a> {
    args: &'a ChainArgs,
    /// Those that vote.
    boxes: Vec<Rpc>,
    pids: Vec<u32>,
    followers: &'a [Follower],
    pace: Pace,
    setup: Arc<Setup>,
    flight: Arc<Flight>,
    log: Arc<std::sync::Mutex<Log>>,
    progress: &'a Progress,
}

impl Run<'_> {
    async fn phases(&self, machine: Machine) -> anyhow::Result<(Report, Vec<String>)> {
        let mut lanes = load::lanes(&self.boxes, self.setup.plan.lanes);
        let rate = match self.pace {
            Pace::Rate(rate) => rate,
            Pace::Saturate { .. } => {
                let rate: f64;
                (lanes, rate) = self.calibrate(lanes).await?;
                rate * MARGIN
            }
        };
        let (window, lanes, comparison) = if self.followers.is_empty() {
            let (window, lanes) = self.measure(lanes, rate, &[]).await?;
            (window, lanes, None)
        } else {
            let (window, lanes, comparison) = self.compare(lanes, rate).await?;
            (window, lanes, Some(comparison))
        };
        self.drain().await;
        let (failed, problems) = self.check(&lanes).await?;
        Ok((self.report(&window, comparison, failed, machine)?, problems))
    }

    /// Signs, warms up and measures while these followers run.
    async fn measure(&self, lanes: Vec<Lane>, rate: f64, followers: &[Process]) -> anyhow::Result<(Window, Vec<Lane>)> {
        let lanes = self.supply(lanes, rate).await?;
        self.window(lanes, followers).await
    }

    /// Runs the chain at saturation for a moment; returns the lanes and the transactions a second.
    async fn calibrate(&self, lanes: Vec<Lane>) -> anyhow::Result<(Vec<Lane>, f64)> {
        let lanes = self.sign(lanes, CALIBRATION).await?;
        self.progress.say("calibrating".to_owned());
        let mut load = Load::start(lanes, &self.flight, self.pace);
        let ended = tokio::time::timeout(CALIBRATION_MAX, load.ended()).await;
        ended.unwrap_or(Ok(()))?;
        let lanes = load.stop(&self.flight).await?;
        self.drain().await;
        let log = self.log.lock().expect("no holder of the lock panics");
        let (Some(first), Some(last)) = (log.blocks.first(), log.blocks.last()) else {
            bail!("no transaction was finalized within {} s under load", (CALIBRATION_MAX + DRAIN_MAX).as_secs());
        };
        let transactions: usize = log.blocks.iter().map(|block| block.transactions).sum();
        // A single block gives no time to divide by.
        let seconds = (last.at - first.at).max(Duration::from_millis(100)).as_secs_f64();
        Ok((lanes, transactions as f64 / seconds))
    }

    /// Signs what the lanes will send in the warm-up and the window at this many transactions a second.
    async fn supply(&self, lanes: Vec<Lane>, rate: f64) -> anyhow::Result<Vec<Lane>> {
        // One second and one batch for each lane more, so that the window does not end for want of transactions.
        let seconds = WARM_UP.as_secs_f64() + f64::from(self.args.seconds) + 1.0;
        let count = rate * seconds + f64::from(self.args.in_flight);
        if matches!(self.pace, Pace::Rate(_)) {
            ensure!(
                count <= SIGNED_MAX,
                "--rate and --seconds need {count:.0} transactions signed in advance, the most is {SIGNED_MAX}: \
                 choose fewer seconds"
            );
        }
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and SIGNED_MAX")]
        let count = count.min(SIGNED_MAX) as u64;
        self.sign(lanes, count).await
    }

    /// Gives the lanes `count` more transactions.
    async fn sign(&self, lanes: Vec<Lane>, count: u64) -> anyhow::Result<Vec<Lane>> {
        self.progress.say(format!("signing {count} transactions"));
        load::supply(&self.setup, lanes, count).await
    }

    /// Warms up and measures.
    async fn window(&self, lanes: Vec<Lane>, followers: &[Process]) -> anyhow::Result<(Window, Vec<Lane>)> {
        self.progress.say("warming up".to_owned());
        let mut load = Load::start(lanes, &self.flight, self.pace);
        if let Ok(ended) = tokio::time::timeout(WARM_UP, load.ended()).await {
            ended?;
            let (refused, reasons) = self.flight.refused();
            bail!(
                "the load ended during the warm-up, {refused} transactions were refused:\n  {}",
                reasons.join("\n  ")
            );
        }
        let with = match followers.len() {
            0 => String::new(),
            count => format!(" with {count} followers"),
        };
        let start = self.snapshot(followers)?;
        for second in 0..self.args.seconds {
            self.progress.say(format!("measuring{with}, {} s left", self.args.seconds - second));
            if let Ok(ended) = tokio::time::timeout(Duration::from_secs(1), load.ended()).await {
                ended?;
                tracing::warn!(second, "the window ends early: no signed transactions are left, or one was refused");
                break;
            }
        }
        let end = self.snapshot(followers)?;
        Ok((Window { start, end }, load.stop(&self.flight).await?))
    }

    /// Waits until everything that was sent is finalized, for a bounded time.
    async fn drain(&self) {
        self.progress.say("waiting for the last transactions".to_owned());
        let start = Instant::now();
        while self.flight.len() > 0 && start.elapsed() < DRAIN_MAX {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Checks that every transaction took effect once; returns how many did not, and what is wrong.
    async fn check(&self, lanes: &[Lane]) -> anyhow::Result<(u64, Vec<String>)> {
        self.progress.say("checking receipts and balances".to_owned());
        let (refused, mut problems) = self.flight.refused();
        let missing = self.flight.len();
        if missing > 0 {
            let seconds = DRAIN_MAX.as_secs();
            let some = self.flight.some(5);
            problems.push(format!("{missing} transactions are not finalized after {seconds} s, among them {some:?}"));
        }
        let (sample, unknown) = {
            let log = self.log.lock().expect("no holder of the lock panics");
            let step = log.sample.len().div_ceil(RECEIPTS_MAX).max(1);
            (log.sample.iter().step_by(step).copied().collect::<Vec<_>>(), log.unknown)
        };
        if unknown > 0 {
            problems
                .push(format!("{unknown} transactions in blocks were not sent by this program, or are there twice"));
        }
        // Not the box whose blocks were read: what one box finalized, every box has.
        let last = &self.boxes[self.boxes.len() - 1];
        self.catch_up(last).await?;
        let failed = failed_receipts(last, &sample).await?;
        problems.extend(failed.iter().take(10).map(|hash| format!("transaction {hash} failed, its receipt says")));
        if problems.is_empty() {
            let sent: Vec<_> = lanes.iter().map(|lane| lane.position).collect();
            if let Err(error) = self.setup.check_balances(last, &sent).await {
                problems.push(format!("{error:#}"));
            }
        }
        Ok((refused + (missing + failed.len()) as u64, problems))
    }

    /// Waits until `rpc` has the first box's head.
    async fn catch_up(&self, rpc: &Rpc) -> anyhow::Result<()> {
        let head = self.boxes[0].height().await?;
        let start = Instant::now();
        loop {
            let own = rpc.height().await?;
            if own >= head {
                return Ok(());
            }
            let seconds = start.elapsed().as_secs();
            ensure!(
                start.elapsed() < CATCH_UP_MAX,
                "{} is still at block {own} after {seconds} s, not {head}",
                rpc.name
            );
            tokio::time::sleep(POLL).await;
        }
    }
}
