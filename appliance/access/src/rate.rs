//! How often somebody may try a password.
//!
//! Wrong passwords are counted three times, and each counter makes the next attempt wait: 2 s at first, twice as long each
//! time, 15 minutes at most (OWASP ASVS 5.0 §6.3.1).
//!
//! | counter | free | who waits |
//! |---|---|---|
//! | one user from one address | 5 | that user, there |
//! | one address | 20 | everybody there |
//! | one user from all addresses | 50 | that user, wherever he never logged in from since the box started |
//!
//! An attempt is counted when it begins, so that a thousand at once are not one; a right one takes its own back and clears
//! the pair. While somebody waits, a right password is refused as a wrong one is.
//!
//! Nobody is locked out for good: a wait ends, addresses that a user logged in from are not made to wait by others', and
//! passkeys are not counted at all. Whoever attacks one user from many addresses for as long as he likes keeps that user
//! to those two.
//!
//! The tables are bounded, and cannot be made to forget cheaply: users' counters are as many as there are users, and stay.
//! Names that are no user's share a fixed number of counters by a keyed hash, so that they wait as users do. Addresses
//! (IPv6 ones by their /64) are forgotten when 4,096 others have failed since. Each of those failures was a hash, of which
//! there are 8 a second: that takes as long as half a wait, from 4,096 addresses, and the users' counters have seen it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    time::Duration,
};

use hmac::{Hmac, KeyInit as _, Mac as _};
use lru::LruCache;
use sha2::Sha256;

use crate::{
    Refusal,
    limits::{
        FORGET_SECONDS, HASH_BURST, HASHES_PER_SECOND, KNOWN_PER_USER, PAIR_FREE, SOURCE_FREE, SOURCES_MAX,
        UNKNOWN_COUNTERS, USER_FREE, WAIT_SECONDS, WAIT_SECONDS_MAX,
    },
    secret::Bytes,
};

/// Tokens that come back one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: u32,
    /// Since when the next token is on its way.
    since: u64,
}

impl Bucket {
    pub(crate) const fn full(burst: u32, now: u64) -> Self {
        Self { tokens: burst, since: now }
    }

    /// Takes a token, if there is one. A clock that was set back brings no tokens and takes none.
    pub(crate) fn take(&mut self, burst: u32, seconds: u64, now: u64) -> bool {
        self.take_many(burst, 1, seconds, now)
    }

    /// The same, where so many come back in so many seconds.
    fn take_many(&mut self, burst: u32, come: u32, seconds: u64, now: u64) -> bool {
        let periods = now.saturating_sub(self.since) / seconds;
        let tokens = periods.saturating_mul(come.into()).saturating_add(self.tokens.into()).min(burst.into());
        self.tokens = u32::try_from(tokens).unwrap_or(burst);
        self.since = if self.tokens == burst || now < self.since { now } else { self.since + periods * seconds };
        self.tokens.checked_sub(1).inspect(|left| self.tokens = *left).is_some()
    }
}

/// Wrong passwords that were counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    failed: u32,
    last: u64,
    until: u64,
}

impl Counter {
    /// How long to wait from now.
    const fn wait(&self, now: u64) -> u64 {
        // A clock that was set back makes nobody wait longer than he had to.
        let wait = self.until.saturating_sub(now);
        if wait > WAIT_SECONDS_MAX { WAIT_SECONDS_MAX } else { wait }
    }

    fn count(&mut self, free: u32, now: u64) -> Counted {
        let before = self.until;
        if now.saturating_sub(self.last) >= FORGET_SECONDS {
            self.failed = 0;
        }
        self.failed = self.failed.saturating_add(1);
        self.last = now;
        // The attempt after the last free one is the first that waits.
        if let Some(more) = self.failed.checked_sub(free) {
            let wait = WAIT_SECONDS.saturating_mul(1 << more.min(16)).min(WAIT_SECONDS_MAX);
            self.until = now.saturating_add(wait);
        }
        Counted { before, set: self.until }
    }

    /// Takes one back that was no failure. What others did in between stays.
    const fn take_back(&mut self, counted: Counted) {
        self.failed = self.failed.saturating_sub(1);
        if self.until == counted.set {
            self.until = counted.before;
        }
    }
}

/// Until when a counter made wait before it counted, and since.
#[derive(Clone, Copy, Debug)]
struct Counted {
    before: u64,
    set: u64,
}

/// An address, or what one customer of a network has: 64 bits of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

/// Whose password is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Whose {
    User([u8; 16]),
    /// Nobody's, of a counter.
    Unknown(usize),
}

/// An attempt that was counted. One that is dropped stays counted.
#[derive(Debug)]
#[must_use]
pub(crate) struct Attempt {
    whose: Whose,
    source: Source,
    pair: Counted,
    at_source: Counted,
    of_user: Counted,
}

