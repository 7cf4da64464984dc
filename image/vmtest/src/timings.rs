//! How long a boot took, and what it cost.

use std::{fmt, time::Duration};

/// A marker that was waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// What it was.
    pub marker: String,
    /// Since power on.
    pub wall: Duration,
    /// Processor time of QEMU's process since power on, all threads together.
    pub processor: Duration,
}

/// The markers of one boot, in their order. It shows itself as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timings(pub Vec<Timing>);

impl fmt::Display for Timings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>8}  {:>8}  marker", "wall s", "CPU s")?;
        for Timing { marker, wall, processor } in &self.0 {
            writeln!(f, "{:8.1}  {:8.1}  {marker}", wall.as_secs_f64(), processor.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each() {
        let timing = |marker: &str, seconds: u64| Timing {
            marker: marker.to_owned(),
            wall: Duration::from_millis(seconds * 1000),
            processor: Duration::from_millis(seconds * 1500),
        };
        let table = Timings(vec![timing("\"a\"", 3), timing("/b/", 120)]).to_string();
        assert_eq!(table, "  wall s     CPU s  marker\n     3.0       4.5  \"a\"\n   120.0     180.0  /b/\n");
    }
}
