//! The administration API, `/api/v1`: what the page can do and programs as well.
//!
//! Each operation is described where it is written, and the description says who may use it; [`guard`] holds each request
//! against that.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use dolmen_access::{Access, Refusal};
use dolmen_hsm_api::KeyUri;
use tokio::sync::Semaphore;
use tracing::Instrument as _;
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::{
    acceleration::Engines,
    backup::BackupView,
    guard::{Local, Rules},
    jobs::Jobs,
    keys::Rotated,
    problem::Problem,
};
use super::{Around, Page};
use crate::{
    bench::crypto::Curve,
    claim,
    config::{self, BoxConfig},
    update::SPOOL,
};

mod acceleration;
mod account;
mod backup;
mod backup_file;
mod body;
mod chain;
mod consortium;
mod guard;
mod inbox;
mod jobs;
mod keys;
mod logs;
mod network;
pub(super) mod problem;
mod restart;
mod restore;
mod session;
mod settings;
mod status;
mod support;
mod system;
mod update;
mod users;

/// Where all of it is.
const PREFIX: &str = "/api/v1";
/// The tag of the operations about who may use the box.
const ACCESS: &str = "access";
/// The tag of the operations of the box itself.
const BOX: &str = "box";
/// A body that is no update and no question to the chain.
const BODY_BYTES_MAX: usize = 64 << 10;
/// A question to the chain: what its own port takes.
const QUESTION_BYTES_MAX: usize = 5 << 20;
/// Requests that look at users or sessions at once: a password takes 19 MiB to hash, and one core.
const ACCESS_AT_ONCE: usize = 4;

/// What operations need.
#[derive(Clone)]
pub(super) struct Api {
    page: Arc<Page>,
    access: Arc<Access>,
    places: Arc<Semaphore>,
    rules: Arc<Rules>,
    local: Arc<Local>,
    home: Arc<Home>,
    client: reqwest::Client,
}

/// Where things are.
pub(super) struct Home {
    pub(super) data: PathBuf,
    pub(super) tcti: Option<String>,
    /// Names by which browsers may reach the box.
    pub(super) hosts: Vec<String>,
    /// Settings of its network; none where it does not run from the image.
    pub(super) networks: Option<PathBuf>,
    /// The settings that it runs with.
    config: BoxConfig,
    around: Around,
    jobs: Arc<Jobs>,
    engines: Engines,
    rotated: Rotated,
    /// Held by whoever brings a file of a backup.
    bringing: tokio::sync::Mutex<()>,
    /// Held by whoever changes the settings.
    settings: std::sync::Mutex<()>,
}

impl Home {
    pub(super) fn of(config: &BoxConfig, around: Around) -> Self {
        let keys = [Some(&config.keys.consensus), Some(&config.keys.tls), config.keys.api.as_ref()];
        let in_tpm = keys.into_iter().flatten().any(|uri| matches!(uri, KeyUri::Tpm(_)));
        let tcti = config.keys.devices.tcti.clone().unwrap_or_else(|| "device:/dev/tpmrm0".to_owned());
        let of_image = config.update.as_ref().is_some_and(|update| update.spool == Path::new(SPOOL));
        Self {
            data: config.data_dir.clone(),
            tcti: in_tpm.then_some(tcti),
            hosts: config.admin.hosts.clone(),
            networks: of_image.then(|| network::DIRECTORY.into()),
            config: config.clone(),
            around,
            jobs: Arc::default(),
            engines: Engines::default(),
            rotated: Rotated::default(),
            bringing: tokio::sync::Mutex::default(),
            settings: std::sync::Mutex::default(),
        }
    }

    /// Where the box's files are.
    fn directory(&self) -> &Path {
        config::directory(&self.around.settings)
    }

    /// Where backups are made.
    fn backups(&self) -> PathBuf {
        self.config.admin.backups.clone().unwrap_or_else(|| self.directory().join("backups"))
    }

    /// The screen shows a code no more that was used.
    async fn code_was_used(&self) {
        let directory = self.directory().to_owned();
        // A panic has been logged.
        let _ = tokio::task::spawn_blocking(move || claim::used(&directory)).await;
    }
}

impl Api {
    /// Asks access control, on a thread that may wait.
    async fn access<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Access) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.places.clone().acquire_owned().await;
        let access = self.access.clone();
        let asked = tokio::task::spawn_blocking(move || {
            // Given back when the work ends, and not when the client hangs up.
            let _place = place;
            ask(&access)
        });
        asked.await.map_err(|error| Problem::failed(&error.into()))?.map_err(Problem::from)
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Dolmen administration API",
        description = "What the box's own page does, for programs: with an API token as `Authorization: Bearer`, which \
                       has the rights of its role. Errors are problem details (RFC 9457) with a `code` that never \
                       changes.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    // What no operation answers by itself: the results of jobs.
    components(schemas(Curve, BackupView)),
    tags(
        (name = ACCESS, description = "Who may use the box"),
        (name = BOX, description = "The box"),
        (name = "chain", description = "The chain")
    )
)]
struct Description;

