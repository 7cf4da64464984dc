//! `dolmen run`: one box, from its configuration to serving.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use dolmen_hsm_api::{Algorithm, Domain, KeySpec, KeyUri, LeaseCounter, Signer};
use dolmen_node::{Closing, Node, NodeConfig, Peer, StartFrom, public_key};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    admin,
    backends::{
        Backend,
        keys::{self, Keys},
    },
    config::{self, BoxConfig, KeySettings, SyncFrom, VoteCounter, load_genesis},
    logging,
    pledge::{Home, Keeping},
    restart::{Ended, Restart},
    restored, supervisor,
};

/// Arguments of `dolmen run`.
#[derive(Args)]
#[command(after_help = "Example:\n  dolmen run --config /etc/dolmen/box.toml")]
pub(crate) struct RunArgs {
    /// The box's settings.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// What checks signatures. All accept the same ones; `off` is one call into a library for each, to compare with.
    #[arg(long, value_enum, default_value_t = Backend::Cpu)]
    pub(crate) accel: Backend,
    /// Stop when standard input ends: a parent that dies takes the box with it.
    #[arg(long, hide = true)]
    pub(crate) stop_on_stdin_eof: bool,
}

/// What `web3_clientVersion` answers.
pub(crate) const CLIENT_VERSION: &str = concat!("dolmen/v", env!("CARGO_PKG_VERSION"), "/linux-x86_64/rust");

/// The log of votes, beside the keys: the chain's data may be removed and fetched again, this must not.
pub(crate) const VOTE_LOG: &str = "votes";

/// How long a stopped box waits for threads that still have the database.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Written to see whether the disk takes it: several times what consensus writes at once.
const PROBE_BYTES: usize = 1 << 20;

/// The key that consensus and sessions with other boxes sign with, made where there is none.
pub(crate) fn consensus_key(keys: &Keys, uri: &KeyUri) -> anyhow::Result<Arc<dyn Signer>> {
    keys::create_dir(keys.dir())?;
    let domains = [Domain::Vote, Domain::Transport].into_iter().collect();
    keys.open_or_create(uri, KeySpec { algorithm: Algorithm::Ed25519, domains })
}

/// Takes the fence of a stopped box's log of votes away.
pub(crate) fn release_votes(config: &BoxConfig) -> anyhow::Result<()> {
    let keys = Keys::new(config.keys.devices.clone())?;
    let key = keys.store(&config.keys.consensus)?.open(&config.keys.consensus)?;
    let genesis = load_genesis(&config.genesis)?;
    let (log, counter) = (keys.dir().join(VOTE_LOG), vote_counter(&keys, config)?);
    Ok(dolmen_node::release_votes(&*key, &log, counter, &genesis, &config.data_dir)?)
}

fn vote_counter(keys: &Keys, config: &BoxConfig) -> anyhow::Result<Option<Arc<dyn LeaseCounter>>> {
    match config.keys.vote_counter() {
        VoteCounter::Tpm => Ok(Some(keys.vote_counter()?)),
        VoteCounter::None => Ok(None),
    }
}

/// Runs the box until SIGINT or SIGTERM, until somebody asks it to begin again, or until it cannot go on.
pub(crate) async fn run(args: RunArgs) -> anyhow::Result<Ended> {
    let config = BoxConfig::load(&args.config)?;
    let outlets = logging::start(&config.log, &config.traces, &config.name);
    let ended = run_box(args, config).await;
    // On a thread that may wait; a panic has been logged.
    let _ = tokio::task::spawn_blocking(move || outlets.close()).await;
    ended
}

