//! The box's own web page, `/metrics`, `/healthz` and `/readyz`, on one port.

use std::{
    fs::DirBuilder,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use dolmen_accel_api::Capabilities;
use dolmen_access::{Access, ClaimCode, Setup};
use dolmen_hsm_api::Signer;
use dolmen_node::Node;
use dolmen_provisioning_link::{Limits, serve};
use dolmen_types::Genesis;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    task::JoinSet,
};

use self::{api::Home, machine::Machine, numbers::Numbers, signed::Answers, status::KeyView, update::Updates};
pub(crate) use self::{hosts::guard, tls::Tls};
use crate::{
    backends::{Backend, keys::Keys},
    claim as claim_code,
    config::{self, BoxConfig},
    local_token,
    pledge::Report,
    restart::Restart,
};

mod alarms;
mod api;
mod events;
mod hosts;
mod machine;
mod numbers;
mod redirect;
mod signed;
mod status;
mod tls;
mod update;

/// A box whose head is older than this is not ready: two of the chain's longest waits, or at least this.
const READY_HEAD_AGE_MS_MIN: u64 = 5_000;
/// Users, in the directory of the keys.
const ACCESS_DIRECTORY: &str = "access";
/// How long a stopping box waits for requests in progress.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(2);
/// The page needs nothing from elsewhere, and nobody may frame it.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'; object-src 'none'";

const PAGE_HEADERS: [(header::HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The running server.
pub(crate) struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Serves on `admin.listen`.
    pub(crate) async fn start(
        config: &BoxConfig,
        genesis: &Genesis,
        node: Arc<Node>,
        keys: BoxKeys,
        provisioning: Option<Reports>,
        engine: SignatureEngine,
        around: Around,
    ) -> anyhow::Result<Self> {
        let directory = config::directory(&around.settings).to_owned();
        let directory = directory.as_path();
        // Who finds the port open finds the token, too.
        let token = local_token::open_or_make(directory)?;
        let listen = config.admin.listen;
        let listener = bind(listen, "admin.listen").await?;
        let address = listener.local_addr().context("the listening socket has no address")?;
        let (stop, stop_seen) = watch::channel(false);
        let tls = keys.tls.1.acceptor.clone();
        let access = open_access(config, address.port(), directory)?;
        let (tell, machine) = watch::channel(Machine::default());
        let told = Told { provisioning, machine, stop: stop_seen.clone() };
        let page = Arc::new(Page::new(config, genesis, node, keys, engine, told)?);
        let api = api::router(page.clone(), access, &token, Home::of(config, around))?;
        let router = guard(router(page).merge(api), &config.admin.hosts);
        let mut tasks = JoinSet::new();
        let (watched, stopped) = (machine::watch(machine::directories(config), tell), stop_seen.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = watched => {}
                () = dolmen_provisioning_link::stopped(stopped) => {}
            }
        });
        if let Some(listen) = config.admin.http {
            let listener = bind(listen, "admin.http").await?;
            let router = guard(redirect::router(address.port()), &config.admin.hosts);
            tasks.spawn(serve(listener, None, router, Limits::default(), stop_seen.clone()));
        }
        tasks.spawn(serve(listener, Some(tls), router, Limits::default(), stop_seen));
        Ok(Self { address, stop, tasks })
    }

    /// Where it listens, with the port that was bound.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the event streams and answers what requests are in progress, for two seconds at most.
    pub(crate) async fn stop(mut self) {
        // Fails only where it has ended already.
        let _ = self.stop.send(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        // What does not end in time is aborted when this is dropped.
        let _ = tokio::time::timeout(STOP_GRACE, ended).await;
    }
}

async fn bind(listen: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(listen).await;
    bound.with_context(|| format!("cannot serve the web page on {listen}; choose another {setting} in box.toml"))
}

/// Who may use the box. Its files are beside the keys, and end with them.
fn open_access(config: &BoxConfig, port: u16, directory: &Path) -> anyhow::Result<Arc<Access>> {
    let names = std::iter::once("localhost").chain(config.admin.hosts.iter().map(String::as_str));
    let origins = names.filter(|name| *name != "*").map(|name| match port {
        443 => format!("https://{name}"),
        port => format!("https://{name}:{port}"),
    });
    let setup = Setup::new(config.name.clone(), origins.collect());
    let path = config.keys.devices.dir.join(ACCESS_DIRECTORY);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.with_context(|| format!("cannot create {}", path.display()))?;
    let access = Access::open(&path, setup, api::now()).context("it is not known who may use this box")?;
    let code = if access.claimed() { claim_code::renew(directory)? } else { claim_code::open_or_make(directory)? };
    access.screen_shows(ClaimCode::of(std::str::from_utf8(&code).context("the claim code is no text")?));
    Ok(Arc::new(access))
}

