//! One library call per signature, with the parsed public keys kept.

use std::{collections::HashMap, sync::Arc};

use dolmen_accel_api::{Algorithm, Message, Verdict, VerifyJob};
use parking_lot::RwLock;

use crate::peer::Rule;

/// Parsed keys kept at most. A parsed key is 0.1 to 2 KiB, so this is 32 MiB at worst; whoever signs with more keys
/// makes them be parsed again, which costs 1 to 10% of a verification.
const KEYS_MAX: usize = 16_384;

/// How a library verifies one signature.
pub(crate) trait Call: Send + Sync + 'static {
    /// The algorithm.
    const ALGORITHM: Algorithm;
    /// A public key as the library wants it.
    type Key: Send + Sync + 'static;

    /// Reads a key of the right length; `None` if it is malformed.
    fn parse(&self, key: &[u8]) -> Option<Self::Key>;

    /// Whether a signature of the right length holds.
    fn holds(&self, key: &Self::Key, message: Message<'_>, signature: &[u8]) -> bool;
}

/// Parsed keys by their bytes, bounded.
pub(crate) struct ParsedKeys<K>(RwLock<HashMap<Box<[u8]>, Arc<K>>>);

impl<K> ParsedKeys<K> {
    pub(crate) fn new() -> Self {
        Self(RwLock::default())
    }

    /// The parsed form of `key`; malformed keys are not kept.
    pub(crate) fn get(&self, key: &[u8], parse: impl FnOnce(&[u8]) -> Option<K>) -> Option<Arc<K>> {
        if let Some(parsed) = self.0.read().get(key) {
            return Some(Arc::clone(parsed));
        }
        let parsed = Arc::new(parse(key)?);
        let mut keys = self.0.write();
        if keys.len() >= KEYS_MAX {
            // Rare, and the keys in use come back at once; an order of use would cost every signature something.
            keys.clear();
        }
        keys.insert(key.into(), Arc::clone(&parsed));
        Some(parsed)
    }
}

/// The [`Rule`] of a [`Call`].
pub(crate) struct OneByOne<C: Call> {
    call: C,
    keys: ParsedKeys<C::Key>,
}

impl<C: Call> OneByOne<C> {
    pub(crate) fn new(call: C) -> Self {
        Self { call, keys: ParsedKeys::new() }
    }

    pub(crate) fn boxed(call: C) -> Box<dyn Rule> {
        Box::new(Self::new(call))
    }

    /// The parsed form of a key of any length.
    pub(crate) fn key(&self, key: &[u8]) -> Option<Arc<C::Key>> {
        if key.len() != C::ALGORITHM.key_len() {
            return None;
        }
        self.keys.get(key, |key| self.call.parse(key))
    }

    pub(crate) fn holds(&self, job: &VerifyJob<'_>) -> bool {
        job.signature.len() == C::ALGORITHM.signature_len()
            && self.key(job.key).is_some_and(|key| self.call.holds(&key, job.message, job.signature))
    }
}

impl<C: Call> Rule for OneByOne<C> {
    fn verify(&self, jobs: &[VerifyJob<'_>], verdicts: &mut [Verdict]) {
        for (job, verdict) in jobs.iter().zip(verdicts) {
            *verdict = self.holds(job).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsed_keys_are_kept_and_bounded() {
        let keys = ParsedKeys::new();
        assert!(keys.get(b"malformed", |_| None).is_none());
        assert!(keys.0.read().is_empty(), "malformed keys take no room");
        for number in 0..=KEYS_MAX {
            let bytes = number.to_be_bytes();
            assert_eq!(keys.get(&bytes, |_| Some(number)).as_deref(), Some(&number));
            assert_eq!(keys.get(&bytes, |_| panic!("parsed twice")).as_deref(), Some(&number));
            assert!(keys.0.read().len() <= KEYS_MAX);
        }
        assert_eq!(keys.0.read().len(), 1, "a full cache starts anew");
    }
}
