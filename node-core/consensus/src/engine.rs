//! Starts consensus on threads of its own, with the transport, and stops it.

use std::{net::TcpListener, path::Path, sync::Arc, thread, time::Instant};

use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Signer as _;
use commonware_p2p::{AddressableManager as _, authenticated::lookup};
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as runtime};
use dolmen_hsm_api::{LeaseCounter, Signer};
use dolmen_hsm_guard::{Guard, GuardConfig, GuardError, GuardStatus, Span};
use dolmen_types::{Certificate, PublicKey};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Config, ConsensusError, Peer,
    finality::Finality,
    member::{Channels, Identity, Member, Settings, Surroundings},
    network::{self, BACKFILL, BLOCKS, CERTIFICATES, Channel, GOSSIP, RESOLVER, STATUS, SYNC, VOTES},
    status::{PeerStatus, Peers},
};

/// Gossip messages waiting to be sent; more are dropped, and their transactions are announced again later.
const GOSSIP_QUEUE: usize = 64;

/// Answers to boxes that join, waiting to be sent: those of some moments. More are dropped, and asked for again.
const SYNC_QUEUE: usize = 16;

/// Running consensus. Dropping it stops the box's part in it.
pub struct Consensus {
    gossip: mpsc::Sender<Bytes>,
    sync: mpsc::Sender<(PublicKey, Bytes)>,
    peers: Peers,
    finality: Finality,
    listed: Arc<dyn Fn() -> Vec<PublicKey> + Send + Sync>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    context: runtime::Context,
    guard: Arc<Guard>,
}

impl Consensus {
    /// Queues a message for every peer; `false` where the queue is full.
    pub fn gossip(&self, message: Bytes) -> bool {
        self.gossip.try_send(message).is_ok()
    }

    /// Queues a message of the channel of states for a peer, of at most [`Config::sync_bytes_max`]; `false` where the
    /// queue is full.
    pub fn sync(&self, to: PublicKey, message: Bytes) -> bool {
        self.sync.try_send((to, message)).is_ok()
    }

    /// What was last heard of each peer.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.list(&(self.listed)(), Instant::now())
    }

    /// The certificate of the block at a height, where this box has one: a certificate is one of all blocks before it,
    /// and only some have their own.
    pub async fn certificate(&self, height: u64) -> Option<Certificate> {
        self.finality.certificate(height).await
    }

    /// What became of this box's votes.
    pub fn votes(&self) -> GuardStatus {
        self.guard.status()
    }

    /// commonware's own metrics in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.context.encode()
    }

    /// Whether consensus still runs; it ends only by [`Self::stop`] or a failure that a restart must repair.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Stops and waits until nothing more is called on the application.
    pub fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the consensus thread ended in a panic; see the log above for the cause");
        }
    }
}

impl Drop for Consensus {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes the fence of a log of votes away; the box must not run, and no other copy of its key and log may have voted.
pub fn release_votes(
    key: &dyn Signer,
    log: &Path,
    counter: Option<Arc<dyn LeaseCounter>>,
    genesis: &B256,
) -> Result<(), GuardError> {
    // No lease is taken for a release.
    Guard::release(key, &guard_config(log, counter, genesis, 1, true))
}

pub(crate) fn guard_config(
    log: &Path,
    counter: Option<Arc<dyn LeaseCounter>>,
    genesis: &B256,
    epoch_blocks: u64,
    has_blocks: bool,
) -> GuardConfig {
    GuardConfig {
        path: log.to_owned(),
        namespace: genesis.to_vec(),
        has_blocks,
        counter,
        lease: Span::of_epochs(epoch_blocks),
    }
}

/// Starts consensus on threads of its own.
pub fn start<A: Application>(config: Config, application: A) -> Result<Consensus, ConsensusError> {
    // The transport would only log a taken port; the person who started the box must be told.
    let listen = |source| ConsensusError::Listen { address: config.listen, source };
    drop(TcpListener::bind(config.listen).map_err(listen)?);
    let identity = Identity::new(&config)?;
    let guard = identity.guard.clone();

    let (gossip, gossip_queue) = mpsc::channel(GOSSIP_QUEUE);
    let (sync, sync_queue) = mpsc::channel(SYNC_QUEUE);
    let (stop, stopped) = oneshot::channel();
    let (context_sender, context) = std::sync::mpsc::sync_channel(1);
    let listed = Arc::new({
        let application = application.clone();
        move || application.peers().iter().map(|peer| peer.public_key).collect()
    });
    let peers = Peers::default();
    let finality = Finality::default();
    let parts = (peers.clone(), finality.clone());
    let runner = runner(&config);
    let thread = thread::Builder::new()
        .name("consensus".to_owned())
        .spawn(move || {
            runner.start(|context| async move {
                let _ = context_sender.send(context.child("metrics"));
                run(context, config, identity, application, parts, (gossip_queue, sync_queue), stopped).await;
            });
        })
        .map_err(ConsensusError::Thread)?;
    let context = context.recv().map_err(|_| ConsensusError::Thread(std::io::Error::other("it ended at once")))?;
    Ok(Consensus { gossip, sync, peers, finality, listed, stop: Some(stop), thread: Some(thread), context, guard })
}

/// Threads of the box's own, with what it stores.
pub(crate) fn runner(config: &Config) -> runtime::Runner {
    runtime::Runner::new(
        runtime::Config::new()
            .with_worker_threads(config.threads)
            .with_storage_directory(&config.directory)
            .with_tcp_nodelay(Some(true)),
    )
}

/// Joins the network and takes part until it is told to stop.
async fn run<A: Application>(
    context: runtime::Context,
    config: Config,
    identity: Identity,
    application: A,
    (heard, finality): (Peers, Finality),
    (gossip_queue, sync_queue): (mpsc::Receiver<Bytes>, mpsc::Receiver<(PublicKey, Bytes)>),
    stopped: oneshot::Receiver<()>,
) {
    let settings = Settings::new(&config, "consensus".to_owned());
    let message_size = settings.message_size();
    let transport_namespace = network::namespace(&config.genesis.hash());
    let room = network::room(application.peers().len());
    let (mut network, oracle) = lookup::Network::new(
        context.child("network"),
        network::config(identity.key.clone(), &transport_namespace, config.listen, message_size, room),
    );
    let mut register = |channel: Channel| network.register(channel.id, channel.quota());
    let channels = Channels {
        votes: register(VOTES),
        certificates: register(CERTIFICATES),
        resolver: register(RESOLVER),
        blocks: register(BLOCKS),
        backfill: register(BACKFILL),
        gossip: register(GOSSIP),
        status: register(STATUS),
        sync: register(SYNC),
    };
    let start = Box::new(|| drop(network.start()));
    let connect = {
        let (mut oracle, own, mut changes) = (oracle.clone(), identity.key.public_key(), 0);
        Box::new(move |peers: Arc<[Peer]>| {
            if peers.len() >= room.get() {
                tracing::error!(
                    peers = peers.len(),
                    room = room.get(),
                    "the chain has more boxes than this one has room for since its start; restart it to reach all of them"
                );
            }
            let _ = oracle.track(changes, network::peers(&own, config.listen, &peers, room));
            changes += 1;
        })
    };
    let surroundings = Surroundings { peers: oracle.clone(), blocker: oracle, connect, start };
    let member = Member { settings, identity, application, heard, finality, gossip_queue, sync_queue };
    member.run(context, channels, surroundings, stopped).await;
}
