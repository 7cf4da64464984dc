//! Bodies, queries and paths of requests, whose mistakes are told as every other.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// What somebody does whose request is none of the description's.
const NEXT: &str = "ask as the API's description says, /api/v1/openapi.json";
/// How long a body may take: some megabytes over a slow line.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A body in JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match in_time(Json::from_request(request, state)).await? {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => {
                let code = match &rejection {
                    JsonRejection::MissingJsonContentType(_) => "media-type",
                    _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => "body-too-large",
                    _ => "body-damaged",
                };
                let next = "send what the API's description says, /api/v1/openapi.json";
                Err(Problem::new(rejection.status(), code, rejection.body_text(), next))
            }
        }
    }
}

/// A body of any kind.
pub(super) struct Raw(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = in_time(Bytes::from_request(request, state)).await?;
        read.map(Self).map_err(|rejection| {
            let code =
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { "body-too-large" } else { "body-damaged" };
            Problem::new(rejection.status(), code, rejection.body_text(), "send less at once")
        })
    }
}

/// Has a body come within its time, so that nobody holds a connection by a byte now and then.
async fn in_time<T>(read: impl Future<Output = T>) -> Result<T, Problem> {
    tokio::time::timeout(WAIT_MAX, read).await.map_err(|_| {
        let detail = format!("the body did not come within {} s", WAIT_MAX.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, "body-late", detail, "send it at once")
    })
}

/// A query.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let asked = Query::from_request_parts(parts, state).await;
        asked
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| Problem::new(rejection.status(), "query-damaged", rejection.body_text(), NEXT))
    }
}

/// What a path names.
pub(super) struct Named<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let named = Path::from_request_parts(parts, state).await;
        named
            .map(|Path(named)| Self(named))
            .map_err(|rejection| Problem::new(rejection.status(), "path-damaged", rejection.body_text(), NEXT))
    }
}
