//! Something to read.

use super::{Dialog, put_texts};
use crate::{
    keys::Key,
    screen::{Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// A message. As a view it waits for nobody; as a dialog it is over with Enter or Escape.
#[derive(Clone, Debug)]
pub struct Message {
    title: Phrase,
    texts: Vec<(Role, Phrase)>,
    takes_keys: bool,
}

impl Message {
    /// A message that waits for Enter.
    pub fn new(title: impl Into<Phrase>) -> Self {
        Self { title: title.into(), texts: Vec::new(), takes_keys: true }
    }

    /// What went wrong and what to do next.
    pub fn problem(title: impl Into<Phrase>, cause: impl Into<Phrase>, next: impl Into<Phrase>) -> Self {
        Self::new(title).text(Role::Warning, cause).text(Role::Text, next)
    }

    /// With a text below the others.
    #[must_use]
    pub fn text(mut self, role: Role, text: impl Into<Phrase>) -> Self {
        self.texts.push((role, text.into()));
        self
    }

    /// Does not say that Enter goes on: something goes on by itself.
    #[must_use]
    pub fn without_keys(mut self) -> Self {
        self.takes_keys = false;
        self
    }
}

impl View for Message {
    fn screen(&self, language: Language) -> Screen {
        let mut screen = Screen::new(self.title.get(language));
        if self.takes_keys {
            screen = screen.keys(texts::KEYS_MESSAGE.get(language));
        }
        for text in &self.texts {
            put_texts(&mut screen, std::slice::from_ref(text), language);
        }
        screen
    }
}

impl Dialog for Message {
    type Answer = ();

    fn key(&mut self, key: Key) -> Option<()> {
        matches!(key, Key::Enter | Key::Escape).then_some(())
    }
}
