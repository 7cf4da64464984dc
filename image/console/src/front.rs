//! Where views are shown and keys come from.

use std::time::Duration;

use crate::{keys::Key, screen::View, widgets::Dialog, words::Language};

/// How long a dialog waits for a key before it looks whether the consoles are still there.
const TURN: Duration = Duration::from_secs(1);

/// The consoles were told to stop, or a script has no keys left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the console was closed before it had an answer; start it again")]
pub struct Closed;

/// Consoles as dialogs see them: [`Console`](crate::Console) of a machine, or [`Script`](crate::Script) of a test.
pub trait Front {
    /// Shows a view and waits for a key until time is up; `None` where none was pressed. A wait of zero still takes a key
    /// that was pressed before: who shows a progress does so now and then and drops the keys, so that an impatient Enter
    /// does not answer the next question.
    ///
    /// # Errors
    ///
    /// [`Closed`] once the consoles are to stop.
    fn turn(&mut self, view: &dyn View, wait: Duration) -> Result<Option<Key>, Closed>;

    /// Prints a line for those who log a serial line: whole, on a row of its own. Screens come back with the next turn.
    fn print(&mut self, line: &str);

    /// Shows what follows in this language, until somebody chooses another.
    fn speak(&mut self, language: Language);
}

/// Shows a dialog until it has an answer.
///
/// # Errors
///
/// [`Closed`] once the consoles are to stop.
pub fn ask<D: Dialog>(front: &mut dyn Front, dialog: &mut D) -> Result<D::Answer, Closed> {
    loop {
        if let Some(key) = front.turn(&*dialog, TURN)?
            && let Some(answer) = dialog.key(key)
        {
            return Ok(answer);
        }
    }
}
