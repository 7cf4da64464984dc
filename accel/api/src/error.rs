//! Failures of an engine, as opposed to signatures that do not hold.

use thiserror::Error;

use crate::Algorithm;

/// Why an engine gave no verdicts.
#[derive(Debug, Error)]
pub enum EngineError {
    /// It has no code for the algorithm.
    #[error("the {engine} engine does not implement {algorithm}; choose another engine for it")]
    Unsupported {
        /// Its name.
        engine: &'static str,
        /// What was asked for.
        algorithm: Algorithm,
    },
    /// It gave a wrong answer to a question whose answer is known.
    #[error("the {engine} engine failed its self-test of {subject}; do not use it, and report the machine's CPU model")]
    SelfTest {
        /// Its name.
        engine: &'static str,
        /// The algorithm or hash.
        subject: &'static str,
    },
}
