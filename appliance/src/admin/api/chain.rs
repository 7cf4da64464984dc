//! The box's JSON-RPC for its own page: browsers let a page ask where it comes from, and nowhere else.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::{Api, body::Raw, problem::Problem};

/// Ask the chain (Ethereum JSON-RPC 2.0), as at the box's own RPC port. A transaction that is sent has its own signature.
#[utoipa::path(post, path = "/api/v1/rpc", tag = "chain", operation_id = "rpc",
    security(("session" = ["viewer"]), ("token" = ["viewer"])),
    request_body(content = serde_json::Value, content_type = "application/json"),
    responses((status = OK, body = serde_json::Value),
        (status = BAD_REQUEST, description = "What the port says to what is no question, or a body that does not come",
            content((serde_json::Value = "application/json"), (dolmen_access::Problem = "application/problem+json"))),
        (status = "default", body = dolmen_access::Problem, content_type = "application/problem+json")))]
pub(super) async fn rpc(State(api): State<Api>, Raw(question): Raw) -> Result<Response, Problem> {
    let url = format!("http://{}", api.page.node.rpc_address());
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let asked = api.client.post(url).header(json[0].0.clone(), json[0].1.clone()).body(question).send().await;
    let answer = asked.map_err(|error| {
        let detail = format!("the box's JSON-RPC does not answer: {:#}", anyhow::Error::new(error));
        Problem::new(StatusCode::BAD_GATEWAY, "rpc-silent", detail, "see that rpc.listen is an address of the box")
    })?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    Ok((status, json, Body::from_stream(answer.bytes_stream())).into_response())
}
