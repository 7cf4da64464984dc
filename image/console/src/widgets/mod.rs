//! What a person is asked and told. Each is a state without IO: keys go in, screens come out.

mod confirm;
mod menu;
mod message;
mod progress;
mod recovery;

pub use confirm::{Confirm, last_four};
pub use menu::{Item, Menu};
pub use message::Message;
pub use progress::{Meter, Progress, bytes_text};
pub use recovery::AskRecoveryKey;

use crate::{
    keys::Key,
    screen::{Line, Role, Screen, View},
    words::{Language, Phrase},
};

/// A view that takes keys until it has an answer.
pub trait Dialog: View {
    /// What it finds out.
    type Answer;

    /// Takes a key; the answer, once there is one.
    fn key(&mut self, key: Key) -> Option<Self::Answer>;
}

/// Puts texts on a screen, a line each and air below them.
fn put_texts(screen: &mut Screen, texts: &[(Role, Phrase)], language: Language) {
    for (role, text) in texts {
        screen.line(Line::new().with(*role, text.get(language)));
    }
    screen.gap();
}
