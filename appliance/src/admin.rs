//! The box's own web page, `/metrics`, `/healthz` and `/readyz`, on one port.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use alloy_primitives::hex;
use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use dolmen_hsm_api::Signer;
use dolmen_node::{BlockSummary, Finality, Node};
use dolmen_provisioning_link::Limits;
use dolmen_types::{Genesis, PublicKey};
use futures::{StreamExt as _, stream};
use serde::Serialize;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, broadcast::error::RecvError, watch},
    task::JoinHandle,
};

use self::{claim::Claim, signed::Answers, update::Updates};
pub(crate) use self::{hosts::guard, tls::Tls};
use crate::{config::BoxConfig, pledge::Report};

mod claim;
mod hosts;
mod signed;
mod tls;
mod update;

/// Between two `status` events.
const STATUS_INTERVAL: Duration = Duration::from_secs(2);
/// A box whose head is older than this is not ready: two of the chain's longest waits, or at least this.
const READY_HEAD_AGE_MS_MIN: u64 = 5_000;
/// Event streams at once: half of the connections, so that the health checks and the page itself find room.
const EVENT_STREAMS_MAX: usize = 32;
/// How long a stopping box waits for requests in progress.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// The page needs nothing from elsewhere, and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; object-src 'none'";

/// The files of the page, embedded: path, media type, content.
const FILES: [(&str, &str, &str); 8] = [
    ("/", "text/html; charset=utf-8", include_str!("../web/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("../web/app.js")),
    ("/i18n.js", "text/javascript; charset=utf-8", include_str!("../web/i18n.js")),
    ("/model.js", "text/javascript; charset=utf-8", include_str!("../web/model.js")),
    ("/stream.js", "text/javascript; charset=utf-8", include_str!("../web/stream.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("../web/view.js")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../web/style.css")),
    ("/favicon.svg", "image/svg+xml", include_str!("../web/favicon.svg")),
];

/// The running server.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on `admin.listen`, with TLS where the box has a key for it.
    pub(crate) async fn start(
        config: &BoxConfig,
        genesis: &Genesis,
        node: Arc<Node>,
        keys: BoxKeys,
        provisioning: Option<Reports>,
    ) -> anyhow::Result<Self> {
        let listen = config.admin.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot serve the web page on {listen}; choose another admin.listen in box.toml")
        })?;
        let address = listener.local_addr().context("the listening socket has no address")?;
        let (stop, stop_seen) = watch::channel(false);
        let tls = keys.tls.as_ref().map(|(_, tls)| tls.acceptor.clone());
        let page = Arc::new(Page::new(config, genesis, node, keys, provisioning, stop_seen.clone())?);
        let router = guard(router(page), &config.admin.hosts);
        let task = tokio::spawn(dolmen_provisioning_link::serve(listener, tls, router, Limits::default(), stop_seen));
        Ok(Self { address, stop, task })
    }

    /// Where it listens, with the port that was bound.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the event streams and answers what requests are in progress, for two seconds at most.
    pub(crate) async fn stop(mut self) {
        // Fails only where it has ended already.
        let _ = self.stop.send(true);
        if tokio::time::timeout(STOP_GRACE, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// The box's own keys, opened.
pub(crate) struct BoxKeys {
    /// Votes and sessions with other boxes.
    pub(crate) consensus: Arc<dyn Signer>,
    /// The page's TLS.
    pub(crate) tls: Option<(Arc<dyn Signer>, Tls)>,
    /// Answers to programs.
    pub(crate) api: Option<Arc<dyn Signer>>,
}

/// What the page shows of the box, and where it gets it.
struct Page {
    node: Arc<Node>,
    name: String,
    chain_id: u64,
    genesis_hash: alloy_primitives::B256,
    keys: Vec<KeyView>,
    answers: Answers,
    updates: Option<Updates>,
    provisioning: Option<Reports>,
    streams: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
}

type Reports = watch::Receiver<Option<Report>>;

#[derive(Serialize)]
struct Status {
    name: String,
    version: &'static str,
    chain_id: u64,
    genesis_hash: alloy_primitives::B256,
    role: &'static str,
    height: u64,
    head_hash: alloy_primitives::B256,
    head_age_ms: u64,
    syncing: bool,
    peers: Vec<PeerView>,
    epoch: u64,
    validators: usize,
    quorum: usize,
    finality_ms: Finality,
    pool: PoolView,
    uptime_s: u64,
    rpc_url: String,
    alarms: Vec<Alarm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provisioning: Option<Report>,
    keys: Vec<KeyView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recent_blocks: Option<Vec<BlockSummary>>,
}

/// What somebody must see to.
#[derive(Serialize)]
struct Alarm {
    id: &'static str,
    cause: String,
    next: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until_view: Option<u64>,
}

/// A key of the box.
#[derive(Clone, Serialize)]
struct KeyView {
    #[serde(rename = "use")]
    used_for: &'static str,
    uri: String,
    algorithm: &'static str,
    #[serde(rename = "in")]
    place: &'static str,
    public_key: String,
}

impl KeyView {
    fn new(used_for: &'static str, key: &dyn Signer) -> Self {
        Self {
            used_for,
            // Where libraries and PINs lie is nobody's business here.
            uri: key.uri().to_string().split('?').next().unwrap_or_default().to_owned(),
            algorithm: key.algorithm().name(),
            place: key.residence().name(),
            public_key: hex::encode(key.public_key()),
        }
    }
}

#[derive(Serialize)]
struct PeerView {
    name: String,
    public_key: PublicKey,
    address: String,
    connected: bool,
    role: &'static str,
    height: u64,
}

#[derive(Serialize)]
struct PoolView {
    pending: usize,
    queued: usize,
    bytes: usize,
}

impl Page {
    fn new(
        config: &BoxConfig,
        genesis: &Genesis,
        node: Arc<Node>,
        keys: BoxKeys,
        provisioning: Option<Reports>,
        stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let settings = genesis.file();
        let views = [
            Some(("consensus", &keys.consensus)),
            keys.tls.as_ref().map(|(key, _)| ("tls", key)),
            keys.api.as_ref().map(|key| ("api", key)),
        ];
        let updates = config.update.clone().map(|update| {
            let claim = Claim::load(&update.claim_code)?;
            Updates::new(update, claim)
        });
        Ok(Self {
            name: config.name.clone(),
            chain_id: settings.chain_id,
            genesis_hash: node.genesis_hash()?,
            node,
            keys: views.into_iter().flatten().map(|(used_for, key)| KeyView::new(used_for, &**key)).collect(),
            answers: Answers::new(keys.api)?,
            updates: updates.transpose()?,
            provisioning,
            streams: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
            stop,
        })
    }

    fn role(&self, key: &PublicKey) -> &'static str {
        if self.node.epoch().validator(key).is_some() { "validator" } else { "follower" }
    }

    fn status(&self, with_blocks: bool) -> Status {
        let head = self.node.head();
        let pool = self.node.pool_status();
        let epoch = self.node.epoch();
        let validators = epoch.validators.len();
        Status {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            chain_id: self.chain_id,
            genesis_hash: self.genesis_hash,
            role: self.role(&self.node.public_key()),
            height: head.block.number(),
            head_hash: head.block.hash(),
            head_age_ms: self.head_age_ms(),
            syncing: self.node.syncing().is_some(),
            peers: self.peers(),
            epoch: epoch.epoch,
            validators,
            // n = 3f + 1 boxes agree by n - f.
            quorum: validators - (validators - 1) / 3,
            finality_ms: self.node.metrics().finality(),
            pool: PoolView { pending: pool.pending, queued: pool.queued, bytes: pool.bytes },
            uptime_s: self.node.uptime().as_secs(),
            rpc_url: format!("http://{}", self.node.rpc_address()),
            alarms: self.alarms(),
            provisioning: self.provisioning(),
            keys: self.keys.clone(),
            recent_blocks: with_blocks.then(|| self.node.metrics().recent_blocks()),
        }
    }

    /// How the box stands with its registrar, where it has one.
    fn provisioning(&self) -> Option<Report> {
        self.provisioning.as_ref()?.borrow().clone()
    }

    fn alarms(&self) -> Vec<Alarm> {
        let provisioning = self.provisioning();
        let of_registrar = provisioning.iter().flat_map(provisioning_alarms);
        self.vote_alarms().into_iter().chain(of_registrar).collect()
    }

    fn vote_alarms(&self) -> Vec<Alarm> {
        let Some(votes) = self.node.votes() else { return Vec::new() };
        let fenced = votes.fence.filter(|_| votes.fenced).map(|fence| Alarm {
            id: "votes_fenced",
            cause: format!("votes up to {fence} may have been signed by a copy of this box's log of votes"),
            next: "look for another box with this key and stop it; this one votes again when the chain has passed that",
            until_view: Some(fence.view),
        });
        let failing = votes.failing.filter(|_| fenced.is_none()).map(|cause| Alarm {
            id: "votes_failing",
            cause,
            next: "see that the device with the key, the TPM and the disk work; the box votes again by itself",
            until_view: None,
        });
        fenced.into_iter().chain(failing).collect()
    }

    fn peers(&self) -> Vec<PeerView> {
        let (epoch, known) = (self.node.epoch(), self.node.known_boxes());
        let view = |peer: dolmen_node::PeerStatus| {
            let name = epoch.validator(&peer.public_key).map(|validator| validator.name.clone());
            let address = known.iter().find(|known| known.public_key == peer.public_key);
            PeerView {
                name: name.unwrap_or_default(),
                public_key: peer.public_key,
                address: address.map(|known| known.address.to_string()).unwrap_or_default(),
                connected: peer.connected,
                role: self.role(&peer.public_key),
                height: peer.height,
            }
        };
        self.node.peers().into_iter().map(view).collect()
    }

    fn head_age_ms(&self) -> u64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let head_ms = self.node.head().block.timestamp_ms().unwrap_or(0);
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_sub(head_ms)
    }
}

