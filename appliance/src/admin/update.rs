//! Updates through the page's interface: a bundle is taken in, checked, and left where the system's own service, which
//! alone may write to the disk, finds and applies it.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use dolmen_image_bundle::{Bundle, ReleaseKey, Version};
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use tokio::{fs, io::AsyncWriteExt as _, sync::Semaphore};

use super::{Page, claim::Claim};
use crate::{config::UpdateSettings, update};

/// Far above what an image has, and far below what a data partition holds.
const BUNDLE_BYTES_MAX: u64 = 1 << 30;
/// A request that names an address.
const REQUEST_BYTES_MAX: usize = 4096;
/// How long the sender of a bundle may be silent.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What takes updates in.
pub(super) struct Updates {
    settings: UpdateSettings,
    keys: Vec<ReleaseKey>,
    claim: Claim,
    /// One at a time: they share a file.
    place: Semaphore,
}

/// Why an update was not taken.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

/// Asks the box to fetch a bundle itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch {
    url: String,
}

impl Updates {
    pub(super) fn new(settings: UpdateSettings, claim: Claim) -> anyhow::Result<Self> {
        let keys = update::release_keys(&settings.release_keys)?;
        Ok(Self { settings, keys, claim, place: Semaphore::new(1) })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.settings.spool.join(name)
    }

    /// Takes a bundle in; it is applied right after.
    async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Version, Refusal> {
        let _place = self.place.try_acquire().map_err(|_| {
            Refusal(StatusCode::CONFLICT, "this box is taking an update already: wait for it to end".to_owned())
        })?;
        let waiting = self.file(update::INCOMING);
        if fs::try_exists(&waiting).await.unwrap_or(true) {
            let text = "an update waits to be applied already: see GET /api/update";
            return Err(Refusal(StatusCode::CONFLICT, text.to_owned()));
        }
        let part = self.file("incoming.part");
        let taken = self.receive(headers, body, &part).await;
        let version = match taken {
            Ok(()) => check(&part, &self.keys).await,
            Err(refusal) => Err(refusal),
        };
        match version {
            Ok(version) => {
                fs::rename(&part, &waiting).await.map_err(|error| disk(&self.settings.spool, &error))?;
                tracing::info!(%version, "an update was taken in");
                Ok(version)
            }
            Err(refusal) => {
                // What is left of it is overwritten by the next.
                let _ = fs::remove_file(&part).await;
                tracing::warn!(reason = refusal.1, "an update was refused");
                Err(refusal)
            }
        }
    }

    /// Writes the bundle that a request has or names into a file.
    async fn receive(&self, headers: &HeaderMap, body: Body, part: &Path) -> Result<(), Refusal> {
        let json =
            headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !json {
            return self.store(body.into_data_stream(), part).await;
        }
        let bad = |text: String| Refusal(StatusCode::BAD_REQUEST, text);
        let body = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await;
        let body = body.map_err(|_| bad(format!("the request has more than {REQUEST_BYTES_MAX} bytes")))?;
        let Fetch { url } = serde_json::from_slice(&body)
            .map_err(|error| bad(format!("the request is not {{\"url\": \"https://...\"}}: {error}")))?;
        let unreachable = |error: reqwest::Error| {
            Refusal(StatusCode::BAD_GATEWAY, format!("the bundle cannot be fetched: {:#}", anyhow::Error::new(error)))
        };
        let answer = update::fetch(&url).await.map_err(unreachable)?;
        self.store(answer.bytes_stream(), part).await
    }

    async fn store<B: AsRef<[u8]>, E: std::fmt::Display>(
        &self,
        pieces: impl Stream<Item = Result<B, E>>,
        part: &Path,
    ) -> Result<(), Refusal> {
        let failed = |error: io::Error| disk(&self.settings.spool, &error);
        let mut file = fs::File::create(part).await.map_err(failed)?;
        let mut bytes = 0;
        tokio::pin!(pieces);
        loop {
            let piece = match tokio::time::timeout(SILENCE_MAX, pieces.next()).await {
                Ok(None) => break,
                Ok(Some(Ok(piece))) => piece,
                Ok(Some(Err(error))) => {
                    return Err(Refusal(
                        StatusCode::BAD_REQUEST,
                        format!("the bundle broke off: {error}; send it again"),
                    ));
                }
                Err(_) => {
                    let text = format!("nothing of the bundle came for {} s; send it again", SILENCE_MAX.as_secs());
                    return Err(Refusal(StatusCode::REQUEST_TIMEOUT, text));
                }
            };
            bytes += piece.as_ref().len() as u64;
            if bytes > BUNDLE_BYTES_MAX {
                let text = format!("this is no bundle: it has more than {BUNDLE_BYTES_MAX} bytes");
                return Err(Refusal(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            file.write_all(piece.as_ref()).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        file.sync_all().await.map_err(failed)
    }
}

/// Reads a bundle to its end and says which version it is.
async fn check(path: &Path, keys: &[ReleaseKey]) -> Result<Version, Refusal> {
    let (path, keys) = (path.to_owned(), keys.to_vec());
    let checked = tokio::task::spawn_blocking(move || {
        let mut bundle = Bundle::open(BufReader::new(File::open(path)?), &keys)?;
        bundle.verify(&mut |_, _| {})?;
        let version = bundle.manifest().version.clone();
        bundle.end()?;
        anyhow::Ok(version)
    });
    let checked = checked.await.context("the check of the bundle ended early").and_then(|checked| checked);
    checked.map_err(|error| Refusal(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")))
}

fn disk(spool: &Path, error: &io::Error) -> Refusal {
    let text = format!("the bundle cannot be kept in {}: {error}; free space on the data partition", spool.display());
    Refusal(StatusCode::INSUFFICIENT_STORAGE, text)
}

/// `GET /api/update`: what the system's service wrote last of its slots, and of the last update.
pub(super) async fn show(State(page): State<Arc<Page>>) -> Response {
    let Some(updates) = &page.updates else { return absent() };
    match fs::read(&updates.settings.report).await {
        Ok(report) => ([(header::CONTENT_TYPE, "application/json")], report).into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the state of the slots is not known yet: ask again in a minute\n")
            .into_response(),
    }
}

/// `POST /api/update`: a bundle, or where to fetch one.
pub(super) async fn take(State(page): State<Arc<Page>>, headers: HeaderMap, body: Body) -> Response {
    let Some(updates) = &page.updates else { return absent() };
    if let Err(refusal) = updates.claim.check(&headers) {
        return refusal.into_response();
    }
    match updates.take(&headers, body).await {
        Ok(version) => (StatusCode::ACCEPTED, axum::Json(json!({ "version": version }))).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// `POST /api/update/rollback`: back to the other slot.
pub(super) async fn roll_back(State(page): State<Arc<Page>>, headers: HeaderMap) -> Response {
    let Some(updates) = &page.updates else { return absent() };
    if let Err(refusal) = updates.claim.check(&headers) {
        return refusal.into_response();
    }
    match fs::write(updates.file(update::ROLL_BACK), b"").await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => disk(&updates.settings.spool, &error).into_response(),
    }
}

fn absent() -> Response {
    let text = "this box is not one of the image: update its program as you installed it\n";
    (StatusCode::NOT_FOUND, text).into_response()
}
