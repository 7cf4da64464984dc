//! Latency samples in bounded memory.

/// Samples kept at most: 4 MiB.
const SAMPLES_MAX: usize = 1 << 20;

/// Every sample, or evenly spaced ones where there are too many.
#[derive(Debug)]
pub(super) struct Samples {
    kept: Vec<f32>,
    /// One in so many is kept.
    step: usize,
    seen: usize,
}

impl Default for Samples {
    fn default() -> Self {
        Self { kept: Vec::new(), step: 1, seen: 0 }
    }
}

impl Samples {
    /// Takes samples in.
    pub(super) fn extend(&mut self, samples: &[f32]) {
        for sample in samples {
            if self.seen.is_multiple_of(self.step) {
                if self.kept.len() == SAMPLES_MAX {
                    let mut index = 0;
                    self.kept.retain(|_| {
                        index += 1;
                        index % 2 == 1
                    });
                    self.step *= 2;
                }
                self.kept.push(*sample);
            }
            self.seen += 1;
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Median and 99th percentile by nearest rank; zero without samples.
    pub(super) fn percentiles(mut self) -> (f64, f64) {
        self.kept.sort_by(f32::total_cmp);
        let rank = |percent: usize| {
            let rank = (self.kept.len() * percent).div_ceil(100);
            self.kept.get(rank.saturating_sub(1)).copied().map_or(0.0, f64::from)
        };
        (rank(50), rank(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let of = |samples: &[f32]| {
            let mut all = Samples::default();
            all.extend(samples);
            all.percentiles()
        };
        assert_eq!(of(&[]), (0.0, 0.0));
        assert_eq!(of(&[7.0]), (7.0, 7.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), (2.0, 9.0));
        let hundred: Vec<f32> = (1..=100u8).rev().map(f32::from).collect();
        assert_eq!(of(&hundred), (50.0, 99.0));
    }

    #[test]
    fn too_many_samples_are_thinned_evenly() {
        let mut all = Samples::default();
        let ramp: Vec<f32> = (0..3 * SAMPLES_MAX).map(|index| index as f32).collect();
        all.extend(&ramp);
        assert!(all.kept.len() <= SAMPLES_MAX && all.kept.len() >= SAMPLES_MAX / 2, "{} kept", all.kept.len());
        let (p50, p99) = all.percentiles();
        let whole = ramp.len() as f64;
        assert!((p50 / whole - 0.5).abs() < 0.01, "{p50} of {whole}");
        assert!((p99 / whole - 0.99).abs() < 0.01, "{p99} of {whole}");
    }
}
