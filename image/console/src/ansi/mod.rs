//! A grid on a terminal: UTF-8 and the sequences of ECMA-48 that every terminal since the VT100 knows.
//!
//! Only what changed is sent, as a serial line has 11,520 bytes a second. Nobody tells when a terminal is plugged in or
//! what the kernel printed meanwhile, so the caller forgets now and then what it sent ([`Painter::forget`]).

use crate::{
    grid::{Cell, Grid, printable},
    screen::Role,
};

/// Brings a terminal into a known state: characters of UTF-8's own (not the VT100's drawing set), the whole screen
/// scrolls, nothing wraps, no cursor, no colours. What it shows stays until it is drawn over, so that nothing flickers.
const BEGIN: &str = "\x0f\x1b(B\x1b[r\x1b[?7l\x1b[?25l\x1b[0m";

/// Gives a terminal back.
const END: &str = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[H\x1b[2J";

/// Remembers what a terminal shows, and says what to send so that it shows something else.
#[derive(Debug, Default)]
pub struct Painter {
    shown: Option<Grid>,
}

impl Painter {
    /// A painter of a terminal in any state.
    pub fn new() -> Self {
        Self::default()
    }

    /// The terminal may show anything by now: the next frame is sent whole.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// The bytes that make the terminal show a grid. Empty where it does already. They leave the cursor in the last row,
    /// where a message of the kernel does the least harm.
    pub fn paint(&mut self, grid: &Grid) -> Vec<u8> {
        let shown = self.shown.take().filter(|shown| shown.size() == grid.size());
        let mut out = Output { text: String::new(), role: Role::Text };
        match &shown {
            Some(shown) => {
                for (row, (new, old)) in grid.rows().zip(shown.rows()).enumerate() {
                    out.change(row, new, old);
                }
            }
            None => {
                out.text.push_str(BEGIN);
                for (row, cells) in grid.rows().enumerate() {
                    out.whole(row, cells);
                }
            }
        }
        if !out.text.is_empty() {
            out.role(Role::Text);
            out.go(usize::from(grid.size().rows()) - 1, 0);
        }
        self.shown = Some(grid.clone());
        out.text.into_bytes()
    }

    /// The bytes that print a line for those who log what the terminal gets: whole, on a row of its own, without
    /// colours, at the bottom, from where the terminal scrolls it up. The next frame is sent whole.
    pub fn print(&mut self, line: &str) -> Vec<u8> {
        let rows = self.shown.take().map_or(24, |grid| grid.size().rows());
        format!("\x1b[0m\x1b[{rows};1H\x1b[2K{}\r\n", printable(line)).into_bytes()
    }

    /// The bytes that give the terminal back as it was, but empty.
    pub fn end(&mut self) -> Vec<u8> {
        self.forget();
        END.into()
    }
}

/// Sequences for a terminal whose colours are those of a role.
struct Output {
    text: String,
    role: Role,
}

impl Output {
    /// Sends a row from the first to the last place that changed.
    fn change(&mut self, row: usize, new: &[Cell], old: &[Cell]) {
        let differs = |column: &usize| new[*column] != old[*column];
        let Some(first) = (0..new.len()).find(differs) else { return };
        let last = (0..new.len()).rfind(differs).unwrap_or(first);
        // Half a wide character is none: begin at its first half and end behind its second, in both frames.
        let is_covered = |column: &usize| [new, old].iter().any(|row| row[*column].character == Cell::COVERED);
        let start = (0..=first).rfind(|column| !is_covered(column)).unwrap_or(0);
        let end = (last + 1..new.len()).find(|column| !is_covered(column)).unwrap_or(new.len());
        self.go(row, start);
        self.cells(&new[start..end]);
    }

    /// Sends a row and erases what else is in it, without a moment in which the row is empty.
    fn whole(&mut self, row: usize, cells: &[Cell]) {
        let end = cells.iter().rposition(|cell| *cell != Cell::BLANK).map_or(0, |last| last + 1);
        self.role(Role::Text);
        self.go(row, 0);
        if end == cells.len() {
            // Erasing behind the last place would take that place too.
            self.text.push_str("\x1b[2K");
        }
        self.cells(&cells[..end]);
        if end < cells.len() {
            self.role(Role::Text);
            self.text.push_str("\x1b[K");
        }
    }

    fn cells(&mut self, cells: &[Cell]) {
        for cell in cells.iter().filter(|cell| cell.character != Cell::COVERED) {
            self.role(cell.role);
            self.text.push(cell.character);
        }
    }

    fn role(&mut self, role: Role) {
        if role != self.role {
            self.role = role;
            self.text.push_str(colours(role));
        }
    }

    /// Cursor Position (ECMA-48, 8.3.21), which counts from one.
    fn go(&mut self, row: usize, column: usize) {
        self.text.push_str(&format!("\x1b[{};{}H", row + 1, column + 1));
    }
}

/// Select Graphic Rendition (ECMA-48, 8.3.117) of a role, from whatever was before.
fn colours(role: Role) -> &'static str {
    match role {
        Role::Text => "\x1b[0m",
        Role::Title => "\x1b[0;1;37;44m",
        Role::Strong => "\x1b[0;1m",
        Role::Quiet => "\x1b[0;36m",
        Role::Warning => "\x1b[0;1;33m",
        Role::Chosen => "\x1b[0;7m",
        Role::Done => "\x1b[0;32m",
        Role::Code => "\x1b[0;30;47m",
    }
}

#[cfg(test)]
mod tests;
