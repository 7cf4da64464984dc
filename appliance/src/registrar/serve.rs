//! What boxes ask over HTTPS.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use dolmen_provisioning_link::{PeerAddress, PeerCertificates};
use dolmen_provisioning_registrar::{Answer, Call, Peer};
use tokio::time::timeout;

use super::service::Service;

/// Until a request's body is there: boxes send some hundred kilobytes at most.
const BODY_WAIT_MAX: Duration = Duration::from_secs(20);

/// All that boxes can ask.
pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new().fallback(serve).with_state(service)
}

async fn serve(
    State(service): State<Arc<Service>>,
    Extension(PeerAddress(address)): Extension<PeerAddress>,
    Extension(PeerCertificates(certificates)): Extension<PeerCertificates>,
    request: Request,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let media = head.headers.get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok());
    let call = match Call::parse(head.method.as_str(), head.uri.path(), media) {
        Ok(call) => call,
        Err(error) => return Ok(respond(error.into())),
    };
    let body = match timeout(BODY_WAIT_MAX, to_bytes(body, call.body_bytes_max() + 1)).await {
        Ok(Ok(body)) if body.len() <= call.body_bytes_max() => body,
        Ok(_) => return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response()),
        Err(_) => return Ok(StatusCode::REQUEST_TIMEOUT.into_response()),
    };
    let address = address.to_string();
    let peer = Peer { certificates: &certificates, address: &address };
    match service.handle(call, peer, &body).await {
        Ok(answer) => Ok(respond(answer)),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a box gets no answer");
            Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn respond(answer: Answer) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers() {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.body_mut() = Body::from(answer.body);
    response
}
