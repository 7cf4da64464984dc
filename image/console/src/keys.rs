//! From the bytes of a terminal to the keys that were pressed. No clock and no IO: the caller says when time has passed.

use std::{collections::VecDeque, str};

use crate::limits::{KEYS_MAX, SEQUENCE_BYTES_MAX};

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character, digits and blanks too.
    Char(char),
    /// Enter, of either kind.
    Enter,
    /// Escape by itself.
    Escape,
    /// Deletes what was typed last.
    Backspace,
    /// Tab.
    Tab,
    /// Cursor up.
    Up,
    /// Cursor down.
    Down,
    /// Cursor left.
    Left,
    /// Cursor right.
    Right,
    /// To the first.
    Home,
    /// To the last.
    End,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// Deletes what comes next.
    Delete,
    /// A control character: Ctrl and this small letter.
    Control(char),
}

/// Takes bytes, gives keys. What is no key (other sequences, broken UTF-8) is passed over.
#[derive(Debug, Default)]
pub struct Keys {
    ready: VecDeque<Key>,
    /// The beginning of an escape sequence, or of a character.
    partial: Vec<u8>,
    /// The last key was a carriage return, so that a line feed behind it is the same key.
    returned: bool,
}

impl Keys {
    /// Nothing typed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes that came.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.byte(byte);
        }
    }

    /// Some 50 ms have passed without a byte: an escape that nothing followed was the key of that name.
    pub fn quiet(&mut self) {
        if std::mem::take(&mut self.partial).first() == Some(&0x1b) {
            self.push(Key::Escape);
        }
    }

    /// Whether [`Keys::quiet`] would change something.
    pub fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// The key that was pressed first.
    pub fn next_key(&mut self) -> Option<Key> {
        self.ready.pop_front()
    }

    fn push(&mut self, key: Key) {
        if self.ready.len() < KEYS_MAX {
            self.ready.push_back(key);
        }
    }

    fn byte(&mut self, byte: u8) {
        let returned = std::mem::take(&mut self.returned);
        match self.partial.as_slice() {
            [] => match byte {
                b'\r' => {
                    self.returned = true;
                    self.push(Key::Enter);
                }
                b'\n' if returned => {}
                b'\n' => self.push(Key::Enter),
                b'\t' => self.push(Key::Tab),
                0x08 | 0x7f => self.push(Key::Backspace),
                0x1b | 0x80.. => self.partial.push(byte),
                0x01..=0x1a => self.push(Key::Control(char::from(b'a' + byte - 1))),
                0x20..=0x7e => self.push(Key::Char(char::from(byte))),
                0x00 | 0x1c..=0x1f => {}
            },
            [0x1b, ..] => self.sequence(byte),
            _ => self.character(byte),
        }
    }

    /// A byte behind an escape.
    fn sequence(&mut self, byte: u8) {
        if byte == 0x1b {
            // The key itself, pressed before something else.
            self.partial.clear();
            self.partial.push(byte);
            return self.push(Key::Escape);
        }
        self.partial.push(byte);
        let is_complete = match self.partial.as_slice() {
            // The Linux console sends `ESC [ [ A` for F1.
            [_, b'[' | b'O'] | [_, b'[', b'['] => false,
            [_, b'[', b'[', _] | [_, b'O', _] => true,
            [_, b'[', .., last] => (0x40..=0x7e).contains(last),
            _ => true,
        };
        if is_complete {
            let key = key_of(&self.partial);
            self.partial.clear();
            if let Some(key) = key {
                self.push(key);
            }
        } else if self.partial.len() >= SEQUENCE_BYTES_MAX {
            self.partial.clear();
        }
    }

    /// A byte of a character beyond ASCII.
    fn character(&mut self, byte: u8) {
        if byte & 0xc0 != 0x80 {
            // The character before was not complete.
            self.partial.clear();
            return self.byte(byte);
        }
        self.partial.push(byte);
        match str::from_utf8(&self.partial) {
            Ok(text) => {
                let character = text.chars().next();
                self.partial.clear();
                // U+0080 to U+009F are control characters of eight bits.
                if let Some(character) = character.filter(|c| !c.is_control()) {
                    self.push(Key::Char(character));
                }
            }
            Err(error) if error.error_len().is_some() || self.partial.len() >= 4 => self.partial.clear(),
            Err(_) => {}
        }
    }
}

/// The key of a sequence, as the Linux console, xterm, VT220 and rxvt send them.
fn key_of(sequence: &[u8]) -> Option<Key> {
    match sequence.get(1..)? {
        b"[A" | b"OA" => Some(Key::Up),
        b"[B" | b"OB" => Some(Key::Down),
        b"[C" | b"OC" => Some(Key::Right),
        b"[D" | b"OD" => Some(Key::Left),
        b"[H" | b"OH" | b"[1~" | b"[7~" => Some(Key::Home),
        b"[F" | b"OF" | b"[4~" | b"[8~" => Some(Key::End),
        b"[3~" => Some(Key::Delete),
        b"[5~" => Some(Key::PageUp),
        b"[6~" => Some(Key::PageDown),
        b"OM" => Some(Key::Enter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::new();
        keys.feed(bytes);
        keys.quiet();
        std::iter::from_fn(|| keys.next_key()).collect()
    }

    #[test]
    fn keys_of_several_terminals() {
        use Key::*;
        assert_eq!(keys(b"a1 \r\n\n\r\r"), [Char('a'), Char('1'), Char(' '), Enter, Enter, Enter, Enter]);
        assert_eq!(keys(b"\x1b[A\x1bOB\x1b[1;5C\x1b[1~\x1b[8~"), [Up, Down, Home, End]);
        assert_eq!(keys(b"\x1b[[A\x1b[15~x"), [Char('x')]);
        assert_eq!(keys("中é".as_bytes()), [Char('中'), Char('é')]);
        assert_eq!(keys(b"\x1b"), [Escape]);
        assert_eq!(keys(b"\x1b\x1b[B"), [Escape, Down]);
        assert_eq!(keys(b"\x0c\t\x7f\x08"), [Control('l'), Tab, Backspace, Backspace]);
    }

    #[test]
    fn a_character_may_come_in_pieces_and_an_escape_waits() {
        let mut keys = Keys::new();
        keys.feed(&"中".as_bytes()[..2]);
        assert!(keys.is_partial() && keys.next_key().is_none());
        keys.feed(&"中".as_bytes()[2..]);
        assert_eq!(keys.next_key(), Some(Key::Char('中')));
        keys.feed(b"\x1b");
        assert_eq!(keys.next_key(), None);
        keys.feed(b"[A");
        assert_eq!(keys.next_key(), Some(Key::Up));
    }

    #[test]
    fn what_is_no_character_is_passed_over() {
        assert_eq!(keys(b"\xff\xc3(\xe4\xb8x\xc2\x9b1"), [Key::Char('('), Key::Char('x'), Key::Char('1')]);
        let mut endless = b"\x1b[".to_vec();
        endless.extend([b'1'; 100]);
        assert!(keys(&endless).len() <= 100);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_many(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut keys = Keys::new();
            keys.feed(&bytes);
            prop_assert!(keys.ready.len() <= KEYS_MAX && keys.partial.len() <= SEQUENCE_BYTES_MAX);
        }
    }
}
