//! A grid as pixels in memory, of the kind that a framebuffer has.

use std::ops::Range;

use crate::{
    font::{self, GLYPH_HEIGHT, GLYPH_WIDTH, Glyph},
    grid::{Cell, Grid, Size},
    limits::FRAME_BYTES_MAX,
    screen::Role,
};

/// Where a colour stands in a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Lowest bit.
    pub offset: u32,
    /// How many bits.
    pub bits: u32,
}

/// How a frame lies in memory. Pixels are little-endian numbers, rows go from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes from the beginning of a row to that of the next.
    pub stride: usize,
    /// Bytes of a pixel: 2, 3 or 4.
    pub pixel_bytes: usize,
    /// Red, green and blue.
    pub channels: [Channel; 3],
}

/// Why no picture can be made for a geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PixelError {
    /// Pixels of 8 bits with a palette, or of something else.
    #[error("pixels of {0} bytes are not supported, only of 2 to 4; choose another video mode in the firmware")]
    PixelBytes(usize),
    /// A colour outside its pixel.
    #[error(
        "a colour has {bits} bits from bit {offset} on, outside its pixel; choose another video mode in the firmware"
    )]
    Channel {
        /// Lowest bit.
        offset: u32,
        /// How many bits.
        bits: u32,
    },
    /// Rows that overlap, none at all, or more than there can be.
    #[error(
        "a frame of {width} by {height} pixels, {stride} bytes a row, cannot be; choose another video mode in the firmware"
    )]
    Frame {
        /// Pixels of a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Bytes of a row.
        stride: usize,
    },
}

impl Geometry {
    /// XRGB8888, what nearly every framebuffer has.
    pub fn xrgb8888(width: usize, height: usize) -> Self {
        let channels = [16, 8, 0].map(|offset| Channel { offset, bits: 8 });
        Self { width, height, stride: width * 4, pixel_bytes: 4, channels }
    }

    /// RGB565, what small boards have.
    pub fn rgb565(width: usize, height: usize) -> Self {
        let channels = [(11, 5), (5, 6), (0, 5)].map(|(offset, bits)| Channel { offset, bits });
        Self { width, height, stride: width * 2, pixel_bytes: 2, channels }
    }

    fn check(&self) -> Result<(), PixelError> {
        if !(2..=4).contains(&self.pixel_bytes) {
            return Err(PixelError::PixelBytes(self.pixel_bytes));
        }
        let pixel_bits = u32::try_from(self.pixel_bytes * 8).unwrap_or(0);
        for Channel { offset, bits } in self.channels {
            if !(1..=16).contains(&bits) || offset.saturating_add(bits) > pixel_bits {
                return Err(PixelError::Channel { offset, bits });
            }
        }
        let row = self.width.checked_mul(self.pixel_bytes);
        let frame = self.stride.checked_mul(self.height);
        let is_sane = row.is_some_and(|row| row > 0 && row <= self.stride)
            && frame.is_some_and(|frame| frame > 0 && frame <= FRAME_BYTES_MAX);
        let &Self { width, height, stride, .. } = self;
        if is_sane { Ok(()) } else { Err(PixelError::Frame { width, height, stride }) }
    }

    /// The bytes of a colour; only the first `pixel_bytes` of them count.
    fn pixel(&self, rgb: [u8; 3]) -> [u8; 4] {
        let mut pixel = 0;
        for (channel, value) in self.channels.iter().zip(rgb) {
            // The same byte twice is the value's 16 bits: white stays white in every number of bits.
            let wide = u32::from(value) * 0x101;
            pixel |= wide >> (16 - channel.bits) << channel.offset;
        }
        pixel.to_le_bytes()
    }
}

/// A frame, and what it shows.
#[derive(Debug)]
pub struct Canvas {
    geometry: Geometry,
    /// How many pixels wide and high a pixel of a glyph is.
    scale: usize,
    bytes: Vec<u8>,
    shown: Option<Grid>,
}

impl Canvas {
    /// A black frame.
    ///
    /// # Errors
    ///
    /// [`PixelError`] where the geometry cannot be, or is of a kind that we do not draw.
    pub fn new(geometry: Geometry) -> Result<Self, PixelError> {
        geometry.check()?;
        let bytes = vec![0; geometry.stride * geometry.height];
        Ok(Self { geometry, scale: scale(geometry.width, geometry.height), bytes, shown: None })
    }

    /// Characters that fit: at least 80 by 24 wherever the frame has 640 by 384 pixels.
    pub fn size(&self) -> Size {
        let count = |pixels: usize, glyph: usize| u16::try_from(pixels / (glyph * self.scale)).unwrap_or(u16::MAX);
        Size::new(count(self.geometry.width, GLYPH_WIDTH), count(self.geometry.height, GLYPH_HEIGHT))
    }

