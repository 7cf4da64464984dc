//! Users, as a security officer sees them.

use crate::{
    Caller, Name, NewUser, Refusal, Requirement, Role, Secret, UserChanged, UserMade, UserPatch, UserView,
    access::{Access, Inner},
    limits::{ONE_TIME_GROUPS, ONE_TIME_SECONDS, USERS_MAX},
    password::PasswordHash,
    secret::{Bytes, code},
    state::{Password, User},
};

const OFFICER: Requirement = Requirement::Role(Role::SecurityOfficer);

impl Access {
    /// `GET /users`, for [`Role::SecurityOfficer`].
    ///
    /// # Errors
    ///
    /// Those of [`require`](Self::require).
    pub fn users(&self, caller: &Caller, now: u64) -> Result<Vec<UserView>, Refusal> {
        self.act(caller, "list-users", None, OFFICER, now, |inner, _, _| {
            Ok(inner.state.users.iter().map(User::view).collect())
        })
    }

    /// `POST /users`, for [`Role::SecurityOfficer`]. The one-time password holds for four days, and is changed at the first
    /// login.
    ///
    /// # Errors
    ///
    /// [`Refusal::Name`], [`Refusal::UserExists`], [`Refusal::Full`] at 64 users, [`Refusal::RoleAboveOwn`],
    /// [`Refusal::Busy`], those of [`require`](Self::require) and of a disk.
    pub fn create_user(&self, caller: &Caller, request: &NewUser, now: u64) -> Result<UserMade, Refusal> {
        let target = Some(request.name.as_str());
        let (name, one_time) = self.act(caller, "create-user", target, OFFICER, now, |inner, live, _| {
            let name = Name::new(&request.name).ok_or(Refusal::Name)?;
            if request.role > live.role {
                return Err(Refusal::RoleAboveOwn);
            }
            inner.check_new(&name)?;
            Ok((name, inner.one_time(now)?))
        })?;
        let (code, password) = one_time.hash(self, now)?;
        self.act(caller, "create-user", target, OFFICER, now, |inner, _, note| {
            inner.check_new(&name)?;
            let id = Bytes::random(&mut *inner.random).map_err(Refusal::Random)?;
            let mut note = note.clone();
            note.detail = Some(request.role.name().to_owned());
            inner.commit(&note, now, |state| {
                state.users.push(User::new(id, name.clone(), request.role, password, now));
                Ok(())
            })?;
            Ok(UserMade { name, one_time_password: code })
        })
    }

    /// `PATCH /users/{name}`, for [`Role::SecurityOfficer`]. All of that user's sessions end. A reset takes password and
    /// factors away and gives a one-time password.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownUser`], [`Refusal::LastSecurityOfficer`], [`Refusal::RoleAboveOwn`], [`Refusal::Busy`], those of
    /// [`require`](Self::require) and of a disk.
    pub fn change_user(
        &self,
        caller: &Caller,
        name: &str,
        request: UserPatch,
        now: u64,
    ) -> Result<UserChanged, Refusal> {
        let one_time = self.act(caller, "change-user", Some(name), OFFICER, now, |inner, live, _| {
            inner.state.by_name(name).ok_or(Refusal::UnknownUser)?;
            if request.role.is_some_and(|role| role > live.role) {
                return Err(Refusal::RoleAboveOwn);
            }
            request.reset.then(|| inner.one_time(now)).transpose()
        })?;
        let (code, password) = one_time.map(|one_time| one_time.hash(self, now)).transpose()?.unzip();
        self.act(caller, "change-user", Some(name), OFFICER, now, |inner, _, note| {
            let id = inner.state.by_name(name).ok_or(Refusal::UnknownUser)?.id.clone();
            let note = &crate::audit::Note { detail: Some(request.detail()), ..note.clone() };
            let view = inner.commit(note, now, |state| {
                let user = state.user_mut(&id)?;
                user.role = request.role.unwrap_or(user.role);
                user.disabled = request.disabled.unwrap_or(user.disabled);
                if let Some(password) = password {
                    user.reset(password);
                }
                Ok(user.view())
            })?;
            inner.end_sessions(&id);
            if request.reset {
                inner.limiter.forget(id.get());
            }
            Ok(UserChanged { user: view, one_time_password: code })
        })
    }

    /// `DELETE /users/{name}`, for [`Role::SecurityOfficer`]. His sessions and the API tokens that he made end.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownUser`], [`Refusal::LastSecurityOfficer`], those of [`require`](Self::require) and of a disk.
    pub fn delete_user(&self, caller: &Caller, name: &str, now: u64) -> Result<(), Refusal> {
        self.act(caller, "delete-user", Some(name), OFFICER, now, |inner, _, note| {
            let id = inner.state.by_name(name).ok_or(Refusal::UnknownUser)?.id.clone();
            inner.commit(note, now, |state| {
                state.users.retain(|user| user.id != id);
                state.tokens.retain(|token| token.created_by != id);
                // None would make the box anybody's.
                if state.claimed() { Ok(()) } else { Err(Refusal::LastSecurityOfficer) }
            })?;
            inner.end_sessions(&id);
            inner.limiter.forget(id.get());
            Ok(())
        })
    }
}

impl UserPatch {
    /// For the audit log.
    fn detail(self) -> String {
        let role = self.role.map(|role| format!("role {role}"));
        let disabled = self.disabled.map(|disabled| if disabled { "disabled" } else { "enabled" }.to_owned());
        let reset = self.reset.then(|| "reset".to_owned());
        [role, disabled, reset].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// A one-time password that is still to be hashed.
struct OneTime {
    code: Secret,
    salt: Bytes<16>,
}

impl OneTime {
    fn hash(self, access: &Access, now: u64) -> Result<(Secret, Password), Refusal> {
        let hash = PasswordHash::of(self.code.expose(), access.cost, self.salt)?;
        Ok((self.code, Password::OneTime { hash, until: now.saturating_add(ONE_TIME_SECONDS) }))
    }
}

impl Inner {
    fn one_time(&mut self, now: u64) -> Result<OneTime, Refusal> {
        self.limiter.hash(true, now)?;
        let code = code(&mut *self.random, ONE_TIME_GROUPS).map_err(Refusal::Random)?;
        Ok(OneTime { code, salt: Bytes::random(&mut *self.random).map_err(Refusal::Random)? })
    }

    fn check_new(&self, name: &Name) -> Result<(), Refusal> {
        if self.state.by_name(name.as_str()).is_some() {
            Err(Refusal::UserExists)
        } else if self.state.users.len() >= USERS_MAX {
            Err(Refusal::Full("users"))
        } else {
            Ok(())
        }
    }
}
