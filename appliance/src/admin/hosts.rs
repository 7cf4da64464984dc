//! Which `Host` a request to the page may name.
//!
//! A web page from elsewhere cannot read this server's answers unless its own name resolves to the box, which its owner
//! can arrange (DNS rebinding). The browser still sends that name, so one that the box does not know is refused.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};

/// `admin.hosts`: names beside `localhost` and all IP addresses; `*` is any name.
struct Hosts(Vec<String>);

/// Refuses the requests that name another host than those of `names`.
pub(crate) fn guard(router: Router, names: &[String]) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(Hosts(names.to_vec())), check))
}

async fn check(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    if hosts.allow(request.headers()) {
        return next.run(request).await;
    }
    let text =
        "this box is not known by that name: use its IP address, or list the name under admin.hosts in its box.toml\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

impl Hosts {
    fn allow(&self, headers: &HeaderMap) -> bool {
        // Every browser names one; what asks without is no web page.
        let Some(host) = headers.get(header::HOST).filter(|host| !host.is_empty()) else { return true };
        let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
        let host = authority.host();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        address.parse::<IpAddr>().is_ok()
            || host.eq_ignore_ascii_case("localhost")
            || self.0.iter().any(|name| name == "*" || host.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allows(host: &str) -> bool {
        let hosts = Hosts(vec!["box-a.example.org".to_owned()]);
        hosts.allow(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_str(host).unwrap())]))
    }

    #[test]
    fn addresses_and_known_names_pass() {
        for host in ["127.0.0.1", "10.0.0.5:9545", "[::1]:9545", "[::1]", "localhost:9545", "Box-A.Example.org:80"] {
            assert!(allows(host), "{host}");
        }
        assert!(allows(""), "not from a browser");
        assert!(Hosts(Vec::new()).allow(&HeaderMap::new()), "neither");
    }

    #[test]
    fn other_names_do_not() {
        for host in ["attacker.example", "localhost.attacker.example:9545", "127.0.0.1.attacker.example", "a b"] {
            assert!(!allows(host), "{host:?}");
        }
    }
}