async fn run_box(args: RunArgs, config: BoxConfig) -> anyhow::Result<Ended> {
    raise_open_files();
    protect_memory();
    let genesis = load_genesis(&config.genesis)?;
    restored::Place::beside(&config.data_dir).take()?;
    fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("cannot create data_dir {}", config.data_dir.display()))?;
    let keys = Arc::new(Keys::new(config.keys.devices.clone())?);
    let key = consensus_key(&keys, &config.keys.consensus)?;
    let own = public_key(&*key)?;
    let vote_counter = vote_counter(&keys, &config)?;
    tracing::info!(name = config.name, public_key = %own, key = %key.uri(), counted = vote_counter.is_some(), "starting");
    let is_validator = genesis.file().validators.iter().any(|validator| validator.public_key == own);
    if !is_validator {
        tracing::warn!(key = %key.uri(), "this box's key is not a validator's in the genesis file: it follows the chain and does not vote");
    }
    let engine = args.accel.node_engine()?;
    tracing::info!(engine = engine.capabilities().name, uses = engine.capabilities().description, "signatures");
    let capabilities = engine.capabilities().clone();
    let peers = config.p2p.peers.iter().filter(|peer| peer.public_key != own);
    let start_from = match config.sync.from {
        Some(SyncFrom::Snapshot) => StartFrom::Snapshot,
        Some(SyncFrom::Blocks) => StartFrom::Blocks,
        // The first boxes of a chain have nobody to fetch from, and those of its founders are to have all blocks.
        None if is_validator => StartFrom::Blocks,
        None => StartFrom::Snapshot,
    };
    let node = Node::start(NodeConfig {
        genesis: genesis.clone(),
        key: key.clone(),
        vote_log: keys.dir().join(VOTE_LOG),
        vote_counter,
        engine,
        data_dir: config.data_dir.clone(),
        start_from,
        history: config.history.options(),
        p2p_listen: config.p2p.listen,
        peers: peers.map(|peer| Peer { public_key: peer.public_key, address: peer.address }).collect(),
        rpc_listen: config.rpc.listen,
        rpc_hosts: config.rpc.hosts.clone(),
        client_version: CLIENT_VERSION.to_owned(),
    });
    // Before anybody is told that the box is there, and before it fetches a state, which takes its time.
    let mut signals = StopSignals::new()?;
    let eof = stdin_eof();
    tokio::pin!(eof);
    let node = tokio::select! {
        node = node => Some(Arc::new(node?)),
        () = signals.received() => None,
        () = &mut eof, if args.stop_on_stdin_eof => None,
    };
    let Some(node) = node else {
        // What it fetched of a state stays.
        tracing::info!("stopped");
        return Ok(Ended::Stopped);
    };
    // Before the page's keys are opened, which takes a while, and in which a box executes many blocks.
    let height = node.head().block.number();
    let directory = config::directory(&args.config).to_owned();
    let home =
        Home { directory: directory.clone(), keys: keys.clone(), consensus: key.clone(), p2p: config.p2p.listen };
    let keeping = Keeping::start(home, node.clone());
    let provisioning = keeping.as_ref().map(Keeping::reports);
    let certificate_wishes = keeping.as_ref().map(Keeping::asks);
    let stores = keys.clone();
    let keys = page_keys(&keys, &config, key)?;
    let certificate = keys.tls.1.fingerprint.clone();
    let engine = admin::SignatureEngine { backend: args.accel, capabilities };
    let restart = Restart::default();
    let around = admin::Around {
        settings: args.config.clone(),
        keys: stores,
        certificate: certificate_wishes,
        restart: restart.clone(),
    };
    let admin = admin::Server::start(&config, &genesis, node.clone(), keys, provisioning, engine, around).await?;
    let (rpc, ui) = (node.rpc_address(), admin.address());
    tracing::info!(height, %rpc, %ui, certificate, "serving");
    supervisor::ready();
    let outcome = tokio::select! {
        result = wait(&mut signals, &node, &config.data_dir) => result.map(|()| Ended::Stopped),
        () = &mut eof, if args.stop_on_stdin_eof => Ok(Ended::Stopped),
        () = restart.asked() => Ok(Ended::Again),
    };
    if matches!(outcome, Ok(Ended::Again)) {
        tracing::info!("stopping, to begin again");
        supervisor::beginning_again();
    } else {
        tracing::info!("stopping");
        supervisor::stopping();
    }
    drop(keeping);
    let closing = node.closing();
    tokio::join!(admin.stop(), node.stop());
    drop(node);
    if tokio::time::timeout(CLOSE_MAX, closed(&closing)).await.is_err() {
        tracing::warn!("the database is still in use; what was finalized is on disk");
    }
    tracing::info!("stopped");
    outcome
}

