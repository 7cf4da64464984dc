//! Coming in: the claim, logins by password and by passkey, and recovery.

use std::net::IpAddr;

use crate::{
    Caller, ClaimCode, ClaimRequest, Grant, LoginRequest, Name, PasskeyChallenge, PasskeyFinish, RecoveryRequest,
    Refusal, Requirement, Role, SessionView,
    access::{Access, Inner},
    audit::Note,
    limits::PASSWORD_BYTES_MAX,
    passkey::{self, Ceremony},
    password::{self, PasswordHash},
    rate::Attempt,
    secret::{Bytes, code_digest},
    state::{Password, State, User, UserId},
};

/// A login whose password is still to be hashed.
struct Plan {
    /// None for a name that nobody has, or who may not come in.
    user: Option<UserId>,
    hash: PasswordHash,
    attempt: Attempt,
}

impl Access {
    /// `POST /claim`: the first user, a security officer. His session has to set up a second factor first.
    ///
    /// # Errors
    ///
    /// [`Refusal::AlreadyClaimed`], [`Refusal::ClaimCode`], [`Refusal::ClaimCodeSpent`], [`Refusal::Name`], those of
    /// passwords, [`Refusal::Busy`], and of a disk.
    pub fn claim(&self, from: IpAddr, request: &ClaimRequest, now: u64) -> Result<Grant, Refusal> {
        let typed = Some(request.name.as_str());
        let (name, salt) = self.act_unknown(from, "claim", typed, now, |inner, _| {
            inner.check_claim(request)?;
            let name = Name::new(&request.name).ok_or(Refusal::Name)?;
            password::check(request.password.expose(), name.as_str(), &self.box_name)?;
            inner.limiter.hash(false, now)?;
            let salt = Bytes::random(&mut *inner.random).map_err(Refusal::Random)?;
            Ok((name, salt))
        })?;
        let hash = PasswordHash::of(request.password.expose(), self.cost, salt)?;
        self.act_unknown(from, "claim", typed, now, |inner, note| {
            // Somebody else may have been quicker.
            let spent = inner.check_claim(request)?;
            let id = Bytes::random(&mut *inner.random).map_err(Refusal::Random)?;
            let mut user = User::new(id.clone(), name, Role::SecurityOfficer, Password::Own(hash), now);
            user.last_login_at = Some(now);
            inner.commit(note, now, |state| {
                state.spent = Some(spent);
                state.users.push(user);
                Ok(())
            })?;
            inner.grant(&id, now, now)
        })
    }

    /// `POST /session`: a login by password, and a second factor where there is one. A name that nobody has takes as long
    /// as one that somebody has.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongCredentials`], [`Refusal::SecondFactorRequired`], [`Refusal::TooManyAttempts`],
    /// [`Refusal::OneTimeExpired`], [`Refusal::Busy`], and of a disk.
    pub fn login(&self, from: IpAddr, request: &LoginRequest, now: u64) -> Result<Grant, Refusal> {
        let typed = Some(request.name.as_str());
        let plan = self.act_unknown(from, "login", typed, now, |inner, _| {
            let named = inner.state.by_name(&request.name).map(|user| user.id.clone());
            let attempt = inner.limiter.begin(named.as_ref().map(Bytes::get), &request.name, from, now)?;
            let user = named.as_ref().and_then(|id| inner.state.user(id)).filter(|user| !user.disabled);
            let known = user.and_then(|user| Some((user.id.clone(), user.hash()?.clone())));
            let (user, hash) = known.map_or_else(|| (None, self.nobodys.clone()), |(id, hash)| (Some(id), hash));
            Ok(Plan { user, hash, attempt })
        })?;
        let is_right = plan.hash.verify(request.password.expose());
        self.act_unknown(from, "login", typed, now, |inner, note| {
            let id = plan.user.as_ref().filter(|_| is_right).ok_or(Refusal::WrongCredentials)?;
            inner.finish_login(id, &plan, request, note, now)
        })
    }

