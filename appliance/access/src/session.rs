//! Sessions of browsers.
//!
//! A token is 256 random bits. Memory alone has its SHA-256, so that sessions end when the box starts again, and nobody
//! finds one on a disk. A session gets another token when it is allowed more, and all of a user's sessions end when his
//! password, his role or his standing changes (OWASP ASVS 5.0 §7.2 and §7.4).

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Random, Refusal, Secret,
    limits::{SESSION_IDLE_SECONDS, SESSION_SECONDS, SESSIONS_MAX, SESSIONS_PER_USER},
    secret::Bytes,
    state::UserId,
};

/// SHA-256 of a session's token.
pub(crate) type SessionKey = [u8; 32];

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) user: UserId,
    /// When its user logged in.
    pub(crate) opened: u64,
    /// When it was last used.
    pub(crate) seen: u64,
}

impl Session {
    /// When it ends, in any case and if nobody uses it.
    pub(crate) fn ends(&self) -> (u64, u64) {
        let end = self.opened.saturating_add(SESSION_SECONDS);
        (end, self.seen.saturating_add(SESSION_IDLE_SECONDS).min(end))
    }

    fn is_over(&self, now: u64) -> bool {
        let (end, idle_end) = self.ends();
        now >= end || now >= idle_end
    }
}

/// All sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// Derives CSRF tokens.
    key: Bytes<32>,
    sessions: BTreeMap<SessionKey, Session>,
}

impl Sessions {
    pub(crate) const fn new(key: Bytes<32>) -> Self {
        Self { key, sessions: BTreeMap::new() }
    }

    /// Opens a session of a user who logged in at `opened`. Where there are too many the oldest ends: of his, or of all.
    pub(crate) fn open(
        &mut self,
        random: &mut dyn Random,
        user: &UserId,
        opened: u64,
        now: u64,
    ) -> Result<(Secret, SessionKey), Refusal> {
        let token = Bytes::<32>::random(random).map_err(Refusal::Random)?;
        let token = Secret::from(token.hex());
        let key = key(token.expose());
        self.sessions.retain(|_, session| !session.is_over(now));
        self.evict(SESSIONS_PER_USER, |session| session.user == *user);
        self.evict(SESSIONS_MAX, |_| true);
        self.sessions.insert(key, Session { user: user.clone(), opened, seen: now });
        Ok((token, key))
    }

    /// Makes room for one more of those that are meant.
    fn evict(&mut self, limit: usize, meant: impl Fn(&Session) -> bool) {
        while self.sessions.values().filter(|session| meant(session)).count() >= limit {
            let oldest = self.sessions.iter().filter(|(_, session)| meant(session));
            let Some(key) = oldest.min_by_key(|(_, session)| (session.seen, session.opened)).map(|(key, _)| *key)
            else {
                return;
            };
            self.sessions.remove(&key);
        }
    }

    /// The session of a token, which is used now.
    pub(crate) fn touch(&mut self, token: &str, now: u64) -> Option<SessionKey> {
        let key = key(token);
        let session = self.sessions.get_mut(&key)?;
        if session.is_over(now) {
            self.sessions.remove(&key);
            return None;
        }
        session.seen = session.seen.max(now);
        Some(key)
    }

    /// The session of a token, whose user may be away.
    pub(crate) fn find(&self, token: &str, now: u64) -> Option<SessionKey> {
        let key = key(token);
        self.get(&key, now).map(|_| key)
    }

    pub(crate) fn get(&self, key: &SessionKey, now: u64) -> Option<&Session> {
        self.sessions.get(key).filter(|session| !session.is_over(now))
    }

    pub(crate) fn end(&mut self, key: &SessionKey) {
        self.sessions.remove(key);
    }

    pub(crate) fn end_all_of(&mut self, user: &UserId) {
        self.sessions.retain(|_, session| session.user != *user);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.len()
    }

    /// What a page has to send with each unsafe method: HMAC-SHA-256 of the session, so that nothing more is kept, and
    /// another one with each token.
    pub(crate) fn csrf(&self, session: &SessionKey) -> Result<Secret, Refusal> {
        let mac = Hmac::<Sha256>::new_from_slice(self.key.get()).map_err(|_| Refusal::Hash)?;
        let mac = mac.chain_update(b"csrf").chain_update(session).finalize().into_bytes();
        Ok(Secret::from(const_hex::encode(mac)))
    }

