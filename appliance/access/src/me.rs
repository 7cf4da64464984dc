//! What somebody does with his own account: password, language and second factors.

use crate::{
    Caller, Factors, Grant, LanguageChange, Name, PasskeyChallenge, PasskeyFinish, PasskeyStart, PasswordChange,
    RecoveryCodes, Refusal, Requirement, TotpConfirm, TotpEnrolment,
    access::{Access, Inner},
    caller::Live,
    limits::{PASSKEYS_MAX, RECOVERY_CODES, RECOVERY_GROUPS, TOTP_SECONDS},
    passkey::{self, Ceremony},
    password::{self, PasswordHash},
    secret::{Bytes, code, code_digest},
    state::{Password, StoredPasskey, User},
    totp::{self, TotpState},
};

impl Access {
    /// `PUT /me/password`. All of the user's sessions end, and he gets a new one. The old password is not asked for in the
    /// session that a recovery began, since there is none.
    ///
    /// # Errors
    ///
    /// [`Refusal::OldPassword`], [`Refusal::TooManyAttempts`], [`Refusal::Busy`], those of passwords,
    /// [`Refusal::PasswordSame`], those of [`view_session`](Self::view_session) and of a disk.
    pub fn change_password(&self, caller: &Caller, request: &PasswordChange, now: u64) -> Result<Grant, Refusal> {
        let (old, new) = (request.old_password.expose(), request.new_password.expose());
        let (action, own) = ("change-password", Requirement::Session);
        let (held, attempt, salt) = self.act(caller, action, None, own, now, |inner, live, _| {
            password::check(new, live.name.as_str(), &self.box_name)?;
            let held = inner.own(live)?.hash().cloned();
            let attempt = match held {
                Some(_) if old == new => return Err(Refusal::PasswordSame),
                // Who found an open browser guesses no faster than at the door.
                Some(_) => Some(inner.limiter.begin(Some(live.user.get()), live.name.as_str(), caller.from, now)?),
                None => None,
            };
            inner.limiter.hash(true, now)?;
            Ok((held, attempt, Bytes::random(&mut *inner.random).map_err(Refusal::Random)?))
        })?;
        let is_right = held.as_ref().is_none_or(|hash| hash.verify(old));
        let hash = if is_right { Some(PasswordHash::of(new, self.cost, salt)?) } else { None };
        self.act(caller, action, None, own, now, |inner, live, note| {
            // Somebody else may have changed it in between.
            let hash = hash.filter(|_| inner.own(live).is_ok_and(|user| user.hash() == held.as_ref()));
            let hash = hash.ok_or(Refusal::OldPassword)?;
            inner.commit(note, now, |state| {
                state.user_mut(&live.user)?.password = Password::Own(hash);
                Ok(())
            })?;
            inner.limiter.forget(live.user.get());
            if let Some(attempt) = &attempt {
                inner.limiter.succeed(attempt);
            }
            inner.rotate(live, now)
        })
    }

    /// `PUT /me/language`.
    ///
    /// # Errors
    ///
    /// Those of [`view_session`](Self::view_session) and of a disk.
    pub fn set_language(&self, caller: &Caller, request: LanguageChange, now: u64) -> Result<(), Refusal> {
        self.act(caller, "set-language", None, Requirement::Session, now, |inner, live, note| {
            inner.commit(note, now, |state| {
                state.user_mut(&live.user)?.language = Some(request.language);
                Ok(())
            })
        })
    }

    /// `GET /me/factors`.
    ///
    /// # Errors
    ///
    /// Those of [`view_session`](Self::view_session).
    pub fn factors(&self, caller: &Caller, now: u64) -> Result<Factors, Refusal> {
        self.act(caller, "list-factors", None, Requirement::Session, now, |inner, live, _| {
            let user = inner.own(live)?;
            let (totp, recovery_codes_left) = (user.totp.is_some(), user.recovery.len());
            Ok(Factors { totp, passkeys: user.passkeys.iter().map(StoredPasskey::view).collect(), recovery_codes_left })
        })
    }

    /// `POST /me/totp`: a new secret, which counts once it is confirmed, within ten minutes. The app of before counts
    /// until then.
    ///
    /// # Errors
    ///
    /// Those of [`view_session`](Self::view_session).
    pub fn start_totp(&self, caller: &Caller, now: u64) -> Result<TotpEnrolment, Refusal> {
        self.act(caller, "start-totp", None, Requirement::Session, now, |inner, live, _| {
            let secret = Bytes::random(&mut *inner.random).map_err(Refusal::Random)?;
            let enrolment = totp::enrolment(&secret, live.name.as_str(), &self.box_name)?;
            inner.enrolments.insert(*live.user.get(), (secret, now.saturating_add(TOTP_SECONDS)));
            Ok(enrolment)
        })
    }

    /// `POST /me/totp/confirm`: the app counts from now on, with new recovery codes. All of the user's sessions end, and he
    /// gets a new one: it may do more than the one before.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoTotp`], [`Refusal::TotpCode`], those of [`view_session`](Self::view_session) and of a disk.
    pub fn confirm_totp(
        &self,
        caller: &Caller,
        request: &TotpConfirm,
        now: u64,
    ) -> Result<(RecoveryCodes, Grant), Refusal> {
        self.act(caller, "confirm-totp", None, Requirement::Session, now, |inner, live, note| {
            let waiting = inner.enrolments.get(live.user.get()).filter(|(_, until)| now < *until);
            let (secret, _) = waiting.cloned().ok_or(Refusal::NoTotp)?;
            let mut totp = TotpState { secret, last_step: 0 };
            totp.last_step = totp.check(request.totp.expose(), now).ok_or(Refusal::TotpCode)?;
            let codes = (0..RECOVERY_CODES).map(|_| code(&mut *inner.random, RECOVERY_GROUPS));
            let recovery_codes = codes.collect::<Result<Vec<_>, _>>().map_err(Refusal::Random)?;
            let digests = recovery_codes.iter().map(|code| code_digest(code.expose())).collect();
            inner.commit(note, now, |state| {
                let user = state.user_mut(&live.user)?;
                (user.totp, user.recovery) = (Some(totp), digests);
                Ok(())
            })?;
            Ok((RecoveryCodes { recovery_codes }, inner.rotate(live, now)?))
        })
    }

