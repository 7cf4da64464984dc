//! From what is to be seen to where it stands.
//!
//! A screen has a title row, a body, and a last row that tells what keys do. A QR code stands at the right of the body
//! and the text flows around it. Where rows are short, first the air goes, then the size of large letters, then the
//! code; a body that is still too long is cut, and moved so that the chosen item is in sight.

use crate::{
    grid::{self, Cell, Grid, Part, Size},
    screen::{Block, Line, Role, Screen},
    wrap::{Piece, wrap},
};

/// Columns that text keeps beside a QR code. Half of a recovery key has 36, and the code of an IPv6 address with its port
/// leaves just that of 80.
const BESIDE_CODE_COLUMNS: usize = 36;

/// Columns without text at the left and at the right.
const MARGIN: u16 = 1;

/// How far a large letter is magnified at most.
const ZOOM_MAX: u8 = 3;

/// What the place can do that shows the screen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Abilities {
    /// It shows magnified characters: it has pixels.
    pub zoom: bool,
    /// What the last row says at its right end: the key that changes the language, where there is a choice.
    pub hint: &'static str,
}

/// How much of what is nice to have is left out, in the order in which it goes.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Density {
    Roomy,
    NoGaps,
    NoLarge,
    NoCode,
}

/// Lays a screen out.
pub fn layout(screen: &Screen, size: Size, abilities: Abilities) -> Grid {
    let mut grid = Grid::new(size);
    put_title(&mut grid, screen);
    let has_keys = size.rows() >= 4 && !(screen.keys.is_empty() && abilities.hint.is_empty());
    if has_keys {
        put_keys(&mut grid, &screen.keys, abilities.hint);
    }
    let top = if size.rows() >= 16 { 2 } else { 1 };
    let height = usize::from(size.rows().saturating_sub(top + if has_keys { 2 } else { 0 }));
    let flow = |density| Body::flow(screen, size, height, density, abilities.zoom);
    [Density::Roomy, Density::NoGaps, Density::NoLarge]
        .into_iter()
        .map(flow)
        .find(|body| body.rows.len() <= height)
        .unwrap_or_else(|| flow(Density::NoCode))
        .put(&mut grid, screen, top, height);
    grid
}

fn put_title(grid: &mut Grid, screen: &Screen) {
    grid.fill(0, Role::Title);
    let mut at = MARGIN;
    for span in &screen.title.spans {
        at = grid.put(0, at, &span.text, span.role);
    }
    let columns = usize::from(grid.size().columns());
    if let Some(start) = columns.checked_sub(grid::width(&screen.corner) + usize::from(MARGIN))
        && start > usize::from(at)
    {
        grid.put(0, saturate(start), &screen.corner, Role::Title);
    }
}

fn put_keys(grid: &mut Grid, keys: &str, hint: &str) {
    let row = grid.size().rows() - 1;
    let end = grid.put(row, MARGIN, keys, Role::Quiet);
    let start = usize::from(grid.size().columns()).checked_sub(grid::width(hint) + usize::from(MARGIN));
    if let Some(start) = start.filter(|&start| start > usize::from(end)) {
        grid.put(row, saturate(start), hint, Role::Quiet);
    }
}

/// Rows of a body.
struct Body {
    rows: Vec<Row>,
    /// Whether the code has its place.
    has_code: bool,
}

/// One of them: characters in their columns.
#[derive(Default)]
struct Row {
    cells: Vec<(u16, Cell)>,
    chosen: bool,
}

impl Row {
    /// Puts pieces at a column.
    fn put(&mut self, column: usize, pieces: &[Piece]) {
        let mut at = column;
        for piece in pieces {
            let cell = Cell { character: piece.character, role: piece.role, part: Part::WHOLE };
            self.cells.push((saturate(at), cell));
            at += usize::from(piece.width);
        }
    }

    fn put_text(&mut self, column: usize, text: &str, role: Role) {
        let row = wrap(&Line::new().with(role, text), |_| usize::MAX).into_iter().next().unwrap_or_default();
        self.put(column, &row);
    }
}

impl Body {
    fn flow(screen: &Screen, size: Size, height: usize, density: Density, zoom: bool) -> Self {
        let full = usize::from(size.columns().saturating_sub(2 * MARGIN)).max(2);
        let code = screen.code.as_ref().filter(|code| {
            density < Density::NoCode && full >= code.columns() + 1 + BESIDE_CODE_COLUMNS && height >= code.rows()
        });
        let width = |row: usize| match code {
            Some(code) if row < code.rows() => full - code.columns() - 1,
            _ => full,
        };
        let names = screen.blocks.iter().map(|block| match block {
            Block::Field { name, .. } => grid::width(name) + 2,
            _ => 0,
        });
        let names = names.max().unwrap_or(0).min(full / 2);
        let mut body = Self { rows: Vec::new(), has_code: code.is_some() };
        for block in &screen.blocks {
            match block {
                Block::Line(line) => body.wrapped(0, line, width),
                Block::Indented(indent, line) => body.wrapped(usize::from(*indent).min(full / 2), line, width),
                Block::Field { name, value } => {
                    let first = body.rows.len();
                    body.wrapped(names, value, width);
                    body.rows[first].put_text(0, name, Role::Quiet);
                }
                Block::Item { mark, text, chosen } => body.item(mark, text, *chosen, width),
                Block::Bar(thousandths) => body.bar(*thousandths, width),
                Block::Large(text) => body.large(text, width, zoom && density < Density::NoLarge),
                Block::Gap if density < Density::NoGaps => body.rows.push(Row::default()),
                Block::Gap => {}
            }
        }
        body
    }