    /// `POST /session/passkey/start`, at a host name of the box without its port.
    ///
    /// # Errors
    ///
    /// [`Refusal::PasskeyHost`].
    pub fn start_passkey_login(&self, from: IpAddr, host: &str, now: u64) -> Result<PasskeyChallenge, Refusal> {
        let (public_key, state) = passkey::start_login(self.relying.get(host)?)?;
        let ceremony = Ceremony::Login { host: host.to_ascii_lowercase(), state };
        self.act_unknown(from, "passkey-login", None, now, |inner, _| {
            let request_id = inner.ceremonies.add(&mut *inner.random, from, now, ceremony)?;
            Ok(PasskeyChallenge { request_id, public_key })
        })
    }

    /// `POST /session/passkey/finish`: a login by passkey, which needs no password and is not made to wait.
    ///
    /// # Errors
    ///
    /// [`Refusal::PasskeyCeremony`], [`Refusal::PasskeyForm`], [`Refusal::PasskeyRefused`], [`Refusal::PasskeyCloned`],
    /// and of a disk.
    pub fn finish_passkey_login(&self, from: IpAddr, request: &PasskeyFinish, now: u64) -> Result<Grant, Refusal> {
        self.act_unknown(from, "passkey-login", None, now, |inner, note| {
            let ceremony = inner.ceremonies.take(&request.request_id, now)?;
            let Ceremony::Login { host, state } = ceremony else { return Err(Refusal::PasskeyCeremony) };
            let webauthn = self.relying.get(&host)?;
            let (id, mut used) = passkey::finish_login(webauthn, &host, *state, &request.credential, &inner.state)?;
            used.last_used_at = Some(now);
            let note = inner.note_of(&id, note);
            inner.commit(&note, now, |state| {
                let user = state.user_mut(&id)?;
                user.last_login_at = Some(now);
                let held = user.passkeys.iter_mut().find(|passkey| passkey.id == used.id);
                *held.ok_or(Refusal::UnknownPasskey)? = used;
                Ok(())
            })?;
            inner.grant(&id, now, now)
        })
    }

    /// `POST /recovery`: somebody in front of the box, whose screen shows a new claim code, resets one user's password and
    /// factors, and gets his session, which sets a password first. All of that user's sessions end.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotClaimed`], [`Refusal::ClaimCode`], [`Refusal::ClaimCodeSpent`], [`Refusal::UnknownUser`],
    /// [`Refusal::UserDisabled`], and of a disk.
    pub fn recover(&self, from: IpAddr, request: &RecoveryRequest, now: u64) -> Result<Grant, Refusal> {
        self.act_unknown(from, "recover", Some(&request.name), now, |inner, note| {
            if !inner.state.claimed() {
                return Err(Refusal::NotClaimed);
            }
            let spent = inner.check_code(request.claim_code.expose())?;
            let user = inner.state.by_name(&request.name).ok_or(Refusal::UnknownUser)?;
            if user.disabled {
                return Err(Refusal::UserDisabled);
            }
            let id = user.id.clone();
            inner.commit(note, now, |state| {
                state.spent = Some(spent);
                state.user_mut(&id)?.reset(Password::None);
                Ok(())
            })?;
            inner.end_sessions(&id);
            inner.limiter.forget(id.get());
            inner.grant(&id, now, now)
        })
    }

    /// `GET /session`.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoSession`], and [`Refusal::SessionNeeded`] for an API token.
    pub fn view_session(&self, caller: &Caller, now: u64) -> Result<SessionView, Refusal> {
        self.act(caller, "view-session", None, Requirement::Session, now, |inner, live, _| {
            inner.view(&live.session.ok_or(Refusal::SessionNeeded)?, now)
        })
    }

    /// `DELETE /session`. The session ends in any case.
    ///
    /// # Errors
    ///
    /// As [`view_session`](Self::view_session), and of a disk.
    pub fn logout(&self, caller: &Caller, now: u64) -> Result<(), Refusal> {
        self.act(caller, "logout", None, Requirement::Session, now, |inner, live, note| {
            inner.sessions.end(&live.session.ok_or(Refusal::SessionNeeded)?);
            inner.note(note, now)
        })
    }
}

