//! Who may use a box's administration API: users and their factors, sessions, API tokens, and the record of all that they
//! do. There is no HTTP in it, and it reads no clock.
//!
//! [`Access`] has a method for each operation of the API's contract; requests and answers are in its JSON. A server does
//! this with each request:
//!
//! 1. [`Access::session`] for a cookie, with what [`Csrf`] it brought, or [`Access::bearer`] for an API token. Only these
//!    make a [`Principal`].
//! 2. The operation, with a [`Caller`]: who, and from where. It looks whether he may. For what is not of this crate,
//!    [`Access::require`] with the route's [`Requirement`], and [`Access::record`] before anything is changed.
//! 3. [`Refusal::problem`] is the answer where it is refused. A [`Grant`] is a new cookie.
//!
//! | who | may | shows |
//! |---|---|---|
//! | nobody | claim a box that has no users, log in, recover a user | the claim code, a password and a second factor, or a passkey |
//! | [`Role::Viewer`] | look | a session or an API token |
//! | [`Role::Operator`] | run the box, and read of the audit log what is his own | the same |
//! | [`Role::SecurityOfficer`] | decide who may do what | the same |
//!
//! A session that still has to set a password or a second factor may do nothing else ([`Pending`]). There always is a
//! security officer who can log in; where he cannot, somebody in front of the box resets his password by the code that its
//! screen shows.
//!
//! # What is kept
//!
//! `access.json`, mode 0600, has users and API tokens, and is written whole or not at all. `access.journal` is the audit
//! log. Each change is written there first, so that nothing is changed without its record; one whose file was not written
//! is voided by another record. Passwords are kept by Argon2id, API tokens and recovery codes by SHA-256, since they have
//! 120 bits and more. TOTP secrets have to be readable. Sessions, what waits, and who tried how often are in memory alone,
//! and end when the box starts again.
//!
//! # Sources
//!
//! OWASP ASVS 5.0 (V6 authentication, V7 sessions, V8 authorization, V16 logging) and its Password Storage Cheat Sheet; RFC
//! 6238 (TOTP); RFC 9106 (Argon2); W3C WebAuthn Level 3; RFC 9457 (problems); RFC 6750 (bearer tokens). The sections stand
//! where they are followed. What falls short of them is said there, too: the list of common passwords is short.

mod access;
mod answer;
mod audit;
mod caller;
mod code;
mod limits;
mod login;
mod me;
mod name;
mod passkey;
mod password;
mod rate;
mod refusal;
mod request;
mod role;
mod secret;
mod session;
mod state;
mod store;
mod token;
mod totp;
mod users;

pub use access::{Access, Setup};
pub use answer::{
    AuditEntry, AuditOutcome, AuditPage, Factors, Grant, Language, PasskeyChallenge, PasskeyView, RecoveryCodes,
    SessionUser, SessionView, Timestamp, TokenMade, TokenView, TotpEnrolment, UserChanged, UserMade, UserView,
};
pub use caller::{Caller, Csrf, Principal};
pub use code::Problem;
pub use name::Name;
pub use password::HashCost;
pub use refusal::Refusal;
pub use request::{
    ClaimRequest, LanguageChange, LoginRequest, NewToken, NewUser, PasskeyFinish, PasskeyLoginStart, PasskeyStart,
    PasswordChange, RecoveryRequest, TotpConfirm, UserPatch,
};
pub use role::{Pending, Requirement, Role};
pub use secret::{ClaimCode, Random, Secret, SystemRandom};
pub use store::OpenError;

#[cfg(test)]
mod tests {
    use crate::HashCost;

    /// The least that Argon2 takes: tests hash often.
    pub(crate) const CHEAP: HashCost = HashCost { memory_kib: 8, passes: 1, lanes: 1 };
}
