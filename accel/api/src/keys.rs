//! Keys that an engine expects to see again.

use crate::Algorithm;

/// What an engine keeps for the keys it knows, bounded by memory.
///
/// An engine fills it by itself: a key that signs again and again earns its place. It holds public keys only.
pub trait KeyCache: Send + Sync {
    /// Prepares keys now that are known to be needed, such as those of the validators. Returns how many are ready;
    /// malformed keys and keys beyond the memory bound are not.
    fn prepare(&self, algorithm: Algorithm, keys: &[&[u8]]) -> usize;

    /// Waits until what is being prepared in the background is ready.
    fn settle(&self);

    /// What it holds.
    fn usage(&self) -> KeyCacheUsage;
}

/// How full a [`KeyCache`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCacheUsage {
    /// Keys with a prepared table.
    pub keys: usize,
    /// Bytes of their tables.
    pub bytes: usize,
    /// The bound on `bytes`.
    pub bytes_max: usize,
}
