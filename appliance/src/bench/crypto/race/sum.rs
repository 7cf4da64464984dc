//! What a contender did, added up.

use std::time::Duration;

use super::{Tally, worker::Slice};
use crate::bench::crypto::samples::Samples;

/// What a contender did so far.
pub(super) struct Sum {
    pub(super) ran: Duration,
    verified: u64,
    spoilt: u64,
    ops: u64,
    /// By thread.
    wall: Vec<(u64, Duration)>,
    cpu: Duration,
    planted_ops: u64,
    planted_cpu: Duration,
    calls_us: Samples,
    slices: Vec<f64>,
    energy_uj: Option<f64>,
    energy_ops: u64,
}

impl Sum {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            ran: Duration::ZERO,
            verified: 0,
            spoilt: 0,
            ops: 0,
            wall: vec![(0, Duration::ZERO); threads],
            cpu: Duration::ZERO,
            planted_ops: 0,
            planted_cpu: Duration::ZERO,
            calls_us: Samples::default(),
            slices: Vec::new(),
            energy_uj: None,
            energy_ops: 0,
        }
    }

    /// Whether it has not run for `duration`, or has not made a whole call yet.
    pub(super) fn wants_more(&self, duration: Duration) -> bool {
        self.ran < duration || self.calls_us.is_empty()
    }

    /// Counts answers that are no part of a figure.
    pub(super) fn count(&mut self, slice: &Slice) {
        self.verified += slice.verified;
        self.spoilt += slice.spoilt;
    }

    pub(super) fn add(&mut self, slices: Vec<Slice>, process_cpu: Duration, energy_uj: Option<f64>) {
        let whole: Duration = slices.iter().map(|slice| slice.whole_cpu).sum();
        // What the process used beyond the calling threads was used by threads of the implementation.
        let helpers = process_cpu.saturating_sub(whole).as_secs_f64() / whole.as_secs_f64().max(1e-9);
        let (mut ops, mut cpu) = (0, Duration::ZERO);
        for (slice, (thread_ops, wall)) in slices.iter().zip(&mut self.wall) {
            self.verified += slice.verified;
            self.spoilt += slice.spoilt;
            ops += slice.ops;
            cpu += slice.cpu.mul_f64(1.0 + helpers);
            *thread_ops += slice.ops;
            *wall += slice.wall;
            self.planted_ops += slice.planted_ops;
            self.planted_cpu += slice.planted_cpu.mul_f64(1.0 + helpers);
            self.calls_us.extend(&slice.calls_us);
            if let Some(energy_uj) = energy_uj {
                // The counter runs through the slice's calls of both kinds.
                self.energy_ops += slice.ops + slice.planted_ops;
                *self.energy_uj.get_or_insert(0.0) += energy_uj / slices.len() as f64;
            }
        }
        self.ops += ops;
        self.cpu += cpu;
        self.slices.push(rate(ops, cpu));
    }

    pub(super) fn tally(self) -> Tally {
        let (p50_us, p99_us) = self.calls_us.percentiles();
        Tally {
            verified: self.verified,
            spoilt: self.spoilt,
            ops_per_cpu_s: rate(self.ops, self.cpu),
            ops_per_s: self.wall.iter().map(|(ops, wall)| rate(*ops, *wall)).sum(),
            planted_ops_per_cpu_s: (self.planted_ops > 0).then(|| rate(self.planted_ops, self.planted_cpu)),
            p50_us,
            p99_us,
            spread: spread(self.slices),
            uj_per_op: self.energy_uj.map(|uj| uj / self.energy_ops as f64),
        }
    }
}

fn rate(ops: u64, time: Duration) -> f64 {
    ops as f64 / time.as_secs_f64().max(1e-9)
}

/// The range of the middle half, relative to the median.
fn spread(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let quartile = |quarter: usize| values.get(values.len() * quarter / 4).copied().unwrap_or(0.0);
    (quartile(3) - quartile(1)) / quartile(2).max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_half_is_the_spread() {
        assert_eq!(spread(vec![]), 0.0);
        assert_eq!(spread(vec![5.0, 5.0, 5.0]), 0.0);
        assert_eq!(spread(vec![80.0, 90.0, 100.0, 110.0]), 0.2);
    }
}
