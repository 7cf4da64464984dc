//! What the API answers, in the JSON of its contract.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::ToSchema;

use crate::{Name, Pending, Role, Secret};

/// Seconds since 1970. In JSON it is text (RFC 3339, UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(pub u64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        // After the year 9999 is as at its end.
        let text = time.and_then(|time| time.format(&Rfc3339).ok());
        f.write_str(text.as_deref().unwrap_or("9999-12-31T23:59:59Z"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A language of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct SessionUser {
    /// His name.
    pub name: Name,
    /// What he may do.
    pub role: Role,
    /// The page's language, if he chose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// A session, as its own browser sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// Who is logged in.
    pub user: SessionUser,
    /// For the header `X-CSRF-Token` of each unsafe method.
    pub csrf_token: Secret,
    /// What is to be done before anything else.
    pub pending: Option<Pending>,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// When it ends if nobody uses it.
    pub idle_expires_at: Timestamp,
}

/// A new session: the cookie's token, and what the browser is told. The token of the session before it ended.
#[derive(Clone, Debug)]
pub struct Grant {
    /// For the cookie `__Host-dolmen-session`, 64 hexadecimal digits.
    pub token: Secret,
    /// For the body.
    pub session: SessionView,
}

/// A user's second factors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Factors {
    /// Whether there is an authenticator app.
    pub totp: bool,
    /// The passkeys.
    pub passkeys: Vec<PasskeyView>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: usize,
}

/// A passkey in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PasskeyView {
    /// Of this passkey, for its deletion.
    pub id: String,
    /// What its user calls it.
    pub name: Name,
    /// When it was set up.
    pub created_at: Timestamp,
    /// When somebody last logged in with it.
    pub last_used_at: Option<Timestamp>,
}

/// A TOTP secret, for an authenticator app. It counts once it is confirmed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TotpEnrolment {
    /// To type (RFC 4648).
    pub secret_base32: Secret,
    /// To open: the key URI that authenticator apps read.
    pub otpauth_uri: Secret,
    /// To scan: the same as a QR code, an image of `<svg>`.
    pub qr_svg: Secret,
}

/// Each logs in once in the place of a TOTP code. They are shown once.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// The codes.
    pub recovery_codes: Vec<Secret>,
}

/// What a browser's `navigator.credentials` is given.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PasskeyChallenge {
    /// For the second request.
    pub request_id: String,
    /// `PublicKeyCredentialCreationOptionsJSON` or `PublicKeyCredentialRequestOptionsJSON` (W3C WebAuthn Level 3 §5.1).
    #[serde(rename = "publicKey")]
    #[schema(value_type = Object)]
    pub public_key: serde_json::Value,
}

/// A user in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserView {
    /// The name.
    pub name: Name,
    /// What he may do.
    pub role: Role,
    /// Whether he may not come in.
    pub disabled: bool,
    /// Since when there is one.
    pub created_at: Timestamp,
    /// When he last logged in.
    pub last_login_at: Option<Timestamp>,
    /// Whether he has an authenticator app.
    pub totp: bool,
    /// How many passkeys he has.
    pub passkeys: usize,
}

/// A new user.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserMade {
    /// The name.
    pub name: Name,
    /// For the first login, within four days; shown once.
    pub one_time_password: Secret,
}

/// A user that was changed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UserChanged {
    /// What became of him.
    #[serde(flatten)]
    pub user: UserView,
    /// After a reset; shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_password: Option<Secret>,
}

/// An API token in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TokenView {
    /// Of this token, for its deletion.
    pub id: String,
    /// What it is for.
    pub name: Name,
    /// What it allows, as long as its maker's role allows it.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last used, to the hour.
    pub last_used_at: Option<Timestamp>,
    /// Who made it. It counts as long as he may come in.
    pub created_by: Name,
}

/// A new API token.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TokenMade {
    /// For its deletion.
    pub id: String,
    /// `dolmen_…`, for `Authorization: Bearer`; shown once.
    pub token: Secret,
}

/// Whether something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// It was.
    Done,
    /// It was not.
    Refused,
}

/// A record of the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    /// Its number, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// A user, `token:NAME` for an API token, `box:` for the box itself, `-` for somebody unknown.
    pub who: String,
    /// From which address.
    pub from: String,
    /// What.
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// Whether it was done.
    pub outcome: AuditOutcome,
    /// Why not: a refusal's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// More of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A page of the audit log, the latest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditPage {
    /// The records.
    pub entries: Vec<AuditEntry>,
    /// Whether there are earlier ones.
    pub more: bool,
}
