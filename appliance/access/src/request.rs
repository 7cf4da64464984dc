//! What the API is asked, in the JSON of its contract. Secrets among it are wiped once it is dropped; a server wipes the
//! bytes that it read them from.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::{Language, Role, Secret};

/// `POST /claim`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimRequest {
    /// What the screen shows.
    pub claim_code: Secret,
    /// Of the first user.
    pub name: String,
    /// His password.
    pub password: Secret,
}

/// `POST /session`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// Who.
    pub name: String,
    /// His password.
    pub password: Secret,
    /// The code of his authenticator app, or a recovery code.
    pub totp: Option<Secret>,
}

/// `POST /session/passkey/start`.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLoginStart {
    /// Not looked at: the passkey says whose it is, so that the answer does not say who has one.
    pub name: Option<String>,
}

/// `POST /session/passkey/finish` and `POST /me/passkeys/finish`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyFinish {
    /// Of the first answer.
    pub request_id: String,
    /// What `navigator.credentials` gave, by its `toJSON()`.
    #[schema(value_type = Object)]
    pub credential: serde_json::Value,
}

/// `POST /me/passkeys/start`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyStart {
    /// What its user calls it.
    pub name: String,
}

/// `POST /recovery`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRequest {
    /// The new code that the screen shows.
    pub claim_code: Secret,
    /// Whose password and factors are reset.
    pub name: String,
}

/// `PUT /me/password`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The one of now. After a recovery there is none, and this is not looked at.
    #[serde(default)]
    pub old_password: Secret,
    /// The next one.
    pub new_password: Secret,
}

/// `PUT /me/language`.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LanguageChange {
    /// Of the page.
    pub language: Language,
}

/// `POST /me/totp/confirm`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpConfirm {
    /// The app's code.
    pub totp: Secret,
}

/// `POST /users`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    #[schema(example = "li.wei")]
    pub name: String,
    /// What he may do.
    pub role: Role,
}

/// `PATCH /users/{name}`.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// Another role.
    pub role: Option<Role>,
    /// Whether he may come in.
    pub disabled: Option<bool>,
    /// Whether his password and factors are reset.
    #[serde(default)]
    pub reset: bool,
}

/// `POST /tokens`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "monitoring")]
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// How long it holds.
    #[schema(minimum = 1, maximum = 366)]
    pub days: u32,
}
