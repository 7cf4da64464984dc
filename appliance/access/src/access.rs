//! The access control of a box: what it is made of, and how a change goes through it.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::Path};

use dolmen_provisioning_journal::JournalError;
use parking_lot::{Mutex, MutexGuard};

use crate::{
    AuditOutcome, AuditPage, Caller, ClaimCode, Csrf, HashCost, Principal, Random, Refusal, Requirement, Role,
    SessionUser, SessionView, SystemRandom, Timestamp,
    audit::{self, Audit, NOBODY, Note, Query},
    caller::{Live, Shown},
    limits::{CHANGES_BURST, CHANGES_SECONDS, NAME_CHARS_MAX, TOKENS_MAX, USERS_MAX},
    name::clean,
    passkey::{Ceremonies, Relying},
    password::PasswordHash,
    rate::{Bucket, Limiter},
    secret::Bytes,
    session::{SessionKey, Sessions},
    state::{State, UserId},
    store::{OpenError, Store},
    token,
};

/// What access control is made of.
pub struct Setup {
    /// The box's name: authenticator apps and passkeys show it, and no password contains it.
    pub box_name: String,
    /// The origins at which browsers reach the box by a host name, for passkeys: `https://box-7.example:8443`.
    pub origins: Vec<String>,
    /// What hashing a password costs: [`HashCost::OWASP`] on a box.
    pub cost: HashCost,
    /// Where keys come from: [`SystemRandom`] on a box. WebAuthn's challenges are the library's own.
    pub random: Box<dyn Random>,
}

impl Setup {
    /// That of a box.
    #[must_use]
    pub fn new(box_name: String, origins: Vec<String>) -> Self {
        Self { box_name, origins, cost: HashCost::OWASP, random: Box::new(SystemRandom) }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("box_name", &self.box_name).finish_non_exhaustive()
    }
}

/// Who may use a box's administration API.
///
/// Its methods are the operations of the API. Times are seconds since 1970, passed in; a clock that goes back ends
/// nothing and allows nothing. They can be called from many threads. A lock is held for a write to the disk, and not
/// while a password is hashed: methods that do that take tens of milliseconds and 19 MiB, so a server runs them on
/// threads that may wait, and bounds how many at once. Their rate is bounded here.
pub struct Access {
    pub(crate) box_name: String,
    pub(crate) cost: HashCost,
    pub(crate) relying: Relying,
    /// What a login is checked against that names nobody.
    pub(crate) nobodys: PasswordHash,
    inner: Mutex<Inner>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("box_name", &self.box_name).finish_non_exhaustive()
    }
}

/// What changes.
pub(crate) struct Inner {
    pub(crate) state: State,
    store: Store,
    audit: Audit,
    pub(crate) sessions: Sessions,
    pub(crate) limiter: Limiter,
    pub(crate) ceremonies: Ceremonies,
    /// TOTP secrets that wait to be confirmed, and until when.
    pub(crate) enrolments: BTreeMap<[u8; 16], (Bytes<20>, u64)>,
    changes: BTreeMap<String, Bucket>,
    /// What the screen shows.
    pub(crate) screen: Option<ClaimCode>,
    pub(crate) random: Box<dyn Random>,
}

impl Access {
    /// Opens access control in a directory, which is its own; a new one is of a box that nobody claimed.
    ///
    /// # Errors
    ///
    /// [`OpenError`]. Nobody is let in then: a file that is gone does not make the box anybody's.
    pub fn open(directory: &Path, setup: Setup, now: u64) -> Result<Self, OpenError> {
        let Setup { box_name, origins, cost, mut random } = setup;
        let relying = Relying::new(&origins, &box_name)?;
        cost.params().ok_or(OpenError::Cost)?;
        let (mut audit, entries) = Audit::open(directory, now)?;
        let store = Store::new(directory);
        let state = match store.load()? {
            Some(state) => state,
            None if entries.len() == 1 => {
                let state = State::new(1);
                store.create(&state)?;
                state
            }
            None => return Err(OpenError::Missing(store.path().to_owned())),
        };
        if let Some(number) = store.outstanding(&state, &entries)? {
            audit.void(now, number, "interrupted")?;
        }
        let mut key = || Bytes::random(&mut *random).map_err(OpenError::Random);
        let (sessions, limiter) = (Sessions::new(key()?), Limiter::new(key()?, now));
        let nobodys = PasswordHash::nobodys(cost, &mut *random).map_err(OpenError::Random)?;
        let inner = Inner {
            state,
            store,
            audit,
            sessions,
            limiter,
            ceremonies: Ceremonies::default(),
            enrolments: BTreeMap::new(),
            changes: BTreeMap::new(),
            screen: None,
            random,
        };
        Ok(Self { box_name, cost, relying, nobodys, inner: Mutex::new(inner) })
    }

    /// Whether the box has users.
    #[must_use]
    pub fn claimed(&self) -> bool {
        self.lock().state.claimed()
    }

    /// Whether passkeys work at this host name, without its port: never at an address.
    #[must_use]
    pub fn passkeys_at(&self, host: &str) -> bool {
        self.relying.get(host).is_ok()
    }

