//! Updates through the page's interface: a bundle is taken in, checked, and left where the system's own service, which
//! alone may write to the disk, finds and applies it.

use std::{
    fs::File,
    io::{self, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use dolmen_image_bundle::{Bundle, ReleaseKey, Version};
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use tokio::{fs, io::AsyncWriteExt as _, sync::Semaphore};
use utoipa::ToSchema;

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
    /// One at a time: they share a file.
    place: Semaphore,
}

/// Why an update was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Stays, whatever the text becomes.
    pub(super) code: &'static str,
    pub(super) detail: String,
    pub(super) next: &'static str,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, next: &'static str) -> Self {
        Self { status, code, detail: detail.into(), next }
    }
}

/// Asks the box to fetch a bundle itself.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fetch {
    /// Where it is, HTTP or HTTPS. What comes is believed for its signature, whoever sends it.
    url: String,
}

impl Updates {
    pub(super) fn new(settings: UpdateSettings) -> anyhow::Result<Self> {
        let keys = update::release_keys(&settings.release_keys)?;
        Ok(Self { settings, keys, place: Semaphore::new(1) })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.settings.spool.join(name)
    }

    /// What the system's service wrote last of its slots, and of the last update; none before it first has.
    pub(super) fn report(&self) -> Option<update::Report> {
        update::Report::load(&self.settings.report)
    }

    /// Whether a bundle is being taken in, and whether one waits to be applied.
    pub(super) fn busy(&self) -> (bool, bool) {
        (self.place.available_permits() == 0, self.file(update::INCOMING).exists())
    }

    /// Asks for the other slot.
    pub(super) async fn roll_back(&self) -> Result<(), Refusal> {
        let written = fs::write(self.file(update::ROLL_BACK), b"").await;
        written.map_err(|error| disk(&self.settings.spool, &error))
    }

    /// Takes a bundle in; it is applied right after.
    pub(super) async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Version, Refusal> {
        let _place = self.place.try_acquire().map_err(|_| {
            let text = "this box is taking an update already";
            Refusal::new(StatusCode::CONFLICT, "update-running", text, "wait for it to end")
        })?;
        let waiting = self.file(update::INCOMING);
        if fs::try_exists(&waiting).await.unwrap_or(true) {
            let text = "an update waits to be applied already";
            let next = "look at the state of the update, and wait until it is applied";
            return Err(Refusal::new(StatusCode::CONFLICT, "update-waits", text, next));
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
                tracing::warn!(reason = refusal.detail, "an update was refused");
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
        let next = "send a bundle, or {\"url\": \"https://...\"}";
        let bad = |text: String| Refusal::new(StatusCode::BAD_REQUEST, "body-damaged", text, next);
        let body = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await;
        let body = body.map_err(|_| bad(format!("the request has more than {REQUEST_BYTES_MAX} bytes")))?;
        let Fetch { url } =
            serde_json::from_slice(&body).map_err(|error| bad(format!("the request names no address: {error}")))?;
        let unreachable = |error: reqwest::Error| {
            let text = format!("the bundle cannot be fetched: {:#}", anyhow::Error::new(error));
            let next = "see that the box reaches that address, or send it the bundle";
            Refusal::new(StatusCode::BAD_GATEWAY, "bundle-unreachable", text, next)
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
                    let text = format!("the bundle broke off: {error}");
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, "bundle-broken-off", text, "send it again"));
                }
                Err(_) => {
                    let text = format!("nothing of the bundle came for {} s", SILENCE_MAX.as_secs());
                    return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "bundle-silent", text, "send it again"));
                }
            };
            bytes += piece.as_ref().len() as u64;
            if bytes > BUNDLE_BYTES_MAX {
                let text = format!("this is no bundle: it has more than {BUNDLE_BYTES_MAX} bytes");
                let next = "send the file dolmen-VERSION.bundle";
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", text, next));
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
    let next = "send a bundle of this box's maker, newer than what runs, as it came";
    checked
        .map_err(|error| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "bundle-refused", format!("{error:#}"), next))
}

fn disk(spool: &Path, error: &io::Error) -> Refusal {
    let text = format!("nothing can be kept in {}: {error}", spool.display());
    Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "disk-full", text, "free space on the data partition")
}