/// The box's own keys, opened.
pub(crate) struct BoxKeys {
    /// Votes and sessions with other boxes.
    pub(crate) consensus: Arc<dyn Signer>,
    /// The page's TLS.
    pub(crate) tls: (Arc<dyn Signer>, Tls),
    /// Answers to programs.
    pub(crate) api: Option<Arc<dyn Signer>>,
}

/// What checks the signatures of the box's transactions and votes.
pub(crate) struct SignatureEngine {
    /// As it was chosen.
    pub(crate) backend: Backend,
    /// What it says of itself.
    pub(crate) capabilities: Capabilities,
}

/// What is around the server: where the box's settings and keys are, and who is told of wishes.
pub(crate) struct Around {
    /// The box's settings; the box's directory is where they are.
    pub(crate) settings: PathBuf,
    /// Its keys.
    pub(crate) keys: Arc<Keys>,
    /// Who asks its registrar for another certificate; none where it has no registrar.
    pub(crate) certificate: Option<Arc<Notify>>,
    /// Begins again.
    pub(crate) restart: Restart,
}

/// What the page shows of the box, and where it gets it.
struct Page {
    node: Arc<Node>,
    name: String,
    chain_id: u64,
    genesis_hash: alloy_primitives::B256,
    keys: Vec<KeyView>,
    /// Its TLS certificate, DER.
    certificate: Vec<u8>,
    answers: Answers,
    updates: Option<Updates>,
    told: Told,
    streams: Arc<Semaphore>,
    engine: SignatureEngine,
    numbers: Numbers,
    /// Seconds since 1970.
    started_at: u64,
}

type Reports = watch::Receiver<Option<Report>>;

/// What the page is told while it is served.
struct Told {
    /// How the box stands with its registrar; none where it has none.
    provisioning: Option<Reports>,
    /// How the machine does.
    machine: watch::Receiver<Machine>,
    /// That the box stops.
    stop: watch::Receiver<bool>,
}

impl Page {
    fn new(
        config: &BoxConfig,
        genesis: &Genesis,
        node: Arc<Node>,
        keys: BoxKeys,
        engine: SignatureEngine,
        told: Told,
    ) -> anyhow::Result<Self> {
        let settings = genesis.file();
        let views = [
            Some(("consensus", &keys.consensus)),
            Some(("tls", &keys.tls.0)),
            keys.api.as_ref().map(|key| ("api", key)),
        ];
        let updates = config.update.clone().map(Updates::new);
        let (genesis_hash, started_at) = (node.genesis_hash()?, api::now());
        let engine_name = engine.capabilities.name;
        Ok(Self {
            name: config.name.clone(),
            chain_id: settings.chain_id,
            numbers: Numbers::new(config, genesis, &genesis_hash.to_string(), engine_name, started_at),
            genesis_hash,
            node,
            certificate: keys.tls.1.certificate.clone(),
            keys: views.into_iter().flatten().map(|(used_for, key)| KeyView::new(used_for, &**key)).collect(),
            answers: Answers::new(keys.api)?,
            updates: updates.transpose()?,
            told,
            streams: Arc::new(Semaphore::new(events::STREAMS_MAX)),
            engine,
            started_at,
        })
    }

    /// The box's numbers.
    fn metrics(&self) -> String {
        let node = self.node.encode_metrics();
        let own = self.provisioning().map(|report| report.metrics()).unwrap_or_default();
        // The end marker may stand only once.
        own + &self.numbers.encode() + &node
    }
}

/// The media type of numbers.
pub(crate) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

fn router(page: Arc<Page>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(page)
        .merge(dolmen_page::router().layer(middleware::map_response(page_headers)))
}

/// What the page's files say to browsers.
async fn page_headers(mut response: Response) -> Response {
    response.headers_mut().extend(PAGE_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

pub(crate) fn file(media_type: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        // The files change with the program, whose update must show at once.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let of_all = PAGE_HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    (of_all, headers, content).into_response()
}

async fn metrics(State(page): State<Arc<Page>>) -> Response {
    // A disk may be slow to say how full it is.
    match tokio::task::spawn_blocking(move || page.metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "the numbers cannot be read; see the box's log\n").into_response()
        }
    }
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