    /// `DELETE /me/totp`, where a passkey is left. Recovery codes stay, for who loses the passkey.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoTotp`], [`Refusal::LastFactor`], those of [`view_session`](Self::view_session) and of a disk.
    pub fn delete_totp(&self, caller: &Caller, now: u64) -> Result<(), Refusal> {
        self.act(caller, "delete-totp", None, Requirement::Session, now, |inner, live, note| {
            inner.commit(note, now, |state| {
                let user = state.user_mut(&live.user)?;
                user.totp.take().ok_or(Refusal::NoTotp)?;
                if user.has_factor() { Ok(()) } else { Err(Refusal::LastFactor) }
            })
        })
    }

    /// `POST /me/passkeys/start`, at a host name of the box without its port.
    ///
    /// # Errors
    ///
    /// [`Refusal::PasskeyHost`], [`Refusal::Name`], [`Refusal::Full`] at 16 passkeys, and those of
    /// [`view_session`](Self::view_session).
    pub fn start_passkey(
        &self,
        caller: &Caller,
        host: &str,
        request: &PasskeyStart,
        now: u64,
    ) -> Result<PasskeyChallenge, Refusal> {
        self.act(caller, "add-passkey", Some(&request.name), Requirement::Session, now, |inner, live, _| {
            let webauthn = self.relying.get(host)?;
            let name = Name::new(&request.name).ok_or(Refusal::Name)?;
            let user = inner.own(live)?;
            if user.passkeys.len() >= PASSKEYS_MAX {
                return Err(Refusal::Full("passkeys"));
            }
            let (public_key, state) = passkey::start_registration(webauthn, user)?;
            let ceremony = Ceremony::Register { user: live.user.clone(), name, host: host.to_ascii_lowercase(), state };
            let request_id = inner.ceremonies.add(&mut *inner.random, caller.from, now, ceremony)?;
            Ok(PasskeyChallenge { request_id, public_key })
        })
    }

    /// `POST /me/passkeys/finish`: the passkey counts from now on. All of the user's sessions end, and he gets a new one.
    ///
    /// # Errors
    ///
    /// [`Refusal::PasskeyCeremony`], [`Refusal::PasskeyForm`], [`Refusal::PasskeyRefused`], [`Refusal::PasskeyKnown`],
    /// [`Refusal::Full`], those of [`view_session`](Self::view_session) and of a disk.
    pub fn finish_passkey(&self, caller: &Caller, request: &PasskeyFinish, now: u64) -> Result<Grant, Refusal> {
        self.act(caller, "add-passkey", None, Requirement::Session, now, |inner, live, note| {
            let ceremony = inner.ceremonies.take(&request.request_id, now)?;
            let Ceremony::Register { user, name, host, state } = ceremony else { return Err(Refusal::PasskeyCeremony) };
            if user != live.user {
                return Err(Refusal::PasskeyCeremony);
            }
            let credential = passkey::finish_registration(self.relying.get(&host)?, &state, &request.credential)?;
            let mut note = note.clone();
            note.target = Some(name.to_string());
            let id = Bytes::random(&mut *inner.random).map_err(Refusal::Random)?;
            let new = StoredPasskey { id, name, rp_id: host, created_at: now, last_used_at: None, credential };
            inner.commit(&note, now, |state| {
                let mut all = state.users.iter().flat_map(|user| &user.passkeys);
                if all.any(|passkey| passkey.credential == new.credential) {
                    return Err(Refusal::PasskeyKnown);
                }
                let user = state.user_mut(&live.user)?;
                if user.passkeys.len() >= PASSKEYS_MAX {
                    return Err(Refusal::Full("passkeys"));
                }
                user.passkeys.push(new);
                Ok(())
            })?;
            inner.rotate(live, now)
        })
    }

    /// `DELETE /me/passkeys/{id}`, where another factor is left.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownPasskey`], [`Refusal::LastFactor`], those of [`view_session`](Self::view_session) and of a disk.
    pub fn delete_passkey(&self, caller: &Caller, id: &str, now: u64) -> Result<(), Refusal> {
        self.act(caller, "delete-passkey", Some(id), Requirement::Session, now, |inner, live, note| {
            inner.commit(note, now, |state| {
                let user = state.user_mut(&live.user)?;
                let place = user.passkeys.iter().position(|passkey| passkey.id.hex() == id);
                user.passkeys.remove(place.ok_or(Refusal::UnknownPasskey)?);
                if user.has_factor() { Ok(()) } else { Err(Refusal::LastFactor) }
            })
        })
    }
}

impl Inner {
    fn own(&self, live: &Live) -> Result<&User, Refusal> {
        self.state.user(&live.user).ok_or(Refusal::NoSession)
    }

    /// Another token for a session that may do more from now on: who knew the old one may not. The user's other sessions
    /// end, too, as none of them showed what this one did. It lasts as long as the one before would have.
    fn rotate(&mut self, live: &Live, now: u64) -> Result<Grant, Refusal> {
        let opened = live.session.and_then(|key| self.sessions.get(&key, now).map(|session| session.opened));
        self.end_sessions(&live.user);
        self.grant(&live.user, opened.ok_or(Refusal::NoSession)?, now)
    }
}
