//! HTTP around jsonrpsee: what browsers need to call the port from any page (CORS), and what is refused outright.
//!
//! Pages of any origin may call: they are what a wallet's user opens. So a page can do what the machine can that it is
//! opened on, which is why the port must be reachable only for those who may all use it. What a page must not do is
//! take the box for its own server: it would by letting its name point to the box's address (DNS rebinding), so
//! requests must name a host that is the box's.

use std::{
    collections::BTreeSet,
    future::Future,
    net::IpAddr,
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

/// The longest host name that an error repeats.
const HOST_SHOWN_MAX: usize = 64;
/// Status of the answer with which a connection becomes one of WebSocket.
const SWITCHING_PROTOCOLS: u16 = 101;
/// Headers of every response, for browsers.
const CORS: [(&str, &str); 1] = [("access-control-allow-origin", "*")];
/// Headers of the answer to a browser's question before a request (preflight).
const PREFLIGHT: [(&str, &str); 3] = [
    ("access-control-allow-methods", "POST, GET, OPTIONS"),
    ("access-control-allow-headers", "*, content-type"),
    // One day; browsers cap it lower.
    ("access-control-max-age", "86400"),
];

/// Host names that requests may name, as Geth's `--http.vhosts`. IP addresses and `localhost` always may be: no page's
/// own server has such a name. So may be none at all, which browsers never do.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    names: BTreeSet<String>,
    any: bool,
}

impl AllowedHosts {
    /// These names without ports, beside what always is allowed; `*` allows every name.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let names: BTreeSet<_> = names.into_iter().map(|name| name.to_ascii_lowercase()).collect();
        let any = names.contains("*");
        Self { names, any }
    }

    /// Whether a `Host` header may be answered.
    fn allows(&self, header: &str) -> bool {
        let host = without_port(header).to_ascii_lowercase();
        self.any || host.is_empty() || host == "localhost" || is_address(&host) || self.names.contains(&host)
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // The colons of a bare IPv6 address are none before a port.
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    }
}

fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    inner.parse::<IpAddr>().is_ok()
}

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
    hosts: Arc<AllowedHosts>,
}

impl<S> HttpService<S> {
    pub(crate) const fn new(inner: S, connection: Arc<ConnectionControl>, hosts: Arc<AllowedHosts>) -> Self {
        Self { inner, connection, hosts }
    }

    /// The answer to a request that goes no further.
    fn refusal<B>(&self, request: &HttpRequest<B>) -> Option<Result<HttpResponse, BoxError>> {
        // HTTP/2 would carry any number of requests on one connection.
        if request.version() > HttpRequest::new(()).version() {
            return Some(respond(505, "HTTP/1.1 only\n"));
        }
        // A header that is not text names no host that is allowed.
        let host = request.headers().get("host").map_or("", |host| host.to_str().unwrap_or("?"));
        if !self.hosts.allows(host) {
            let name: String = without_port(host).chars().take(HOST_SHOWN_MAX).collect();
            let text = format!(
                "this box is not known as {name:?}: use its IP address, or list the name under rpc.hosts in its \
                 box.toml\n"
            );
            return Some(respond(403, text));
        }
        let preflight = request.method().as_str() == "OPTIONS";
        preflight.then(|| respond(204, "").map(|response| with_headers(response, &PREFLIGHT)))
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
        self.connection.touch();
        if let Some(refusal) = self.refusal(&request) {
            return Box::pin(async move { refusal });
        }
        let websocket = ws::is_upgrade_request(&request);
        request.extensions_mut().insert(Caller { connection: self.connection.clone(), websocket });
        let (connection, response) = (self.connection.clone(), self.inner.call(request));
        Box::pin(async move {
            let response = response.await?;
            if response.status().as_u16() == SWITCHING_PROTOCOLS {
                connection.upgrade();
            }
            Ok(with_headers(response, &CORS))
        })
    }
}

fn respond(status: u16, text: impl Into<HttpBody>) -> Result<HttpResponse, BoxError> {
    let response = HttpResponse::builder().status(status).body(text.into())?;
    Ok(with_headers(response, &CORS))
}

fn with_headers(mut response: HttpResponse, headers: &[(&'static str, &'static str)]) -> HttpResponse {
    for &(name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("constant header values are valid"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_may_be_named() {
        let hosts = AllowedHosts::new(["Box.example".to_owned()]);
        for host in ["", "localhost", "LOCALHOST:8545", "127.0.0.1", "10.0.0.7:8545", "[::1]:8545", "[fe80::1]", "::1"]
        {
            assert!(hosts.allows(host), "{host}");
        }
        assert!(hosts.allows("box.example") && hosts.allows("BOX.example:8545"));
        for host in ["evil.example", "evil.example:8545", "box.example.evil.example", "localhost.evil.example", "?"] {
            assert!(!hosts.allows(host), "{host}");
        }
        assert!(!AllowedHosts::default().allows("box.example"));
        assert!(AllowedHosts::new(["*".to_owned()]).allows("evil.example"));
    }
}
