//! What is kept of users and API tokens: one file of JSON, `access.json`.
//!
//! The form does not change within a version, which stands in the file. A program refuses what it does not know.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use webauthn_rs::prelude::Passkey;

use crate::{
    Language, Name, PasskeyView, Pending, Refusal, Role, Timestamp, TokenView, UserView,
    limits::{PASSKEYS_MAX, RECOVERY_CODES, TOKENS_MAX, USERS_MAX},
    password::PasswordHash,
    secret::Bytes,
    totp::TotpState,
};

/// The version of the file's form.
pub(crate) const VERSION: u32 = 1;

/// What tells users apart for good, and WebAuthn's user handle: names are used again, and say who somebody is.
pub(crate) type UserId = Bytes<16>;

/// All that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    pub(crate) version: u32,
    /// The journal's record of the last change that is in here.
    pub(crate) seq: u64,
    /// The last claim code that was used: it counts once.
    pub(crate) spent: Option<Bytes<32>>,
    pub(crate) users: Vec<User>,
    pub(crate) tokens: Vec<Token>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) name: Name,
    pub(crate) role: Role,
    pub(crate) disabled: bool,
    pub(crate) language: Option<Language>,
    pub(crate) created_at: u64,
    pub(crate) last_login_at: Option<u64>,
    pub(crate) password: Password,
    pub(crate) totp: Option<TotpState>,
    pub(crate) recovery: Vec<Bytes<32>>,
    pub(crate) passkeys: Vec<StoredPasskey>,
}

/// How a user's password stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) enum Password {
    /// His own.
    Own(PasswordHash),
    /// One that he has to change, and until when it holds.
    OneTime {
        /// Of it.
        hash: PasswordHash,
        /// Seconds since 1970.
        until: u64,
    },
    /// None since a recovery: only the session that the recovery began sets one.
    None,
}

/// A passkey.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPasskey {
    pub(crate) id: Bytes<8>,
    pub(crate) name: Name,
    /// The host name that it belongs to.
    pub(crate) rp_id: String,
    pub(crate) created_at: u64,
    pub(crate) last_used_at: Option<u64>,
    /// Public key and counter, as webauthn-rs writes them.
    pub(crate) credential: Passkey,
}

impl PartialEq for StoredPasskey {
    fn eq(&self, other: &Self) -> bool {
        // The library compares ids alone, and a counter is part of what is kept.
        serde_json::to_value(self).ok() == serde_json::to_value(other).ok()
    }
}

/// An API token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) id: Bytes<8>,
    pub(crate) digest: Bytes<32>,
    pub(crate) name: Name,
    pub(crate) role: Role,
    pub(crate) created_at: u64,
    pub(crate) expires_at: u64,
    pub(crate) last_used_at: Option<u64>,
    pub(crate) created_by: UserId,
}

impl User {
    /// One without factors.
    pub(crate) const fn new(id: UserId, name: Name, role: Role, password: Password, now: u64) -> Self {
        Self {
            id,
            name,
            role,
            disabled: false,
            language: None,
            created_at: now,
            last_login_at: None,
            password,
            totp: None,
            recovery: Vec::new(),
            passkeys: Vec::new(),
        }
    }

    /// The hash that a login is checked against.
    pub(crate) const fn hash(&self) -> Option<&PasswordHash> {
        match &self.password {
            Password::Own(hash) | Password::OneTime { hash, .. } => Some(hash),
            Password::None => None,
        }
    }

    /// Whether a password alone does not do.
    pub(crate) const fn has_factor(&self) -> bool {
        self.totp.is_some() || !self.passkeys.is_empty()
    }

    /// What his sessions have to do first.
    pub(crate) const fn pending(&self) -> Option<Pending> {
        match self.password {
            Password::Own(_) if self.has_factor() => None,
            Password::Own(_) => Some(Pending::SecondFactor),
            Password::OneTime { .. } | Password::None => Some(Pending::Password),
        }
    }

