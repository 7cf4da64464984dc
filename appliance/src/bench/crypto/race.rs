//! Implementations side by side: short slices in turn, so that a machine that slows down slows all of them, and every
//! answer compared with the known one. `worker.rs` has the threads that call, `sum.rs` adds up what they did.
//!
//! One call in [`PLANTED_EVERY`] takes jobs among which bad ones are planted. Those calls are a figure of their own: an
//! implementation that checks a batch by one equation does twice the work or more when one signature fails, which it
//! should be neither spared nor blamed for.

mod sum;
mod worker;

use std::{
    ops::Range,
    sync::{Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::time::{ClockId, clock_gettime};

use self::{
    sum::Sum,
    worker::{Order, Slice, Worker},
};
use super::energy::Rapl;

/// How long a contender runs before the next has its turn; a single call may take longer.
pub(super) const SLICE: Duration = Duration::from_millis(60);
/// One call in so many takes the jobs with bad ones among them.
pub(super) const PLANTED_EVERY: usize = 8;

/// Which of a race's two sets of jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// All are good.
    Good,
    /// Bad ones are planted.
    Planted,
}

/// Runs one call on a range of a set's jobs.
pub(super) type Call<'a, T> = Box<dyn Fn(Set, Range<usize>, &mut [T]) -> anyhow::Result<()> + Send + Sync + 'a>;

/// An implementation that takes part.
pub(super) struct Contender<'a, T> {
    /// For messages.
    pub(super) name: String,
    /// Whether it does one job after the other, so that a call with many may be made of several with fewer: a slice is
    /// then short even where a call is long.
    pub(super) one_by_one: bool,
    pub(super) call: Call<'a, T>,
}

/// An answer that is not the known one.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Index of the job in its set.
    pub(super) job: usize,
    /// What was said and what is right.
    pub(super) what: String,
}

/// Compares answers with the known ones; says how many of these were for bad jobs.
pub(super) type Check<'a, T> = dyn Fn(Set, Range<usize>, &[T]) -> Result<usize, Wrong> + Sync + 'a;

/// What is run and for how long.
pub(super) struct Race<'a, T> {
    /// For messages: operation and algorithm.
    pub(super) subject: String,
    /// Jobs in each set.
    pub(super) jobs: usize,
    /// Whether there is a set with bad ones. The first bad one stands among its first [`PLANTED_EVERY`] jobs.
    pub(super) planted: bool,
    /// Jobs in a call.
    pub(super) batch: usize,
    /// Threads that call at the same time.
    pub(super) threads: usize,
    /// How long each contender runs.
    pub(super) duration: Duration,
    /// What stands in place of each answer before a call, so that an answer not given cannot pass for one.
    pub(super) blank: T,
    pub(super) check: &'a Check<'a, T>,
}

/// What a contender did.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Answers compared, and those among them for bad jobs.
    pub(super) verified: u64,
    pub(super) spoilt: u64,
    /// Operations a second of CPU time, of all threads that the implementation uses.
    pub(super) ops_per_cpu_s: f64,
    /// Operations a second.
    pub(super) ops_per_s: f64,
    /// As `ops_per_cpu_s`, for calls with bad jobs.
    pub(super) planted_ops_per_cpu_s: Option<f64>,
    /// Microseconds of a call.
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    /// Operations a second of CPU time slice by slice: the middle half's spread, relative to the median.
    pub(super) spread: f64,
    /// Energy of the processor package, in microjoules for each operation.
    pub(super) uj_per_op: Option<f64>,
}

impl<T: Clone + Send + Sync> Race<'_, T> {
    /// Runs all contenders; fails at the first wrong answer.
    pub(super) fn run(&self, contenders: &[Contender<'_, T>], rapl: Option<&Rapl>) -> anyhow::Result<Vec<Tally>> {
        assert!(self.batch > 0 && self.batch <= self.jobs, "a set has at least one batch");
        let barrier = Barrier::new(self.threads);
        thread::scope(|scope| {
            let team: Vec<_> = (0..self.threads)
                .map(|index| {
                    let (orders, inbox) = mpsc::channel::<Order>();
                    let (outbox, slices) = mpsc::channel();
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let mut worker = Worker::new(self, contenders, index);
                        while let Ok(order) = inbox.recv() {
                            barrier.wait();
                            // A failure goes on by channel; who no longer listens has failed for another reason.
                            let _ = outbox.send(worker.obey(order));
                        }
                    });
                    (orders, slices)
                })
                .collect();
            let run = |order: Order| -> anyhow::Result<Vec<Slice>> {
                for (orders, _) in &team {
                    orders.send(order).context("a measuring thread has ended")?;
                }
                team.iter().map(|(_, slices)| slices.recv().context("a measuring thread has panicked")?).collect()
            };
            self.turns(contenders.len(), rapl, run)
        })
    }

    /// Gives each contender its turn until each has run long enough.
    fn turns(
        &self,
        contenders: usize,
        rapl: Option<&Rapl>,
        run: impl Fn(Order) -> anyhow::Result<Vec<Slice>>,
    ) -> anyhow::Result<Vec<Tally>> {
        let mut sums: Vec<_> = (0..contenders).map(|_| Sum::new(self.threads)).collect();
        for (contender, sum) in sums.iter_mut().enumerate() {
            for slice in run(Order::WarmUp { contender })? {
                sum.count(&slice);
            }
        }
        while sums.iter().any(|sum| sum.wants_more(self.duration)) {
            for (contender, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| sum.wants_more(self.duration)) {
                let (start, cpu_start) = (Instant::now(), process_cpu()?);
                let energy = rapl.and_then(Rapl::read);
                let slices = run(Order::Slice { contender, length: SLICE })?;
                sum.ran += start.elapsed();
                let energy = energy.zip(rapl).and_then(|(energy, rapl)| rapl.since_uj(&energy));
                sum.add(slices, process_cpu()?.saturating_sub(cpu_start), energy);
            }
        }
        Ok(sums.into_iter().map(Sum::tally).collect())
    }
}

fn process_cpu() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("read the process's CPU time")?.into())
}

#[cfg(test)]
mod tests;