    fn wrapped(&mut self, indent: usize, line: &Line, width: impl Fn(usize) -> usize) {
        let first = self.rows.len();
        for pieces in wrap(line, |row| width(first + row).saturating_sub(indent)) {
            let mut row = Row::default();
            row.put(indent, &pieces);
            self.rows.push(row);
        }
    }

    /// An item; the chosen one is a bar from the left to the right, with a pointer for terminals without colours.
    fn item(&mut self, mark: &str, text: &Line, chosen: bool, width: impl Fn(usize) -> usize + Copy) {
        let indent = 2 + grid::width(mark) + if mark.is_empty() { 0 } else { 2 };
        let first = self.rows.len();
        self.wrapped(indent, text, width);
        self.rows[first].put_text(2, mark, Role::Quiet);
        if !chosen {
            return;
        }
        self.rows[first].put_text(0, "►", Role::Chosen);
        for (index, row) in self.rows.iter_mut().enumerate().skip(first) {
            let mut cells: Vec<(u16, Cell)> = (0..width(index))
                .map(|column| (saturate(column), Cell { role: Role::Chosen, ..Cell::BLANK }))
                .collect();
            cells.extend(row.cells.drain(..).map(|(column, cell)| (column, Cell { role: Role::Chosen, ..cell })));
            *row = Row { cells, chosen: true };
        }
    }

    fn bar(&mut self, thousandths: u16, width: impl Fn(usize) -> usize) {
        let all = width(self.rows.len());
        let done = all * usize::from(thousandths.min(1000)) / 1000;
        let mut row = Row::default();
        row.put_text(0, &"█".repeat(done), Role::Done);
        row.put_text(done, &"░".repeat(all - done), Role::Quiet);
        self.rows.push(row);
    }

    fn large(&mut self, text: &str, width: impl Fn(usize) -> usize, zoom: bool) {
        let room = width(self.rows.len()).min(width(self.rows.len() + usize::from(ZOOM_MAX) - 1));
        let letters: Vec<char> = text.chars().filter(|&c| grid::width_of(c) == Some(1)).collect();
        let fitting = (2..=ZOOM_MAX).rev().find(|&zoom| letters.len() * usize::from(zoom) <= room);
        let Some(zoom) = fitting.filter(|_| zoom && letters.len() == text.chars().count()) else {
            // Spaces between the letters, so that each is read by itself.
            let spaced = text.chars().map(String::from).collect::<Vec<_>>().join(" ");
            let line = if grid::width(&spaced) <= room { spaced } else { text.to_owned() };
            return self.wrapped(0, &Line::new().strong(line), |_| room);
        };
        for row in 0..zoom {
            let parts = letters.iter().flat_map(|&character| (0..zoom).map(move |column| (character, column)));
            let cells = parts.enumerate().map(|(at, (character, column))| {
                (saturate(at), Cell { character, role: Role::Strong, part: Part { zoom, row, column } })
            });
            self.rows.push(Row { cells: cells.collect(), chosen: false });
        }
    }

    /// Puts the rows where they belong. A part that has no room is told by an arrow at the right.
    fn put(&self, grid: &mut Grid, screen: &Screen, top: u16, height: usize) {
        let chosen = self.rows.iter().rposition(|row| row.chosen).unwrap_or(0);
        let skip = (chosen + 2).saturating_sub(height).min(self.rows.len().saturating_sub(height));
        for (at, row) in self.rows.iter().skip(skip).take(height).enumerate() {
            for (column, cell) in &row.cells {
                grid.put_cell(top + saturate(at), MARGIN + column, *cell);
            }
        }
        let right = grid.size().columns() - 1;
        if skip > 0 {
            grid.put(top, right, "▲", Role::Warning);
        }
        if skip + height < self.rows.len() && height > 0 {
            grid.put(top + saturate(height - 1), right, "▼", Role::Warning);
        }
        let Some(code) = screen.code.as_ref().filter(|_| self.has_code) else { return };
        let left = usize::from(grid.size().columns() - MARGIN).saturating_sub(code.columns());
        for row in 0..code.rows() {
            let text: String = code.row(row).collect();
            grid.put(top + saturate(row), saturate(left), &text, Role::Code);
        }
    }
}

/// A column or row of a grid. Beyond its last there is no place, so where a number ends does not matter.
fn saturate(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
