//! Versions of the image: what runs, what the other slot has, and how to change that.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Api, problem::Problem};
use crate::{
    admin::update::{Fetch, Refusal, Updates},
    update::Report,
};

/// What runs, and what is being done about it.
#[derive(Serialize, ToSchema)]
pub(super) struct UpdateState {
    /// The two slots.
    #[serde(flatten)]
    slots: Report,
    /// Whether a bundle is being taken in.
    receiving: bool,
    /// Whether a bundle waits to be applied.
    waiting: bool,
}

/// A bundle that was taken in.
#[derive(Serialize, ToSchema)]
pub(super) struct UpdateTaken {
    /// Its version, which starts next.
    version: String,
}

impl From<Refusal> for Problem {
    fn from(Refusal { status, code, detail, next }: Refusal) -> Self {
        Self::new(status, code, detail, next)
    }
}

fn updates(api: &Api) -> Result<&Updates, Problem> {
    let next = "update its program as you installed it";
    api.page.updates.as_ref().ok_or_else(|| Problem::not_here("this box is not one of the image", next))
}

/// The two slots, and the last update.
#[utoipa::path(get, path = "/api/v1/update", tag = super::BOX, operation_id = "update",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = UpdateState),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn update(State(api): State<Api>) -> Result<Json<UpdateState>, Problem> {
    let updates = updates(&api)?;
    let slots = updates.report().ok_or_else(|| {
        let detail = "the system has not said yet what its slots have";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "slots-unknown", detail, "ask again in a minute")
    })?;
    let (receiving, waiting) = updates.busy();
    Ok(Json(UpdateState { slots, receiving, waiting }))
}

/// Take a bundle in, or fetch one. It is checked before the answer, then applied, and starts on trial at once.
#[utoipa::path(post, path = "/api/v1/update", tag = super::BOX, operation_id = "take-update",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    request_body(content(("application/octet-stream"), (Fetch = "application/json"))),
    responses((status = ACCEPTED, body = UpdateTaken),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn take_update(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<UpdateTaken>), Problem> {
    let version = updates(&api)?.take(&headers, body).await?;
    Ok((StatusCode::ACCEPTED, Json(UpdateTaken { version: version.to_string() })))
}

/// Go back to the other slot, at once.
#[utoipa::path(post, path = "/api/v1/update/rollback", tag = super::BOX, operation_id = "roll-back",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = ACCEPTED),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn roll_back(State(api): State<Api>) -> Result<StatusCode, Problem> {
    updates(&api)?.roll_back().await?;
    Ok(StatusCode::ACCEPTED)
}
