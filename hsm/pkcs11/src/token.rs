//! A token in use: its sessions, the login, and what happens when it forgets both.
//!
//! PKCS#11 logs in a process, not a session, and logs it out with its last session (PKCS #11 2.40, section 5.6). So one
//! session, the keeper, stays open for the token's users, and all that this process does on a token goes through one
//! [`Token`]. Sessions and object handles belong to a generation. When the token reports one of them void, the whole
//! generation is dropped, the token looked up and opened again, and the operation tried once more.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use cryptoki::{
    error::{Error, RvError},
    session::{Session, UserType},
    slot::{Slot, TokenInfo},
};
use dolmen_hsm_api::KeyError;
use parking_lot::{Condvar, Mutex, RwLockReadGuard};

use crate::{
    errors::{self, Fault},
    identity::Identity,
    library::Library,
    limits,
    pin::{Fingerprint, Pin},
    worker::{Job, Workers},
};

/// A token that keys of this process are on.
pub(crate) struct Token {
    library: Arc<Library>,
    identity: Identity,
    sessions_max: usize,
    pool: Mutex<Pool>,
    /// A session came back.
    returned: Condvar,
    /// Objects are changed by one at a time, so that looking for a name and taking it are one step.
    changes: Mutex<()>,
    workers: Workers,
}

/// The sessions of a generation.
struct Pool {
    generation: u64,
    keeper: Option<Keeper>,
    idle: Vec<Session>,
    /// Sessions that are idle or lent.
    open: usize,
    /// How many the token gives, as far as is known.
    open_max: usize,
}

/// The session that keeps us logged in.
struct Keeper {
    slot: Slot,
    _session: Session,
    login: Option<Login>,
}

/// With what we are logged in.
struct Login {
    pin_source: PathBuf,
    pin: Fingerprint,
}

/// What failed, and in which generation.
type Failed = (Fault, u64);

impl Token {
    pub(crate) fn new(library: Arc<Library>, identity: Identity, sessions_max: usize) -> Self {
        let sessions_max = sessions_max.max(1);
        let pool = Pool { generation: 0, keeper: None, idle: Vec::new(), open: 0, open_max: sessions_max };
        Self {
            library,
            identity,
            sessions_max,
            pool: Mutex::new(pool),
            returned: Condvar::new(),
            changes: Mutex::new(()),
            workers: Workers::new(sessions_max),
        }
    }

    /// What it is called in messages.
    pub(crate) fn device(&self) -> String {
        self.identity.to_string()
    }

    /// Has a thread of the token do something.
    pub(crate) fn submit(&self, job: Job) -> Result<(), String> {
        self.workers.submit(job)
    }

    /// Refuses who comes without the PIN while others are logged in: the token itself would not ask again.
    pub(crate) fn admit(&self, pin_source: Option<&Path>) -> Result<(), KeyError> {
        let mut pool = self.pool.lock();
        let Some(login) = pool.keeper.as_ref().and_then(|keeper| keeper.login.as_ref()) else { return Ok(()) };
        let Some(path) = pin_source else { return Err(KeyError::NoPin { device: self.device() }) };
        if Pin::load(path)?.fingerprint() == login.pin {
            return Ok(());
        }
        if path != login.pin_source {
            return Err(self.wrong_pin(path));
        }
        // The file has another PIN than at the login: the token's was changed, or it will refuse this one.
        let _inside = self.library.enter();
        self.renew(&mut pool);
        Ok(())
    }

    /// Does something in a session, whose generation it is told; a second time if the first finds the session void.
    pub(crate) fn run<T>(
        &self,
        pin_source: Option<&Path>,
        operation: &'static str,
        work: impl Fn(&Session, u64) -> Result<T, Fault>,
    ) -> Result<T, KeyError> {
        self.twice(operation, || {
            let mut lease = self.lease(pin_source)?;
            let result = work(lease.session(), lease.generation);
            // A failed call may leave its operation active in the session, and the next one would stumble over it.
            lease.sound = !matches!(result, Err(Fault::Device(_)));
            result.map_err(|fault| (fault, lease.generation))
        })
    }

