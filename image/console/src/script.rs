//! Consoles of a test: bytes in, screens out.

use std::time::Duration;

use crate::{
    front::{Closed, Front},
    grid::{Grid, Size},
    keys::{Key, Keys},
    layout::{Abilities, layout},
    screen::View,
    texts,
    words::Language,
};

/// Types what a test prepared, and keeps every screen that was seen. Tab changes the language as on real consoles.
#[derive(Debug)]
pub struct Script {
    keys: Keys,
    size: Size,
    language: Language,
    screens: Vec<Grid>,
    printed: Vec<String>,
}

impl Script {
    /// Somebody who will type these bytes, before a screen of this size.
    pub fn new(size: Size, typed: impl AsRef<[u8]>) -> Self {
        let mut script =
            Self { keys: Keys::new(), size, language: Language::English, screens: Vec::new(), printed: Vec::new() };
        script.types(typed);
        script
    }

    /// Types more.
    pub fn types(&mut self, typed: impl AsRef<[u8]>) {
        self.keys.feed(typed.as_ref());
        self.keys.quiet();
    }

    /// Every screen that differs from the one before it.
    pub fn screens(&self) -> &[Grid] {
        &self.screens
    }

    /// The text of the last screen.
    pub fn text(&self) -> String {
        self.screens.last().map(Grid::text).unwrap_or_default()
    }

    /// Lines that were printed.
    pub fn printed(&self) -> &[String] {
        &self.printed
    }
}

impl Front for Script {
    /// Answers at once. Where no key is left: `None` while time passes, [`Closed`] where a dialog would wait for ever.
    fn turn(&mut self, view: &dyn View, wait: Duration) -> Result<Option<Key>, Closed> {
        loop {
            let abilities = Abilities { zoom: false, hint: texts::KEY_LANGUAGE.get(self.language) };
            let grid = layout(&view.screen(self.language), self.size, abilities);
            if self.screens.last() != Some(&grid) {
                self.screens.push(grid);
            }
            match self.keys.next_key() {
                Some(Key::Tab) => self.language = self.language.next(),
                Some(key) => return Ok(Some(key)),
                None if wait.is_zero() => return Ok(None),
                None => return Err(Closed),
            }
        }
    }

    fn print(&mut self, line: &str) {
        self.printed.push(line.to_owned());
    }

    fn speak(&mut self, language: Language) {
        self.language = language;
    }
}
