//! HTTP around jsonrpsee: what browsers need to call the port from any page (CORS), and what is refused outright.
//!
//! Any origin may call: the port takes no cookies and no passwords, so a page can do nothing that its server cannot.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpRequest, HttpResponse, ws},
};
use tower::Service;

use crate::connection::ConnectionControl;

/// Headers of every response, for browsers.
const CORS: [(&str, &str); 1] = [("access-control-allow-origin", "*")];
/// Headers of the answer to a browser's question before a request (preflight).
const PREFLIGHT: [(&str, &str); 3] = [
    ("access-control-allow-methods", "POST, GET, OPTIONS"),
    ("access-control-allow-headers", "*, content-type"),
    // One day; browsers cap it lower.
    ("access-control-max-age", "86400"),
];

/// What a JSON-RPC request knows of how it came, among the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) connection: Arc<ConnectionControl>,
    pub(crate) websocket: bool,
}

/// jsonrpsee's service with the rules of this module.
#[derive(Clone)]
pub(crate) struct HttpService<S> {
    inner: S,
    connection: Arc<ConnectionControl>,
}

impl<S> HttpService<S> {
    pub(crate) const fn new(inner: S, connection: Arc<ConnectionControl>) -> Self {
        Self { inner, connection }
    }
}

impl<S, B> Service<HttpRequest<B>> for HttpService<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: HttpRequest<B>) -> Self::Future {
        // HTTP/2 would carry any number of requests on one connection.
        if request.version() > HttpRequest::new(()).version() {
            return Box::pin(async { respond(505, "HTTP/1.1 only\n") });
        }
        if request.method().as_str() == "OPTIONS" {
            return Box::pin(async { respond(204, "").map(|response| with_headers(response, &PREFLIGHT)) });
        }
        let websocket = ws::is_upgrade_request(&request);
        request.extensions_mut().insert(Caller { connection: self.connection.clone(), websocket });
        let response = self.inner.call(request);
        Box::pin(async { response.await.map(|response| with_headers(response, &CORS)) })
    }
}

fn respond(status: u16, text: &'static str) -> Result<HttpResponse, BoxError> {
    let response = HttpResponse::builder().status(status).body(HttpBody::from(text))?;
    Ok(with_headers(response, &CORS))
}

fn with_headers(mut response: HttpResponse, headers: &[(&'static str, &'static str)]) -> HttpResponse {
    for &(name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("constant header values are valid"));
    }
    response
}
