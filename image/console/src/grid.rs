//! Characters in their places: what every renderer gets.

use unicode_width::UnicodeWidthChar as _;

use crate::{
    limits::{COLUMNS_MAX, ROWS_MAX},
    screen::Role,
};

/// Columns and rows of a screen, at least one of each and at most what `limits.rs` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    columns: u16,
    rows: u16,
}

impl Size {
    /// A terminal that does not say what it has: 80 by 24.
    pub const SERIAL: Self = Self { columns: 80, rows: 24 };

    /// A size. What cannot be is brought to what can.
    pub fn new(columns: u16, rows: u16) -> Self {
        Self { columns: columns.clamp(1, COLUMNS_MAX), rows: rows.clamp(1, ROWS_MAX) }
    }

    /// Columns of one width; a Chinese character takes two.
    pub fn columns(self) -> u16 {
        self.columns
    }

    /// Rows.
    pub fn rows(self) -> u16 {
        self.rows
    }
}

/// Columns that a character takes: 1 or 2. One that takes none (a combining mark, an override of direction) has no
/// place in a grid, and `None` is its answer.
pub fn width_of(c: char) -> Option<u16> {
    match c.width()? {
        1 => Some(1),
        2 => Some(2),
        _ => None,
    }
}

/// A text without control characters: what is printed as a line stays one, and is no sequence.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    text.chars().filter_map(width_of).map(usize::from).sum()
}

/// Which part of a magnified character a place shows. Only pixels can do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many rows high and columns wide the character is; 1 for all of it in its own place.
    pub zoom: u8,
    /// Which of these rows, from the top.
    pub row: u8,
    /// Which of these columns, from the left.
    pub column: u8,
}

impl Part {
    /// The whole character.
    pub const WHOLE: Self = Self { zoom: 1, row: 0, column: 0 };
}

/// One place of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What stands here: a character that takes one column or two, or [`Cell::COVERED`].
    pub character: char,
    /// What it is for.
    pub role: Role,
    /// Which part of the character.
    pub part: Part,
}

impl Cell {
    /// The second half of the wide character to the left.
    pub const COVERED: char = '\0';

    /// Nothing.
    pub const BLANK: Self = Self { character: ' ', role: Role::Text, part: Part::WHOLE };
}

/// A screen laid out: every place of it. A wide character is always followed by its covered half in the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grid {
    size: Size,
    cells: Vec<Cell>,
}

impl Grid {
    /// An empty one.
    pub fn new(size: Size) -> Self {
        Self { size, cells: vec![Cell::BLANK; usize::from(size.columns) * usize::from(size.rows)] }
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The places of a row; none below the last.
    pub fn row(&self, row: u16) -> &[Cell] {
        let columns = usize::from(self.size.columns);
        let start = usize::from(row) * columns;
        self.cells.get(start..start + columns).unwrap_or_default()
    }

    /// Every row, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[Cell]> {
        self.cells.chunks_exact(usize::from(self.size.columns))
    }

    /// Puts a text into a row and tells the column behind it. What has no place at the right is cut.
    pub(crate) fn put(&mut self, row: u16, column: u16, text: &str, role: Role) -> u16 {
        text.chars().fold(column, |at, character| self.put_cell(row, at, Cell { character, role, part: Part::WHOLE }))
    }

    /// Puts one character and tells the column behind it, which is the same where there was no place for it.
    pub(crate) fn put_cell(&mut self, row: u16, column: u16, cell: Cell) -> u16 {
        let Some(width) = width_of(cell.character) else { return column };
        let columns = self.size.columns;
        if row >= self.size.rows || column.saturating_add(width) > columns {
            return column;
        }
        let index = usize::from(row) * usize::from(columns) + usize::from(column);
        self.cells[index] = cell;
        if width == 2 {
            self.cells[index + 1] = Cell { character: Cell::COVERED, ..cell };
        }
        column + width
    }

    /// Gives a whole row a role.
    pub(crate) fn fill(&mut self, row: u16, role: Role) {
        let columns = usize::from(self.size.columns);
        let start = usize::from(row) * columns;
        if let Some(cells) = self.cells.get_mut(start..start + columns) {
            cells.fill(Cell { role, ..Cell::BLANK });
        }
    }

    /// The text of a row without the blanks at its end. A magnified character stands in its first place.
    pub fn row_text(&self, row: u16) -> String {
        let shown = |cell: &Cell| if (cell.part.row, cell.part.column) == (0, 0) { cell.character } else { ' ' };
        let text: String = self.row(row).iter().map(shown).filter(|&c| c != Cell::COVERED).collect();
        text.trim_end().to_owned()
    }

    /// The text of all rows, a line each.
    pub fn text(&self) -> String {
        (0..self.size.rows).map(|row| self.row_text(row) + "\n").collect()
    }
}