    /// How the frame lies in memory.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The frame, rows of `stride` bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The next frame is drawn whole: somebody else may have drawn on the screen.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// Draws a grid and tells which rows of pixels changed, in order. The grid stands in the middle; what it leaves of
    /// the frame is black.
    pub fn paint(&mut self, grid: &Grid) -> Vec<Range<usize>> {
        let shown = self.shown.take().filter(|shown| shown.size() == grid.size());
        let size = grid.size();
        let line = GLYPH_HEIGHT * self.scale;
        let left = self.geometry.width.saturating_sub(usize::from(size.columns()) * GLYPH_WIDTH * self.scale) / 2;
        let top = self.geometry.height.saturating_sub(usize::from(size.rows()) * line) / 2;
        if shown.is_none() {
            self.bytes.fill(0);
        }
        let mut changed: Vec<Range<usize>> = Vec::new();
        for (row, cells) in grid.rows().enumerate() {
            let old = shown.as_ref().and_then(|shown| shown.rows().nth(row));
            if old == Some(cells) {
                continue;
            }
            let y = top + row * line;
            for (column, cell) in cells.iter().enumerate() {
                if old.is_none_or(|old| old[column] != *cell || cell.character == Cell::COVERED) {
                    let covers = cell.character == Cell::COVERED && column > 0;
                    let (cell, half) = if covers { (&cells[column - 1], 1) } else { (cell, 0) };
                    self.cell(left + column * GLYPH_WIDTH * self.scale, y, cell, half);
                }
            }
            match changed.last_mut() {
                Some(last) if last.end == y => last.end = y + line,
                _ => changed.push(y..y + line),
            }
        }
        self.shown = Some(grid.clone());
        if shown.is_none() {
            return Vec::from([Range { start: 0, end: self.geometry.height }]);
        }
        for range in &mut changed {
            range.end = range.end.min(self.geometry.height);
        }
        changed
    }

    /// Draws the left or the right half of a character at a place.
    fn cell(&mut self, left: usize, top: usize, cell: &Cell, half: usize) {
        let (ink, paper) = colours(cell.role);
        let (ink, paper) = (self.geometry.pixel(ink), self.geometry.pixel(paper));
        let glyph = font::glyph(cell.character);
        // A wide glyph for a narrow character (that of `�` is none, but the glyphs' file may change) shows its left half.
        let shift = if matches!(glyph, Glyph::Wide(_)) { half * GLYPH_WIDTH } else { 0 };
        let zoom = usize::from(cell.part.zoom.max(1));
        let (width, height) = (GLYPH_WIDTH * self.scale, GLYPH_HEIGHT * self.scale);
        let (column, row) = (usize::from(cell.part.column), usize::from(cell.part.row));
        for y in 0..height {
            let glyph_y = (row * height + y) / (zoom * self.scale);
            for x in 0..width {
                let glyph_x = (column * width + x) / (zoom * self.scale);
                let pixel = if glyph.ink(shift + glyph_x, glyph_y) { ink } else { paper };
                self.put(left + x, top + y, pixel);
            }
        }
    }

    fn put(&mut self, x: usize, y: usize, pixel: [u8; 4]) {
        if x < self.geometry.width && y < self.geometry.height {
            let bytes = self.geometry.pixel_bytes;
            let at = y * self.geometry.stride + x * bytes;
            self.bytes[at..at + bytes].copy_from_slice(&pixel[..bytes]);
        }
    }
}

/// The largest scale that leaves 80 by 24 characters.
fn scale(width: usize, height: usize) -> usize {
    let columns = usize::from(Size::SERIAL.columns());
    let rows = usize::from(Size::SERIAL.rows());
    (width / (columns * GLYPH_WIDTH)).min(height / (rows * GLYPH_HEIGHT)).max(1)
}

/// Ink and paper of a role: red, green, blue. Contrasts are at least 7 to 1 (WCAG 2.1, 1.4.6), as projectors and old
/// screens take some away.
fn colours(role: Role) -> ([u8; 3], [u8; 3]) {
    const PAPER: [u8; 3] = [0x10, 0x14, 0x1a];
    match role {
        Role::Text => ([0xd4, 0xd9, 0xdf], PAPER),
        Role::Title => ([0xff, 0xff, 0xff], [0x1b, 0x4a, 0x7a]),
        Role::Strong => ([0xff, 0xff, 0xff], PAPER),
        Role::Quiet => ([0x9f, 0xb3, 0xc8], PAPER),
        Role::Warning => ([0xff, 0xc2, 0x5c], PAPER),
        Role::Chosen => ([0x10, 0x14, 0x1a], [0xd4, 0xd9, 0xdf]),
        Role::Done => ([0x6f, 0xd0, 0x8c], PAPER),
        Role::Code => ([0x00, 0x00, 0x00], [0xff, 0xff, 0xff]),
    }
}

#[cfg(test)]
mod tests;
