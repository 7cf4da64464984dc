//! The field where a recovery key is typed.

use zeroize::Zeroizing;

use super::{Dialog, put_texts};
use crate::{
    keys::Key,
    recovery_key::{ALL, GROUP, LETTERS, RecoveryKey, grouped, is_separator, letter},
    screen::{Block, Line, Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// Asks for a recovery key. It is shown while it is typed, since nobody types 64 letters blind; dashes come by
/// themselves. The answer is a key of the right form, or `None` for Escape.
#[derive(Clone, Debug)]
pub struct AskRecoveryKey {
    title: Phrase,
    texts: Vec<(Role, Phrase)>,
    typed: Typed,
    fault: Option<Phrase>,
    can_leave: bool,
}

/// Letters typed so far.
#[derive(Clone)]
struct Typed(Zeroizing<String>);

impl std::fmt::Debug for Typed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Typed({} letters)", self.0.len())
    }
}

impl AskRecoveryKey {
    /// An empty field.
    pub fn new(title: impl Into<Phrase>) -> Self {
        Self {
            title: title.into(),
            texts: Vec::new(),
            // As much as a key needs, so that no copy of it is left behind when it grows.
            typed: Typed(Zeroizing::new(String::with_capacity(ALL))),
            fault: None,
            can_leave: true,
        }
    }

    /// With a text above the field: why the key is needed.
    #[must_use]
    pub fn text(mut self, role: Role, text: impl Into<Phrase>) -> Self {
        self.texts.push((role, text.into()));
        self
    }

    /// There is nothing else to do: Escape does nothing.
    #[must_use]
    pub fn outermost(mut self) -> Self {
        self.can_leave = false;
        self
    }

    /// The disk did not take the key: says so and keeps what was typed, since one letter may be wrong.
    pub fn refused(&mut self, why: impl Into<Phrase>) {
        self.fault = Some(why.into());
    }

    fn enter(&mut self) -> Option<RecoveryKey> {
        let count = self.typed.0.len();
        self.fault = match RecoveryKey::parse(&self.typed.0) {
            Ok(key) => return Some(key),
            Err(_) if count == 0 => None,
            Err(_) => {
                Some(texts::RECOVERY_SHORT.with(&[("count", &count), ("all", &ALL), ("group", &(count / GROUP + 1))]))
            }
        };
        None
    }

    fn character(&mut self, c: char) {
        self.fault = None;
        if is_separator(c) {
            let count = self.typed.0.len();
            if !count.is_multiple_of(GROUP) {
                let values: [(_, &dyn std::fmt::Display); 3] =
                    [("group", &(count / GROUP + 1)), ("count", &(count % GROUP)), ("all", &GROUP)];
                self.fault = Some(texts::RECOVERY_GROUP.with(&values));
            }
        } else if let Some(letter) = letter(c) {
            if self.typed.0.len() < ALL {
                self.typed.0.push(letter);
            } else {
                self.fault = Some(texts::RECOVERY_LONG.with(&[("all", &ALL)]));
            }
        } else {
            self.fault = Some(texts::RECOVERY_LETTER.with(&[("letter", &c), ("letters", &LETTERS)]));
        }
    }
}

impl View for AskRecoveryKey {
    fn screen(&self, language: Language) -> Screen {
        let keys = if self.can_leave { texts::KEYS_TYPE } else { texts::KEYS_TYPE_ONLY };
        let mut screen = Screen::new(self.title.get(language)).keys(keys.get(language));
        put_texts(&mut screen, &self.texts, language);
        screen.line(texts::RECOVERY_PROMPT.get(language));
        screen.gap();
        let letters = grouped(&self.typed.0);
        let is_between =
            !self.typed.0.is_empty() && self.typed.0.len().is_multiple_of(GROUP) && self.typed.0.len() < ALL;
        let end = if is_between { "-_" } else { "_" };
        screen.push(Block::Indented(2, Line::new().strong(letters.as_str()).text(end)));
        let count = texts::RECOVERY_COUNT.with(&[("count", &self.typed.0.len()), ("all", &ALL)]);
        screen.push(Block::Indented(2, Line::new().quiet(count.get(language))));
        if let Some(fault) = &self.fault {
            screen.gap();
            screen.line(Line::new().warning(fault.get(language)));
        }
        screen
    }
}

impl Dialog for AskRecoveryKey {
    type Answer = Option<RecoveryKey>;

    fn key(&mut self, key: Key) -> Option<Self::Answer> {
        match key {
            Key::Enter => return self.enter().map(Some),
            Key::Escape if self.can_leave => return Some(None),
            Key::Backspace => {
                self.fault = None;
                self.typed.0.pop();
            }
            // Everything anew: Ctrl-U, as in a shell.
            Key::Control('u') => {
                self.fault = None;
                self.typed.0.clear();
            }
            Key::Char(c) => self.character(c),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "cbdefghi-jklnrtuv-vutrnlkj-ihgfedbc-cccccccc-bbbbbbbb-dddddddd-eeeeeeee";

    fn type_in(field: &mut AskRecoveryKey, text: &str) {
        for c in text.chars() {
            assert!(field.key(Key::Char(c)).is_none());
        }
    }

    fn fault(field: &AskRecoveryKey) -> String {
        field.fault.as_ref().map(|fault| fault.get(Language::English)).unwrap_or_default()
    }

    #[test]
    fn a_key_is_typed_with_dashes_or_without() {
        for text in [KEY.to_owned(), KEY.replace('-', ""), KEY.to_uppercase()] {
            let mut field = AskRecoveryKey::new("Unlock");
            type_in(&mut field, &text);
            assert_eq!(fault(&field), "");
            let key = field.key(Key::Enter).flatten().unwrap();
            assert_eq!(key.expose(), KEY);
            assert!(!format!("{field:?}").contains("cbde"));
        }
    }

    #[test]
    fn faults_are_named_on_the_way() {
        let mut field = AskRecoveryKey::new("Unlock");
        type_in(&mut field, "cbda");
        assert!(fault(&field).contains("'a'"), "{}", fault(&field));
        type_in(&mut field, "e-");
        assert!(fault(&field).contains("group 1"), "{}", fault(&field));
        type_in(&mut field, "fghi-");
        assert_eq!(fault(&field), "");
        assert!(field.key(Key::Enter).is_none());
        assert!(fault(&field).contains("8 of 64"), "{}", fault(&field));
        type_in(&mut field, &KEY[9..]);
        type_in(&mut field, "c");
        assert!(fault(&field).contains("64"), "{}", fault(&field));
        assert!(field.key(Key::Backspace).is_none());
        assert_eq!(field.typed.0.len(), 63);
        assert!(field.key(Key::Control('u')).is_none());
        assert!(field.typed.0.is_empty());
        assert_eq!(field.key(Key::Escape), Some(None));
        assert_eq!(field.outermost().key(Key::Escape), None);
    }

    #[test]
    fn a_refused_key_stays_to_be_corrected() {
        let mut field = AskRecoveryKey::new("Unlock");
        type_in(&mut field, KEY);
        field.refused("The disk does not open");
        assert_eq!((fault(&field).as_str(), field.typed.0.len()), ("The disk does not open", 64));
    }
}
