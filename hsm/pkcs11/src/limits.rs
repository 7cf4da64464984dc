//! The bounds.

use std::time::Duration;

/// Sessions that sign at once on a token, unless the configuration says otherwise. Devices sign some hundred to some
/// thousand times a second with a handful; smart cards have few to give.
pub(crate) const SESSIONS: usize = 8;
/// Signatures that wait for a token: a second's worth and more for most. What comes on top is refused at once, rather
/// than signed when nobody needs it any more.
pub(crate) const WAITING: usize = 1024;
/// How long an operation waits for a session: longer than a slow device takes for a signature in each of them.
pub(crate) const SESSION_WAIT: Duration = Duration::from_secs(10);
/// The longest PIN; tokens take far less.
pub(crate) const PIN_LENGTH: usize = 1024;
/// Refused PINs that are remembered, over all tokens of a library; each took a change to a PIN file.
pub(crate) const REFUSED: usize = 256;
/// Least time between two starts of a library that shows a token no more; each ends the sessions of its other tokens.
pub(crate) const RESTART_INTERVAL: Duration = Duration::from_secs(2);
