//! A screen for those who log a serial line, and for terminals that know no sequences: lines, when they change.

use std::time::Duration;

use crate::{
    grid::{Cell, Grid},
    screen::Role,
};

/// How often a screen of the same title is printed at most. A progress bar would fill a log otherwise.
const INTERVAL: Duration = Duration::from_secs(10);

/// Remembers what was printed.
#[derive(Debug, Default)]
pub struct Printer {
    lines: Vec<String>,
    printed_at: Option<Duration>,
}

impl Printer {
    /// Nothing printed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything is printed again with the next screen.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The lines of a screen that were not in the one before, each with CR LF behind it. QR codes are left out, and
    /// nothing is printed where the last screen has the same title and is younger than ten seconds: call again.
    pub fn paint(&mut self, grid: &Grid, now: Duration) -> Vec<u8> {
        let lines: Vec<String> = grid.rows().map(text).collect();
        let is_new = lines.first() != self.lines.first();
        let is_young = self.printed_at.is_some_and(|at| now.saturating_sub(at) < INTERVAL);
        if !is_new && is_young {
            return Vec::new();
        }
        let changed = lines.iter().filter(|line| !line.is_empty() && (is_new || !self.lines.contains(line)));
        let out = changed.map(|line| line.clone() + "\r\n").collect::<String>().into_bytes();
        if !out.is_empty() {
            self.printed_at = Some(now);
        }
        self.lines = lines;
        out
    }
}

fn text(row: &[Cell]) -> String {
    let shown = row.iter().filter(|cell| cell.character != Cell::COVERED);
    let text: String = shown.map(|cell| if cell.role == Role::Code { ' ' } else { cell.character }).collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        code::Code,
        grid::Size,
        layout::{Abilities, layout},
        screen::Screen,
    };

    fn grid(title: &str, lines: &[&str]) -> Grid {
        let mut screen = Screen::new(title).code(Code::new("https://192.0.2.7"));
        lines.iter().for_each(|line| screen.line(*line));
        layout(&screen, Size::SERIAL, Abilities::default())
    }

    #[test]
    fn a_line_is_printed_once() {
        let mut printer = Printer::new();
        let mut print = |title, lines: &[&str], seconds| {
            String::from_utf8(printer.paint(&grid(title, lines), Duration::from_secs(seconds))).unwrap()
        };
        assert_eq!(print("Box", &["one", "two"], 0), " Box\r\n one\r\n two\r\n");
        assert_eq!(print("Box", &["one", "three"], 5), "");
        assert_eq!(print("Box", &["one", "three"], 10), " three\r\n");
        assert_eq!(print("Box", &["one", "three"], 30), "");
        assert_eq!(print("Box", &["one", "four"], 31), " four\r\n");
        assert_eq!(print("Other", &["one"], 32), " Other\r\n one\r\n");
    }
}
