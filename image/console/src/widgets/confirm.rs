//! A question whose yes is typed, for what cannot be undone.

use super::{Dialog, put_texts};
use crate::{
    keys::Key,
    limits::FIELD_CHARS_MAX,
    screen::{Line, Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// What a person types who wipes a disk without a usable serial number.
const WIPE: &str = "WIPE";

/// What to type to confirm that a disk is wiped: the last four letters and digits of its serial number, so that the
/// person has looked at the right disk; `WIPE` where it has no four (virtual disks often have none).
pub fn last_four(serial: &str) -> String {
    let kept: Vec<char> = serial.chars().filter(char::is_ascii_alphanumeric).collect();
    match kept.len().checked_sub(4) {
        Some(start) => kept[start..].iter().collect::<String>().to_ascii_uppercase(),
        None => WIPE.to_owned(),
    }
}

/// Asks for a word before something is done. The answer is `true` once the word stands there and Enter is pressed, and
/// `false` for Escape. Small letters do as well as capitals.
#[derive(Clone, Debug)]
pub struct Confirm {
    title: Phrase,
    texts: Vec<(Role, Phrase)>,
    prompt: Phrase,
    word: String,
    typed: String,
    is_wrong: bool,
}

impl Confirm {
    /// Asks for a word, which the prompt describes.
    pub fn new(title: impl Into<Phrase>, prompt: impl Into<Phrase>, word: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            texts: Vec::new(),
            prompt: prompt.into(),
            word: word.into(),
            typed: String::new(),
            is_wrong: false,
        }
    }

    /// Asks for the last four characters of a disk's serial number before the disk is wiped.
    pub fn wipe(title: impl Into<Phrase>, serial: &str) -> Self {
        let word = last_four(serial);
        let prompt = if word == WIPE {
            texts::CONFIRM_NO_SERIAL.with(&[("word", &WIPE)])
        } else {
            texts::CONFIRM_SERIAL.with(&[("serial", &serial)])
        };
        Self::new(title, prompt, word)
    }

    /// With a text above the question: what will be lost.
    #[must_use]
    pub fn text(mut self, role: Role, text: impl Into<Phrase>) -> Self {
        self.texts.push((role, text.into()));
        self
    }
}

impl View for Confirm {
    fn screen(&self, language: Language) -> Screen {
        let mut screen = Screen::new(self.title.get(language)).keys(texts::KEYS_TYPE.get(language));
        put_texts(&mut screen, &self.texts, language);
        screen.line(self.prompt.get(language));
        screen.gap();
        screen.line(Line::new().text("> ").strong(&self.typed).text("_"));
        if self.is_wrong {
            screen.gap();
            screen.line(Line::new().warning(texts::CONFIRM_WRONG.get(language)));
        }
        screen
    }
}

impl Dialog for Confirm {
    type Answer = bool;

    fn key(&mut self, key: Key) -> Option<bool> {
        match key {
            Key::Enter if self.typed.trim().eq_ignore_ascii_case(&self.word) => return Some(true),
            Key::Enter => {
                self.is_wrong = !self.typed.is_empty();
                self.typed.clear();
            }
            Key::Escape => return Some(false),
            Key::Backspace => drop(self.typed.pop()),
            Key::Char(c) if self.typed.chars().count() < FIELD_CHARS_MAX => {
                self.is_wrong = false;
                self.typed.push(c);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(confirm: &mut Confirm, typed: &str) -> Option<bool> {
        for c in typed.chars() {
            assert_eq!(confirm.key(Key::Char(c)), None);
        }
        confirm.key(Key::Enter)
    }

    #[test]
    fn only_the_word_is_a_yes() {
        let mut confirm = Confirm::wipe("Wipe", "S4EVNX0R-123 456b ");
        assert_eq!(answer(&mut confirm, ""), None);
        assert!(!confirm.is_wrong);
        assert_eq!(answer(&mut confirm, "456"), None);
        assert!(confirm.is_wrong && confirm.typed.is_empty());
        assert_eq!(answer(&mut confirm, "456b"), Some(true));
        assert_eq!(confirm.key(Key::Escape), Some(false));
    }

    #[test]
    fn a_disk_without_a_serial_number_asks_for_a_word() {
        for serial in ["", "   ", "a-1", "0-0-0", "磁盘一二三四"] {
            assert_eq!(last_four(serial), "WIPE");
            assert_eq!(answer(&mut Confirm::wipe("Wipe", serial), serial.trim()), None);
            assert_eq!(answer(&mut Confirm::wipe("Wipe", serial), "wipe"), Some(true));
        }
        assert_eq!(last_four("ab-cd"), "ABCD");
    }
}