/// The media type of numbers.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What somebody must see to about the box and its registrar.
fn provisioning_alarms(report: &Report) -> Vec<Alarm> {
    let certificate = report.certificate.as_ref().filter(|certificate| {
        matches!(&*certificate.standing, "30-days" | "7-days" | "1-day" | "expired" | "clock-behind")
    });
    let certificate = certificate.map(|certificate| Alarm {
        id: "certificate",
        cause: match &*certificate.standing {
            "expired" => "the box's certificate has expired".to_owned(),
            "clock-behind" => "the box's certificate is not valid yet".to_owned(),
            left => format!("the box's certificate ends in less than {}", left.replace('-', " ")),
        },
        next: "see that the box reaches its registrar and that its clock is right; it renews by itself",
        until_view: None,
    });
    let refusal = report.refusal.as_ref().map(|refusal| Alarm {
        id: "registrar",
        cause: format!("{} ({})", refusal.message, refusal.code),
        next: "ask whoever runs the organisation's registrar: its journal says more",
        until_view: None,
    });
    certificate.into_iter().chain(refusal).collect()
}

fn router(page: Arc<Page>) -> Router {
    let mut router = Router::new()
        .route("/api/status", get(status))
        .route("/api/events", get(events))
        .route("/api/update", get(update::show).post(update::take))
        .route("/api/update/rollback", post(update::roll_back))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz));
    for (path, media_type, content) in FILES {
        router = router.route(path, get(move || async move { file(media_type, content) }));
    }
    router.with_state(page)
}

