//! Coming in, and going.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dolmen_access::{
    Caller, ClaimRequest, Grant, LoginRequest, PasskeyChallenge, PasskeyFinish, PasskeyLoginStart, RecoveryRequest,
    SessionView,
};
use dolmen_provisioning_link::PeerAddress;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, body::Body, guard::COOKIE, now, problem::Problem};

/// What anybody may know of the box: what a page needs to let people in.
#[derive(Serialize, ToSchema)]
pub(super) struct Identity {
    /// What people call the box.
    name: String,
    /// Of its software.
    version: &'static str,
    /// Whether it has users. Until then whoever shows the claim code becomes the first.
    claimed: bool,
    /// Names by which browsers reach it.
    host_names: Vec<String>,
    /// Whether passkeys work at the address of this request: they belong to names.
    passkeys: bool,
}

/// An answer with a body that sets or removes the session's cookie.
pub(super) struct WithCookie<T>(pub(super) StatusCode, pub(super) Option<Grant>, pub(super) T);

impl<T: Serialize> IntoResponse for WithCookie<T> {
    fn into_response(self) -> Response {
        let Self(status, grant, body) = self;
        let mut response = (status, Json(body)).into_response();
        response.headers_mut().insert(header::SET_COOKIE, set_cookie(grant.as_ref()));
        response
    }
}

/// Sets the cookie of a session, or removes it. It ends with the browser.
fn set_cookie(grant: Option<&Grant>) -> HeaderValue {
    const RULES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";
    let text = match grant {
        Some(grant) => format!("{COOKIE}={}; {RULES}", grant.token.expose()),
        None => format!("{COOKIE}=; {RULES}; Max-Age=0"),
    };
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

fn entered(status: StatusCode, grant: Grant) -> WithCookie<SessionView> {
    let session = grant.session.clone();
    WithCookie(status, Some(grant), session)
}

/// The host of a request, without its port.
pub(super) fn host(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let authority = host.parse::<axum::http::uri::Authority>();
    authority.map_or_else(|_| String::new(), |authority| authority.host().to_ascii_lowercase())
}

/// What anybody may know of the box.
#[utoipa::path(get, path = "/api/v1/box", tag = super::ACCESS, operation_id = "box", security(()),
    responses((status = OK, body = Identity),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn box_identity(State(api): State<Api>, headers: HeaderMap) -> Json<Identity> {
    Json(Identity {
        name: api.page.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        claimed: api.access.claimed(),
        host_names: api.home.hosts.clone(),
        passkeys: api.access.passkeys_at(&host(&headers)),
    })
}

/// Make the first user, who shows the claim code of the box's screen. The session has a second factor to set up.
#[utoipa::path(post, path = "/api/v1/claim", tag = super::ACCESS, operation_id = "claim", request_body = ClaimRequest, security(()),
    responses((status = CREATED, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn claim(
    State(api): State<Api>,
    Extension(from): Extension<PeerAddress>,
    Body(request): Body<ClaimRequest>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.claim(from.0.ip(), &request, now())).await?;
    api.home.code_was_used().await;
    Ok(entered(StatusCode::CREATED, grant))
}

/// Reset a user's password and second factors by a new claim code of the box's screen.
#[utoipa::path(post, path = "/api/v1/recovery", tag = super::ACCESS, operation_id = "recover", request_body = RecoveryRequest, security(()),
    responses((status = OK, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn recover(
    State(api): State<Api>,
    Extension(from): Extension<PeerAddress>,
    Body(request): Body<RecoveryRequest>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.recover(from.0.ip(), &request, now())).await?;
    api.home.code_was_used().await;
    Ok(entered(StatusCode::OK, grant))
}

/// Log in with a password and the second factor.
#[utoipa::path(post, path = "/api/v1/session", tag = super::ACCESS, operation_id = "login", request_body = LoginRequest, security(()),
    responses((status = OK, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn log_in(
    State(api): State<Api>,
    Extension(from): Extension<PeerAddress>,
    Body(request): Body<LoginRequest>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.login(from.0.ip(), &request, now())).await?;
    Ok(entered(StatusCode::OK, grant))
}

/// Begin to log in with a passkey.
#[utoipa::path(post, path = "/api/v1/session/passkey/start", tag = super::ACCESS, operation_id = "passkey-login-start",
    request_body = PasskeyLoginStart, security(()), responses((status = OK, body = PasskeyChallenge),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn passkey_start(
    State(api): State<Api>,
    Extension(from): Extension<PeerAddress>,
    headers: HeaderMap,
    Body(_): Body<PasskeyLoginStart>,
) -> Result<Json<PasskeyChallenge>, Problem> {
    let host = host(&headers);
    api.access(move |access| access.start_passkey_login(from.0.ip(), &host, now())).await.map(Json)
}

/// Log in with a passkey.
#[utoipa::path(post, path = "/api/v1/session/passkey/finish", tag = super::ACCESS,
    operation_id = "passkey-login", request_body = PasskeyFinish, security(()),
    responses((status = OK, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn passkey_finish(
    State(api): State<Api>,
    Extension(from): Extension<PeerAddress>,
    Body(request): Body<PasskeyFinish>,
) -> Result<WithCookie<SessionView>, Problem> {
    let grant = api.access(move |access| access.finish_passkey_login(from.0.ip(), &request, now())).await?;
    Ok(entered(StatusCode::OK, grant))
}

/// The session.
#[utoipa::path(get, path = "/api/v1/session", tag = super::ACCESS, operation_id = "session", security(("session" = [])),
    responses((status = OK, body = SessionView),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn session(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<SessionView>, Problem> {
    api.access(move |access| access.view_session(&caller, now())).await.map(Json)
}

/// Log out.
#[utoipa::path(delete, path = "/api/v1/session", tag = super::ACCESS, operation_id = "logout",
    security(("session" = [])), responses((status = NO_CONTENT),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn log_out(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<impl IntoResponse, Problem> {
    api.access(move |access| access.logout(&caller, now())).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, set_cookie(None))]))
}