/// All counters. They are lost when the box starts again, which nobody who guesses can have it do.
#[derive(Debug)]
pub(crate) struct Limiter {
    key: Bytes<32>,
    pairs: LruCache<(Whose, Source), Counter>,
    sources: LruCache<Source, Counter>,
    users: BTreeMap<Whose, Counter>,
    known: BTreeMap<[u8; 16], Vec<Source>>,
    hashes: Bucket,
    known_hashes: Bucket,
}

impl Limiter {
    pub(crate) fn new(key: Bytes<32>, now: u64) -> Self {
        let sources = NonZeroUsize::new(SOURCES_MAX).unwrap_or(NonZeroUsize::MIN);
        let full = Bucket::full(HASH_BURST, now);
        let (users, known) = (BTreeMap::new(), BTreeMap::new());
        Self {
            key,
            pairs: LruCache::new(sources),
            sources: LruCache::new(sources),
            users,
            known,
            hashes: full,
            known_hashes: full,
        }
    }

    /// Begins an attempt at a user's password, or at that of a name that nobody has.
    pub(crate) fn begin(
        &mut self,
        user: Option<&[u8; 16]>,
        typed: &str,
        from: IpAddr,
        now: u64,
    ) -> Result<Attempt, Refusal> {
        let source = Source::from(from);
        let whose = user.map_or_else(|| self.unknown(typed), |id| Whose::User(*id));
        let is_known = user.is_some_and(|id| self.known.get(id).is_some_and(|known| known.contains(&source)));
        let pair = self.pairs.peek(&(whose, source)).map_or(0, |counter| counter.wait(now));
        let mut wait = pair;
        if !is_known {
            wait = wait.max(self.sources.peek(&source).map_or(0, |counter| counter.wait(now)));
            wait = wait.max(self.users.get(&whose).map_or(0, |counter| counter.wait(now)));
        }
        if wait > 0 {
            return Err(Refusal::TooManyAttempts { retry: Duration::from_secs(wait) });
        }
        self.hash(is_known, now)?;
        let pair = self.pairs.get_or_insert_mut((whose, source), Counter::default).count(PAIR_FREE, now);
        let at_source = self.sources.get_or_insert_mut(source, Counter::default).count(SOURCE_FREE, now);
        let of_user = self.users.entry(whose).or_default().count(USER_FREE, now);
        Ok(Attempt { whose, source, pair, at_source, of_user })
    }

    /// Takes one hash out of what the box does in a second. Those who logged in from where they are have their own share,
    /// so that strangers cannot use all of it up.
    pub(crate) fn hash(&mut self, is_known: bool, now: u64) -> Result<(), Refusal> {
        let bucket = if is_known { &mut self.known_hashes } else { &mut self.hashes };
        if bucket.take_many(HASH_BURST, HASHES_PER_SECOND, 1, now) { Ok(()) } else { Err(Refusal::Busy) }
    }

    /// The password was right, and nobody is logged in yet: neither a failure nor a reason to forget others.
    pub(crate) fn take_back(&mut self, attempt: &Attempt) {
        let Attempt { whose, source, .. } = *attempt;
        if let Some(counter) = self.pairs.peek_mut(&(whose, source)) {
            counter.take_back(attempt.pair);
        }
        if let Some(counter) = self.sources.peek_mut(&source) {
            counter.take_back(attempt.at_source);
        }
        if let Some(counter) = self.users.get_mut(&whose) {
            counter.take_back(attempt.of_user);
        }
    }

    /// Somebody is logged in. His address is known from now on, and what failed there by his name was he.
    pub(crate) fn succeed(&mut self, attempt: &Attempt) {
        self.take_back(attempt);
        let Attempt { whose, source, .. } = *attempt;
        self.pairs.pop(&(whose, source));
        if let Whose::User(id) = whose {
            let known = self.known.entry(id).or_default();
            known.retain(|one| *one != source);
            known.push(source);
            let more = known.len().saturating_sub(KNOWN_PER_USER);
            known.drain(..more);
        }
    }

    /// A user is gone, or has another password: nobody's address says anything any more.
    pub(crate) fn forget(&mut self, user: &[u8; 16]) {
        self.users.remove(&Whose::User(*user));
        self.known.remove(user);
    }

    /// The counter of a name that is nobody's.
    fn unknown(&self, typed: &str) -> Whose {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.get()).ok().map(|mac| mac.chain_update(typed.to_lowercase()));
        let first = mac.and_then(|mac| mac.finalize().into_bytes().first().copied()).unwrap_or(0);
        Whose::Unknown(usize::from(first) % UNKNOWN_COUNTERS)
    }
}