fn operations() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(description())
        .routes(routes!(session::box_identity))
        .routes(routes!(session::claim))
        .routes(routes!(session::recover))
        .routes(routes!(session::log_in, session::session, session::log_out))
        .routes(routes!(session::passkey_start))
        .routes(routes!(session::passkey_finish))
        .routes(routes!(account::change_password))
        .routes(routes!(account::change_language))
        .routes(routes!(account::factors))
        .routes(routes!(account::set_up_totp, account::remove_totp))
        .routes(routes!(account::confirm_totp))
        .routes(routes!(account::add_passkey_start))
        .routes(routes!(account::add_passkey_finish))
        .routes(routes!(account::remove_passkey))
        .routes(routes!(users::users, users::add_user))
        .routes(routes!(users::change_user, users::remove_user))
        .routes(routes!(users::tokens, users::add_token))
        .routes(routes!(users::remove_token))
        .routes(routes!(users::audit))
        .routes(routes!(status::status))
        .routes(routes!(keys::keys))
        .routes(routes!(keys::rotate_key))
        .routes(routes!(keys::renew_certificate))
        .routes(routes!(status::events))
        .routes(routes!(system::system))
        .routes(routes!(network::network, network::set_network))
        .routes(routes!(update::update, update::take_update))
        .routes(routes!(update::roll_back))
        .routes(routes!(consortium::consortium))
        .routes(routes!(acceleration::acceleration))
        .routes(routes!(acceleration::benchmark))
        .routes(routes!(jobs::job))
        .routes(routes!(logs::logs))
        .routes(routes!(support::support_bundle))
        .routes(routes!(backup::backups, backup::make_backup))
        .routes(routes!(backup_file::backup_file, backup_file::put_backup_file))
        .routes(routes!(restore::restore, restore::drop_restored))
        .routes(routes!(restart::restart))
        .routes(routes!(settings::settings, settings::change_settings))
        .routes(routes!(inbox::inbox))
        .routes(routes!(inbox::approve_box))
        .routes(routes!(inbox::decline_box))
        .merge(OpenApiRouter::new().routes(routes!(chain::rpc)).layer(DefaultBodyLimit::max(QUESTION_BYTES_MAX)))
}

fn description() -> OpenApi {
    let mut description = Description::openapi();
    let components = description.components.get_or_insert_default();
    let cookie = "A session of a person. Methods other than GET and HEAD need its `csrf_token` in `X-CSRF-Token`.";
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(guard::COOKIE, cookie));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("dolmen_…").build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    description
}

/// The API of a box.
pub(super) fn router(page: Arc<Page>, access: Arc<Access>, local_token: &[u8], home: Home) -> anyhow::Result<Router> {
    let (router, description) = operations().split_for_parts();
    let rules = Arc::new(Rules::of(&description).context("the API's description")?);
    let description = description.to_json()?;
    let client = reqwest::Client::builder().build().context("no HTTP client")?;
    let places = Arc::new(Semaphore::new(ACCESS_AT_ONCE));
    let local = Arc::new(Local::new(local_token));
    let api = Api { page, access, places, rules, local, home: Arc::new(home), client };
    let described = get(move || async move {
        ([(axum::http::header::CONTENT_TYPE, "application/json")], description.clone()).into_response()
    });
    Ok(router
        .route_layer(middleware::from_fn_with_state(api.clone(), guard::admit))
        .route_layer(middleware::from_fn(traced))
        .route("/api/v1/openapi.json", described)
        .route("/api/v1/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(headers))
        .with_state(api))
}

async fn unknown(State(_): State<Api>) -> Problem {
    Problem::not_here("the API has no such path", "see its description, /api/v1/openapi.json")
}

async fn not_allowed(State(_): State<Api>) -> Problem {
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method", "the path has no such method", "see the API's description, /api/v1/openapi.json")
}

/// Makes an operation a part of a trace, as OpenTelemetry names it (semantic conventions of HTTP).
async fn traced(path: MatchedPath, request: Request, next: Next) -> Response {
    let (method, route) = (request.method().clone(), path.as_str());
    let span = tracing::debug_span!(
        "http",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = %method,
        http.route = route,
        http.response.status_code = tracing::field::Empty
    );
    let response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    response
}

/// What every answer says to browsers: nobody keeps it, and nothing in it is a page.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(axum::http::header::CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    headers.insert(axum::http::header::X_CONTENT_TYPE_OPTIONS, axum::http::HeaderValue::from_static("nosniff"));
    headers.insert(
        axum::http::header::CONTENT_SECURITY_POLICY,
        axum::http::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Programs are written against the file; whoever changes the API sees in it what changes for them.
    #[test]
    fn the_description_in_the_repository_is_this() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let now = operations().split_for_parts().1.to_pretty_json().unwrap() + "\n";
        if std::env::var_os("DOLMEN_WRITE_OPENAPI").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            kept == now,
            "docs/openapi.json is not this API: run this test with DOLMEN_WRITE_OPENAPI=1, and read the diff"
        );
    }

    /// Each operation says who may use it, its errors, and what its fields mean.
    #[test]
    fn operations_are_described() {
        let description = serde_json::to_value(operations().split_for_parts().1).unwrap();
        let mut names = std::collections::BTreeSet::new();
        for (path, operations) in description["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name.to_owned()), "{name} stands twice");
                assert!(operation["security"].is_array(), "{method} {path} does not say who may");
                assert!(operation["summary"].is_string(), "{method} {path} does not say what it does");
                let error = &operation["responses"]["default"]["content"];
                assert!(error.is_object(), "{method} {path} does not say how errors look");
            }
        }
        for (name, schema) in description["components"]["schemas"].as_object().unwrap() {
            for (field, about) in schema["properties"].as_object().into_iter().flatten() {
                assert!(
                    about["description"].is_string() || about["$ref"].is_string() || about["oneOf"].is_array(),
                    "{name}.{field} is not described"
                );
            }
        }
    }
}