    /// Says what claim code the box's screen shows. It counts once: for the first user, or for one recovery.
    pub fn screen_shows(&self, code: ClaimCode) {
        self.lock().screen = Some(code);
    }

    /// The session of a cookie, which is used now.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], and [`Refusal::Csrf`] for an unsafe method without the session's CSRF token.
    pub fn session(&self, cookie: &str, csrf: Csrf<'_>, now: u64) -> Result<Principal, Refusal> {
        let mut inner = self.lock();
        let key = inner.sessions.touch(cookie, now).ok_or(Refusal::NoSession)?;
        if let Csrf::Header(shown) = csrf {
            inner.sessions.check_csrf(&key, shown)?;
        }
        Ok(Principal(Shown::Session(key)))
    }

    /// The session of a cookie that a page sends by itself, while its user may be away: it lasts no longer by that.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`].
    pub fn session_unused(&self, cookie: &str, now: u64) -> Result<Principal, Refusal> {
        let key = self.lock().sessions.find(cookie, now).ok_or(Refusal::NoSession)?;
        Ok(Principal(Shown::Session(key)))
    }

    /// Who shows an API token, `dolmen_…`.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoToken`].
    pub fn bearer(&self, token: &str, now: u64) -> Result<Principal, Refusal> {
        let mut inner = self.lock();
        let id = token::find(&inner.state, token)?;
        let shown = Shown::Token(id.clone());
        inner.live(&shown, now)?;
        inner.use_token(&id, now);
        Ok(Principal(shown))
    }

    /// Whether somebody may do something that is not of this crate: what every other route asks first. A refusal is
    /// recorded as one of `action` on `target`.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleTooLow`], [`Refusal::Pending`], [`Refusal::SessionNeeded`], and [`Refusal::NoSession`] or
    /// [`Refusal::NoToken`] for who was somebody.
    pub fn require(
        &self,
        caller: &Caller,
        requirement: Requirement,
        action: &'static str,
        target: Option<&str>,
        now: u64,
    ) -> Result<(), Refusal> {
        self.act(caller, action, target, requirement, now, |_, _, _| Ok(()))
    }

    /// Records what somebody does that is not of this crate: before it is done, as what is about to be, and with the code
    /// where it was refused or failed. Comes back once the disk has it.
    ///
    /// # Errors
    ///
    /// [`Refusal::Journal`], after which it is not to be done, and as [`require`](Self::require) with
    /// [`Requirement::Session`] or any role.
    pub fn record(
        &self,
        caller: &Caller,
        action: &'static str,
        target: Option<&str>,
        refused: Option<&str>,
        detail: Option<&str>,
        now: u64,
    ) -> Result<u64, Refusal> {
        let mut inner = self.lock();
        let live = inner.live(&caller.who.0, now)?;
        let mut note = note(&live.who, caller.from, action, target.map(str::to_owned));
        note.detail = detail.map(str::to_owned);
        inner.allow_change(&note, now)?;
        let outcome = if refused.is_some() { AuditOutcome::Refused } else { AuditOutcome::Done };
        Ok(inner.audit.append(now, note.record(outcome, refused))?.number)
    }

    /// What the audit log calls somebody, for the logs of others.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`] or [`Refusal::NoToken`] for who was somebody.
    pub fn who(&self, caller: &Caller, now: u64) -> Result<String, Refusal> {
        Ok(self.lock().live(&caller.who.0, now)?.who)
    }

    /// `GET /audit`: records before one, the latest first; 50 where nothing else is asked for, 200 at most. Who is no
    /// security officer sees his own.
    ///
    /// # Errors
    ///
    /// [`Refusal::RoleTooLow`] below [`Role::Operator`], and [`Refusal::Journal`].
    pub fn audit(
        &self,
        caller: &Caller,
        before: Option<u64>,
        limit: Option<usize>,
        now: u64,
    ) -> Result<AuditPage, Refusal> {
        let needed = Requirement::Role(Role::Operator);
        let (query, page) = self.act(caller, "read-audit", None, needed, now, |inner, live, _| {
            let own = (live.role < Role::SecurityOfficer).then(|| live.who.clone());
            let query = Query::new(before, limit, own);
            let page = inner.audit.page(&query);
            Ok((query, page))
        })?;
        // Old pages come from the file, which can be long, and nobody waits for that.
        page.or_else(|path| Ok(audit::read_page(&path, &query)?))
    }

    /// Does something that somebody may be refused; a refusal is recorded.
    pub(crate) fn act<T>(
        &self,
        caller: &Caller,
        action: &'static str,
        target: Option<&str>,
        requirement: Requirement,
        now: u64,
        act: impl FnOnce(&mut Inner, &Live, &Note) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut inner = self.lock();
        let live = inner.live(&caller.who.0, now)?;
        let note = note(&live.who, caller.from, action, target.map(str::to_owned));
        let result = requirement.check(live.session.is_some(), live.role, live.pending);
        let result = result.and_then(|()| act(&mut inner, &live, &note));
        inner.tell(&note, now, result)
    }

