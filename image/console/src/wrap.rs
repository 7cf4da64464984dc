//! Where a line may be broken: between words, after a dash or a slash, and between Chinese characters.
//!
//! A small part of Unicode's line breaking (UAX #14), as much as our two languages need: closing punctuation never
//! starts a row and opening punctuation never ends one.

use crate::{
    grid::width_of,
    screen::{Line, Role},
};

/// A character, the columns it takes, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) character: char,
    pub(crate) width: u16,
    pub(crate) role: Role,
}

/// The characters of a line that have a place in a grid.
pub(crate) fn pieces(line: &Line) -> impl Iterator<Item = Piece> + '_ {
    line.spans.iter().flat_map(|span| {
        span.text
            .chars()
            .filter_map(|character| Some(Piece { character, width: width_of(character)?, role: span.role }))
    })
}

/// Breaks a line into rows. `width` tells how many columns the row of an index has; a row takes a wide character even
/// where that is fewer than two. A word that is longer than a row is broken where the row ends. There is always one row.
pub(crate) fn wrap(line: &Line, width: impl Fn(usize) -> usize) -> Vec<Vec<Piece>> {
    let pieces: Vec<Piece> = pieces(line).collect();
    let mut rows = Vec::new();
    let mut rest = pieces.as_slice();
    loop {
        let (row, after) = rest.split_at(row_len(rest, width(rows.len())));
        if after.is_empty() {
            rows.push(row.to_vec());
            return rows;
        }
        let end = row.iter().rposition(|piece| piece.character != ' ').map_or(0, |last| last + 1);
        rows.push(row[..end].to_vec());
        let blanks = after.iter().take_while(|piece| piece.character == ' ').count();
        rest = &after[blanks..];
    }
}

/// How many pieces the next row has, and at least one if there is any.
fn row_len(pieces: &[Piece], width: usize) -> usize {
    let mut used = 0;
    let fitting = pieces.iter().take_while(|piece| {
        used += usize::from(piece.width);
        used <= width
    });
    let fitting = fitting.count().max(1);
    if fitting >= pieces.len() {
        return pieces.len();
    }
    let breaks = |at: &usize| pieces[*at].character == ' ' || may_break(pieces[at - 1], pieces[*at]);
    (1..=fitting).rfind(breaks).unwrap_or(fitting)
}

/// Whether a row may end between two characters of which the second is no blank.
fn may_break(before: Piece, after: Piece) -> bool {
    const OPENING: &str = "（《「『“‘([{";
    const CLOSING: &str = "），。、；：？！》」』”’…)]},.;:?!%";
    match (before.character, after.character) {
        (' ' | '-', _) => true,
        ('/', after) => after != '/',
        (before, after) if OPENING.contains(before) || CLOSING.contains(after) => false,
        _ => before.width == 2 || after.width == 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let text_of = |row: Vec<Piece>| row.into_iter().map(|piece| piece.character).collect();
        wrap(&Line::from(text), |_| width).into_iter().map(text_of).collect()
    }

    #[test]
    fn words_stay_whole_and_blanks_vanish_at_the_break() {
        assert_eq!(rows("one two  three", 7), ["one two", "three"]);
        assert_eq!(rows("one two  three", 8), ["one two", "three"]);
        assert_eq!(rows("one", 3), ["one"]);
        assert_eq!(rows("", 3), [""]);
        assert_eq!(rows("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(rows("at https://[fd12::42]:8443", 18), ["at https://", "[fd12::42]:8443"]);
        assert_eq!(rows("ccccbbbb-ddddeeee-ffff", 10), ["ccccbbbb-", "ddddeeee-", "ffff"]);
    }

    #[test]
    fn chinese_breaks_anywhere_but_before_its_punctuation() {
        assert_eq!(rows("选择磁盘，然后按回车。", 8), ["选择磁", "盘，然后", "按回车。"]);
        assert_eq!(rows("选择磁盘（全部）", 10), ["选择磁盘", "（全部）"]);
        assert_eq!(rows("版本 v1.20 已安装", 8), ["版本", "v1.20 已", "安装"]);
    }

    #[test]
    fn rows_differ_in_width() {
        let rows = wrap(&Line::from("aa bb cc dd ee"), |row| if row == 0 { 2 } else { 11 });
        assert_eq!(rows.len(), 2);
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_and_no_character_is_lost(text in "[a-c中文，（ -]{0,60}", width in 2_usize..20) {
            let rows = rows(&text, width);
            prop_assert!(rows.iter().all(|row| crate::grid::width(row) <= width), "{rows:?}");
            let without = |text: &str| text.replace(' ', "");
            prop_assert_eq!(without(&rows.concat()), without(&text));
        }
    }
}
