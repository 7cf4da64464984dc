//! Starts consensus on threads of its own, with the transport, and stops it.

use std::{net::TcpListener, path::Path, sync::Arc, thread, time::Instant};

use alloy_primitives::B256;
use bytes::Bytes;
use commonware_p2p::{AddressableManager as _, authenticated::lookup};
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as runtime};
use dolmen_hsm_api::{LeaseCounter, Signer};
use dolmen_hsm_guard::{Guard, GuardConfig, GuardError, GuardStatus};
use dolmen_types::PublicKey;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Config, ConsensusError,
    member::{Channels, Member, Members, Settings},
    network::{self, BACKFILL, BLOCKS, CERTIFICATES, Channel, GOSSIP, RESOLVER, STATUS, VOTES},
    status::{PeerStatus, Peers},
};

/// Gossip messages waiting to be sent; more are dropped, and their transactions are announced again later.
const GOSSIP_QUEUE: usize = 64;

/// Running consensus. Dropping it stops the box's part in it.
pub struct Consensus {
    gossip: mpsc::Sender<Bytes>,
    peers: Peers,
    keys: Vec<PublicKey>,
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

    /// What was last heard of each peer.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.list(&self.keys, Instant::now())
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
    Guard::release(key, &guard_config(log, counter, genesis, true))
}

pub(crate) fn guard_config(
    log: &Path,
    counter: Option<Arc<dyn LeaseCounter>>,
    genesis: &B256,
    has_blocks: bool,
) -> GuardConfig {
    GuardConfig {
        path: log.to_owned(),
        namespace: genesis.to_vec(),
        has_blocks,
        counter,
        lease_views: GuardConfig::LEASE_VIEWS,
    }
}

/// Starts consensus on threads of its own.
pub fn start<A: Application>(config: Config, application: A) -> Result<Consensus, ConsensusError> {
    // The transport would only log a taken port; the person who started the box must be told.
    let listen = |source| ConsensusError::Listen { address: config.listen, source };
    drop(TcpListener::bind(config.listen).map_err(listen)?);
    let members = Members::new(&config)?;
    let guard = members.guard.clone();

    let (gossip, gossip_queue) = mpsc::channel(GOSSIP_QUEUE);
    let (stop, stopped) = oneshot::channel();
    let (context_sender, context) = std::sync::mpsc::sync_channel(1);
    let keys = config.peers.iter().map(|peer| peer.public_key).collect();
    let peers = Peers::default();
    let heard = peers.clone();
    let runner = runtime::Runner::new(
        runtime::Config::new()
            .with_worker_threads(config.threads)
            .with_storage_directory(&config.directory)
            .with_tcp_nodelay(Some(true)),
    );
    let thread = thread::Builder::new()
        .name("consensus".to_owned())
        .spawn(move || {
            runner.start(|context| async move {
                let _ = context_sender.send(context.child("metrics"));
                run(context, config, members, application, heard, gossip_queue, stopped).await;
            });
        })
        .map_err(ConsensusError::Thread)?;
    let context = context.recv().map_err(|_| ConsensusError::Thread(std::io::Error::other("it ended at once")))?;
    Ok(Consensus { gossip, peers, keys, stop: Some(stop), thread: Some(thread), context, guard })
}

/// Joins the network and takes part until it is told to stop.
async fn run<A: Application>(
    context: runtime::Context,
    config: Config,
    members: Members,
    application: A,
    heard: Peers,
    gossip_queue: mpsc::Receiver<Bytes>,
    stopped: oneshot::Receiver<()>,
) {
    let settings = Settings {
        genesis: config.genesis.clone(),
        block_bytes_max: config.block_bytes_max,
        gossip_bytes_max: config.gossip_bytes_max,
        leader_timeout: config.leader_timeout,
        partition: "consensus".to_owned(),
    };
    let message_size = settings.message_size(members.validators.len());
    let transport_namespace = [b"dolmen-p2p".as_slice(), config.genesis.hash().as_slice()].concat();
    let (mut network, mut oracle) = lookup::Network::new(
        context.child("network"),
        network::config(members.key.clone(), &transport_namespace, config.listen, message_size, config.peers.len()),
    );
    let _ = oracle.track(0, members.peers.clone());
    let mut register = |channel: Channel| network.register(channel.id, channel.quota());
    let channels = Channels {
        votes: register(VOTES),
        certificates: register(CERTIFICATES),
        resolver: register(RESOLVER),
        blocks: register(BLOCKS),
        backfill: register(BACKFILL),
        gossip: register(GOSSIP),
        status: register(STATUS),
    };
    let start = || drop(network.start());
    let member = Member { settings, members, application, heard, gossip_queue };
    member.run(context, channels, oracle.clone(), oracle, start, stopped).await;
}
