//! Users, API tokens, and what all of them did.

use axum::{Extension, Json, extract::State, http::StatusCode};
use dolmen_access::{
    AuditPage, Caller, NewToken, NewUser, TokenMade, TokenView, UserChanged, UserMade, UserPatch, UserView,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Api,
    body::{Asked, Body, Named},
    now,
    problem::Problem,
};

/// The users.
#[utoipa::path(get, path = "/api/v1/users", tag = super::ACCESS, operation_id = "list-users",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = OK, body = Vec<UserView>),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn users(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<UserView>>, Problem> {
    api.access(move |access| access.users(&caller, now())).await.map(Json)
}

/// Add a user, who gets a password for his first login.
#[utoipa::path(post, path = "/api/v1/users", tag = super::ACCESS, operation_id = "create-user",
    request_body = NewUser, security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = CREATED, body = UserMade),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn add_user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<NewUser>,
) -> Result<(StatusCode, Json<UserMade>), Problem> {
    let made = api.access(move |access| access.create_user(&caller, &request, now())).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Change a user's role, keep him out, or reset his password and second factors.
#[utoipa::path(patch, path = "/api/v1/users/{name}", tag = super::ACCESS, operation_id = "change-user",
    params(("name" = String, Path)),
    request_body = UserPatch, security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = OK, body = UserChanged),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn change_user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Body(request): Body<UserPatch>,
) -> Result<Json<UserChanged>, Problem> {
    api.access(move |access| access.change_user(&caller, &name, request, now())).await.map(Json)
}

/// Remove a user.
#[utoipa::path(delete, path = "/api/v1/users/{name}", tag = super::ACCESS, operation_id = "delete-user",
    params(("name" = String, Path)),
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_user(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
) -> Result<StatusCode, Problem> {
    api.access(move |access| access.delete_user(&caller, &name, now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The API tokens.
#[utoipa::path(get, path = "/api/v1/tokens", tag = super::ACCESS, operation_id = "list-tokens",
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = OK, body = Vec<TokenView>),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn tokens(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Vec<TokenView>>, Problem> {
    api.access(move |access| access.tokens(&caller, now())).await.map(Json)
}

/// Make an API token, which is shown once.
#[utoipa::path(post, path = "/api/v1/tokens", tag = super::ACCESS, operation_id = "create-token",
    request_body = NewToken, security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = CREATED, body = TokenMade),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn add_token(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Body(request): Body<NewToken>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let made = api.access(move |access| access.create_token(&caller, &request, now())).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// End an API token.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = super::ACCESS, operation_id = "delete-token",
    params(("id" = String, Path)),
    security(("session" = ["security-officer"]), ("token" = ["security-officer"])),
    responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn remove_token(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    api.access(move |access| access.delete_token(&caller, &id, now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which part of the audit log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Records before this one; without it the latest.
    before: Option<u64>,
    /// How many: 50 without it, 200 at most.
    limit: Option<usize>,
}

/// The audit log, the latest first: all of it for security officers, their own part for operators.
#[utoipa::path(get, path = "/api/v1/audit", tag = super::ACCESS, operation_id = "read-audit", params(Part),
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = OK, body = AuditPage),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn audit(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Asked(Part { before, limit }): Asked<Part>,
) -> Result<Json<AuditPage>, Problem> {
    api.access(move |access| access.audit(&caller, before, limit, now())).await.map(Json)
}
