//! Errors of the API: problem details (RFC 9457), each with a code that stays, its cause and the next step.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dolmen_access::Refusal;

/// The media type (RFC 9457 §3).
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request was not answered.
#[derive(Debug)]
pub(in crate::admin) struct Problem(dolmen_access::Problem);

/// The code of the problem that an answer is, for the audit log.
#[derive(Clone, Copy)]
pub(super) struct Code(pub(super) &'static str);

impl Problem {
    /// Of a cause and the next step.
    pub(in crate::admin) fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        next: &'static str,
    ) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let (kind, detail) = (format!("urn:dolmen:problem:{code}"), detail.into());
        let status = status.as_u16();
        Self(dolmen_access::Problem { kind, title, status, detail, code, next, retry_after_s: None })
    }

    /// The reason.
    pub(super) const fn code(&self) -> &'static str {
        self.0.code
    }

    /// Something of the box failed that has nothing to do with the request.
    pub(in crate::admin) fn failed(error: &anyhow::Error) -> Self {
        tracing::error!(error = format!("{error:#}"), "a request cannot be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", format!("{error:#}"), "see the box's log; report this")
    }

    /// What this box does not have.
    pub(in crate::admin) fn not_here(detail: impl Into<String>, next: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-here", detail, next)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        // Of the box alone: peers are not told.
        if let Some(source) = std::error::Error::source(&refusal) {
            tracing::warn!(code = refusal.code(), %refusal, source, "refused");
        }
        Self(refusal.problem())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, retry) = (Code(problem.code), problem.retry_after_s);
        let mut response = (status, Json(problem)).into_response();
        response.extensions_mut().insert(code);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