impl Inner {
    /// Whether somebody may claim the box: the digest of the code, which counts no more then.
    fn check_claim(&self, request: &ClaimRequest) -> Result<Bytes<32>, Refusal> {
        if self.state.claimed() { Err(Refusal::AlreadyClaimed) } else { self.check_code(request.claim_code.expose()) }
    }

    fn check_code(&self, typed: &str) -> Result<Bytes<32>, Refusal> {
        let ClaimCode(shown) = self.screen.as_ref().ok_or(Refusal::ClaimCodeSpent)?;
        // Digests have one length, and are compared in constant time.
        if ClaimCode::of(typed).0 != *shown {
            Err(Refusal::ClaimCode)
        } else if self.state.spent.as_ref() == Some(shown) {
            Err(Refusal::ClaimCodeSpent)
        } else {
            Ok(shown.clone())
        }
    }

    /// The password is right. Whatever changed while it was hashed is looked at again.
    fn finish_login(
        &mut self,
        id: &UserId,
        plan: &Plan,
        request: &LoginRequest,
        note: &Note,
        now: u64,
    ) -> Result<Grant, Refusal> {
        let user = self.state.user(id).filter(|user| !user.disabled && user.hash() == Some(&plan.hash));
        let user = user.ok_or(Refusal::WrongCredentials)?;
        if matches!(user.password, Password::OneTime { until, .. } if until <= now) {
            return Err(Refusal::OneTimeExpired);
        }
        let factor = match (&request.totp, user.has_factor()) {
            (_, false) => Factor::None,
            (Some(code), true) => Factor::find(user, code.expose(), now).ok_or(Refusal::WrongCredentials)?,
            (None, true) => {
                self.limiter.take_back(&plan.attempt);
                return Err(Refusal::SecondFactorRequired);
            }
        };
        let mut note = self.note_of(id, note);
        if matches!(factor, Factor::Recovery(_)) {
            note.detail = Some("by a recovery code".to_owned());
        }
        self.commit(&note, now, |state: &mut State| {
            let user = state.user_mut(id)?;
            user.last_login_at = Some(now);
            match factor {
                Factor::None => {}
                Factor::Totp(step) => user.totp.iter_mut().for_each(|totp| totp.last_step = step),
                Factor::Recovery(digest) => user.recovery.retain(|one| *one != digest),
            }
            Ok(())
        })?;
        self.limiter.succeed(&plan.attempt);
        self.grant(id, now, now)
    }

    /// A note of somebody who is known by now.
    fn note_of(&self, id: &UserId, note: &Note) -> Note {
        let who = self.state.user(id).map_or_else(|| note.who.clone(), |user| user.name.to_string());
        Note { who, target: None, ..note.clone() }
    }

    /// A new session of a user who logged in at `opened`.
    pub(crate) fn grant(&mut self, user: &UserId, opened: u64, now: u64) -> Result<Grant, Refusal> {
        let (token, key) = self.sessions.open(&mut *self.random, user, opened, now)?;
        Ok(Grant { token, session: self.view(&key, now)? })
    }
}

/// What counts besides the password.
enum Factor {
    None,
    /// A code, of this step.
    Totp(u64),
    /// A recovery code, by its digest.
    Recovery(Bytes<32>),
}

impl Factor {
    fn find(user: &User, code: &str, now: u64) -> Option<Self> {
        if let Some(step) = user.totp.as_ref().and_then(|totp| totp.check(code, now)) {
            return Some(Self::Totp(step));
        }
        let digest = if code.len() <= PASSWORD_BYTES_MAX { code_digest(code) } else { return None };
        // Each is looked at: where one stands says nothing.
        let found = user.recovery.iter().fold(false, |found, one| (*one == digest) | found);
        found.then_some(Self::Recovery(digest))
    }
}
