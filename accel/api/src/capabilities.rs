//! What an engine is.

use crate::Algorithm;

/// What an engine is and can do; fixed for its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Its name in configuration, metrics and reports.
    pub name: &'static str,
    /// The hardware and the code paths that it chose, for people.
    pub description: String,
    /// What it verifies.
    pub algorithms: Vec<Algorithm>,
    /// The batch from which on a larger one gains little.
    pub batch_preferred: usize,
    /// Whether it prepares keys that repeat, so that they cost less.
    pub known_keys: bool,
}

impl Capabilities {
    /// Whether it verifies `algorithm`.
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}