    /// The same of somebody who did not show who he is.
    pub(crate) fn act_unknown<T>(
        &self,
        from: IpAddr,
        action: &'static str,
        typed: Option<&str>,
        now: u64,
        act: impl FnOnce(&mut Inner, &Note) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut inner = self.lock();
        let note = note(NOBODY, from, action, typed.map(|typed| clean(typed, NAME_CHARS_MAX)));
        let result = act(&mut inner, &note);
        inner.tell(&note, now, result)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock()
    }
}

fn note(who: &str, from: IpAddr, action: &'static str, target: Option<String>) -> Note {
    Note { who: who.to_owned(), from: from.to_canonical().to_string(), action, target, detail: None }
}

impl Inner {
    /// Somebody as he is now.
    pub(crate) fn live(&self, shown: &Shown, now: u64) -> Result<Live, Refusal> {
        match shown {
            Shown::Session(key) => {
                let session = self.sessions.get(key, now).ok_or(Refusal::NoSession)?;
                let user = self.state.user(&session.user).filter(|user| !user.disabled).ok_or(Refusal::NoSession)?;
                let (who, name) = (user.name.to_string(), user.name.clone());
                let (role, pending, session) = (user.role, user.pending(), Some(*key));
                Ok(Live { user: user.id.clone(), who, name, role, pending, session })
            }
            Shown::Token(id) => {
                let (token, user) = token::live(&self.state, id, now)?;
                let (who, role) = (format!("token:{}", token.name), token.role.min(user.role));
                Ok(Live { user: user.id.clone(), who, name: user.name.clone(), role, pending: None, session: None })
            }
        }
    }

    /// Changes what is kept: writes down who does it, then the file, and only then takes it as so.
    pub(crate) fn commit<T>(
        &mut self,
        note: &Note,
        now: u64,
        change: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mut next = self.state.clone();
        let result = change(&mut next)?;
        next.check_officers()?;
        self.allow_change(note, now)?;
        let mut record = note.record(AuditOutcome::Done, None);
        record.change = true;
        next.seq = self.audit.append(now, record)?.number;
        if let Err(refusal) = self.store.save(&self.state, &next) {
            // The journal may be out of room as well: then it is said when the box starts again.
            let _: Result<(), JournalError> = self.audit.void(now, next.seq, refusal.code());
            return Err(refusal);
        }
        self.state = next;
        Ok(result)
    }

    /// A user's changes have a rate: the journal keeps all of them.
    fn allow_change(&mut self, note: &Note, now: u64) -> Result<(), Refusal> {
        if note.who == NOBODY {
            return Ok(());
        }
        if self.changes.len() > 2 * (USERS_MAX + TOKENS_MAX) {
            // Of those who are gone, and who come back with a full one.
            self.changes.clear();
        }
        let bucket = self.changes.entry(note.who.clone()).or_insert(Bucket::full(CHANGES_BURST, now));
        if bucket.take(CHANGES_BURST, CHANGES_SECONDS, now) { Ok(()) } else { Err(Refusal::TooManyChanges) }
    }

    /// Records a refusal.
    pub(crate) fn tell<T>(&mut self, note: &Note, now: u64, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| match refusal {
            // That is what cannot be recorded.
            Refusal::Store(_) | Refusal::Journal(_) | Refusal::Broken => {}
            refusal => self.audit.refused(now, note, refusal),
        })
    }

    /// Records what changes nothing that is kept.
    pub(crate) fn note(&mut self, note: &Note, now: u64) -> Result<(), Refusal> {
        self.allow_change(note, now)?;
        self.audit.append(now, note.record(AuditOutcome::Done, None))?;
        Ok(())
    }

    /// When a token was used last goes to the disk once an hour. It is no change of who may do what, so there is no record
    /// of it, and the token is as good where the disk does not take it.
    fn use_token(&mut self, id: &Bytes<8>, now: u64) {
        if let Some(next) = token::used(&self.state, id, now)
            && self.store.save(&self.state, &next).is_ok()
        {
            self.state = next;
        }
    }

    /// How a session looks to its browser.
    pub(crate) fn view(&self, key: &SessionKey, now: u64) -> Result<SessionView, Refusal> {
        let session = self.sessions.get(key, now).ok_or(Refusal::NoSession)?;
        let user = self.state.user(&session.user).ok_or(Refusal::NoSession)?;
        let (expires_at, idle_expires_at) = session.ends();
        Ok(SessionView {
            user: SessionUser { name: user.name.clone(), role: user.role, language: user.language },
            csrf_token: self.sessions.csrf(key)?,
            pending: user.pending(),
            expires_at: Timestamp(expires_at),
            idle_expires_at: Timestamp(idle_expires_at),
        })
    }

    /// Ends all sessions of a user, and forgets what he had begun.
    pub(crate) fn end_sessions(&mut self, user: &UserId) {
        self.sessions.end_all_of(user);
        self.enrolments.remove(user.get());
    }
}
