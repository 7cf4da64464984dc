//! What boxes tell each other once a second: how far they are. Tells an operator who is reachable, and a box that it
//! is behind; nothing is decided on it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use dolmen_types::PublicKey;
use parking_lot::Mutex;

/// Between two messages to every peer.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// A peer not heard for this long counts as disconnected: five messages missed.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// A status message: the sender's height, big-endian.
const MESSAGE_BYTES: usize = 8;

/// What is known of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its key.
    pub public_key: PublicKey,
    /// Whether it was heard within the last five seconds.
    pub connected: bool,
    /// Its finalized height when last heard.
    pub height: u64,
}

/// The last message from every peer.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Mutex<HashMap<PublicKey, (Instant, u64)>>>);

impl Peers {
    /// Records a message; other lengths are dropped, they come from another version or a liar.
    pub(crate) fn heard(&self, from: PublicKey, message: &[u8], now: Instant) {
        if let Ok(height) = <[u8; MESSAGE_BYTES]>::try_from(message) {
            self.0.lock().insert(from, (now, u64::from_be_bytes(height)));
        }
    }

    /// The status of each of `peers`.
    pub(crate) fn list(&self, peers: &[PublicKey], now: Instant) -> Vec<PeerStatus> {
        let heard = self.0.lock();
        let status = |&public_key: &PublicKey| {
            let last = heard.get(&public_key);
            let connected = last.is_some_and(|(at, _)| now.duration_since(*at) < SILENT_AFTER);
            PeerStatus { public_key, connected, height: last.map_or(0, |(_, height)| *height) }
        };
        peers.iter().map(status).collect()
    }
}

/// The message that says `height`.
pub(crate) const fn message(height: u64) -> [u8; MESSAGE_BYTES] {
    height.to_be_bytes()
}
