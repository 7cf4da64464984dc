//! Who may ask what: each request is held against what the API's description says of its operation, so that the two
//! cannot differ.

use std::collections::HashMap;

use anyhow::{Context as _, bail};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};
use dolmen_access::{Access, Caller, Csrf, Principal, Refusal, Requirement, Role};
use dolmen_provisioning_link::PeerAddress;
use openssl::sha::sha256;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use super::{
    Api, BOX, now,
    problem::{Code, Problem},
};

/// The cookie of a session. Browsers take one of this prefix from HTTPS alone, for this host alone (RFC 6265bis §4.1.3.2).
pub(super) const COOKIE: &str = "__Host-dolmen-session";
/// The header that a page of another origin cannot send.
const CSRF_HEADER: &str = "x-csrf-token";

/// What a page sends with what it asks by itself, while nobody uses it: the session lasts no longer by that.
const BACKGROUND_HEADER: &str = "x-dolmen-background";

/// What all operations need.
pub(super) struct Rules(HashMap<(Method, String), Rule>);

/// What an operation needs.
#[derive(Clone, Copy)]
struct Rule {
    /// What the audit log calls it.
    action: &'static str,
    /// None where everybody may.
    needs: Option<Requirement>,
    /// Whether it changes the box: access control writes down itself what it does, and the chain what is sent to it.
    recorded: bool,
}

impl Rules {
    /// Those of a description.
    pub(super) fn of(description: &OpenApi) -> anyhow::Result<Self> {
        let description = serde_json::to_value(description)?;
        let paths = description["paths"].as_object().context("the API has no paths")?;
        let mut rules = HashMap::new();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let method: Method = method.to_uppercase().parse()?;
                let rule = Rule::of(&method, operation).with_context(|| format!("{method} {path}"))?;
                rules.insert((method, path.clone()), rule);
            }
        }
        Ok(Self(rules))
    }
}

impl Rule {
    fn of(method: &Method, operation: &Value) -> anyhow::Result<Self> {
        let action = operation["operationId"].as_str().context("it has no name")?;
        let ways = operation["security"].as_array().context("it does not say who may")?;
        let of_session = ways.iter().find_map(|way| way["session"].as_array());
        let needs = match of_session.map(Vec::as_slice) {
            None if ways.iter().all(|way| way.as_object().is_some_and(serde_json::Map::is_empty)) => None,
            None => bail!("nobody may, or API tokens alone"),
            Some([]) => Some(Requirement::Session),
            Some([role]) => Some(Requirement::Role(serde_json::from_value::<Role>(role.clone())?)),
            Some(_) => bail!("it names more than one role"),
        };
        let of_box = operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == BOX));
        // The names are few, and live as long as the server.
        Ok(Self { action: action.to_owned().leak(), needs, recorded: of_box && !is_safe(method) })
    }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Lets a request pass that may.
pub(super) async fn admit(
    State(api): State<Api>,
    path: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
    let rule = api.rules.0.get(&(method, path.as_str().to_owned())).copied();
    let rule = rule.ok_or_else(|| Problem::not_here("this is not in the API's description", "report this"))?;
    let headers = request.headers();
    if !is_safe(request.method()) && !same_origin(headers) {
        let detail = "the request comes from a page of another site";
        return Err(Problem::new(StatusCode::FORBIDDEN, "other-origin", detail, "open the box's own page"));
    }
    let Some(needs) = rule.needs else { return Ok(next.run(request).await) };
    let safe = is_safe(request.method());
    if api.local.is_shown(headers) {
        if safe && needs == Requirement::Role(Role::Viewer) {
            return Ok(next.run(request).await);
        }
        let detail = "the token of the box's own machine is good for looking alone";
        return Err(Problem::new(StatusCode::FORBIDDEN, "local-token", detail, "log in, or use an API token"));
    }
    let from = request.extensions().get::<PeerAddress>().context("a request without a peer");
    let from = from.map_err(|error| Problem::failed(&error))?.0.ip();
    let shown = Shown::of(headers)?;
    let target = request.uri().path().strip_prefix(super::PREFIX).unwrap_or_default().to_owned();
    let (caller, target) = api
        .access(move |access| {
            let caller = Caller { who: shown.principal(access, safe)?, from };
            access.require(&caller, needs, rule.action, Some(&target), now())?;
            if rule.recorded {
                access.record(&caller, rule.action, Some(&target), None, None, now())?;
            }
            Ok((caller, target))
        })
        .await?;
    request.extensions_mut().insert(caller.clone());
    let response = next.run(request).await;
    if rule.recorded && !response.status().is_success() {
        let status = response.status().as_u16().to_string();
        let code = response.extensions().get::<Code>().map_or(status, |Code(code)| (*code).to_owned());
        let recorded = api.access(move |access| {
            access.record(&caller, rule.action, Some(&target), Some(&code), None, now()).map(drop)
        });
        if let Err(problem) = recorded.await {
            tracing::error!(code = problem.code(), "the audit log does not take that something failed");
        }
    }
    Ok(response)
}

