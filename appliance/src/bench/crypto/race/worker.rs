//! The threads that call.
//!
//! Calls come in bursts. The clocks are read around a burst, so that reading them costs nothing against what they
//! measure; answers are compared between bursts, off the clock.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::time::{ClockId, clock_gettime};

use super::{Contender, PLANTED_EVERY, Race, Set, Wrong};

/// A burst is at least so long: reading a thread's CPU clock is a system call.
const BURST: Duration = Duration::from_micros(200);
/// Calls shorter than this share a latency sample.
const STAMP: Duration = Duration::from_micros(5);
/// Calls of a contender before the first slice: as long as this, and two at least.
const WARM_UP: Duration = Duration::from_millis(40);
/// How long a call of a contender that does one job after the other may be; and jobs in its first calls.
const PIECE: Duration = Duration::from_millis(15);
const FIRST_PIECE: usize = 8;
/// Answers that a burst may hold, which bounds its memory.
const ANSWERS_MAX: usize = 1 << 16;

/// What the threads do next, all together.
#[derive(Clone, Copy)]
pub(super) enum Order {
    WarmUp { contender: usize },
    Slice { contender: usize, length: Duration },
}

/// What a thread did in a slice.
#[derive(Default)]
pub(super) struct Slice {
    pub(super) verified: u64,
    pub(super) spoilt: u64,
    pub(super) ops: u64,
    pub(super) wall: Duration,
    pub(super) cpu: Duration,
    pub(super) planted_ops: u64,
    pub(super) planted_cpu: Duration,
    /// CPU time of the whole slice, with what is off the clock.
    pub(super) whole_cpu: Duration,
    pub(super) calls_us: Vec<f32>,
}

/// A thread that calls.
pub(super) struct Worker<'a, T> {
    race: &'a Race<'a, T>,
    contenders: &'a [Contender<'a, T>],
    index: usize,
    lanes: Vec<Lane>,
    answers: Vec<T>,
}

/// Where a thread is with a contender.
#[derive(Clone, Copy)]
struct Lane {
    /// Jobs in a call to the contender: a whole batch, or a part of one that divides it.
    piece: usize,
    /// The next pieces of either set.
    good: usize,
    planted: usize,
    /// Pieces in a burst, and pieces that share a reading of the clock.
    burst: usize,
    group: usize,
    /// Good pieces for which no planted one was run yet.
    owed: usize,
    /// Pieces of a batch that is not whole yet, and the time they took.
    parts: usize,
    parts_time: Duration,
}

impl Lane {
    fn new(race: &Race<'_, impl Sized>, piece: usize, thread: usize) -> Self {
        // Threads start at different jobs.
        let good = race.jobs / piece * thread / race.threads;
        Self { piece, good, planted: 0, burst: 1, group: 1, owed: 0, parts: 0, parts_time: Duration::ZERO }
    }
}

