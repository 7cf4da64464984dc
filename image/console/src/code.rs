//! QR codes (ISO/IEC 18004), as half blocks: a character holds two modules above each other.
//!
//! A cell of our glyphs is 8 by 16 pixels and a cell of a terminal is about as slim, so modules are square on both.

use qrcode::{Color, EcLevel, QrCode};

use crate::limits::CODE_BYTES_MAX;

/// Light modules around a code (ISO/IEC 18004, 9.1 asks for four).
const QUIET: usize = 4;

/// A QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Modules with the quiet zone, row by row; dark is `true`.
    modules: Vec<bool>,
    /// Modules of a side with the quiet zone.
    side: usize,
}

impl Code {
    /// The code of a text. `None` where the text is longer than 213 bytes: such a code has no room on a screen.
    pub fn new(text: &str) -> Option<Self> {
        if text.len() > CODE_BYTES_MAX {
            return None;
        }
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        let inner = code.width();
        let side = inner + 2 * QUIET;
        let mut modules = vec![false; side * side];
        for (index, color) in code.to_colors().into_iter().enumerate() {
            let (row, column) = (index / inner, index % inner);
            modules[(row + QUIET) * side + column + QUIET] = color == Color::Dark;
        }
        Some(Self { modules, side })
    }

    /// Columns that it takes.
    pub fn columns(&self) -> usize {
        self.side
    }

    /// Rows that it takes. A side is odd: the last row's lower half is light too.
    pub fn rows(&self) -> usize {
        self.side.div_ceil(2)
    }

    /// The characters of a row, to be shown dark on light.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = char> + '_ {
        let dark =
            move |row: usize, column: usize| self.modules.get(row * self.side + column).copied().unwrap_or(false);
        (0..self.side).map(move |column| match (dark(2 * row, column), dark(2 * row + 1, column)) {
            (false, false) => ' ',
            (true, false) => '▀',
            (false, true) => '▄',
            (true, true) => '█',
        })
    }
}
