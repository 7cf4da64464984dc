//! Plain HTTP, which leads to HTTPS and does nothing else.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse as _, Response},
};

/// Leads browsers to the page at a port.
pub(super) fn router(port: u16) -> Router {
    Router::new().fallback(redirect).with_state(port)
}

async fn redirect(State(port): State<u16>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    // Whatever else was sent has been read by everybody on the way, and is not to be sent again.
    if !matches!(method, Method::GET | Method::HEAD) {
        return (StatusCode::FORBIDDEN, "this box speaks HTTPS alone; use https:// in the address\n").into_response();
    }
    let Some(target) = target(port, &uri, &headers) else {
        return (StatusCode::BAD_REQUEST, "the request names no host; use https:// in the address\n").into_response();
    };
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response()
}

fn target(port: u16, uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    let authority = Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{}{port}{path}", authority.host())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_led_to_the_same_place() {
        let target = |port, uri: &str, host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            target(port, &uri.parse().unwrap(), &headers).map(|target| target.to_str().unwrap().to_owned())
        };
        assert_eq!(target(443, "/blocks/7?x=1", "10.0.0.5").unwrap(), "https://10.0.0.5/blocks/7?x=1");
        assert_eq!(target(8443, "/", "[fd12::42]:80").unwrap(), "https://[fd12::42]:8443/");
        assert_eq!(target(443, "http://evil.example/x", "box").unwrap(), "https://box/x");
        assert_eq!(target(443, "//evil.example/x", "box").unwrap(), "https://box//evil.example/x");
        assert_eq!(target(443, "/", "a b"), None);
    }
}