    pub(crate) fn check_csrf(&self, session: &SessionKey, shown: Option<&str>) -> Result<(), Refusal> {
        let expected = self.csrf(session)?;
        let (expected, shown) = (expected.expose().as_bytes(), shown.unwrap_or_default().as_bytes());
        let same = expected.len() == shown.len() && openssl::memcmp::eq(expected, shown);
        if same { Ok(()) } else { Err(Refusal::Csrf) }
    }
}

/// Looked up by its digest, of which nobody learns anything by timing that would help him to a token.
fn key(token: &str) -> SessionKey {
    let digest = Zeroizing::new(Bytes::digest(token.as_bytes()).get().to_owned());
    *digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRandom;

    const NOW: u64 = 1_800_000_000;

    fn sessions() -> Sessions {
        Sessions::new(Bytes::new([1; 32]))
    }

    fn open(sessions: &mut Sessions, user: u8, now: u64) -> Secret {
        sessions.open(&mut SystemRandom, &Bytes::new([user; 16]), now, now).expect("random numbers").0
    }

    /// An open page asks and asks; that is no use of it.
    #[test]
    fn what_a_page_asks_by_itself_keeps_no_session() {
        let mut all = sessions();
        let token = open(&mut all, 1, NOW);
        for now in NOW..NOW + SESSION_IDLE_SECONDS {
            assert!(all.find(token.expose(), now).is_some(), "{}", now - NOW);
        }
        assert!(all.find(token.expose(), NOW + SESSION_IDLE_SECONDS).is_none());
        assert!(all.touch(token.expose(), NOW + SESSION_IDLE_SECONDS).is_none());
    }

    #[test]
    fn sessions_end_by_themselves() {
        let mut all = sessions();
        let token = open(&mut all, 1, NOW);
        let mut now = NOW;
        // Somebody works all day.
        while now < NOW + SESSION_SECONDS {
            assert!(all.touch(token.expose(), now).is_some(), "{}", now - NOW);
            now += SESSION_IDLE_SECONDS - 1;
        }
        assert!(all.touch(token.expose(), NOW + SESSION_SECONDS).is_none());
        let token = open(&mut all, 1, NOW);
        assert!(all.touch(token.expose(), NOW + SESSION_IDLE_SECONDS).is_none());
        assert!(all.touch(token.expose(), NOW).is_none());
        for bad in ["", "0", &"0".repeat(64), &token.expose().to_uppercase()] {
            assert!(all.touch(bad, NOW).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let mut all = sessions();
        let first: Vec<_> = (0..SESSIONS_PER_USER as u64).map(|index| open(&mut all, 1, NOW + index)).collect();
        let other = open(&mut all, 2, NOW);
        open(&mut all, 1, NOW + 100);
        assert!(all.touch(first[0].expose(), NOW + 100).is_none());
        assert!(all.touch(first[1].expose(), NOW + 100).is_some());
        for user in 3..=u8::MAX {
            open(&mut all, user, NOW + 200);
        }
        assert_eq!(all.len(), SESSIONS_MAX);
        assert!(all.touch(other.expose(), NOW + 200).is_none(), "nobody used it for longest");
        assert!(all.touch(first[1].expose(), NOW + 200).is_some());
        all.end_all_of(&Bytes::new([1; 16]));
        assert!(all.touch(first[1].expose(), NOW + 200).is_none());
    }

    #[test]
    fn a_csrf_token_is_of_one_session() {
        let mut all = sessions();
        let keys = [1, 1].map(|user| {
            let token = open(&mut all, user, NOW);
            all.touch(token.expose(), NOW).unwrap()
        });
        let csrf = keys.map(|key| all.csrf(&key).unwrap());
        assert!(all.check_csrf(&keys[0], Some(csrf[0].expose())).is_ok());
        for bad in [Some(csrf[1].expose()), Some(""), None, Some(&csrf[0].expose()[1..])] {
            assert!(all.check_csrf(&keys[0], bad).is_err());
        }
    }
}
