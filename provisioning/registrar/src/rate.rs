//! How often somebody may ask: buckets of tokens, by the time that is passed in.

use std::collections::BTreeMap;

use crate::limits::{BOX_BURST, BOX_SECONDS, BUCKETS_MAX, STRANGERS_BURST, STRANGERS_SECONDS};

/// Tokens that come back one by one.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: u32,
    /// Since when the next token is on its way.
    since: u64,
}

impl Bucket {
    const fn full(burst: u32, now: u64) -> Self {
        Self { tokens: burst, since: now }
    }

    /// Takes a token, if there is one. A clock that was set back brings no tokens and takes none.
    fn take(&mut self, burst: u32, seconds: u64, now: u64) -> bool {
        let came = now.saturating_sub(self.since) / seconds;
        let tokens = u64::from(self.tokens).saturating_add(came).min(burst.into());
        self.tokens = u32::try_from(tokens).unwrap_or(burst);
        self.since = if self.tokens == burst || now < self.since { now } else { self.since + came * seconds };
        match self.tokens.checked_sub(1) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    fn is_full(&self, burst: u32, seconds: u64, now: u64) -> bool {
        u64::from(self.tokens).saturating_add(now.saturating_sub(self.since) / seconds) >= burst.into()
    }
}

/// Of each box that holds a certificate, and of all others together.
#[derive(Debug)]
pub(crate) struct Rates {
    boxes: BTreeMap<[u8; 32], Bucket>,
    strangers: Bucket,
}

impl Rates {
    pub(crate) const fn new() -> Self {
        Self { boxes: BTreeMap::new(), strangers: Bucket::full(STRANGERS_BURST, 0) }
    }

    /// Whether the holder of this certificate may ask; none for those without one that is known.
    pub(crate) fn take(&mut self, fingerprint: Option<[u8; 32]>, now: u64) -> bool {
        let Some(fingerprint) = fingerprint else {
            return self.strangers.take(STRANGERS_BURST, STRANGERS_SECONDS, now);
        };
        if !self.boxes.contains_key(&fingerprint) && self.boxes.len() >= BUCKETS_MAX {
            // A full bucket is as good as none.
            self.boxes.retain(|_, bucket| !bucket.is_full(BOX_BURST, BOX_SECONDS, now));
            if self.boxes.len() >= BUCKETS_MAX {
                return false;
            }
        }
        let bucket = self.boxes.entry(fingerprint).or_insert(Bucket::full(BOX_BURST, now));
        bucket.take(BOX_BURST, BOX_SECONDS, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn tokens_come_back_one_by_one() {
        let mut rates = Rates::new();
        let mut count = |key, now| (0..1000).take_while(|_| rates.take(key, now)).count();
        let (one, other) = (Some([1; 32]), Some([2; 32]));
        assert_eq!(count(one, NOW), 30);
        assert_eq!(count(one, NOW + 4), 0);
        assert_eq!(count(one, NOW + 5), 1);
        // What is left of a period is not lost.
        assert_eq!(count(one, NOW + 9), 0);
        assert_eq!(count(one, NOW + 14), 1);
        assert_eq!(count(one, NOW + 15), 1);
        assert_eq!(count(one, NOW + 100_000), 30);
        // Each has its own, and those without a certificate one together.
        assert_eq!(count(other, NOW), 30);
        assert_eq!(count(None, NOW), 30);
        assert_eq!(count(None, NOW + 60), 1);
        // A clock that is set back.
        assert_eq!(count(one, 5), 0);
        assert_eq!(count(one, 10), 1);
    }

    #[test]
    fn the_table_has_a_bound() {
        let mut rates = Rates::new();
        let key = |number: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            Some(key)
        };
        assert!((0..BUCKETS_MAX).all(|number| rates.take(key(number), NOW)));
        assert!(!rates.take(key(BUCKETS_MAX), NOW));
        assert!(rates.take(key(0), NOW), "who is known is not affected");
        // Those that are full again make room.
        assert!(rates.take(key(BUCKETS_MAX), NOW + 5));
        assert!(rates.boxes.len() < 3);
    }
}
