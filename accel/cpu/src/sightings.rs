//! How often a key was seen lately, in fixed memory: a count-min sketch that forgets (Einziger, Friedman and Manes,
//! "TinyLFU", 2017, §3).
//!
//! It decides which keys are worth a table. A stream of keys that are seen once leaves small counts only, however long
//! it is, and all counts are halved at regular intervals.

use std::hash::{BuildHasher as _, RandomState};

/// Counters in each row.
const COLUMNS: usize = 1 << 14;
const ROWS: usize = 4;
/// Sightings after which all counts are halved: in the mean, an old key then adds below one to a counter.
const PERIOD: usize = COLUMNS / 2;

pub(crate) struct Sightings {
    /// Keyed at random, so that nobody can aim at a counter.
    hasher: RandomState,
    counts: Box<[[u8; COLUMNS]; ROWS]>,
    since_halved: usize,
}

/// What a sighting says.
pub(crate) struct Sighting {
    /// How often the key was seen lately; sometimes more, never less.
    pub(crate) count: u8,
    /// Whether everything that counts keys must now halve its counts.
    pub(crate) halve: bool,
}

impl Default for Sightings {
    fn default() -> Self {
        Self { hasher: RandomState::new(), counts: Box::new([[0; COLUMNS]; ROWS]), since_halved: 0 }
    }
}

impl Sightings {
    /// Counts a key.
    pub(crate) fn count(&mut self, key: &[u8; 64]) -> Sighting {
        let columns = self.hasher.hash_one(key).to_le_bytes();
        let mut count = u8::MAX;
        for (row, counts) in self.counts.iter_mut().enumerate() {
            let column = usize::from(u16::from_le_bytes([columns[2 * row], columns[2 * row + 1]])) % COLUMNS;
            counts[column] = counts[column].saturating_add(1);
            count = count.min(counts[column]);
        }
        self.since_halved += 1;
        let halve = self.since_halved == PERIOD;
        if halve {
            self.since_halved = 0;
            for count in self.counts.as_flattened_mut() {
                *count /= 2;
            }
        }
        Sighting { count, halve }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    #[test]
    fn a_key_that_repeats_stands_out_of_a_flood_of_fresh_ones() {
        let mut sightings = Sightings::default();
        let mut random = Random(0x5eed);
        let regular = random.bytes();
        let (mut regular_count, mut fresh_over_8) = (0, 0);
        for round in 0..40_000 {
            fresh_over_8 += usize::from(sightings.count(&random.bytes()).count > 8);
            if round % 100 == 0 {
                regular_count = sightings.count(&regular).count;
            }
        }
        assert!(regular_count > 30, "{regular_count}");
        assert!(fresh_over_8 < 4, "{fresh_over_8} of 40000 fresh keys looked frequent");
    }

    #[test]
    fn what_is_not_seen_any_more_is_forgotten() {
        let mut sightings = Sightings::default();
        let mut random = Random(0x5eed);
        let key = random.bytes();
        for _ in 0..200 {
            sightings.count(&key);
        }
        let mut halved = 0;
        while halved < 8 {
            halved += usize::from(sightings.count(&random.bytes()).halve);
        }
        assert!(sightings.count(&key).count < 6);
    }
}