    /// Takes password and factors away.
    pub(crate) fn reset(&mut self, password: Password) {
        self.password = password;
        self.totp = None;
        self.recovery.clear();
        self.passkeys.clear();
    }

    pub(crate) fn view(&self) -> UserView {
        UserView {
            name: self.name.clone(),
            role: self.role,
            disabled: self.disabled,
            created_at: Timestamp(self.created_at),
            last_login_at: self.last_login_at.map(Timestamp),
            totp: self.totp.is_some(),
            passkeys: self.passkeys.len(),
        }
    }
}

impl StoredPasskey {
    pub(crate) fn view(&self) -> PasskeyView {
        PasskeyView {
            id: self.id.hex(),
            name: self.name.clone(),
            created_at: Timestamp(self.created_at),
            last_used_at: self.last_used_at.map(Timestamp),
        }
    }
}

impl State {
    /// Of a box that nobody claimed.
    pub(crate) const fn new(seq: u64) -> Self {
        Self { version: VERSION, seq, spent: None, users: Vec::new(), tokens: Vec::new() }
    }

    /// Whether the box was claimed: it always has a security officer from then on.
    pub(crate) const fn claimed(&self) -> bool {
        !self.users.is_empty()
    }

    pub(crate) fn user(&self, id: &UserId) -> Option<&User> {
        self.users.iter().find(|user| user.id == *id)
    }

    pub(crate) fn user_mut(&mut self, id: &UserId) -> Result<&mut User, Refusal> {
        self.users.iter_mut().find(|user| user.id == *id).ok_or(Refusal::UnknownUser)
    }

    pub(crate) fn by_name(&self, typed: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name.is(typed))
    }

    /// How a token looks in a list; none where nobody stands behind it any more.
    pub(crate) fn token_view(&self, token: &Token) -> Option<TokenView> {
        Some(TokenView {
            id: token.id.hex(),
            name: token.name.clone(),
            role: token.role,
            created_at: Timestamp(token.created_at),
            expires_at: Timestamp(token.expires_at),
            last_used_at: token.last_used_at.map(Timestamp),
            created_by: self.user(&token.created_by)?.name.clone(),
        })
    }

    /// Whether there still is a security officer who can log in, as there has to be after any change.
    pub(crate) fn check_officers(&self) -> Result<(), Refusal> {
        let officer = |user: &User| user.role == Role::SecurityOfficer && !user.disabled;
        if self.claimed() && !self.users.iter().any(officer) { Err(Refusal::LastSecurityOfficer) } else { Ok(()) }
    }

    /// What is wrong with a file's content, if anything is.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let unique = |ids: Vec<String>| ids.iter().collect::<BTreeSet<_>>().len() == ids.len();
        let users = &self.users;
        let passkeys = || users.iter().flat_map(|user| &user.passkeys);
        let hashes = || users.iter().filter_map(User::hash);
        if self.version != VERSION {
            Some("it has another version; use the program that wrote it, or newer")
        } else if users.len() > USERS_MAX || self.tokens.len() > TOKENS_MAX {
            Some("it has too many users or tokens")
        } else if users.iter().any(|user| user.passkeys.len() > PASSKEYS_MAX || user.recovery.len() > RECOVERY_CODES) {
            Some("a user has too many passkeys or recovery codes")
        } else if !unique(users.iter().map(|user| user.name.key()).collect())
            || !unique(users.iter().map(|user| user.id.hex()).collect())
            || !unique(self.tokens.iter().map(|token| token.id.hex()).collect())
            || !unique(passkeys().map(|passkey| passkey.id.hex()).collect())
        {
            Some("two of its users, tokens or passkeys are one")
        } else if hashes().any(|hash| hash.cost().params().is_none()) {
            Some("a password's hash costs too much")
        } else if self.check_officers().is_err() || (!self.claimed() && !self.tokens.is_empty()) {
            Some("it has no security officer")
        } else if self.tokens.iter().any(|token| self.user(&token.created_by).is_none()) {
            Some("a token has no maker")
        } else {
            None
        }
    }
}
