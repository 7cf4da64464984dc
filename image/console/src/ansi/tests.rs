//! What is sent, on a terminal of others (the vt100 crate) instead of ours.

use std::num::NonZero;

use proptest::prelude::*;

use super::*;
use crate::{
    grid::Size,
    layout::{Abilities, layout},
    screen::{Line, Screen},
};

fn grid(size: Size, title: &str, lines: &[&str]) -> Grid {
    let mut screen = Screen::new(title).keys("Enter");
    lines.iter().for_each(|line| screen.line(Line::new().text("- ").strong(line)));
    layout(&screen, size, Abilities { zoom: false, hint: "Tab: 中文" })
}

fn terminal(size: Size) -> vt100::Parser {
    let count = |number| NonZero::new(number).unwrap();
    vt100::Parser::new(count(size.rows()), count(size.columns()), 0)
}

/// The terminal's rows, as [`Grid::text`] has them.
fn text(terminal: &vt100::Parser) -> String {
    let screen = terminal.screen();
    screen.rows(0, screen.size().1.get()).map(|row| row.trim_end().to_owned() + "\n").collect()
}

#[test]
fn a_frame_and_what_changes_in_it() {
    let mut painter = Painter::new();
    let mut terminal = terminal(Size::SERIAL);
    let first = grid(Size::SERIAL, "Box", &["one", "两个字", "three"]);
    terminal.process(&painter.paint(&first));
    assert_eq!(text(&terminal), first.text());
    assert!(terminal.screen().hide_cursor());
    assert!(terminal.screen().cell(3, 3).unwrap().bold() && !terminal.screen().cell(3, 1).unwrap().bold());

    assert_eq!(painter.paint(&first), b"");
    let second = grid(Size::SERIAL, "Box", &["one", "两个人", "three"]);
    let change = painter.paint(&second);
    assert_eq!(change, "\x1b[4;8H\x1b[0;1m人\x1b[0m\x1b[24;1H".as_bytes());
    terminal.process(&change);
    assert_eq!(text(&terminal), second.text());
}

#[test]
fn a_frame_fits_the_line() {
    let mut painter = Painter::new();
    let line = "x".repeat(78);
    let full = grid(Size::SERIAL, "Box", &[line.as_str(); 20]);
    // A serial line has 11,520 bytes a second.
    assert!(painter.paint(&full).len() < 80 * 24 * 2);
    assert!(painter.paint(&grid(Size::SERIAL, "Box", &["a"])).len() < 80 * 24 * 2);
}

#[test]
fn a_terminal_in_any_state_shows_the_frame_after_a_redraw() {
    let mut painter = Painter::new();
    let mut terminal = terminal(Size::SERIAL);
    let frame = grid(Size::SERIAL, "Box", &["一", "two"]);
    terminal.process(&painter.paint(&frame));
    for noise in
        ["\x1b[5;10r\x1b[41mred", "kernel: message\r\nkernel: another\r\n", "\x1b[2J\x1b[?7h", "\x1b[12;79H中文中文"]
    {
        terminal.process(noise.as_bytes());
        assert_ne!(text(&terminal), frame.text());
        painter.forget();
        terminal.process(&painter.paint(&frame));
        assert_eq!(text(&terminal), frame.text(), "after {noise:?}");
    }
    terminal.process(&painter.end());
    assert_eq!(text(&terminal).trim(), "");
    assert!(!terminal.screen().hide_cursor());
}

#[test]
fn a_printed_line_is_whole_and_the_frame_comes_back() {
    let mut painter = Painter::new();
    let mut terminal = terminal(Size::SERIAL);
    let frame = grid(Size::SERIAL, "Box", &["one"]);
    terminal.process(&painter.paint(&frame));
    let printed = painter.print("dolmen: data\x1b[2J ready");
    assert!(printed.ends_with(b"dolmen: data[2J ready\r\n"));
    terminal.process(&printed);
    assert!(text(&terminal).contains("\ndolmen: data[2J ready\n"));
    terminal.process(&painter.paint(&frame));
    assert_eq!(text(&terminal), frame.text());
}

#[test]
fn every_role_looks_like_itself() {
    let sequences: std::collections::BTreeSet<&str> = Role::ALL.map(colours).into_iter().collect();
    assert_eq!(sequences.len(), Role::ALL.len());
}

proptest! {
    #[test]
    fn any_frame_after_any_other(
        frames in prop::collection::vec(prop::collection::vec("[ab 中文字]{0,12}", 0..5), 1..6),
        columns in 4_u16..14,
        rows in 2_u16..8,
    ) {
        let size = Size::new(columns, rows);
        let mut painter = Painter::new();
        let mut terminal = terminal(size);
        for lines in frames {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let frame = grid(size, "盒子 box", &lines);
            terminal.process(&painter.paint(&frame));
            prop_assert_eq!(text(&terminal), frame.text());
        }
    }
}
