//! What the other end may hold, and for how long.

use std::time::Duration;

/// Until a connection stands and its handshake is done: well above a TPM's signature and a lost packet or two.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(20);
/// Until an answer is there in full: a registrar asks its devices for signatures.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Certificates that the other end may show: its own, four above it, and one too many is an error.
pub(crate) const CHAIN_MAX: usize = 8;
