//! A user's own password, language and second factors.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use dolmen_access::{
    Caller, Factors, LanguageChange, PasskeyChallenge, PasskeyFinish, PasskeyStart, PasswordChange, RecoveryCodes,
    SessionView, TotpConfirm, TotpEnrolment,
};

use super::{
    Api,
    body::{Body, Named},
    now,
    problem::Problem,
    session::{WithCookie, host},
};

/// Change the own password. All other sessions of the user end, and this one gets another cookie.
#[utoipa::path(put, path = "/api/v1/me/password", tag = super::ACCESS, operation_id = "change-password",
    request_body = PasswordChange, security(("session" = [])), responses((status = OK, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn change_password(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<PasswordChange>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.change_password(&caller, &request, now())).await?;
    let session = grant.session.clone();
    Ok(WithCookie(StatusCode::OK, Some(grant), session))
}

/// Choose the page's language.
#[utoipa::path(put, path = "/api/v1/me/language", tag = super::ACCESS, operation_id = "set-language",
    request_body = LanguageChange, security(("session" = [])), responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn change_language(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<LanguageChange>,
) -> Result<StatusCode, Problem> {
    api.access(move |access| access.set_language(&caller, request, now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The own second factors.
#[utoipa::path(get, path = "/api/v1/me/factors", tag = super::ACCESS, operation_id = "factors",
    security(("session" = [])), responses((status = OK, body = Factors),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn factors(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Factors>, Problem> {
    api.access(move |access| access.factors(&caller, now())).await.map(Json)
}

/// Make a TOTP secret (RFC 6238). It counts once a code of it was shown.
#[utoipa::path(post, path = "/api/v1/me/totp", tag = super::ACCESS, operation_id = "start-totp",
    security(("session" = [])), responses((status = OK, body = TotpEnrolment),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn set_up_totp(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<TotpEnrolment>, Problem> {
    api.access(move |access| access.start_totp(&caller, now())).await.map(Json)
}

/// Show a code of the new TOTP secret. The session gets another cookie.
#[utoipa::path(post, path = "/api/v1/me/totp/confirm", tag = super::ACCESS, operation_id = "confirm-totp",
    request_body = TotpConfirm, security(("session" = [])), responses((status = OK, body = RecoveryCodes),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn confirm_totp(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<TotpConfirm>,
) -> Result<WithCookie<RecoveryCodes>, Problem> {
    let (codes, grant) = api.access(move |access| access.confirm_totp(&caller, &request, now())).await?;
    Ok(WithCookie(StatusCode::OK, Some(grant), codes))
}

/// Remove the TOTP secret, where a passkey is left.
#[utoipa::path(delete, path = "/api/v1/me/totp", tag = super::ACCESS, operation_id = "delete-totp",
    security(("session" = [])), responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_totp(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<StatusCode, Problem> {
    api.access(move |access| access.delete_totp(&caller, now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begin to add a passkey.
#[utoipa::path(post, path = "/api/v1/me/passkeys/start", tag = super::ACCESS, operation_id = "add-passkey-start",
    request_body = PasskeyStart, security(("session" = [])), responses((status = OK, body = PasskeyChallenge),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn add_passkey_start(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(request): Body<PasskeyStart>,
) -> Result<Json<PasskeyChallenge>, Problem> {
    let host = host(&headers);
    api.access(move |access| access.start_passkey(&caller, &host, &request, now())).await.map(Json)
}

/// Add a passkey. The session gets another cookie.
#[utoipa::path(post, path = "/api/v1/me/passkeys/finish", tag = super::ACCESS, operation_id = "add-passkey",
    request_body = PasskeyFinish, security(("session" = [])), responses((status = CREATED, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn add_passkey_finish(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<PasskeyFinish>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.finish_passkey(&caller, &request, now())).await?;
    let session = grant.session.clone();
    Ok(WithCookie(StatusCode::CREATED, Some(grant), session))
}

/// Remove a passkey, where another factor is left.
#[utoipa::path(delete, path = "/api/v1/me/passkeys/{id}", tag = super::ACCESS, operation_id = "delete-passkey",
    params(("id" = String, Path)), security(("session" = [])),
    responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_passkey(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    api.access(move |access| access.delete_passkey(&caller, &id, now())).await?;
    Ok(StatusCode::NO_CONTENT)
}
