//! How the box does.

use axum::{Extension, extract::State, http::Uri, response::Response};
use dolmen_access::{Caller, Requirement, Role};

use super::{Api, now, problem::Problem};
use crate::admin::status::Status;

/// The box in short, with its latest blocks. Signed where the box has a key for it (HTTP Message Signatures, RFC 9421).
#[utoipa::path(get, path = "/api/v1/status", tag = "box", operation_id = "status",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Status),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn status(State(api): State<Api>, uri: Uri) -> Response {
    api.page.answers.json(&uri, &api.page.status(true)).await
}

/// What happens, as it happens: server-sent events. `block` is a finalized block, `status` comes every two seconds, and
/// `lagged` says that blocks were left out for a reader that was too slow.
#[utoipa::path(get, path = "/api/v1/events", tag = "box", operation_id = "events",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, content_type = "text/event-stream", body = String),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn events(State(api): State<Api>, caller: Option<Extension<Caller>>) -> Result<Response, Problem> {
    let page = api.page.clone();
    // Who logs out, or is sent away, sees no more. What the machine itself asks stays.
    let may = move || {
        let (api, caller) = (api.clone(), caller.clone());
        async move {
            let Some(Extension(caller)) = caller else { return true };
            let viewer = Requirement::Role(Role::Viewer);
            api.access(move |access| access.require(&caller, viewer, "events", None, now())).await.is_ok()
        }
    };
    crate::admin::events::events(page, may)
}
