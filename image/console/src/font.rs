//! Glyphs of GNU Unifont: 16 pixels high, 8 or 16 wide.
//!
//! `glyphs/unifont.hex` has those that our texts need and no other; the README beside it tells where they are from and
//! how the file is made again.

use std::sync::LazyLock;

/// Pixels that a narrow glyph is wide.
pub const GLYPH_WIDTH: usize = 8;

/// Pixels that a glyph is high.
pub const GLYPH_HEIGHT: usize = 16;

/// The embedded glyphs, a line each: `<code point>:<rows in hexadecimal>`, in the order of their code points.
const HEX: &str = include_str!("../glyphs/unifont.hex");

static FONT: LazyLock<Vec<(char, Glyph)>> = LazyLock::new(|| HEX.lines().filter_map(parse).collect());

/// Rows of pixels from the top. The leftmost pixel is the highest of the bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// 8 pixels wide.
    Narrow([u8; GLYPH_HEIGHT]),
    /// 16 pixels wide.
    Wide([u16; GLYPH_HEIGHT]),
}

impl Glyph {
    /// Whether there is ink. None beyond the glyph's edges.
    pub fn ink(&self, x: usize, y: usize) -> bool {
        match self {
            Self::Narrow(rows) => x < 8 && rows.get(y).is_some_and(|row| row >> (7 - x) & 1 == 1),
            Self::Wide(rows) => x < 16 && rows.get(y).is_some_and(|row| row >> (15 - x) & 1 == 1),
        }
    }
}

/// Whether we have the character's glyph.
pub fn has(character: char) -> bool {
    find(character).is_some()
}

/// The character's glyph; that of `�` where we have none.
pub fn glyph(character: char) -> Glyph {
    find(character).or_else(|| find(char::REPLACEMENT_CHARACTER)).unwrap_or(Glyph::Narrow([0xff; GLYPH_HEIGHT]))
}

fn find(character: char) -> Option<Glyph> {
    let index = FONT.binary_search_by_key(&character, |(known, _)| *known).ok()?;
    Some(FONT[index].1)
}

/// One line of the file.
fn parse(line: &str) -> Option<(char, Glyph)> {
    let (code, rows) = line.split_once(':')?;
    let character = char::from_u32(u32::from_str_radix(code, 16).ok()?)?;
    let row =
        |index: usize, digits: usize| u16::from_str_radix(rows.get(index * digits..(index + 1) * digits)?, 16).ok();
    let mut narrow = [0; GLYPH_HEIGHT];
    let mut wide = [0; GLYPH_HEIGHT];
    for index in 0..GLYPH_HEIGHT {
        match rows.len() {
            32 => narrow[index] = u8::try_from(row(index, 2)?).ok()?,
            64 => wide[index] = row(index, 4)?,
            _ => return None,
        }
    }
    Some((character, if rows.len() == 32 { Glyph::Narrow(narrow) } else { Glyph::Wide(wide) }))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, env, fs, path::Path};

    use super::*;
    use crate::{grid::width_of, words::Language};

    /// What no text has and renderers draw.
    const DRAWN: &str = "█▀▄░►▲▼…�";

    /// ASCII, what renderers draw, and whatever a table of texts of the image has: `src/texts.rs` of any crate.
    fn needed() -> BTreeSet<char> {
        let mut all: BTreeSet<char> = (' '..='~').chain(DRAWN.chars()).collect();
        all.extend(Language::ALL.iter().flat_map(|language| language.name().chars()));
        let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for entry in fs::read_dir(image).unwrap() {
            let texts = entry.unwrap().path().join("src/texts.rs");
            if let Ok(texts) = fs::read_to_string(texts) {
                all.extend(texts.chars().filter(|c| !c.is_control()));
            }
        }
        all
    }

    #[test]
    fn the_glyphs_are_exactly_those_that_texts_need() {
        let here: Vec<char> = FONT.iter().map(|(character, _)| *character).collect();
        assert_eq!(here.len(), HEX.lines().count(), "a line of glyphs/unifont.hex cannot be read");
        assert!(here.is_sorted(), "glyphs/unifont.hex is not sorted");
        let here: BTreeSet<char> = here.into_iter().collect();
        let needed = needed();
        let missing: String = needed.difference(&here).collect();
        let spare: String = here.difference(&needed).collect();
        assert!(
            missing.is_empty() && spare.is_empty(),
            "missing {missing:?}, spare {spare:?}; make the file again as glyphs/README.md says"
        );
    }

    #[test]
    fn glyphs_are_as_wide_as_their_characters() {
        for (character, glyph) in FONT.iter().filter(|(character, _)| *character != char::REPLACEMENT_CHARACTER) {
            let width = if matches!(glyph, Glyph::Wide(_)) { 2 } else { 1 };
            assert_eq!(width_of(*character), Some(width), "{character}");
        }
    }

    #[test]
    fn ink_is_where_the_glyph_has_it() {
        let block = glyph('▀');
        assert!((0..8).all(|x| block.ink(x, 7) && !block.ink(x, 8)));
        assert!(!block.ink(8, 0) && !block.ink(0, 16));
        assert!(glyph('龘') == glyph('�') && !has('龘'));
        assert_eq!(parse("41:00"), None);
        assert_eq!(parse("110000:00"), None);
        assert_eq!(parse("41:00000000000000000000000000000é000"), None);
    }

    /// Makes `glyphs/unifont.hex` again from a complete one. Does nothing without `DOLMEN_UNIFONT`, its path.
    #[test]
    fn make_again() {
        let Some(whole) = env::var_os("DOLMEN_UNIFONT") else { return };
        let needed = needed();
        let whole = fs::read_to_string(whole).unwrap();
        let taken: Vec<&str> = whole
            .lines()
            .filter(|line| parse(line).is_some_and(|(character, _)| needed.contains(&character)))
            .collect();
        assert_eq!(taken.len(), needed.len(), "that file lacks a character");
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("glyphs/unifont.hex");
        fs::write(target, taken.join("\n") + "\n").unwrap();
    }
}
