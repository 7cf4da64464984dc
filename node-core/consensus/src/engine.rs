//! Wires simplex, marshal, the transport and the application. No logic of its own beyond the order of the start.

use std::{
    net::TcpListener,
    num::NonZeroU64,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, keccak256};
use bytes::Bytes;
use commonware_broadcast::buffered;
use commonware_codec::Encode as _;
use commonware_consensus::{
    marshal::{
        self, Start,
        resolver::p2p as resolver,
        standard::{Inline, Standard},
    },
    simplex::{self, Floor, ForwardPolicy, SkipBudget, SkipPolicy, elector::RoundRobin, types::Finalization},
    types::{Epoch, FixedEpocher, ViewDelta},
};
use commonware_cryptography::{
    Digested, Sha256, Signer as _,
    certificate::{ConstantProvider, Verifier as _},
    ed25519,
    sha256::Digest,
};
use commonware_p2p::{AddressableManager as _, authenticated::lookup, max_message_size};
use commonware_parallel::Sequential;
use commonware_runtime::{
    Metrics as _, Runner as _, Spawner as _, Supervisor as _, buffer::paged::CacheRef, tokio as runtime,
};
use commonware_storage::archive::immutable;
use commonware_utils::{
    NZDuration, NZU16, NZU64, NZUsize, TryCollect as _,
    ordered::{Map, Set},
};
use dolmen_accel_api::BatchVerifier;
use dolmen_hsm_api::{LeaseCounter, Signer};
use dolmen_hsm_guard::{Guard, GuardConfig, GuardError, GuardStatus};
use dolmen_types::PublicKey;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Application, Config, ConsensusError,
    adapter::{Adapter, Tip},
    block::{Payload, to_digest},
    fair,
    hushed::Hushed,
    key::{TransportKey, public_key, to_commonware},
    network::{self, BACKFILL, BLOCKS, CERTIFICATES, GOSSIP, RESOLVER, STATUS, VOTES},
    scheme::Scheme,
    status::{PeerStatus, Peers},
    tasks::{Deliveries, deliver, receive_gossip, receive_status, send_gossip, send_status},
};

/// Gossip messages waiting to be sent; more are dropped, and their transactions are announced again later.
const GOSSIP_QUEUE: usize = 64;
/// Mailbox of each actor: above what one view produces for the most validators a genesis allows.
const MAILBOX: std::num::NonZeroUsize = NZUsize!(1024);
/// Views whose votes and blocks are kept behind the last finalized one, for boxes that lag a moment.
const VIEW_RETENTION: ViewDelta = ViewDelta::new(10);
/// Finalized blocks handed to the application and not yet durable there.
const PENDING_ACKS: std::num::NonZeroUsize = NZUsize!(16);
/// Missing blocks asked for at once while catching up.
const REPAIR_PARALLEL: std::num::NonZeroUsize = NZUsize!(32);
/// Buffers of the journals.
const WRITE_BUFFER: std::num::NonZeroUsize = NZUsize!(256 * 1024);
/// From the leader's turn running out to a view being given up: votes and blocks are on their way meanwhile.
const CERTIFICATION_GRACE: Duration = Duration::from_millis(1500);
/// Between two attempts to leave a view, for votes that were lost; independent of how long an idle chain waits.
const TIMEOUT_RETRY: Duration = Duration::from_secs(2);
/// What to do about a store that cannot be read. The votes are never to be removed: without them a box may vote twice.
const UNREADABLE: &str =
    "the consensus directory is damaged: remove what is in it except `consensus-votes*`, and the box fetches it again";
/// The directory for each store lies under [`Config::directory`] with this name.
const PARTITION: &str = "consensus";

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

/// The members and namespaces of one chain, in commonware's types.
struct Members {
    key: TransportKey,
    guard: Arc<Guard>,
    validators: Set<ed25519::PublicKey>,
    peers: Map<ed25519::PublicKey, commonware_p2p::Address>,
    namespace: Vec<u8>,
    engine: Arc<dyn BatchVerifier>,
}

