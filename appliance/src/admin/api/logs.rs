//! The latest lines of the box's log.

use axum::Json;
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::Asked;
use crate::logging::{self, LogLevel, LogPart};

/// Lines where nobody says how many.
const LINES_DEFAULT: usize = 200;
/// Lines in an answer.
const LINES_MAX: usize = 1000;

/// Which part of the log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichLines {
    /// Lines that are as bad as this or worse; without it all that are logged.
    #[param(inline)]
    level: Option<LogLevel>,
    /// Lines after the one of this number: `next` of the answer before.
    since: Option<u64>,
    /// How many, the latest: 200 without it, 1000 at most.
    limit: Option<usize>,
}

/// The latest lines of the log of this start of the box, the latest last.
#[utoipa::path(get, path = "/api/v1/logs", tag = super::BOX, operation_id = "logs", params(WhichLines),
    security(("session" = ["operator"]), ("token" = ["operator"])),
    responses((status = OK, body = LogPart),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn logs(Asked(WhichLines { level, since, limit }): Asked<WhichLines>) -> Json<LogPart> {
    let count = limit.unwrap_or(LINES_DEFAULT).min(LINES_MAX);
    Json(logging::part(level.unwrap_or(LogLevel::Trace), since.unwrap_or(0), count))
}
