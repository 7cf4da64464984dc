//! What a person sees on the screen and on the serial line of a box or of the installer's stick, and what they type.
//!
//! Data goes one way: a [`View`] says what is to be seen in a language ([`Screen`]: titles, lines, items, a QR code),
//! [`layout`](layout::layout) puts it in its places for a size ([`Grid`]), and a renderer brings the grid to bytes of a
//! terminal ([`ansi`]), to lines of a log ([`plain`]) or to pixels ([`pixel`]). Keys come back the other way: bytes of a
//! terminal, [`Keys`], and a [`Dialog`](widgets::Dialog) that takes them until it has an answer. All that is without
//! IO and without a clock.
//!
//! [`Console`] is where IO is: it shows one view on all consoles of a machine at once and takes keys from whichever of
//! them somebody types on. Tests put a [`Script`] in its place, as both are a [`Front`].

pub mod ansi;
mod code;
mod console;
pub mod font;
mod framebuffer;
mod front;
mod grid;
mod keys;
pub mod layout;
mod limits;
pub mod pixel;
pub mod plain;
mod recovery_key;
mod screen;
mod script;
mod seat;
pub mod status;
mod terminal;
mod texts;
pub mod widgets;
mod words;
mod wrap;

pub use code::Code;
pub use console::Console;
pub use front::{Closed, Front, ask};
pub use grid::{Cell, Grid, Part, Size, width, width_of};
pub use keys::{Key, Keys};
pub use recovery_key::{RecoveryKey, RecoveryKeyError};
pub use screen::{Block, Line, Role, Screen, View};
pub use script::Script;
pub use seat::Place;
pub use status::Status;
pub use words::{Language, Phrase, Words, check};