impl Members {
    fn new(config: &Config) -> Result<Self, ConsensusError> {
        let (own, key) = (public_key(&*config.key)?, TransportKey::new(config.key.clone())?);
        let keys: Vec<_> = config.validators.iter().map(to_commonware).collect::<Result<_, _>>()?;
        let validators: Set<_> = keys.into_iter().try_collect().map_err(|_| ConsensusError::DuplicateKey)?;
        let mut peers = Vec::with_capacity(config.peers.len() + 1);
        peers.push((key.public_key(), network::address(config.listen)));
        for peer in &config.peers {
            peers.push((to_commonware(&peer.public_key)?, network::address(peer.address)));
        }
        let known = |key: &PublicKey| own == *key || config.peers.iter().any(|peer| peer.public_key == *key);
        for validator in config.validators.iter().filter(|key| !known(key)) {
            // Nothing is relayed: this box gets none of its votes and blocks, and it none of ours.
            tracing::warn!(%validator, "a validator of the genesis file is not among p2p.peers; add it to box.toml");
        }
        let peers: Map<_, _> = peers.into_iter().try_collect().map_err(|_| ConsensusError::DuplicateKey)?;
        // Chain, epoch and validator set: a certificate carries signer ranks, so without the set in the namespace
        // another set's certificate could verify by accident.
        let genesis = config.genesis.hash();
        let set = keccak256(validators.encode());
        let namespace = [b"dolmen".as_slice(), genesis.as_slice(), &0_u64.to_be_bytes(), set.as_slice()].concat();
        let counter = config.vote_counter.clone();
        let guard = guard_config(&config.vote_log, counter, &genesis, config.has_blocks);
        let guard = Guard::open(config.key.clone(), guard)?;
        Ok(Self { key, guard: Arc::new(guard), validators, peers, namespace, engine: config.engine.clone() })
    }