impl<'a, T: Clone> Worker<'a, T> {
    pub(super) fn new(race: &'a Race<'a, T>, contenders: &'a [Contender<'a, T>], index: usize) -> Self {
        let lane = |contender: &Contender<'_, T>| {
            let piece = if contender.one_by_one { largest_part(race.batch, FIRST_PIECE) } else { race.batch };
            Lane::new(race, piece, index)
        };
        Self { race, contenders, index, lanes: contenders.iter().map(lane).collect(), answers: Vec::new() }
    }

    pub(super) fn obey(&mut self, order: Order) -> anyhow::Result<Slice> {
        let cpu_start = thread_cpu()?;
        let mut slice = Slice::default();
        match order {
            Order::WarmUp { contender } => self.warm_up(contender, &mut slice)?,
            Order::Slice { contender, length } => {
                let start = Instant::now();
                while slice.ops == 0 || start.elapsed() < length {
                    self.step(contender, &mut slice)?;
                }
            }
        }
        slice.whole_cpu = thread_cpu()?.saturating_sub(cpu_start);
        Ok(slice)
    }

    /// Makes the contender answer for bad jobs first, then finds out how long its calls are.
    fn warm_up(&mut self, contender: usize, slice: &mut Slice) -> anyhow::Result<()> {
        let piece = self.lanes[contender].piece;
        if self.race.planted {
            for _ in 0..PLANTED_EVERY.div_ceil(piece) {
                self.burst(contender, Set::Planted, 1, slice)?;
            }
        }
        let start = Instant::now();
        let (mut calls, mut last) = (0, Duration::ZERO);
        while calls < 2 || start.elapsed() < WARM_UP {
            let before = slice.wall;
            self.burst(contender, Set::Good, 1, slice)?;
            last = slice.wall - before;
            calls += 1;
        }
        let ns = |time: Duration| time.as_nanos().max(1);
        let fit = |time: Duration, jobs: usize| {
            usize::try_from((ns(time) * piece as u128).div_ceil(ns(last) * jobs as u128)).unwrap_or(usize::MAX)
        };
        let piece =
            if self.contenders[contender].one_by_one { largest_part(self.race.batch, fit(PIECE, 1)) } else { piece };
        let burst = fit(BURST, piece).min(ANSWERS_MAX / piece).max(1);
        let group = fit(STAMP, piece).min(burst);
        let lane = self.lanes[contender];
        let planted = lane.planted * lane.piece / piece;
        self.lanes[contender] = Lane { planted, burst, group, ..Lane::new(self.race, piece, self.index) };
        Ok(())
    }

    /// A burst of good jobs, and the planted ones that are due.
    fn step(&mut self, contender: usize, slice: &mut Slice) -> anyhow::Result<()> {
        let calls = self.lanes[contender].burst;
        self.burst(contender, Set::Good, calls, slice)?;
        if self.race.planted {
            let owed = self.lanes[contender].owed + calls;
            self.lanes[contender].owed = owed % (PLANTED_EVERY - 1);
            let due = owed / (PLANTED_EVERY - 1);
            if due > 0 {
                self.burst(contender, Set::Planted, due, slice)?;
            }
        }
        Ok(())
    }

    fn burst(&mut self, contender: usize, set: Set, calls: usize, slice: &mut Slice) -> anyhow::Result<()> {
        let Race { batch, jobs, .. } = *self.race;
        let Contender { name, call, .. } = &self.contenders[contender];
        let lane = &mut self.lanes[contender];
        let piece = lane.piece;
        let pieces = jobs / piece;
        let next = match set {
            Set::Good => &mut lane.good,
            Set::Planted => &mut lane.planted,
        };
        let first = *next % pieces;
        *next = first + calls;
        let range = |call: usize| {
            let start = (first + call) % pieces * piece;
            start..start + piece
        };
        self.answers.resize(calls * piece, self.race.blank.clone());
        self.answers.iter_mut().for_each(|answer| answer.clone_from(&self.race.blank));
        let (cpu_start, start) = (thread_cpu()?, Instant::now());
        let (mut stamp, mut since) = (start, 0);
        for (index, answers) in self.answers.chunks_exact_mut(piece).enumerate() {
            call(set, range(index), answers).with_context(|| format!("{name} failed at {}", self.race.subject))?;
            since += 1;
            if set == Set::Good && (since == lane.group || index + 1 == calls) {
                let now = Instant::now();
                (lane.parts, lane.parts_time) = (lane.parts + since, lane.parts_time + (now - stamp));
                if lane.parts >= batch / piece {
                    let calls = (lane.parts * piece) as f32 / batch as f32;
                    slice.calls_us.push(lane.parts_time.as_secs_f32() * 1e6 / calls);
                    (lane.parts, lane.parts_time) = (0, Duration::ZERO);
                }
                (stamp, since) = (now, 0);
            }
        }
        let wall = start.elapsed();
        let cpu = thread_cpu()?.saturating_sub(cpu_start);
        for (index, answers) in self.answers.chunks_exact(piece).enumerate() {
            let spoilt = (self.race.check)(set, range(index), answers);
            slice.spoilt += spoilt.or_else(|wrong| self.wrong(name, set, &wrong))? as u64;
        }
        let ops = (calls * piece) as u64;
        slice.verified += ops;
        match set {
            Set::Good => (slice.ops, slice.wall, slice.cpu) = (slice.ops + ops, slice.wall + wall, slice.cpu + cpu),
            Set::Planted => (slice.planted_ops, slice.planted_cpu) = (slice.planted_ops + ops, slice.planted_cpu + cpu),
        }
        Ok(())
    }

    fn wrong(&self, name: &str, set: Set, wrong: &Wrong) -> anyhow::Result<usize> {
        let among = match set {
            Set::Good => "",
            Set::Planted => " of those with bad ones among them",
        };
        bail!(
            "{name} gave a wrong answer at {}, job {}{among}: {}. No figure of this run can be trusted; repeat it with \
             the same --seed, and report the implementation's version and the CPU model",
            self.race.subject,
            wrong.job,
            wrong.what,
        )
    }
}

/// The largest number that divides `whole` and is at most `most`; one if `most` is zero.
fn largest_part(whole: usize, most: usize) -> usize {
    (1..=most.clamp(1, whole)).rev().find(|part| whole.is_multiple_of(*part)).unwrap_or(1)
}

fn thread_cpu() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("read the thread's CPU time")?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_divide_the_whole() {
        assert_eq!(
            [(1024, 100), (1024, 5000), (997, 100), (96, 50), (8, 0)].map(|(w, m)| largest_part(w, m)),
            [64, 1024, 1, 48, 1]
        );
    }
}
