//! Lines out of what is meant for a terminal.
//!
//! Firmware, boot loader and status screens colour their text, clear the screen and go to places on it (ECMA-48, and
//! VT100's own). Here colours are dropped, and going elsewhere ends a line.

/// What a byte does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// It is to be seen.
    Byte(u8),
    /// The line is over.
    LineEnds,
}

/// Where in a control sequence the terminal is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Screen {
    #[default]
    Text,
    /// Behind ESC.
    Escape,
    /// Within ESC [ …, which a letter ends.
    Control,
    /// Within ESC ] …, which BEL or ESC \ ends.
    Title,
    /// Behind ESC and one of ` #()%`, which one more byte ends.
    OneMore,
}

const ESCAPE: u8 = 0x1b;
const BELL: u8 = 7;
const TAB: u8 = 9;

impl Screen {
    pub(super) fn next(&mut self, byte: u8) -> Option<Event> {
        let (state, event) = match (*self, byte) {
            (_, ESCAPE) => (Self::Escape, None),
            (Self::Text, b'\n') => (Self::Text, Some(Event::LineEnds)),
            (Self::Text, TAB) => (Self::Text, Some(Event::Byte(b' '))),
            (Self::Text, 0..=0x1f | 0x7f) => (Self::Text, None),
            (Self::Text, byte) => (Self::Text, Some(Event::Byte(byte))),
            (Self::Escape, b'[') => (Self::Control, None),
            (Self::Escape, b']') => (Self::Title, None),
            (Self::Escape, b' ' | b'#' | b'(' | b')' | b'%') => (Self::OneMore, None),
            // To a place, or to the screen's beginning.
            (Self::Control, b'H' | b'f' | b'J' | b'A' | b'B' | b'E' | b'F' | b'd') => {
                (Self::Text, Some(Event::LineEnds))
            }
            (Self::Escape, _) | (Self::Control, 0x40..=0x7e) | (Self::Title, BELL) | (Self::OneMore, _) => {
                (Self::Text, None)
            }
            (Self::Control | Self::Title, _) => (*self, None),
        };
        *self = state;
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let (mut screen, mut lines) = (Screen::default(), vec![Vec::new()]);
        for event in text.bytes().filter_map(|byte| screen.next(byte)) {
            match event {
                Event::Byte(byte) => lines.last_mut().unwrap().push(byte),
                Event::LineEnds => lines.push(Vec::new()),
            }
        }
        lines.retain(|line| !line.is_empty());
        lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect()
    }

    #[test]
    fn colours_are_dropped_and_places_end_lines() {
        assert_eq!(lines("\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe: \x1b[1mfailed\x1b[0m\r\nnext"), ["BdsDxe: failed", "next"]);
        assert_eq!(lines("one\x1b[5;1Htwo\x1b[Kthree"), ["one", "twothree"]);
        assert_eq!(lines("\x1b]0;title\x07a\x1b]0;t\x1b\\b\x1b(0c\x1b=d"), ["abcd"]);
        assert_eq!(lines("中文\tü"), ["中文 ü"]);
    }
}