    fn scheme(&self) -> Scheme {
        let (own, guard) = (self.key.public_key(), self.guard.clone());
        Scheme::new(&self.namespace, &self.validators, &own, guard, self.engine.clone())
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

fn guard_config(log: &Path, counter: Option<Arc<dyn LeaseCounter>>, genesis: &B256, has_blocks: bool) -> GuardConfig {
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

type Context = runtime::Context;

async fn run<A: Application>(
    context: Context,
    config: Config,
    members: Members,
    application: A,
    heard: Peers,
    gossip_queue: mpsc::Receiver<Bytes>,
    stopped: oneshot::Receiver<()>,
) {
    let me = members.key.public_key();
    let scheme = members.scheme();
    let participants = u32::try_from(members.validators.len()).expect("genesis bounds the validators");
    let message_size = max_message_size(&[
        simplex::max_payload_size::<Scheme, Digest>(participants),
        marshal::max_payload_size::<Standard<Payload>, Scheme>(participants, &config.block_bytes_max),
        config.gossip_bytes_max,
    ]);
    let transport_namespace = [b"dolmen-p2p".as_slice(), config.genesis.hash().as_slice()].concat();
    let (mut network, mut oracle) = lookup::Network::new(
        context.child("network"),
        network::config(members.key.clone(), &transport_namespace, config.listen, message_size, config.peers.len()),
    );
    let _ = oracle.track(0, members.peers.clone());
    let votes = network.register(VOTES.id, VOTES.quota());
    let (certificates_out, certificates_in) = network.register(CERTIFICATES.id, CERTIFICATES.quota());
    let certificates = (Hushed::new(certificates_out, members.guard.clone()), certificates_in);
    let certificate_resolver = network.register(RESOLVER.id, RESOLVER.quota());
    let blocks = network.register(BLOCKS.id, BLOCKS.quota());
    let backfill = network.register(BACKFILL.id, BACKFILL.quota());
    let gossip = network.register(GOSSIP.id, GOSSIP.quota());
    let status = network.register(STATUS.id, STATUS.quota());

    let page_cache = CacheRef::new(NZU16!(4096), NZUsize!(1024));
    let (broadcast, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX,
            deque_size: 16,
            priority: false,
            codec_config: config.block_bytes_max,
            peer_provider: oracle.clone(),
            strategy: Sequential,
        },
    );
    let (blocks_out, blocks_in) = blocks;
    let blocks_in = fair::share(&context, blocks_in, network::BLOCK_SHARE.of(config.block_bytes_max));
    broadcast.start((blocks_out, blocks_in));
    let resolver = resolver::init(
        context.child("resolver"),
        resolver::Config {
            public_key: me.clone(),
            peer_provider: oracle.clone(),
            blocker: oracle.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        backfill,
    );
    let finalizations = immutable::Archive::<_, Digest, Finalization<Scheme, Digest>>::init(
        context.child("finalizations"),
        archive("finalizations", &page_cache, Scheme::certificate_codec_config_unbounded()),
    )
    .await
    .expect(UNREADABLE);
    let finalized_blocks = immutable::Archive::<_, Digest, Arc<Payload>>::init(
        context.child("blocks"),
        archive("blocks", &page_cache, config.block_bytes_max),
    )
    .await
    .expect(UNREADABLE);

    let epocher = FixedEpocher::new(NonZeroU64::MAX);
    let genesis = Digested::compute(Payload(config.genesis.clone()), &Sequential).await;
    let (actor, mailbox, _) = marshal::core::Actor::<_, Standard<Payload>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        finalized_blocks,
        marshal::Config {
            provider: ConstantProvider::new(scheme.clone()),
            epocher: epocher.clone(),
            start: Start::Genesis(genesis),
            partition_prefix: PARTITION.to_owned(),
            mailbox_size: MAILBOX,
            view_retention: VIEW_RETENTION,
            prunable_items_per_section: NZU64!(64),
            page_cache: page_cache.clone(),
            replay_buffer: WRITE_BUFFER,
            key_write_buffer: WRITE_BUFFER,
            value_write_buffer: WRITE_BUFFER,
            block_codec_config: config.block_bytes_max,
            max_repair: REPAIR_PARALLEL,
            max_pending_acks: PENDING_ACKS,
            strategy: Sequential,
        },
    )
    .await;
    let (deliveries, delivered) = mpsc::unbounded_channel();
    let delivery = context.child("deliver").spawn({
        let (application, marshal) = (application.clone(), mailbox.clone());
        move |_| deliver(delivered, marshal, application)
    });
    let tip = Tip::default();
    let mut marshal_actor = actor.start(Deliveries { blocks: deliveries, tip: tip.clone() }, buffer, resolver);

    let adapter = Adapter { application: application.clone(), tip };
    let inline = Inline::new(context.child("inline"), adapter, mailbox, epocher);
    let engine = simplex::Engine::new(
        context.child("engine"),
        simplex::Config {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker: oracle.clone(),
            automaton: inline.clone(),
            relay: inline.clone(),
            reporter: inline,
            partition: format!("{PARTITION}-votes"),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: Floor::Genesis(to_digest(config.genesis.hash())),
            replay_buffer: WRITE_BUFFER,
            write_buffer: WRITE_BUFFER,
            leader_timeout: config.leader_timeout,
            certification_timeout: config.leader_timeout + CERTIFICATION_GRACE,
            timeout_retry: TIMEOUT_RETRY,
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            view_retention: VIEW_RETENTION,
            // A dead leader costs `leader_timeout` once, then its turns are skipped while it stays silent.
            skip: SkipPolicy::Enabled {
                timeout: (config.leader_timeout + CERTIFICATION_GRACE).max(TIMEOUT_RETRY) + TIMEOUT_RETRY,
                budget: SkipBudget::Participants,
            },
            page_cache,
            strategy: Sequential,
            forward: ForwardPolicy::SilentVoters,
            track_historical_votes: false,
        },
    );
    network.start();
    let mut engine = engine.start(votes, certificates, certificate_resolver);
    context.child("gossip_out").spawn(move |_| send_gossip(gossip.0, gossip_queue));
    context.child("gossip_in").spawn({
        let application = application.clone();
        move |_| receive_gossip(gossip.1, application, config.gossip_bytes_max)
    });
    context.child("status_in").spawn(move |_| receive_status(status.1, heard));
    context.child("status_out").spawn(move |context| send_status(context, status.0, application));

    tokio::select! {
        _ = stopped => {}
        result = &mut engine => tracing::error!(?result, "consensus engine ended; restart the box"),
        result = &mut marshal_actor => tracing::error!(?result, "marshal ended; restart the box"),
        result = delivery => tracing::error!(?result, "finalized blocks can no longer be applied; restart the box"),
    }
}

fn archive<C>(name: &str, page_cache: &CacheRef, codec_config: C) -> immutable::Config<C> {
    let partition = |part: &str| format!("{PARTITION}-{name}-{part}");
    immutable::Config {
        metadata_partition: partition("metadata"),
        freezer_table_partition: partition("table"),
        freezer_table_initial_size: 65_536,
        freezer_table_resize_frequency: 4,
        freezer_table_resize_chunk_size: 16_384,
        freezer_key_partition: partition("keys"),
        freezer_key_page_cache: page_cache.clone(),
        freezer_value_partition: partition("values"),
        freezer_value_target_size: 256 << 20,
        freezer_value_compression: None,
        ordinal_partition: partition("ordinal"),
        items_per_section: NZU64!(65_536),
        codec_config,
        replay_buffer: WRITE_BUFFER,
        freezer_key_write_buffer: WRITE_BUFFER,
        freezer_value_write_buffer: WRITE_BUFFER,
        ordinal_write_buffer: WRITE_BUFFER,
    }
}
