//! Who governs the chain, and what they decide.

use axum::{Json, extract::State, http::StatusCode};

use super::{Api, problem::Problem};
use crate::gov::Consortium;

/// The organisations, their boxes, who votes, and what is proposed. A vote is a transaction of an organisation's account,
/// which this box does not have.
#[utoipa::path(get, path = "/api/v1/consortium", tag = "chain", operation_id = "consortium",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    responses((status = OK, body = Consortium),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn consortium(State(api): State<Api>) -> Result<Json<Consortium>, Problem> {
    let loaded = Consortium::load(&format!("http://{}", api.page.node.rpc_address())).await;
    loaded.map(Json).map_err(|error| {
        let detail = format!("the governance contract cannot be read: {error:#}");
        let next = "ask again once the box has caught up; see that rpc.listen is an address of the box";
        Problem::new(StatusCode::BAD_GATEWAY, "consortium-unknown", detail, next)
    })
}