    /// As [`run`](Self::run), but may change objects; one at a time.
    pub(crate) fn change<T>(
        &self,
        pin_source: Option<&Path>,
        operation: &'static str,
        work: impl Fn(&Session) -> Result<T, Fault>,
    ) -> Result<T, KeyError> {
        let _alone = self.changes.lock();
        self.twice(operation, || {
            let (slot, generation) = self.reach(pin_source)?;
            let _inside = self.library.enter();
            let session = self.library.context().open_rw_session(slot);
            session.map_err(Fault::from).and_then(|session| work(&session)).map_err(|fault| (fault, generation))
        })
    }

    fn twice<T>(&self, operation: &'static str, attempt: impl Fn() -> Result<T, Failed>) -> Result<T, KeyError> {
        let mut again = true;
        loop {
            let (fault, generation) = match attempt() {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            if let Fault::Device(error) = &fault
                && errors::is_stale(error)
            {
                self.forget(generation);
                if std::mem::take(&mut again) {
                    let error = errors::describe(error);
                    tracing::warn!(token = %self.identity, operation, %error, "opening the token again");
                    continue;
                }
            }
            return Err(fault.into_key_error(self.device(), operation));
        }
    }

    /// Drops a generation, unless someone else was faster.
    fn forget(&self, generation: u64) {
        let _inside = self.library.enter();
        let mut pool = self.pool.lock();
        if pool.generation == generation {
            self.renew(&mut pool);
        }
    }

    /// Starts the library again, if no session of any of its tokens is in use; whether it did. Numbers of sessions and
    /// objects begin anew then, so that none of before may be left.
    fn restart(&self, own: &mut Pool) -> bool {
        // Let go after the library is free again: the last user of a token closes its sessions.
        let tokens = self.library.tokens();
        let Some(_alone) = self.library.alone() else { return false };
        let others = tokens.iter().filter(|token| !std::ptr::eq(&***token, self));
        let pools: Option<Vec<_>> = others.map(|token| Some((token, token.pool.try_lock()?))).collect();
        let Some(pools) = pools else { return false };
        self.renew(own);
        for (token, mut pool) in pools {
            token.renew(&mut pool);
        }
        match self.library.restart() {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = %errors::describe(&error), "the library does not start again; restart the box");
                false
            }
        }
    }

    /// Begins a new generation. Sessions that are lent are closed when they come back.
    fn renew(&self, pool: &mut Pool) {
        pool.generation += 1;
        pool.idle.clear();
        pool.keeper = None;
        pool.open = 0;
        pool.open_max = self.sessions_max;
        self.returned.notify_all();
    }

    /// The slot of the token, with us logged in.
    fn reach(&self, pin_source: Option<&Path>) -> Result<(Slot, u64), Failed> {
        let mut pool = self.pool.lock();
        let reached = self.keep(&mut pool, pin_source);
        reached.map(|slot| (slot, pool.generation)).map_err(|fault| (fault, pool.generation))
    }

    /// Lends a session; waits for one where all are lent.
    fn lease(&self, pin_source: Option<&Path>) -> Result<Lease<'_>, Failed> {
        let deadline = Instant::now() + limits::SESSION_WAIT;
        let mut pool = self.pool.lock();
        loop {
            let generation = pool.generation;
            let slot = self.keep(&mut pool, pin_source).map_err(|fault| (fault, generation))?;
            let generation = pool.generation;
            let inside = self.library.enter();
            if let Some(session) = pool.idle.pop() {
                return Ok(Lease { token: self, session: Some(session), generation, sound: false, _inside: inside });
            }
            if pool.open < pool.open_max {
                match self.library.context().open_ro_session(slot) {
                    Ok(session) => {
                        pool.open += 1;
                        return Ok(Lease {
                            token: self,
                            session: Some(session),
                            generation,
                            sound: false,
                            _inside: inside,
                        });
                    }
                    // The token has fewer than we would take: go on with those.
                    Err(Error::Pkcs11(RvError::SessionCount, _)) if pool.open > 0 => pool.open_max = pool.open,
                    Err(error) => return Err((error.into(), generation)),
                }
            }
            drop(inside);
            if self.returned.wait_until(&mut pool, deadline).timed_out() {
                let reason = format!("all its {} sessions have been busy for too long", pool.open_max);
                return Err((Fault::Reason(reason), pool.generation));
            }
        }
    }

    /// Opens the keeper and logs in, unless that is done.
    fn keep(&self, pool: &mut Pool, pin_source: Option<&Path>) -> Result<Slot, Fault> {
        if let Some(keeper) = &pool.keeper {
            return Ok(keeper.slot);
        }
        let wanted = self.identity.wanted();
        let found = match self.library.find(&wanted) {
            Err(Fault::Key(error)) if matches!(*error, KeyError::Absent { .. }) && self.restart(pool) => {
                self.library.find(&wanted)
            }
            found => found,
        };
        let (slot, info) = found?;
        let _inside = self.library.enter();
        let session = self.library.context().open_ro_session(slot)?;
        let login = self.login(&session, &info, pin_source)?;
        pool.keeper = Some(Keeper { slot, _session: session, login });
        Ok(slot)
    }

    fn login(&self, session: &Session, info: &TokenInfo, pin_source: Option<&Path>) -> Result<Option<Login>, Fault> {
        if !info.login_required() {
            return Ok(None);
        }
        let Some(path) = pin_source else {
            if info.protected_authentication_path() {
                // Someone types the PIN at the device.
                return logged_in(session, || session.login(UserType::User, None)).map(|()| None).map_err(Fault::from);
            }
            return Err(KeyError::NoPin { device: self.device() }.into());
        };
        let pin = Pin::load(path)?;
        let fingerprint = pin.fingerprint();
        if self.library.is_refused(&self.identity, fingerprint) {
            return Err(self.wrong_pin(path).into());
        }
        // Restarted again and again with a wrong PIN a box would spend the last one too.
        if info.user_pin_final_try() {
            let next = "one try is left: log in with the maker's tool, which gives them back, then start the box again";
            return Err(KeyError::Locked { device: self.device(), next }.into());
        }
        let pin = pin.into_raw();
        match logged_in(session, || session.login_with_raw(UserType::User, &pin)) {
            Ok(()) => Ok(Some(Login { pin_source: path.to_owned(), pin: fingerprint })),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                self.library.refuse(&self.identity, fingerprint);
                Err(self.wrong_pin(path).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn wrong_pin(&self, path: &Path) -> KeyError {
        KeyError::WrongPin { device: self.device(), source_file: path.to_owned() }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let _inside = self.library.enter();
        let pool = self.pool.get_mut();
        pool.idle.clear();
        pool.keeper = None;
    }
}

/// Logs in. Where sessions of an earlier generation still keep us logged in, the token would take any PIN for right, so
/// that login is ended first.
fn logged_in(session: &Session, login: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    match login() {
        Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            session.logout()?;
            login()
        }
        done => done,
    }
}

/// A lent session.
struct Lease<'a> {
    token: &'a Token,
    session: Option<Session>,
    generation: u64,
    /// Whether others can use it after us; not before it has served.
    sound: bool,
    _inside: RwLockReadGuard<'a, ()>,
}

impl Lease<'_> {
    fn session(&self) -> &Session {
        self.session.as_ref().expect("it is there until it is given back")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.sound {
            // Closed before another is opened in its place.
            self.session = None;
        }
        let mut pool = self.token.pool.lock();
        if pool.generation == self.generation {
            match self.session.take() {
                Some(session) => pool.idle.push(session),
                None => pool.open -= 1,
            }
            self.token.returned.notify_one();
        }
    }
}
