//! What an engine has done. Relaxed atomics: the numbers are for people, no decision rests on their order.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Running totals of an engine.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)*
        }

        /// The totals at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// The totals now.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Batches.
    batches,
    /// Results given.
    verdicts,
    /// Results that were a refusal.
    refused,
    /// Results by a prepared key.
    key_hits,
    /// Results by a key that was not prepared.
    key_misses,
    /// Sender hints that were wrong.
    hints_wrong,
    /// Keys prepared.
    keys_prepared,
    /// Prepared keys given up for others.
    keys_evicted,
    /// Time spent on batches, in nanoseconds of wall time.
    busy_ns,
}

impl Counters {
    /// Counts a batch of `verdicts` results, `refused` of them refusals, that took `took`.
    pub fn batch(&self, verdicts: usize, refused: usize, took: Duration) {
        self.batches.fetch_add(1, Relaxed);
        self.verdicts.fetch_add(verdicts as u64, Relaxed);
        self.refused.fetch_add(refused as u64, Relaxed);
        self.busy_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts results by whether their key was prepared.
    pub fn keys(&self, hits: usize, misses: usize) {
        self.key_hits.fetch_add(hits as u64, Relaxed);
        self.key_misses.fetch_add(misses as u64, Relaxed);
    }

    /// Counts wrong sender hints.
    pub fn wrong_hints(&self, count: usize) {
        self.hints_wrong.fetch_add(count as u64, Relaxed);
    }

    /// Counts a key that was prepared.
    pub fn prepared(&self) {
        self.keys_prepared.fetch_add(1, Relaxed);
    }

    /// Counts prepared keys that were given up.
    pub fn evicted(&self, count: usize) {
        self.keys_evicted.fetch_add(count as u64, Relaxed);
    }
}
