//! What the person who waits sees.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

/// Steps with the time that they took, on standard error.
#[derive(Debug)]
pub struct Progress {
    /// None says nothing.
    started: Option<Instant>,
}

impl Progress {
    /// One that shows.
    #[must_use]
    pub fn shown() -> Self {
        Self { started: Some(Instant::now()) }
    }

    /// One that does not, for tests and for programs that call this one.
    #[must_use]
    pub const fn silent() -> Self {
        Self { started: None }
    }

    /// Says what goes on, with the seconds since the beginning.
    pub fn note(&self, text: &str) {
        if let Some(started) = self.started {
            // Nobody to read it is no reason to stop.
            let _ = writeln!(anstream::stderr(), "[{}] {text}", seconds(started.elapsed()));
        }
    }
}

fn seconds(elapsed: Duration) -> String {
    format!("{:6.1} s", elapsed.as_secs_f64())
}

/// A size for people.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(megabytes(91_973_632), "91.9 MB");
        assert_eq!(seconds(Duration::from_millis(12_345)), "  12.3 s");
    }
}
