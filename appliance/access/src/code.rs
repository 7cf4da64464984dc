//! Codes, next steps and statuses of refusals, and the problem that each is in HTTP (RFC 9457).

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{Pending, Refusal};

/// A refusal as HTTP answers it, `application/problem+json` (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:dolmen:problem:CODE`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What class of problem it is, by its status.
    pub title: &'static str,
    /// The status of HTTP.
    pub status: u16,
    /// The cause.
    pub detail: String,
    /// The reason, which never changes.
    pub code: &'static str,
    /// What to do.
    pub next: &'static str,
    /// When to come again, where that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// The reason, which never changes, whatever the texts become.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.row().0
    }

    /// The status of HTTP.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.row().1
    }

    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        self.row().2
    }

    /// When to come again, where that helps.
    #[must_use]
    pub const fn retry(&self) -> Option<Duration> {
        match self {
            Self::TooManyAttempts { retry } => Some(*retry),
            Self::Busy => Some(Duration::from_secs(1)),
            Self::TooManyChanges => Some(Duration::from_secs(crate::limits::CHANGES_SECONDS)),
            _ => None,
        }
    }

    /// The answer of HTTP. It says nothing of an error's sources: they are for the log.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, status, next) = self.row();
        let title = match status {
            400 => "The request cannot be taken",
            401 => "Not logged in",
            403 => "Not allowed",
            404 => "Not found",
            409 => "Not as things are",
            429 => "Too often",
            503 => "Not now",
            _ => "The box failed",
        };
        Problem {
            kind: format!("urn:dolmen:problem:{code}"),
            title,
            status,
            detail: self.to_string(),
            code,
            next,
            // Rounded up: who comes a moment too early waits again.
            retry_after_s: self.retry().map(|retry| retry.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
        }
    }

    /// Code, status and next step.
    const fn row(&self) -> (&'static str, u16, &'static str) {
        match self {
            Self::NoSession => ("no-session", 401, "log in"),
            Self::NoToken => ("no-token", 401, "ask a security officer for an API token"),
            Self::Csrf => ("csrf", 403, "reload the page; a program sends the session's csrf_token as X-CSRF-Token"),
            Self::SessionNeeded => ("session-needed", 403, "log in with a name and a password or a passkey"),
            Self::Pending(Pending::Password) => ("pending-password", 403, "set a password"),
            Self::Pending(Pending::SecondFactor) => {
                ("pending-second-factor", 403, "set up an authenticator app or a passkey")
            }
            Self::RoleTooLow { .. } => ("role-too-low", 403, "ask a security officer for the role, or to do this"),
            Self::RoleAboveOwn => ("role-above-own", 403, "take a role up to your own"),
            Self::WrongCredentials => {
                ("wrong-credentials", 401, "check name, password and code; a code of an authenticator app counts once")
            }
            Self::SecondFactorRequired => (
                "second-factor-required",
                401,
                "give the code of the authenticator app or a recovery code, or log in with the passkey",
            ),
            Self::TooManyAttempts { .. } => {
                ("too-many-attempts", 429, "wait, log in with a passkey, or from where you did before")
            }
            Self::Busy => ("busy", 503, "try again in some seconds, or log in with a passkey"),
            Self::OneTimeExpired => ("one-time-password-expired", 401, "ask a security officer for another one"),
            Self::OldPassword => ("old-password-wrong", 403, "give the password that you logged in with"),
            Self::AlreadyClaimed => ("already-claimed", 409, "log in, or have a security officer make you a user"),
            Self::NotClaimed => ("not-claimed", 409, "claim the box with the code on its screen"),
            Self::ClaimCode => ("claim-code-wrong", 403, "read the code from the box's screen again"),
            Self::ClaimCodeSpent => ("claim-code-spent", 403, "have the box's screen show a new code"),
            Self::Name => ("name", 400, "take Latin, Chinese, Japanese or Korean letters and digits"),
            Self::PasswordShort => ("password-too-short", 400, "take 12 characters or more: some words do"),
            Self::PasswordLong => ("password-too-long", 400, "take a shorter one"),
            Self::PasswordCommon => ("password-common", 400, "take one that only you have"),
            Self::PasswordName => ("password-contains-name", 400, "take one without the names"),
            Self::PasswordSame => ("password-unchanged", 400, "take another one"),
            Self::TotpCode => ("totp-wrong", 400, "wait for the next code, and check the clocks of phone and box"),
            Self::NoTotp => ("totp-not-started", 409, "begin again and scan the new QR code"),
            Self::LastFactor => ("last-factor", 409, "set up another one first"),
            Self::UnknownUser => ("unknown-user", 404, "look at the list of users"),
            Self::UserExists => ("user-exists", 409, "take another name"),
            Self::UserDisabled => ("user-disabled", 409, "have a security officer enable the user"),
            Self::Full(_) => ("full", 409, "delete one that nobody needs"),
            Self::LastSecurityOfficer => ("last-security-officer", 409, "make another user a security officer first"),
            Self::UnknownToken => ("unknown-token", 404, "look at the list of API tokens"),
            Self::TokenExists => ("token-exists", 409, "take another name, or delete the old one"),
            Self::Days => ("days", 400, "take a number of days from 1 to 366"),
            Self::TooManyChanges => ("too-many-changes", 429, "wait some seconds"),
            Self::PasskeyHost => ("passkey-host", 409, "open the page by the box's host name, not its address"),
            Self::PasskeyCeremony => ("passkey-over", 409, "begin again"),
            Self::PasskeyForm(_) => ("passkey-form", 400, "send what navigator.credentials gave, by its toJSON()"),
            Self::PasskeyRefused(_) => ("passkey-refused", 401, "take a passkey that was set up on this box"),
            Self::PasskeyCloned => {
                ("passkey-cloned", 401, "log in another way, delete this passkey and find out who copied it")
            }
            Self::PasskeyKnown => ("passkey-known", 409, "take another device"),
            Self::UnknownPasskey => ("unknown-passkey", 404, "look at the list of passkeys"),
            Self::Store(_) => ("store", 503, "check that the box's disk has room and is sound"),
            Self::Journal(_) => ("journal", 503, "check that the box's disk has room and is sound, then restart it"),
            Self::Broken => ("store-broken", 503, "restart the box once its disk is sound"),
            Self::Random(_) => ("random", 500, "report this"),
            Self::Hash => ("hash", 503, "check how much memory the box has left"),
            Self::Encode(_) => ("encode", 500, "report this"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_cause_and_next_step() {
        let refusal = Refusal::TooManyAttempts { retry: Duration::from_millis(1500) };
        let json = serde_json::to_value(refusal.problem()).unwrap();
        assert_eq!(json["type"], "urn:dolmen:problem:too-many-attempts");
        assert_eq!((&json["status"], &json["retry_after_s"]), (&429.into(), &2.into()));
        assert_eq!(json["detail"], "too many attempts to log in");
        let json = serde_json::to_value(Refusal::PasskeyRefused("inner".into()).problem()).unwrap();
        assert!(json.get("retry_after_s").is_none() && !json.to_string().contains("inner"));
    }
}