pub(crate) fn file(media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // The files change with the program, whose update must show at once.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, content).into_response()
}

async fn status(State(page): State<Arc<Page>>, uri: Uri) -> Response {
    page.answers.json(&uri, &page.status(true)).await
}

async fn metrics(State(page): State<Arc<Page>>) -> Response {
    let node = page.node.encode_metrics();
    let own = page.provisioning().map(|report| report.metrics()).unwrap_or_default();
    // The end marker may stand only once.
    let text = own + &node;
    ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
}

/// Alive: consensus runs. A supervisor restarts the box where this fails.
async fn healthz(State(page): State<Arc<Page>>) -> Response {
    if page.node.is_running() {
        (StatusCode::OK, "ok\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "consensus stopped: see the log, then restart the box\n").into_response()
    }
}

/// Ready: the box has the latest blocks. A load balancer sends no requests where this fails.
async fn readyz(State(page): State<Arc<Page>>) -> Response {
    let age_ms = page.head_age_ms();
    let reason = if let Some(sync) = page.node.syncing() {
        format!("catching up: block {} of {}\n", sync.current_block, sync.highest_block)
    } else if age_ms > READY_HEAD_AGE_MS_MIN.max(page.node.epoch().parameters.block_interval_max_ms * 2) {
        format!("no block finalized for {age_ms} ms: check that a quorum of validators is reachable\n")
    } else {
        return (StatusCode::OK, "ready\n").into_response();
    };
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}

/// Server-sent events: a `block` for each finalized block, a `status` every two seconds, `lagged` where the reader was
/// too slow and blocks were left out. They end when the box stops.
async fn events(State(page): State<Arc<Page>>) -> Response {
    let Ok(place) = page.streams.clone().try_acquire_owned() else {
        let text =
            format!("this box serves {EVENT_STREAMS_MAX} event streams at once: close other pages that show it\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let stopped = dolmen_provisioning_link::stopped(page.stop.clone());
    let blocks = stream::unfold(page.node.events(), |mut events| async move {
        match events.recv().await {
            Ok(finalized) => Some((Some(finalized.block.number()), events)),
            Err(RecvError::Lagged(_)) => Some((None, events)),
            Err(RecvError::Closed) => None,
        }
    });
    let source = page.clone();
    let blocks = blocks.filter_map(move |number| {
        // Too old for the list of recent blocks is too slow as well.
        let block = number.and_then(|number| source.node.metrics().recent_block(number));
        let event =
            block.map_or_else(|| Event::default().event("lagged").data("{}"), |block| json_event("block", &block));
        async move { Some(event) }
    });
    let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(STATUS_INTERVAL));
    let status = ticks.map(move |_| json_event("status", &page.status(false)));
    let events = stream::select(blocks, status).take_until(stopped).map(move |event| {
        // Held until the stream is dropped.
        let _place = &place;
        Ok::<_, Infallible>(event)
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn json_event(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).json_data(data).unwrap_or_else(|_| Event::default().event("lagged").data("{}"))
}
