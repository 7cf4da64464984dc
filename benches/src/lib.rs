//! What the benchmarks work on: signed transactions, and a chain with blocks to execute and commit.
//!
//! Everything is derived from fixed numbers, so two runs do the same work.

mod chain;
mod state;
mod transactions;

pub use chain::{Blocks, Queue};
pub use state::PopulatedState;
pub use transactions::{CHAIN_ID, Senders, Workload, signatures};

/// Makes a panic say what was being prepared: a benchmark without its fixture has nothing to measure.
pub(crate) fn must<T, E: std::fmt::Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}
