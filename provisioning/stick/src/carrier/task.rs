//! What a driver is asked to do.

use dolmen_provisioning_ca::cms::Unsigned;
use dolmen_provisioning_pledge::{Key, Outcome, Step};

use crate::{Body, Name};

/// What a driver has to do for a step of a [`Pledge`](dolmen_provisioning_pledge::Pledge).
#[derive(Debug)]
pub enum Task {
    /// The step itself: it is no stick's.
    Yours,
    /// Nothing: this came of the step.
    Done(Outcome),
    /// Another step first, of those that a box does alone: its outcome is for [`performed`](super::Carrier::performed).
    Perform(Step<'static>),
    /// Have a key sign the letter ([`Unsigned::sign`]): [`Outcome::Signed`] is for
    /// [`performed`](super::Carrier::performed).
    Sign {
        /// Which key.
        key: Key,
        /// The letter.
        unsigned: Box<Unsigned>,
    },
    /// Store this in the place of what was stored before, so that it outlives a loss of power: [`Outcome::Stored`] is
    /// for [`performed`](super::Carrier::performed).
    Store(Vec<u8>),
    /// Write the letter onto the stick, and wait until a reply is there: what is in it is for
    /// [`receive`](super::Carrier::receive).
    Post(Post),
}

/// A letter that waits for its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// What its file is called, in the box's [`directory`](crate::directory).
    pub letter: Name,
    /// What is in it.
    pub message: Body,
    /// What the file with the reply is called.
    pub reply: Name,
}

/// What cannot come of a [`Task`]: a mistake of the driver. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no outcome of the task; ask for the task again, and report this")]
pub struct UnexpectedOutcome(pub &'static str);