/// The keys of the web page, made where there are none.
fn page_keys(keys: &Keys, config: &BoxConfig, consensus: Arc<dyn Signer>) -> anyhow::Result<admin::BoxKeys> {
    let BoxConfig { name, admin, keys: KeySettings { tls, api, .. }, .. } = config;
    let tls = page_tls(keys, tls, name, admin.listen, &admin.hosts)?;
    let api = api.as_ref().map(|uri| page_key(keys, uri, &[Domain::Api])).transpose()?;
    Ok(admin::BoxKeys { consensus, tls, api })
}

/// The key of a page's TLS, and what people compare.
pub(crate) fn page_tls(
    keys: &Keys,
    uri: &KeyUri,
    name: &str,
    listen: SocketAddr,
    hosts: &[String],
) -> anyhow::Result<(Arc<dyn Signer>, admin::Tls)> {
    let key = page_key(keys, uri, &[Domain::Tls, Domain::Certificate])?;
    let tls = admin::Tls::new(key.clone(), keys.dir(), name, listen, hosts)?;
    Ok((key, tls))
}

fn page_key(keys: &Keys, uri: &KeyUri, domains: &[Domain]) -> anyhow::Result<Arc<dyn Signer>> {
    keys.open_or_create(uri, KeySpec { algorithm: Algorithm::EcdsaP256, domains: domains.iter().copied().collect() })
}

/// Lets the process open as many files as the system allows it: database, journals and connections together pass the
/// usual soft limit of 1,024.
fn raise_open_files() {
    let raised =
        getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit on open files; under many connections the box may run out of them");
    }
}

/// Keeps keys that are in memory out of core dumps, and other processes of the same user out of the memory.
fn protect_memory() {
    let protected = setrlimit(Resource::RLIMIT_CORE, 0, 0).and_then(|()| nix::sys::prctl::set_dumpable(false));
    if let Err(error) = protected {
        tracing::warn!(%error, "a crash may leave keys in a core dump; forbid core dumps for this service");
    }
}

/// The signals that ask for an orderly stop. Until this is made they kill the process.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for one of them.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns on a signal to stop, or fails when consensus ended by itself.
async fn wait(signals: &mut StopSignals, node: &Node, data_dir: &Path) -> anyhow::Result<()> {
    let mut check = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            () = signals.received() => return Ok(()),
            _ = check.tick() => {
                if !node.is_running() {
                    return Err(consensus_stopped(data_dir));
                }
                supervisor::alive();
            }
        }
    }
}

/// Why consensus has ended, and what to do. Of a failed write its library often keeps no more than that it failed, so the
/// disk is asked.
fn consensus_stopped(data_dir: &Path) -> anyhow::Error {
    match try_to_write(data_dir) {
        Err(error) => anyhow::Error::new(error).context(format!(
            "the disk of {} takes no more writes: free space on it or, if it is not full, look into the kernel's log and \
             check the disk; then start the box again",
            data_dir.display()
        )),
        Ok(()) => anyhow::anyhow!(
            "consensus stopped; see the log for the cause, then start the box again. If the cause is what {} holds, move \
             that directory away first, and the box fetches it again",
            data_dir.join("consensus").display()
        ),
    }
}

fn try_to_write(dir: &Path) -> io::Result<()> {
    let path = dir.join("write-test");
    let mut file = File::create(&path)?;
    // At once, so that nothing stays of it.
    fs::remove_file(&path)?;
    file.write_all(&vec![0_u8; PROBE_BYTES])?;
    file.sync_all()
}

/// Returns when nobody has the database open any more.
async fn closed(database: &Closing) {
    while !database.is_closed() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns when standard input ends.
pub(crate) async fn stdin_eof() {
    let (ended, end) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a read that it cannot cancel.
    std::thread::spawn(move || {
        // Whatever is written there is nobody's command.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}