/// The token that is in a file of the box's machine.
pub(super) struct Local {
    /// Not the token itself, so that it cannot show.
    digest: [u8; 32],
}

impl Local {
    pub(super) fn new(token: &[u8]) -> Self {
        Self { digest: sha256(token) }
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        // Digests have one length, and are compared in constant time.
        bearer(headers).is_some_and(|token| openssl::memcmp::eq(&sha256(token.as_bytes()), &self.digest))
    }
}

/// The token that a request bears (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// How somebody shows who he is.
enum Shown {
    Token(String),
    Session { cookie: String, csrf: Option<String>, is_background: bool },
}

impl Shown {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(token) = bearer(headers) {
            return Ok(Self::Token(token.to_owned()));
        }
        let csrf = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookie = cookie(headers).ok_or(Refusal::NoSession)?;
        Ok(Self::Session { cookie, csrf, is_background: headers.contains_key(BACKGROUND_HEADER) })
    }

    fn principal(&self, access: &Access, safe: bool) -> Result<Principal, Refusal> {
        match self {
            Self::Token(token) => access.bearer(token, now()),
            Self::Session { cookie, is_background: true, .. } if safe => access.session_unused(cookie, now()),
            Self::Session { cookie, .. } if safe => access.session(cookie, Csrf::SafeMethod, now()),
            Self::Session { cookie, csrf, .. } => access.session(cookie, Csrf::Header(csrf.as_deref()), now()),
        }
    }
}

/// The token of the session, of a request's cookies (RFC 6265 §4.2).
pub(super) fn cookie(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value.to_owned())
}

/// Whether a browser says that the request is of the box's own page, or nothing says that a browser sent it.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("null"));
    // Fetch Metadata (W3C): `none` is somebody who typed the address.
    let fetched = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let origin = text("origin").is_none_or(|origin| {
        let host = origin.split_once("://").map(|(_, host)| host);
        host.is_some() && host == text("host")
    });
    fetched && origin
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let all = all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        all.collect()
    }

    #[test]
    fn the_page_and_programs_are_of_the_same_origin() {
        for same in [
            &[][..],
            &[("host", "10.0.0.5"), ("origin", "https://10.0.0.5"), ("sec-fetch-site", "same-origin")],
            &[("host", "box:8443"), ("origin", "https://box:8443")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(same_origin(&headers(same)), "{same:?}");
        }
        for other in [
            &[("host", "10.0.0.5"), ("origin", "https://evil.example")][..],
            &[("host", "10.0.0.5"), ("origin", "null")],
            &[("origin", "https://10.0.0.5")],
            &[("host", "10.0.0.5"), ("sec-fetch-site", "cross-site")],
            &[("host", "10.0.0.5"), ("sec-fetch-site", "same-site")],
            &[("host", "10.0.0.5:444"), ("origin", "https://10.0.0.5:443")],
        ] {
            assert!(!same_origin(&headers(other)), "{other:?}");
        }
    }

    #[test]
    fn the_sessions_cookie_is_found_among_others() {
        let found = |value: &'static str| cookie(&headers(&[("cookie", value)]));
        assert_eq!(found("a=b; __Host-dolmen-session=77; c=d").as_deref(), Some("77"));
        for none in ["", "a=b", "__Host-dolmen-sessio=1", "x__Host-dolmen-session=1", "dolmen-session=1"] {
            assert_eq!(found(none), None, "{none}");
        }
    }
}
