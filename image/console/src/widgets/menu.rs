//! A list of which one is chosen.

use super::{Dialog, put_texts};
use crate::{
    keys::Key,
    screen::{Block, Line, Role, Screen, View},
    texts,
    words::{Language, Phrase},
};

/// An item of a menu.
#[derive(Clone, Debug)]
pub struct Item {
    text: Phrase,
    note: Option<(Role, Phrase)>,
}

impl Item {
    /// An item.
    pub fn new(text: impl Into<Phrase>) -> Self {
        Self { text: text.into(), note: None }
    }

    /// With a quiet note behind it.
    #[must_use]
    pub fn note(mut self, note: impl Into<Phrase>) -> Self {
        self.note = Some((Role::Quiet, note.into()));
        self
    }

    /// With a warning behind it.
    #[must_use]
    pub fn warning(mut self, note: impl Into<Phrase>) -> Self {
        self.note = Some((Role::Warning, note.into()));
        self
    }
}

/// A menu. Arrows and digits choose, Enter takes what is chosen, Escape goes back: no single key does anything that
/// cannot be undone. The answer is the item's index, or `None` for Escape.
#[derive(Clone, Debug)]
pub struct Menu {
    title: Phrase,
    texts: Vec<(Role, Phrase)>,
    items: Vec<Item>,
    chosen: usize,
    /// The number that is being typed: 12 is `1`, `2`.
    typed: usize,
    can_leave: bool,
}

impl Menu {
    /// A menu without items.
    pub fn new(title: impl Into<Phrase>) -> Self {
        Self { title: title.into(), texts: Vec::new(), items: Vec::new(), chosen: 0, typed: 0, can_leave: true }
    }

    /// With a text above the items.
    #[must_use]
    pub fn text(mut self, role: Role, text: impl Into<Phrase>) -> Self {
        self.texts.push((role, text.into()));
        self
    }

    /// With an item below the others.
    #[must_use]
    pub fn item(mut self, item: Item) -> Self {
        self.items.push(item);
        self
    }

    /// With another item chosen at first than the topmost.
    #[must_use]
    pub fn choose(mut self, index: usize) -> Self {
        self.chosen = index.min(self.items.len().saturating_sub(1));
        self
    }

    /// The outermost menu: Escape does nothing.
    #[must_use]
    pub fn outermost(mut self) -> Self {
        self.can_leave = false;
        self
    }

    /// The item that Enter takes.
    pub fn chosen(&self) -> usize {
        self.chosen
    }

    fn digit(&mut self, digit: usize) {
        let longer = self.typed * 10 + digit;
        self.typed = if (1..=self.items.len()).contains(&longer) { longer } else { digit };
        if (1..=self.items.len()).contains(&self.typed) {
            self.chosen = self.typed - 1;
        } else {
            self.typed = 0;
        }
    }
}

impl View for Menu {
    fn screen(&self, language: Language) -> Screen {
        let keys = if self.can_leave { texts::KEYS_MENU } else { texts::KEYS_FIRST_MENU };
        let mut screen = Screen::new(self.title.get(language)).keys(keys.get(language));
        put_texts(&mut screen, &self.texts, language);
        for (index, item) in self.items.iter().enumerate() {
            let mut text = Line::from(item.text.get(language));
            if let Some((role, note)) = &item.note {
                text = text.text("  ").with(*role, note.get(language));
            }
            screen.push(Block::Item { mark: format!("{:>2}", index + 1), text, chosen: index == self.chosen });
        }
        screen
    }
}

impl Dialog for Menu {
    type Answer = Option<usize>;

    fn key(&mut self, key: Key) -> Option<Self::Answer> {
        let last = self.items.len().saturating_sub(1);
        if let Key::Char(c) = key
            && let Some(digit) = c.to_digit(10)
        {
            self.digit(usize::try_from(digit).unwrap_or(0));
            return None;
        }
        self.typed = 0;
        match key {
            Key::Up => self.chosen = self.chosen.checked_sub(1).unwrap_or(last),
            Key::Down => self.chosen = if self.chosen >= last { 0 } else { self.chosen + 1 },
            Key::Home | Key::PageUp => self.chosen = 0,
            Key::End | Key::PageDown => self.chosen = last,
            Key::Enter if self.chosen < self.items.len() => return Some(Some(self.chosen)),
            Key::Escape if self.can_leave => return Some(None),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn menu(items: usize) -> Menu {
        (0..items).fold(Menu::new("Disks"), |menu, index| menu.item(Item::new(format!("disk {index}"))))
    }

    #[test]
    fn arrows_go_around() {
        let mut menu = menu(3);
        for (key, chosen) in [(Key::Up, 2), (Key::Down, 0), (Key::Down, 1), (Key::End, 2), (Key::Home, 0)] {
            assert_eq!(menu.key(key), None);
            assert_eq!(menu.chosen(), chosen);
        }
        assert_eq!(menu.key(Key::Enter), Some(Some(0)));
        assert_eq!(menu.key(Key::Escape), Some(None));
        assert_eq!(menu.outermost().key(Key::Escape), None);
    }

    #[test]
    fn numbers_choose_and_do_not_act() {
        let mut menu = menu(12);
        for (digit, chosen) in [('3', 2), ('1', 0), ('2', 11), ('2', 1), ('0', 1), ('1', 0), ('0', 9)] {
            assert_eq!(menu.key(Key::Char(digit)), None);
            assert_eq!(menu.chosen(), chosen, "after {digit}");
        }
    }

    #[test]
    fn a_menu_without_items_takes_nothing() {
        let mut menu = Menu::new("Disks");
        for key in [Key::Up, Key::Down, Key::End, Key::Char('1'), Key::Enter] {
            assert_eq!(menu.key(key), None);
        }
    }
}
