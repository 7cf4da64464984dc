//! Beginning again.

use std::time::Duration;

use axum::{extract::State, http::StatusCode};

use super::Api;

/// How long a restart waits for its own answer to be on the way.
const ANSWER: Duration = Duration::from_millis(200);

/// End the box in order and start it again, as the same process. What was set for the next start is in effect then, and
/// everybody logs in anew.
#[utoipa::path(post, path = "/api/v1/restart", tag = super::BOX, operation_id = "restart",
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = ACCEPTED), (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn restart(State(api): State<Api>) -> StatusCode {
    let restart = api.home.around.restart.clone();
    tokio::spawn(async move {
        tokio::time::sleep(ANSWER).await;
        restart.ask();
    });
    StatusCode::ACCEPTED
}
